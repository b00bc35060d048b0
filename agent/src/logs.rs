//! Where logs go: to stderr, which is the service manager's.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How much is logged where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// What an operator would tell a colleague: for the daemon.
    Talkative,
    /// Only what needs eyes: for a command whose report is what matters.
    Quiet,
}

/// Begins to log; `RUST_LOG`, where it is set, has the last word.
pub fn begin(habit: Habit, verbose: u8) {
    let directives = match (habit, verbose) {
        (Habit::Talkative, 0) => "info",
        (Habit::Quiet, 0) => "warn",
        (Habit::Talkative | Habit::Quiet, 1) => "info,baton_agent=debug",
        (Habit::Talkative | Habit::Quiet, 2..) => "debug,baton_agent=trace",
    };
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    let filter = filter.try_from_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    // A terminal gets colours unless NO_COLOR is set, which the subscriber knows.
    if stderr().is_terminal() { subscriber.init() } else { subscriber.with_ansi(false).init() }
}
