//! The agent's configuration: text in, a [`Config`] that can only be valid out, or all mistakes at once.
//!
//! **Invariant:** this module opens no file: whether a path exists is found out by whoever uses it.

mod command;
mod dialect;
mod drain;
mod errand;
mod memory;
mod parse;
mod path;
mod ready;
mod release;
pub mod start;
mod url;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use baton_proto::document::{Mistakes, Table};

use crate::dialect::Dialect;
pub use drain::{Drain, LINGERING_MAX, RUNG, Then};
pub use errand::{Errand, Errands};
pub use memory::Memory;
pub use ready::{Condition, Place, Ready, Wanted};
pub use release::Releases;
pub use start::Start;

/// A valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The trust domain.
    pub fleet: String,
    /// This host's name, as in its certificate.
    pub host: String,
    /// Where gRPC over mutual TLS is served.
    pub listen: SocketAddr,
    /// Where gRPC over a unix socket is served.
    pub socket: PathBuf,
    /// The directory that holds what must survive the agent.
    pub state: PathBuf,
    /// How many handovers may be under way at once, each until its old generation is gone or counts as lingering.
    pub handovers: usize,
    /// The certificate files.
    pub tls: Tls,
    /// The services, by name, at least one.
    pub services: Vec<Service>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// All mistakes in it, each with its line and key.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        baton_proto::document::read(text, parse::config)
    }
}

/// Whether a table has a key, without reading it.
fn has(table: &Table<'_>, key: &str) -> bool {
    table.names().iter().any(|name| name == key)
}

/// The files of mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// This host's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The fleet's authority, PEM.
    pub authority: PathBuf,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How it is reloaded.
    pub dialect: Dialect,
    /// Where its master writes its pid.
    pub pidfile: PathBuf,
    /// The lock file; `<pidfile>.lock` unless configured.
    pub lock: PathBuf,
    /// When a new generation counts as ready.
    pub ready: Ready,
    /// How the old generation leaves.
    pub drain: Drain,
    /// What must be free before a second generation is started beside the first.
    pub memory: Memory,
    /// Whether a handover may begin while somebody who is not of the service holds the lock, too.
    pub allows_foreign_holders: bool,
    /// What is run around a handover.
    pub errands: Errands,
    /// Where its releases lie, if the agent is to switch them and to look which one is run.
    pub releases: Option<Releases>,
    /// How the agent starts it; absent where something else does.
    pub start: Option<Start>,
}

/// What a handover may take beside its configured waits: looks, writes, and the steps by which a failed one is undone.
const HANDOVER_OVERHEAD: Duration = Duration::from_secs(30);

impl Service {
    /// The longest that a handover may take. One that fails because no new master came waits as long again for one that comes late.
    pub fn handover_within(&self) -> Duration {
        let last = self.drain.longest().max(self.ready.within);
        self.errands.within() + self.ready.within + self.ready.settle + last + HANDOVER_OVERHEAD
    }
}

#[cfg(test)]
mod tests;
