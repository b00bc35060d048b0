//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::hold;
use crate::outcome::EXIT_CODES;

/// Watches the locks of this host's servers, restarts them when asked, and testifies that a lock was never dropped.
#[derive(Debug, Parser)]
#[command(name = "baton-agent", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Args {
    /// Logs more; twice for everything. `RUST_LOG` says it in detail.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the agent.
    Run(Run),
    /// Runs a server in the foreground of an init system and exits when every process of it is gone.
    Hold(hold::Args),
    /// Shows the services of this host as they are now.
    Status(Status),
    /// Hands a service over to a new generation and waits for the verdict.
    Reload(Reload),
    /// Starts a service that has `start` in its configuration, and waits until it holds its lock.
    Start(Named),
    /// Stops a service that has `start` in its configuration, on purpose, and waits until nobody of it is left.
    Stop(Named),
    /// Shows what was seen in the last handover of a service and what it proves, and the drops that were seen at any time.
    Testimony(Testimony),
    /// Shows the kinds of servers that are known, and how each is reloaded.
    Dialects(Dialects),
}

/// Runs the agent.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/baton/agent.toml")]
    pub config: PathBuf,
}

/// Shows the services of this host as they are now.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Only this service.
    pub service: Option<String>,
    /// Looks at every process of this host, and lists whoever holds a lock.
    #[arg(long)]
    pub census: bool,
    /// How to ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Hands a service over to a new generation and waits for the verdict.
#[derive(Debug, clap::Args)]
pub struct Reload {
    /// The service.
    pub service: String,
    /// The release to switch to: the name of a directory among the service's releases.
    #[arg(long, value_name = "NAME")]
    pub release: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Shows what was seen in the last handover of a service and what it proves, and the drops that were seen at any time.
#[derive(Debug, clap::Args)]
pub struct Testimony {
    /// The service.
    pub service: String,
    /// All handovers that are kept, from the oldest to the newest.
    #[arg(long)]
    pub all: bool,
    /// How to ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Shows the kinds of servers that are known, and how each is reloaded.
#[derive(Debug, clap::Args)]
pub struct Dialects {
    /// For whom the answer is.
    #[arg(long, value_enum, default_value_t = Output::Human, value_name = "FORM")]
    pub output: Output,
}

/// Starts or stops a service that has `start` in its configuration.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The service.
    pub service: String,
    /// How to ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// How to ask the agent that runs.
#[derive(Debug, clap::Args)]
pub struct Ask {
    /// The agent's socket.
    #[arg(long, value_name = "PATH", default_value = "/run/baton/agent.sock")]
    pub socket: PathBuf,
    /// For whom the answer is.
    #[arg(long, value_enum, default_value_t = Output::Human, value_name = "FORM")]
    pub output: Output,
}

/// For whom an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for a person.
    Human,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
