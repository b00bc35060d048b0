//! A client of an agent, over its unix socket or over mutual TLS, with one deadline for every answer.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use baton_proto::v1;
use baton_proto::v1::agent_client::AgentClient;
use baton_proto::v1::watch_event::Event;
use baton_tests::clock;
use baton_tests::fleet::OPERATOR;
use baton_tests::pki::Pki;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::site::HOST;

const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A connection to an agent, and the loop that it lives on.
#[derive(Debug)]
pub(crate) struct Client {
    runtime: Runtime,
    agent: AgentClient<Channel>,
}

/// News of one service.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    runtime: &'a Runtime,
    stream: Streaming<v1::WatchEvent>,
}

impl Client {
    /// Over the agent's unix socket.
    pub(crate) fn local(socket: PathBuf) -> Self {
        let connector = service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        Self::connect(|endpoint| async move { endpoint.connect_with_connector(connector).await })
    }

    /// Over TCP and mutual TLS, as the operator.
    pub(crate) fn remote(address: SocketAddr, pki: &Pki) -> Self {
        let config = Arc::new(config(pki.directory()));
        Self::connect(|_| dial(address, HOST, config))
    }

    fn connect<F>(dial: impl FnOnce(Endpoint) -> F) -> Self
    where
        F: Future<Output = Result<Channel, tonic::transport::Error>>,
    {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("an event loop can be made");
        let channel = runtime.block_on(dial(Endpoint::from_static("http://agent"))).expect("the agent can be reached");
        Self { runtime, agent: AgentClient::new(channel) }
    }

    /// Watches a service.
    pub(crate) fn watch(&self, service: &str) -> Watch<'_> {
        let request = v1::WatchRequest { service: service.to_owned() };
        let mut agent = self.agent.clone();
        let reply = self.runtime.block_on(async { timeout(ANSWER_WITHIN, agent.watch(request)).await });
        let stream = reply.expect("the agent answers in time").expect("the agent answers").into_inner();
        Watch { runtime: &self.runtime, stream }
    }

    /// The record of the last handover of a service.
    pub(crate) fn record(&self, service: &str) -> v1::Record {
        let request = v1::TestimonyRequest { service: service.to_owned(), rollout: String::new() };
        let mut agent = self.agent.clone();
        let reply = self.runtime.block_on(async { timeout(ANSWER_WITHIN, agent.testimony(request)).await });
        let reply = reply.expect("the agent answers in time").expect("the agent answers").into_inner();
        reply.records.into_iter().next().expect("there was a handover")
    }
}

impl Watch<'_> {
    /// Waits until the service is held.
    pub(crate) fn await_held(&mut self) {
        let held = |event: &v1::WatchEvent| match &event.event {
            Some(Event::Held(_)) => true,
            Some(Event::Status(status)) => status.custody() == v1::Custody::Held,
            Some(Event::Drop(_) | Event::Progress(_) | Event::Ending(_)) | None => false,
        };
        self.until("the service to be held", held);
    }

    /// Waits for a drop: when it was seen, and when the news of it arrived here; both by CLOCK_BOOTTIME.
    pub(crate) fn await_drop(&mut self) -> (Duration, Duration) {
        let event = self.until("a drop", |event| matches!(event.event, Some(Event::Drop(_))));
        let arrived = clock::since_boot().expect("there is such a clock");
        (Duration::from_nanos(event.at_ns), arrived)
    }

    fn until(&mut self, what: &str, wanted: impl Fn(&v1::WatchEvent) -> bool) -> v1::WatchEvent {
        let stream = &mut self.stream;
        let wanted = async {
            loop {
                let event = stream.message().await.expect("the agent goes on").expect("a watch has no end");
                if wanted(&event) {
                    return event;
                }
            }
        };
        let found = self.runtime.block_on(async { timeout(ANSWER_WITHIN, wanted).await });
        found.unwrap_or_else(|_| panic!("waited {ANSWER_WITHIN:?} for {what}"))
    }
}

/// Connects to the agent of a host over TCP and mutual TLS.
pub(crate) async fn dial(address: SocketAddr, host: &str, config: Arc<ClientConfig>) -> Result<Channel, tonic::transport::Error> {
    let host = host.to_owned();
    let connector = service_fn(move |_: Uri| {
        let connector = TlsConnector::from(Arc::clone(&config));
        let host = host.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    Endpoint::from_static("http://agent").connect_with_connector(connector).await
}

/// What the operator shows and trusts, from the files in `directory`.
pub(crate) fn config(directory: &Path) -> ClientConfig {
    let certificate = |name: &str| CertificateDer::from_pem_file(directory.join(name)).expect("it was just made");
    let mut roots = RootCertStore::empty();
    roots.add(certificate("fleet-ca.crt")).expect("it was just made");
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{OPERATOR}.key"))).expect("it was just made");
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(&format!("{OPERATOR}.crt"))], key)
        .expect("key and certificate belong together");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}
