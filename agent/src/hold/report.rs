//! What hold says: plain lines on standard error, for the journal of an init system. The only file of hold that prints.

use std::error::Error;
use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use baton_proto::custody::Process;
use baton_proto::span::Span;

use super::job::{Ended, Note};
use crate::dialect::Signal;
use crate::failure::chain;

/// Says one line. That it cannot be written is no reason to leave the server alone.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "baton-agent hold: {line}");
}

/// What people should know of the state of things.
pub(super) fn note(note: Note, lock: &Path, obstacle: Option<&dyn Error>, left: &[Process]) {
    let lock = lock.display();
    match note {
        Note::Started(process) => say(format_args!("started the command (process {process}); waiting for it to hold {lock}")),
        Note::Adopted(process) => {
            say(format_args!("process {process} holds {lock} already: it is adopted, and the command not started"));
        }
        Note::Held(process) => say(format_args!("process {process} holds {lock}")),
        Note::Waiting => say(format_args!("{lock} is held; waiting until nobody does")),
        Note::EndedAlone(ended) => say(format_args!("the command {}; its service lives on", how(ended))),
        Note::EndedEarly(ended) => say(format_args!("the command {}; nobody holds {lock} yet", how(ended))),
        Note::Free => say(format_args!("nobody holds {lock} any more: the service is dead")),
        Note::NeverHeld => {
            say(format_args!("the command ended and nobody ever held {lock}"));
            hint(obstacle);
        }
        Note::TooLate => {
            say(format_args!("nobody held {lock} by the deadline: stopping the command"));
            hint(obstacle);
        }
        Note::Stopping => say("told to stop"),
        Note::NobodyToAsk => say("no master was found that could be asked to stop"),
        Note::Gone => say("nobody is left"),
        Note::StillThere => {
            let whom = if left.is_empty() { "somebody who cannot be seen from here".to_owned() } else { listed(left) };
            say(format_args!("still there after SIGKILL: {whom}; the runbook tells how to find who holds {lock}"));
        }
    }
}

fn listed(processes: &[Process]) -> String {
    let pids: Vec<String> = processes.iter().map(ToString::to_string).collect();
    pids.join(", ")
}

fn hint(obstacle: Option<&dyn Error>) {
    match obstacle {
        Some(obstacle) => say(format_args!("hint: {}", chain(obstacle))),
        None => say("hint: does the server's configuration take this lock, and before it serves?"),
    }
}

fn how(ended: Ended) -> String {
    match ended {
        Ended::Code(code) => format!("ended with exit code {code}"),
        Ended::Signal(number) => format!("was ended by signal {number}"),
    }
}

/// A process of the service that had become our child has ended; `untold` others have since the last one that was told.
pub(super) fn buried(pid: u32, ended: Ended, untold: u32) {
    let others = if untold == 0 { String::new() } else { format!(" (and {untold} others before it, untold)") };
    say(format_args!("process {pid} of the service {}{others}", how(ended)));
}

/// A master is asked to leave.
pub(super) fn asking(process: Process, signal: Signal, within: Duration) {
    say(format_args!("sending {signal} to process {process}; it has {}", Span(within)));
}

/// Everybody is made to leave.
pub(super) fn forcing(signal: Signal, processes: &[Process]) {
    if !processes.is_empty() {
        say(format_args!("sending {signal} to {}", listed(processes)));
    }
}

/// A signal could not be sent.
pub(super) fn not_signalled(process: Process, signal: Signal, error: &dyn Error) {
    say(format_args!("{signal} could not be sent to process {process}: {}", chain(error)));
}

/// A signal that is for the server came to us.
pub(super) fn ignored(signal: &str) {
    say(format_args!("{signal} is ignored here: `baton-agent reload SERVICE` restarts a service"));
}

/// Something failed.
pub(super) fn failed(error: &dyn Error) {
    say(format_args!("failed: {}", chain(error)));
}
