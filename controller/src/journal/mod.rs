//! The journal of a rollout: what happened, one fact after the other, and what a later run must know of it.
//!
//! An [`Entry`] is written before what it tells of is done; [`fold`] makes of all entries what there is to go on from.
//!
//! **Invariant:** no verdict is read back: what was settled is judged anew from what the agent told, by [`record::Reader`].
//! **Invariant:** for one attempt only the first look counts as the one before it: later ones may be of the new generation.

pub mod record;
pub mod step;
pub mod undo;

mod raw;

pub(crate) use raw::standing::RawStanding;

use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::rollout::{Note, Order, Past, PastHost, Stop};
use crate::standing::Standing;

/// One fact, in its order. When it was written down is the store's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A process begins to walk.
    Begun {
        /// Which run of the rollout it is, from 1.
        run: u32,
        /// Who walks.
        operator: String,
        /// Whether hosts that had failed are tried again.
        retry_failed: bool,
    },
    /// A host's claim stands.
    Claimed(HostName),
    /// A host is about to be asked for the handover, and may be signalled from here on.
    Asked {
        /// The host.
        host: HostName,
        /// Which attempt it is.
        attempt: u32,
        /// How the service stood before.
        before: Box<Standing>,
    },
    /// A handover has ended.
    Settled {
        /// The host.
        host: HostName,
        /// Which attempt it was.
        attempt: u32,
        /// How.
        outcome: Outcome,
        /// What that was judged from, where the agent told anything.
        evidence: Option<Evidence>,
    },
    /// A host has ended otherwise than by its handover: refused, given up, or its guard broke.
    Outcome {
        /// The host.
        host: HostName,
        /// How.
        outcome: Outcome,
    },
    /// Nothing new starts.
    Stopping(Stop),
    /// The walk got somewhere.
    Noted(Note),
    /// Somebody gave an order.
    Ordered(Order),
    /// A run has ended.
    Finished {
        /// Its exit code.
        exit: u8,
    },
}

/// What an agent told at the end of a handover, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Its testimony, encoded.
    pub testimony: Vec<u8>,
    /// Its last word, encoded.
    pub ending: Vec<u8>,
}

/// What the entries leave.
pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Past {
    let mut past = Past::default();
    for entry in entries {
        learn(&mut past, entry);
    }
    past
}

/// Takes the next entry into what is known.
fn learn(past: &mut Past, entry: &Entry) {
    match entry {
        Entry::Begun { run, .. } => begin(past, *run),
        Entry::Claimed(host) => {
            past.hosts.entry(host.clone()).or_default();
        }
        Entry::Asked { host, attempt, before } => ask(past.hosts.entry(host.clone()).or_default(), *attempt, before),
        Entry::Settled { host, attempt, outcome, evidence: _ } => {
            settle(past.hosts.entry(host.clone()).or_default(), *attempt, outcome);
        }
        Entry::Outcome { host, outcome } => {
            let known = past.hosts.entry(host.clone()).or_default();
            (known.outcome, known.is_acknowledged) = (Some(outcome.clone()), false);
        }
        Entry::Stopping(stop) => past.stop = Some(stop.clone()),
        Entry::Noted(note) => past.waves_done = past.waves_done.max(waves_before(*note)),
        Entry::Ordered(Order::Abort) => past.is_aborted = true,
        Entry::Ordered(Order::Pause | Order::Resume) => {}
        Entry::Finished { exit: _ } => finish(past),
    }
}

/// A run that follows one that finished goes on past what had stopped it; one that follows a crash does not.
fn begin(past: &mut Past, run: u32) {
    past.runs = past.runs.max(run);
    if past.is_finished {
        past.stop = None;
    }
    past.is_finished = false;
}

/// Whoever lets a rollout go on that has ended knows how.
fn finish(past: &mut Past) {
    past.is_finished = true;
    for known in past.hosts.values_mut() {
        known.is_acknowledged = known.outcome.is_some();
    }
}

fn ask(known: &mut PastHost, attempt: u32, before: &Standing) {
    if attempt < known.attempt {
        return;
    }
    let first = known.before.take().filter(|_| attempt == known.attempt);
    let before = Some(first.unwrap_or_else(|| before.clone()));
    *known = PastHost { attempt, before, settled: None, outcome: None, is_acknowledged: false };
}

fn settle(known: &mut PastHost, attempt: u32, outcome: &Outcome) {
    if attempt == known.attempt {
        known.settled = Some(outcome.clone());
        known.outcome = Some(outcome.clone());
        known.is_acknowledged = false;
    }
}

/// How many waves are done by what was noted.
fn waves_before(note: Note) -> usize {
    match note {
        Note::WaveBegins(wave) => wave,
        Note::WaveEnds(wave) => wave.saturating_add(1),
        Note::Soaking { .. } | Note::AwaitingPerson { .. } | Note::Paused | Note::GoingOn => 0,
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
