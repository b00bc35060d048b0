//! The patient: a small prefork HTTP server that hands over at USR2 as Unicorn does, fast, and does wrong what it is told to.
//! At HUP it replaces its workers as nginx does, and told to, it calls exec at USR2 as `HAProxy` does.
//!
//! A master takes a shared lock on `<pidfile>.lock`, forks workers and waits for signals. USR2 starts a new master beside it,
//! which inherits the listening socket; QUIT lets the workers finish, TERM does not. It answers `GET /`, `/up` and `/slow?ms=N`
//! with its release, the worker's pid and the master's.
//!
//! **Invariant:** no thread is ever started: forking is safe at any point.

mod grpc;
mod http;
mod lock;
mod master;
mod pidfile;
mod process;
mod relay;
mod signals;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// How the patient is started.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// Where to serve.
    #[arg(long)]
    listen: SocketAddr,
    /// Where the master writes its pid; the lock is beside it, with `.lock` appended.
    #[arg(long)]
    pidfile: PathBuf,
    /// The file that names the release; read by each new master.
    #[arg(long)]
    release: PathBuf,
    /// The file that lists what to do wrong; read by each new master and at USR2.
    #[arg(long)]
    faults: PathBuf,
    /// Whether the workers speak gRPC instead of HTTP, and only tell their health.
    #[arg(long)]
    grpc: bool,
    /// How many workers.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Set by an old master for its successor: the listening socket is standard input.
    #[arg(long, hide = true)]
    inherited: bool,
    /// Set by a master that calls exec: its lock is standard output.
    #[arg(long, hide = true)]
    carried: bool,
    /// Set by an old master for its successor: take the lock so many microseconds after the old one has let go.
    #[arg(long, hide = true)]
    gap_us: Option<u64>,
}

/// What went wrong, and at what.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
struct Failed {
    doing: String,
    source: io::Error,
}

impl Failed {
    /// For `map_err`: says what was being done.
    fn at<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self { doing: doing.into(), source: source.into() }
    }
}

fn main() -> ExitCode {
    match master::run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to the log.
#[expect(clippy::print_stderr, reason = "the patient's log is its standard error")]
fn say(line: &str) {
    eprintln!("patient {}: {line}", std::process::id());
}
