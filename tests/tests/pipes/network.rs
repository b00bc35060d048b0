//! The network between the controllers and the agents: which connections are to be had, and how they behave.
//!
//! **Invariant:** what the kernel does with a dead connection is done here: it is cut after [`GIVEN_UP_AFTER`].

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton::execute::Dialler;
use baton::inventory::Host;
use baton_agent::doors::Peer;
use baton_proto::identity::{Identity, Role};
use baton_tests::dice::Dice;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::host::Laid;
use crate::relay::{self, Manner, Silence, Way};
use crate::scenario::{Roughness, place};

/// How much a pipe holds.
const PIPE_BYTES: usize = 64 << 10;

/// When the kernel gives a connection up whose other side does not answer.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(15);

/// How many connections may wait for an agent.
pub(crate) const LAID_MAX: usize = 64;

/// The links to one host.
#[derive(Debug)]
struct Links {
    /// Where its agent takes connections; none while it is dead.
    agent: Option<mpsc::Sender<Laid>>,
    /// Changes when all its connections are cut.
    cut: watch::Sender<u64>,
    silence: watch::Sender<Silence>,
    refuses_until: Instant,
}

#[derive(Debug)]
struct Inner {
    links: Vec<Links>,
    dice: Dice,
    roughness: Roughness,
}

/// The network.
#[derive(Debug, Clone)]
pub(crate) struct Network(Arc<Mutex<Inner>>);

/// Where a controller is plugged in.
#[derive(Debug)]
pub(crate) struct Plug {
    network: Network,
    pulled: watch::Sender<u64>,
}

impl Network {
    pub(crate) fn new(hosts: usize, dice: Dice) -> Self {
        let now = Instant::now();
        let links = || Links {
            agent: None,
            cut: watch::Sender::new(0),
            silence: watch::Sender::new(Silence { to_agent: now, to_controller: now }),
            refuses_until: now,
        };
        let links = (0..hosts).map(|_| links()).collect();
        Self(Arc::new(Mutex::new(Inner { links, dice, roughness: Roughness::default() })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on connections are this rough.
    pub(crate) fn roughen(&self, roughness: Roughness) {
        self.with(|inner| inner.roughness = roughness);
    }

    /// An agent takes connections, or does not any more; then those that it had are cut.
    pub(crate) fn set_agent(&self, host: usize, agent: Option<mpsc::Sender<Laid>>) {
        if agent.is_none() {
            self.cut(host);
        }
        self.with(|inner| inner.links[host].agent = agent);
    }

    /// Cuts all connections of a host.
    pub(crate) fn cut(&self, host: usize) {
        self.with(|inner| inner.links[host].cut.send_modify(|cuts| *cuts += 1));
    }

    /// A host refuses to be dialled for so long.
    pub(crate) fn refuse(&self, host: usize, lasts: Duration) {
        self.with(|inner| inner.links[host].refuses_until = Instant::now() + lasts);
    }

    /// Nothing gets through to a host, or from it, for so long.
    pub(crate) fn silence(&self, host: usize, way: Way, lasts: Duration) {
        let until = Instant::now() + lasts;
        self.with(|inner| {
            inner.links[host].silence.send_modify(|silence| match way {
                Way::ToAgent => silence.to_agent = silence.to_agent.max(until),
                Way::ToController => silence.to_controller = silence.to_controller.max(until),
            });
        });
        if lasts >= GIVEN_UP_AFTER {
            let network = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GIVEN_UP_AFTER).await;
                network.cut(host);
            });
        }
    }

    /// Plugs a controller in.
    pub(crate) fn plug_in(&self) -> Plug {
        Plug { network: self.clone(), pulled: watch::Sender::new(0) }
    }

    async fn lay(&self, host: usize, pulled: watch::Receiver<u64>) -> io::Result<DuplexStream> {
        if *pulled.borrow() > 0 {
            return std::future::pending().await;
        }
        let is_silent = |inner: &mut Inner| {
            let silence = *inner.links[host].silence.borrow();
            silence.to_agent.max(silence.to_controller) > Instant::now()
        };
        if self.with(is_silent) {
            // No answer comes to what is sent, and nobody refuses.
            return std::future::pending().await;
        }
        let Some((agent, manner, silence, cut)) = self.with(|inner| inner.connection(host)) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (ours, near) = tokio::io::duplex(PIPE_BYTES);
        let (far, theirs) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(relay::pass(near, far, manner, silence, [cut, pulled]));
        let peer = Peer::Remote {
            identity: Identity { fleet: "prod".into(), role: Role::Operator, name: "ada".into() },
            address: ([10, 0, 0, 1], 7000).into(),
        };
        agent.send(Laid::new(theirs, peer)).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(ours)
    }
}

type Connection = (mpsc::Sender<Laid>, Manner, watch::Receiver<Silence>, watch::Receiver<u64>);

impl Inner {
    /// What a new connection to a host is like; none where it is refused.
    fn connection(&mut self, host: usize) -> Option<Connection> {
        let Roughness { refused, cut, delay_max } = self.roughness;
        let is_refused = self.dice.below(1_000) < refused;
        let is_cut = self.dice.below(1_000) < cut;
        let cut_after = self.dice.below(8_000);
        let dice = Dice::new(self.dice.next_number());
        let links = &self.links[host];
        if is_refused || links.refuses_until > Instant::now() {
            return None;
        }
        let manner = Manner { cut_after: is_cut.then_some(cut_after), delay_max, dice };
        Some((links.agent.clone()?, manner, links.silence.subscribe(), links.cut.subscribe()))
    }
}

impl Plug {
    /// What dials from here.
    pub(crate) fn dialler(&self) -> Dialler {
        let (network, pulled) = (self.network.clone(), self.pulled.clone());
        Dialler::over(Arc::new(move |host: &Host| {
            let (network, host, pulled) = (network.clone(), place(&host.name), pulled.subscribe());
            Box::pin(async move { network.lay(host, pulled).await })
        }))
    }

    /// Pulls it: nothing that was plugged in here is heard of again.
    pub(crate) fn pull(&self) {
        self.pulled.send_modify(|pulls| *pulls += 1);
    }
}
