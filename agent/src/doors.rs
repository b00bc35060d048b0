//! The agent's two doors: TCP with mutual TLS for the fleet, a unix socket for this host.
//!
//! A connection that comes out of a door has passed it: who is at its other end is known ([`Peer`]) before the first request
//! is read.
//!
//! **Invariant:** nothing that a stranger does ends a door or floods a log, nobody takes all the places that there are, and an open connection with nothing to say costs no wake-up:
//! dead ones are found by the kernel's TCP keep-alive, not by a timer here.

mod backoff;
mod connection;
mod credentials;
mod handshakes;
mod local;
mod peer;
mod places;
mod remote;
mod seldom;
mod verifier;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

pub use connection::Connection;
pub use credentials::{CredentialError, Credentials};
pub use peer::Peer;
pub use places::Places;

use crate::config::Config;

/// How many connections may be open over TCP, those in their handshake included.
pub const OPEN_MAX: usize = 1_024;

/// How many of them may be in their handshake.
pub const HANDSHAKES_MAX: usize = 256;

/// How many of them one identity may have when its handshake is done: a controller needs one.
pub const SHARE_MAX: usize = 16;

/// How many connections may be open over the unix socket: apart, so that the network cannot lock out the host.
pub const LOCAL_MAX: usize = 64;

/// How many connections may wait to be served; the server takes them up at once.
const ARRIVALS_MAX: usize = 16;

/// Why a door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The certificate files are unusable.
    #[error("failed to set up mutual TLS")]
    Credentials(#[from] CredentialError),
    /// The TCP port cannot be had.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address wanted.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Something on the way to the unix socket failed.
    #[error("failed to {doing} {path}")]
    Socket {
        /// What was being done.
        doing: &'static str,
        /// The socket or its directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another agent serves this host.
    #[error("another process answers on {path}")]
    Answered {
        /// The socket.
        path: PathBuf,
    },
    /// Another agent is about to serve this host.
    #[error("another agent is starting on {path}")]
    Starting {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is in the socket's place.
    #[error("{path} is there and is no socket")]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
}

impl DoorError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Credentials(error) => error.hint(),
            Self::Listen { .. } => Some("choose another `listen` in [agent], or stop what uses it: `ss -ltnp` shows it"),
            Self::Socket { .. } => Some("run the agent as a user who may write there, or choose another `socket` in [agent]"),
            Self::Answered { .. } | Self::Starting { .. } => {
                Some("one agent is enough: `baton-agent status` asks the one that runs")
            }
            Self::NoSocket { .. } => Some("move it away, or choose another `socket` in [agent]"),
        }
    }
}

/// Two bound doors that nobody has come through yet.
#[derive(Debug)]
pub struct Doors {
    remote: TcpListener,
    credentials: Credentials,
    local: local::Socket,
}

impl Doors {
    /// Checks the certificates, then binds both doors.
    ///
    /// # Errors
    /// When the certificates are not this host's, or a door cannot be had.
    pub async fn bind(config: &Config) -> Result<Self, DoorError> {
        let credentials = Credentials::load(&config.tls, &config.fleet, &config.host)?;
        let local = local::bind(&config.socket).await?;
        let address = config.listen;
        let remote = TcpListener::bind(address).await.map_err(|source| DoorError::Listen { address, source })?;
        Ok(Self { remote, credentials, local })
    }

    /// The address that the TCP door is on, with the port that the kernel chose if the configuration said 0.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.remote.local_addr()
    }

    /// Begins to let connections in.
    pub fn open(self) -> Open {
        let (sender, receiver) = mpsc::channel(ARRIVALS_MAX);
        let remote = Places::new(OPEN_MAX);
        let local = Places::new(LOCAL_MAX);
        let places = [remote.clone(), local.clone()];
        let mut loops = JoinSet::new();
        loops.spawn(remote::accept(self.remote, self.credentials, remote, sender.clone()));
        loops.spawn(local::accept(self.local, local, sender));
        Open { arrivals: ReceiverStream::new(receiver), loops, places }
    }
}

/// Two doors that let connections in.
#[derive(Debug)]
pub struct Open {
    /// Those who came in.
    pub arrivals: ReceiverStream<Connection>,
    /// The loops behind the doors. They end with a bug only; dropped, they stop accepting.
    pub loops: JoinSet<()>,
    /// The places behind each door.
    pub places: [Places; 2],
}
