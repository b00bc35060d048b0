//! The agent of one host: the real RPC before a simulated service. It dies with all that it had not written down, and comes back.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use baton_agent::doors::Peer;
use baton_agent::rpc::{Rpc, Speaker};
use baton_agent::service::Service;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::network::{LAID_MAX, Network};
use crate::scenario::{Behaviour, name};
use crate::service::{Disk, Simulated};
use crate::trace::{Seen, Trace};

/// How many questions may wait for a service.
const INBOX_MAX: usize = 32;

/// A connection that was laid to an agent, and whose it is.
#[derive(Debug)]
pub(crate) struct Laid {
    pipe: DuplexStream,
    peer: Peer,
}

impl Laid {
    pub(crate) fn new(pipe: DuplexStream, peer: Peer) -> Self {
        Self { pipe, peer }
    }
}

impl Connected for Laid {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Laid {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for Laid {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

/// A host: its agent, while it lives, and what outlives it.
#[derive(Debug)]
pub(crate) struct Host {
    place: usize,
    behaviour: Behaviour,
    disk: Arc<Mutex<Disk>>,
    lives: u32,
    alive: Vec<JoinHandle<()>>,
    network: Network,
    trace: Trace,
    /// Agents that live until the end of the world are never told to stop.
    stopping: watch::Sender<bool>,
}

impl Host {
    pub(crate) fn new(place: usize, behaviour: Behaviour, network: Network, trace: Trace) -> Self {
        let disk = Arc::new(Mutex::new(Disk::new(place)));
        Self { place, behaviour, disk, lives: 0, alive: Vec::new(), network, trace, stopping: watch::Sender::new(false) }
    }

    /// Its agent begins to live.
    pub(crate) fn start(&mut self) {
        self.lives += 1;
        let incarnation = format!("run-{}", self.lives);
        let (inbox, commands) = mpsc::channel(INBOX_MAX);
        let (laid, arrivals) = mpsc::channel(LAID_MAX);
        let simulated = Simulated::new(self.place, &incarnation, self.behaviour, Arc::clone(&self.disk), self.trace.clone());
        let speaker = Speaker {
            fleet: "prod".into(),
            host: name(self.place),
            version: "0.1.0".into(),
            incarnation,
            boot_id: crate::service::BOOT.into(),
            now: || Duration::from_secs(1_000),
            wall: Duration::default,
        };
        let rpc = Rpc::new(speaker, [Service::new("web".into(), inbox)], self.stopping.subscribe());
        let server = Server::builder().add_service(rpc.server());
        let connections = ReceiverStream::new(arrivals).map(Ok::<Laid, Infallible>);
        self.alive = vec![
            tokio::spawn(simulated.run(commands)),
            tokio::spawn(async move { server.serve_with_incoming(connections).await.expect("it serves until it dies") }),
        ];
        self.network.set_agent(self.place, Some(laid));
    }

    /// Its agent dies, and comes back after so long.
    pub(crate) async fn die(&mut self, lasts: Duration) {
        self.trace.note(Seen::AgentDied { host: self.place });
        for task in self.alive.drain(..) {
            task.abort();
        }
        self.network.set_agent(self.place, None);
        tokio::time::sleep(lasts).await;
        self.start();
        self.trace.note(Seen::AgentBack { host: self.place });
    }
}
