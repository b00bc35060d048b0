//! What people and programs see of the local commands: the only file that prints.
//!
//! **Invariant:** stdout is the result; progress and errors go to stderr. As JSON, all but errors is the result. A reader that
//! went away ends nothing.

mod dialects;
mod json;
mod words;

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use baton_proto::claim::Claim;
use baton_proto::custody::{Chronicle, Protocol};
use baton_proto::v1;

use crate::args::Output;
use crate::dialect::Row;
use crate::failure::causes;
use crate::outcome::Outcome;

/// Something to show.
#[derive(Debug)]
pub enum Event<'a> {
    /// The state of a service, as it was `now`.
    Status {
        /// The service.
        service: &'a v1::ServiceStatus,
        /// The time on the host.
        now: Duration,
        /// The claim that stands.
        claim: Option<&'a Claim>,
    },
    /// A handover made a step.
    Step {
        /// What it was.
        progress: &'a v1::Progress,
        /// How long after the first step.
        after: Duration,
    },
    /// Nothing came for a while.
    Waiting {
        /// The step that is waited for.
        step: &'static str,
        /// How long after the first step.
        after: Duration,
    },
    /// The agent was lost and is asked again.
    Lost {
        /// Why.
        reason: &'a str,
        /// How long after the first step.
        after: Duration,
    },
    /// A service was stopped on purpose.
    Stopped {
        /// The service.
        service: &'a str,
        /// How that went.
        how: &'a str,
    },
    /// A handover on record, and what it proves.
    Testimony(Protocol<'a>),
    /// What befell a service.
    History(Chronicle<'a>),
    /// How a handover ended.
    Concluded(Conclusion<'a>),
    /// There is no handover to show.
    NoRecord {
        /// The service.
        service: &'a str,
    },
}

impl Event<'_> {
    /// Whether it says how things go on, and not how they are.
    fn is_progress(&self) -> bool {
        match self {
            Self::Waiting { .. } | Self::Lost { .. } | Self::Step { .. } | Self::NoRecord { .. } => true,
            Self::Status { .. } | Self::Stopped { .. } | Self::Testimony(_) | Self::History(_) | Self::Concluded(_) => false,
        }
    }
}

/// How a handover ended.
#[derive(Debug, Clone, Copy)]
pub struct Conclusion<'a> {
    /// The service.
    pub service: &'a str,
    /// The rollout that asked.
    pub rollout: &'a str,
    /// The attempt.
    pub attempt: u32,
    /// How long it took.
    pub after: Duration,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Processes of the old generation that were still there at the end.
    pub lingering_pids: &'a [u32],
}

/// Shows events.
#[derive(Debug)]
pub struct Report<O, E> {
    output: Output,
    results: O,
    progress: E,
}

impl Report<io::Stdout, io::Stderr> {
    /// Shows them on this process's stdout and stderr.
    pub fn to_standard(output: Output) -> Self {
        Self::new(output, io::stdout(), io::stderr())
    }
}

impl<O: Write, E: Write> Report<O, E> {
    /// Shows results on one writer and progress on the other.
    pub fn new(output: Output, results: O, progress: E) -> Self {
        Self { output, results, progress }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event<'_>) {
        let text = match self.output {
            Output::Human => words::of(event),
            Output::Json => json::of(event),
        };
        // Whoever stopped reading wants no more of it: a handover under way goes on.
        let _ = if self.output == Output::Human && event.is_progress() {
            writeln!(self.progress, "{text}")
        } else {
            writeln!(self.results, "{text}")
        };
    }
}

/// Shows rows of the table of dialects, on stdout.
pub fn dialects(output: Output, rows: &[Row]) {
    let row = |row: &Row| match output {
        Output::Human => dialects::words(row),
        Output::Json => dialects::object(row).to_string(),
    };
    let lines: Vec<String> = rows.iter().map(row).collect();
    // Whoever stopped reading wants no more of it.
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}

fn custody_word(custody: v1::Custody) -> &'static str {
    match custody {
        v1::Custody::Held => "held",
        v1::Custody::Free => "free",
        v1::Custody::Orphaned => "orphaned",
        v1::Custody::Unspecified => "unknown",
    }
}

/// Shows an error with its causes and what to do about it, on stderr.
pub fn failure(error: &dyn Error, hint: Option<&str>) {
    // There is nowhere left to say that this failed.
    let _ = io::stderr().write_all(failure_text(error, hint).as_bytes());
}

fn failure_text(error: &dyn Error, hint: Option<&str>) -> String {
    let mut text = format!("error: {error}\n");
    for cause in causes(error) {
        for line in cause.lines() {
            text.push_str("  ");
            text.push_str(line);
            text.push('\n');
        }
    }
    if let Some(hint) = hint {
        text.push_str("hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
