//! Starts the agent: from the path of a configuration to an agent that runs until it is told to stop.
//!
//! **Invariant:** everything is checked before the first door is bound, and the doors are bound before the first service is
//! watched: of two agents on one host the second changes nothing.

mod release;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_proto::document::Mistakes;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::doors::{DoorError, Doors};
use crate::driver::{self, Turns, Walker, Witness};
use crate::files::Files;
use crate::os::{clock, descriptors, memory};
use crate::outcome::Exit;
use crate::rpc::Speaker;
use crate::service::Service;
use crate::store::StoreError;
use crate::{RunError, run};

/// The largest configuration taken.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// How long threads may take to end when the agent has stopped.
const THREADS_WITHIN: Duration = Duration::from_secs(1);

/// Why the agent did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be read.
    #[error("failed to read the configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The configuration is too large to be one.
    #[error("the configuration {path} has more than {CONFIG_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The configuration is wrong.
    #[error("failed to read the configuration {path}")]
    Config {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        source: Mistakes,
    },
    /// The kernel is too old.
    #[error("the kernel {release} is too old: {} or later is wanted, for pidfd_open(2)", release::WANTED)]
    Kernel {
        /// What it calls itself.
        release: String,
    },
    /// The host does not give what is needed of it.
    #[error("failed to {doing}")]
    Host {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A door cannot be had.
    #[error("failed to open the agent's doors")]
    Doors(#[from] DoorError),
    /// What was kept of a service cannot be had.
    #[error("failed to take up the service {service:?}")]
    Store {
        /// The service.
        service: String,
        /// Why.
        source: StoreError,
    },
    /// The agent did not end well.
    #[error("failed to go on")]
    Run(#[from] RunError),
}

impl StartError {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Read { .. }
            | Self::TooLarge { .. }
            | Self::Config { .. }
            | Self::Kernel { .. }
            | Self::Doors(_)
            | Self::Store { .. } => Exit::Usage,
            Self::Host { .. } | Self::Run(_) => Exit::Fault,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } | Self::TooLarge { .. } => {
                Some("--config names another; the sample in deploy/agent.toml is a beginning")
            }
            Self::Doors(error) => error.hint(),
            Self::Config { .. } | Self::Kernel { .. } | Self::Host { .. } | Self::Store { .. } | Self::Run(_) => None,
        }
    }
}

/// Runs the agent that the file at `path` configures, until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot be started; once it runs only for bugs.
pub fn agent(path: &Path) -> Result<(), StartError> {
    let config = configuration(path)?;
    check_kernel()?;
    descriptors::allow_all().map_err(|source| StartError::Host { doing: "raise the limit of descriptors", source })?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| StartError::Host { doing: "start the event loop", source })?;
    let ended = runtime.block_on(serve(config));
    runtime.shutdown_timeout(THREADS_WITHIN);
    ended
}

fn configuration(path: &Path) -> Result<Config, StartError> {
    let failed = |source| StartError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(StartError::TooLarge { path: path.to_owned() });
    }
    Config::parse(&text).map_err(|source| StartError::Config { path: path.to_owned(), source })
}

fn check_kernel() -> Result<(), StartError> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_err(|source| StartError::Host { doing: "learn the kernel's release", source })?;
    if release::is_supported(&release) { Ok(()) } else { Err(StartError::Kernel { release: release.trim().to_owned() }) }
}

async fn serve(config: Config) -> Result<(), StartError> {
    let failed = |doing| move |source| StartError::Host { doing, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("wait for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("wait for SIGINT"))?;
    let speaker = Speaker {
        fleet: config.fleet.clone(),
        host: config.host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: clock::incarnation().map_err(failed("get random bytes"))?,
        boot_id: clock::boot_id().map_err(failed("learn the boot's id"))?,
        now: clock::since_boot,
        wall: clock::since_1970,
    };
    let doors = Doors::bind(&config).await?;
    let services = services(config, &speaker)?;
    // What only the start needed is not to stay mapped for weeks.
    memory::forget_files();
    run(doors, speaker, services, stopped(&mut terminate, &mut interrupt)).await?;
    Ok(())
}

fn services(config: Config, speaker: &Speaker) -> Result<Vec<Service>, StartError> {
    let witness = Witness {
        boot: speaker.boot_id.clone(),
        incarnation: speaker.incarnation.clone(),
        state: config.state,
        walker: Walker::start(),
        turns: Turns::new(config.handovers),
    };
    let mut files = Files::default();
    let mut services = Vec::with_capacity(config.services.len());
    for service in config.services {
        let name = service.name.clone();
        let started = driver::start(service, witness.clone(), &mut files);
        services.push(started.map_err(|source| StartError::Store { service: name, source })?);
    }
    let names: Vec<&str> = services.iter().map(Service::name).collect();
    tracing::info!(fleet = speaker.fleet, host = speaker.host, services = names.join(", "), "watching");
    files.watch().map_err(|source| StartError::Host { doing: "watch the services' files", source })?;
    Ok(services)
}

async fn stopped(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
