//! How a host ends, how a run ends, and the only table of exit codes.
//!
//! **Invariant:** a `Proven` is made in [`settle`] only, from the controller's own verdict.

mod account;
mod exit;

use std::fmt;

use baton_proto::custody::{Doubt, Kept, Process, Seq, Unbroken};

pub use account::{Account, Ending, settle};
pub use exit::{Exit, TABLE, help};

use crate::step::Step;

/// How a host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handover was made, and the testimony proves that the lock was held throughout.
    Proven(Proof),
    /// Nothing was signalled.
    Refused(Refusal),
    /// The handover failed and was undone; the old master held the lock throughout.
    RolledBack {
        /// What failed.
        step: Option<Step>,
        /// Why.
        cause: String,
        /// The master that stayed, and what the proof rests on.
        unbroken: Unbroken,
    },
    /// Neither a handover nor a drop is proven.
    Unproven(Unproven),
    /// Nobody held the lock for a moment, or nobody does.
    Dropped(DropSeen),
    /// Contact was lost after the signal may have been sent; or the host was proven, and nobody can vouch for it since.
    Unknown(String),
}

/// Why nothing was signalled on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub cause: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
    /// Whether it is because another rollout has the host.
    pub is_claimed: bool,
}

impl From<String> for Refusal {
    fn from(cause: String) -> Self {
        Self { cause, hint: None, is_claimed: false }
    }
}

impl From<&str> for Refusal {
    fn from(cause: &str) -> Self {
        cause.to_owned().into()
    }
}

/// A proven handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The verdict.
    pub kept: Kept,
    /// The generation in charge.
    pub generation: u64,
    /// The release that it runs; empty where that is not known.
    pub release: String,
    /// Processes of the old generation that were still there when the drain's deadline passed.
    pub lingering: Vec<u32>,
}

/// How a drop came to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropSeen {
    /// The waiter was granted inside the window.
    InWindow(Seq),
    /// The guard was told of it.
    Guarded,
    /// The count of drops grew while nobody was looking.
    Counted {
        /// The count before.
        before: u64,
        /// The count after.
        after: u64,
    },
}

impl fmt::Display for DropSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InWindow(seq) => write!(f, "the lock was free at #{} of the handover", seq.0),
            Self::Guarded => f.write_str("the lock was free after the handover had ended"),
            Self::Counted { before, after } => {
                write!(f, "the agent counts {after} drops, and counted {before} before the handover")
            }
        }
    }
}

/// Why nothing is proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The judge misses a piece.
    #[error("{0}")]
    Doubt(Doubt),
    /// The handover was undone, and the judge misses a piece.
    #[error("{doubt}; the agent says that it was rolled back{}: {cause}", step.map(|step| format!(" at {}", step.phrase())).unwrap_or_default())]
    Undone {
        /// The missing piece.
        doubt: Doubt,
        /// What failed.
        step: Option<Step>,
        /// Why.
        cause: String,
    },
    /// The testimony is about something else.
    #[error("the testimony is about the service {0:?}")]
    OtherService(String),
    /// The host was booted in between.
    #[error("the host was rebooted between the look before the handover and the testimony")]
    OtherBoot,
    /// The testimony does not say who gives it.
    #[error("the testimony does not say which run of the agent gives it")]
    Anonymous,
    /// Another master was in charge when the window opened.
    #[error("the testimony begins with master {testified}, but {before} was in charge")]
    OtherMaster {
        /// Who was in charge.
        before: Process,
        /// Who is in the testimony.
        testified: Process,
    },
    /// The agent itself says that the handover broke.
    #[error("the handover broke{}: {cause}", step.map(|step| format!(" at {}", step.phrase())).unwrap_or_default())]
    Broken {
        /// What failed.
        step: Option<Step>,
        /// Why.
        cause: String,
    },
    /// The testimony cannot be read.
    #[error("the agent's answer cannot be read: {0}")]
    Malformed(String),
    /// It is read from a journal, without a testimony that it could be judged from anew.
    #[error("{0}")]
    Recorded(String),
}

impl Outcome {
    /// The outcome in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proven(_) => "proven",
            Self::Refused(_) => "refused",
            Self::RolledBack { .. } => "rolled back",
            Self::Unproven(_) => "unproven",
            Self::Dropped(_) => "dropped",
            Self::Unknown(_) => "unknown",
        }
    }

    /// What a rollout makes of it.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Self::Proven(_) => Weight::Fine,
            Self::Refused(_) | Self::RolledBack { .. } => Weight::Failure,
            Self::Unproven(_) | Self::Dropped(_) | Self::Unknown(_) => Weight::Halts,
        }
    }

    /// The exit code that a run with this outcome ends with, if it has no worse.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Proven(_) => Exit::Proven,
            Self::Refused(_) | Self::RolledBack { .. } => Exit::Failed,
            Self::Unproven(_) | Self::Unknown(_) => Exit::Unproven,
            Self::Dropped(_) => Exit::Dropped,
        }
    }
}

/// What a rollout makes of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The rollout goes on.
    Fine,
    /// It goes on as long as the failure budget lasts.
    Failure,
    /// It halts.
    Halts,
}

#[cfg(test)]
pub(crate) mod samples;
