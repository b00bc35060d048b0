//! How entries look in the journal: a second set of types, so that renaming a thing in the program renames nothing on disk.
//!
//! Fields are only ever added, and what is added is optional.
//!
//! **Invariant:** every field of the domain is named here: one that is added there does not compile before it has its place here.

pub(crate) mod standing;
mod stop;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Entry;
use super::record::Damage;
use crate::inventory::HostName;
use crate::outcome::{DropSeen, Outcome, Refusal, Unproven};
use crate::rollout::{Note, Order};
use baton_proto::custody::Seq;
use standing::RawStanding;
use stop::RawStop;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum RawEntry {
    Begun { run: u32, operator: String, retry_failed: bool },
    Claimed { host: String },
    Asked { host: String, attempt: u32, before: Box<RawStanding> },
    Settled { host: String, attempt: u32, outcome: RawOutcome },
    Outcome { host: String, outcome: RawOutcome },
    Stopping { stop: RawStop },
    Noted { note: RawNote },
    Ordered { order: RawOrder },
    Finished { exit: u8 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(super) enum RawOutcome {
    Proven,
    RolledBack {
        cause: String,
    },
    Refused {
        cause: String,
        #[serde(default)]
        is_claimed: bool,
    },
    Unproven {
        cause: String,
    },
    Dropped {
        seen: RawDrop,
    },
    Unknown {
        cause: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub(super) enum RawDrop {
    InWindow { at: u64 },
    Guarded,
    Counted { before: u64, after: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum RawNote {
    WaveBegins { wave: usize },
    Soaking { wave: usize, until_ns: u64 },
    AwaitingPerson { wave: usize },
    WaveEnds { wave: usize },
    Paused,
    GoingOn,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawOrder {
    Pause,
    Resume,
    Abort,
}

/// A host's name, as it was written.
pub(super) fn host(name: &str) -> Result<HostName, Damage> {
    HostName::parse(name).map_err(|error| Damage::Host(error.to_string()))
}

fn nanoseconds(time: Duration) -> u64 {
    baton_proto::wire::nanoseconds(time)
}

impl From<&Entry> for RawEntry {
    fn from(entry: &Entry) -> Self {
        match entry {
            Entry::Begun { run, operator, retry_failed } => {
                Self::Begun { run: *run, operator: operator.clone(), retry_failed: *retry_failed }
            }
            Entry::Claimed(host) => Self::Claimed { host: host.to_string() },
            Entry::Asked { host, attempt, before } => {
                Self::Asked { host: host.to_string(), attempt: *attempt, before: Box::new(before.as_ref().into()) }
            }
            // The evidence has a place of its own: what is told here is for people, and for what had no evidence.
            Entry::Settled { host, attempt, outcome, evidence: _ } => {
                Self::Settled { host: host.to_string(), attempt: *attempt, outcome: outcome.into() }
            }
            Entry::Outcome { host, outcome } => Self::Outcome { host: host.to_string(), outcome: outcome.into() },
            Entry::Stopping(stop) => Self::Stopping { stop: stop.into() },
            Entry::Noted(note) => Self::Noted { note: note.into() },
            Entry::Ordered(order) => Self::Ordered { order: (*order).into() },
            Entry::Finished { exit } => Self::Finished { exit: *exit },
        }
    }
}

impl From<&Outcome> for RawOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Proven(_) => Self::Proven,
            Outcome::RolledBack { step: _, cause, unbroken: _ } => Self::RolledBack { cause: cause.clone() },
            // What to do about it was said when it happened.
            Outcome::Refused(Refusal { cause, hint: _, is_claimed }) => {
                Self::Refused { cause: cause.clone(), is_claimed: *is_claimed }
            }
            Outcome::Unproven(unproven) => Self::Unproven { cause: unproven.to_string() },
            Outcome::Dropped(seen) => Self::Dropped { seen: (*seen).into() },
            Outcome::Unknown(cause) => Self::Unknown { cause: cause.clone() },
        }
    }
}

impl RawOutcome {
    /// The outcome, without anything to judge it from: what only a testimony shows is not shown.
    pub(super) fn unjudged(self) -> Outcome {
        let bare = |word: &str| Outcome::Unproven(Unproven::Recorded(format!("the journal says {word}, and has no testimony")));
        match self {
            Self::Proven => bare("proven"),
            Self::RolledBack { cause } => bare(&format!("rolled back ({cause})")),
            Self::Refused { cause, is_claimed } => Outcome::Refused(Refusal { is_claimed, ..cause.into() }),
            Self::Unproven { cause } => Outcome::Unproven(Unproven::Recorded(cause)),
            Self::Dropped { seen } => Outcome::Dropped(seen.into()),
            Self::Unknown { cause } => Outcome::Unknown(cause),
        }
    }

    /// The outcome in one word, as people see it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::RolledBack { .. } => "rolled back",
            Self::Refused { .. } => "refused",
            Self::Unproven { .. } => "unproven",
            Self::Dropped { .. } => "dropped",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl From<DropSeen> for RawDrop {
    fn from(seen: DropSeen) -> Self {
        match seen {
            DropSeen::InWindow(at) => Self::InWindow { at: at.0 },
            DropSeen::Guarded => Self::Guarded,
            DropSeen::Counted { before, after } => Self::Counted { before, after },
        }
    }
}

impl From<RawDrop> for DropSeen {
    fn from(seen: RawDrop) -> Self {
        match seen {
            RawDrop::InWindow { at } => Self::InWindow(Seq(at)),
            RawDrop::Guarded => Self::Guarded,
            RawDrop::Counted { before, after } => Self::Counted { before, after },
        }
    }
}

impl From<&Note> for RawNote {
    fn from(note: &Note) -> Self {
        match note {
            Note::WaveBegins(wave) => Self::WaveBegins { wave: *wave },
            Note::Soaking { wave, until } => Self::Soaking { wave: *wave, until_ns: nanoseconds(*until) },
            Note::AwaitingPerson { wave } => Self::AwaitingPerson { wave: *wave },
            Note::WaveEnds(wave) => Self::WaveEnds { wave: *wave },
            Note::Paused => Self::Paused,
            Note::GoingOn => Self::GoingOn,
        }
    }
}

impl From<RawNote> for Note {
    fn from(note: RawNote) -> Self {
        match note {
            RawNote::WaveBegins { wave } => Self::WaveBegins(wave),
            RawNote::Soaking { wave, until_ns } => Self::Soaking { wave, until: Duration::from_nanos(until_ns) },
            RawNote::AwaitingPerson { wave } => Self::AwaitingPerson { wave },
            RawNote::WaveEnds { wave } => Self::WaveEnds(wave),
            RawNote::Paused => Self::Paused,
            RawNote::GoingOn => Self::GoingOn,
        }
    }
}

impl From<Order> for RawOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Pause => Self::Pause,
            Order::Resume => Self::Resume,
            Order::Abort => Self::Abort,
        }
    }
}

impl From<RawOrder> for Order {
    fn from(order: RawOrder) -> Self {
        match order {
            RawOrder::Pause => Self::Pause,
            RawOrder::Resume => Self::Resume,
            RawOrder::Abort => Self::Abort,
        }
    }
}
