//! A service as the rest of the agent sees it: a handle to the driver that owns it.
//!
//! **Invariant:** the handle holds no state of the service; every answer comes from its driver.

use std::time::Duration;

use baton_proto::v1;
use tokio::sync::{mpsc, oneshot};

use crate::claim::Claimant;

/// How many events a stream may lag behind before it is cut off; the client asks again and joins anew.
pub const STREAM_EVENTS_MAX: usize = 256;

/// Where an answer goes that may be a refusal.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What can be asked of a driver.
#[derive(Debug)]
pub enum Command {
    /// The state now.
    Status(oneshot::Sender<v1::ServiceStatus>),
    /// The state, with every holder of the lock on this host, once all processes were looked at.
    Census(Reply<v1::ServiceStatus>),
    /// A handover, or to join the one with the same key, or its stored result.
    Reload(Attempt, Reply<mpsc::Receiver<v1::reload_event::Event>>),
    /// To claim the service; answered when that is on disk.
    Claim(Claimant, Reply<Granted>),
    /// Another lease for the claim with this fence.
    Renew(u64, Reply<()>),
    /// To give the claim with this fence back.
    Release(u64, Reply<()>),
    /// The state now, then what happens.
    Watch(Reply<mpsc::Receiver<Box<v1::WatchEvent>>>),
    /// The stored records, and what else befell the service.
    Past(oneshot::Sender<Past>),
    /// To have the service run; answered when it is held.
    Start(Reply<v1::ServiceStatus>),
    /// To stop the service on purpose; answered when it has stopped, with how that went.
    Stop(Reply<(v1::ServiceStatus, String)>),
    /// The state now, before the agent stops: until now the service was watched.
    Farewell(oneshot::Sender<v1::ServiceStatus>),
}

/// What is kept of a service.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The records of handovers, newest first.
    pub records: Vec<v1::Record>,
    /// What befell it otherwise.
    pub history: v1::History,
}

/// A claim that was granted.
#[derive(Debug)]
pub struct Granted {
    /// The number to reload with.
    pub fence: u64,
    /// For how long it stands unless it is renewed.
    pub lease: Duration,
    /// Tells why the claim has ended, once it has.
    pub ended: oneshot::Receiver<String>,
}

/// The key of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The rollout that asks; a checked name.
    pub rollout: String,
    /// Which try it is, from 1.
    pub number: u32,
    /// The fence that the rollout's claim was granted with.
    pub fence: u64,
    /// The name of the release to switch to; empty for none.
    pub release: String,
}

/// Why a driver did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The service is not in a state to be reloaded.
    #[error("{0}")]
    Precondition(String),
    /// The claim does not stand, and nothing was begun.
    #[error("{0}")]
    NoClaim(String),
    /// What was asked for must be on disk first, and cannot be written.
    #[error("{0}")]
    Unwritten(String),
    /// There is a limit to the streams of one service.
    #[error("too many streams are open on this service (at most {0})")]
    TooManyStreams(usize),
    /// The agent is shutting down.
    #[error("the agent is shutting down")]
    Stopping,
}

/// A handle to a service's driver.
#[derive(Debug, Clone)]
pub struct Service {
    name: String,
    inbox: mpsc::Sender<Command>,
}

impl Service {
    /// A handle that sends to `inbox`.
    pub fn new(name: String, inbox: mpsc::Sender<Command>) -> Self {
        Self { name, inbox }
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state now.
    ///
    /// # Errors
    /// When the agent is shutting down.
    pub async fn status(&self) -> Result<v1::ServiceStatus, Refusal> {
        self.ask(Command::Status).await
    }

    /// The state, with every holder of the lock on this host, once all processes were looked at.
    ///
    /// # Errors
    /// When too many wait for such a look already, or the agent is shutting down.
    pub async fn census(&self) -> Result<v1::ServiceStatus, Refusal> {
        self.ask(Command::Census).await?
    }

    /// Begins a handover and yields its events; the last is the ending.
    ///
    /// # Errors
    /// When the service cannot be reloaded now.
    pub async fn reload(&self, attempt: Attempt) -> Result<mpsc::Receiver<v1::reload_event::Event>, Refusal> {
        self.ask(|reply| Command::Reload(attempt, reply)).await?
    }

    /// Claims the service.
    ///
    /// # Errors
    /// When another rollout has it.
    pub async fn claim(&self, claimant: Claimant) -> Result<Granted, Refusal> {
        self.ask(|reply| Command::Claim(claimant, reply)).await?
    }

    /// Gives the claim with this fence another lease.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn renew(&self, fence: u64) -> Result<(), Refusal> {
        self.ask(|reply| Command::Renew(fence, reply)).await?
    }

    /// Gives the claim with this fence back.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn release(&self, fence: u64) -> Result<(), Refusal> {
        self.ask(|reply| Command::Release(fence, reply)).await?
    }

    /// Yields the state now, then what happens.
    ///
    /// # Errors
    /// When there are too many watchers.
    pub async fn watch(&self) -> Result<mpsc::Receiver<Box<v1::WatchEvent>>, Refusal> {
        self.ask(Command::Watch).await?
    }

    /// Has the service run, and yields its state when it is held.
    ///
    /// # Errors
    /// Why it does not run.
    pub async fn start(&self) -> Result<v1::ServiceStatus, Refusal> {
        self.ask(Command::Start).await?
    }

    /// Stops the service on purpose, and yields its state when it has stopped, and how that went.
    ///
    /// # Errors
    /// What is left of it, or why it is not stopped.
    pub async fn stop(&self) -> Result<(v1::ServiceStatus, String), Refusal> {
        self.ask(Command::Stop).await?
    }

    /// The stored records, and what else befell the service.
    ///
    /// # Errors
    /// When the agent is shutting down.
    pub async fn past(&self) -> Result<Past, Refusal> {
        self.ask(Command::Past).await
    }

    /// The state now, before the agent stops. That the service was watched until now is kept.
    ///
    /// # Errors
    /// When its driver is gone already.
    pub async fn farewell(&self) -> Result<v1::ServiceStatus, Refusal> {
        self.ask(Command::Farewell).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(command(reply)).await.map_err(|_| Refusal::Stopping)?;
        answer.await.map_err(|_| Refusal::Stopping)
    }
}
