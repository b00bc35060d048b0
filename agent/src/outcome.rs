//! How a handover ended, weighed on this host, and what the process's exit code says of it.
//!
//! **Invariant:** the agent's own word for the ending never makes an outcome better than what its testimony proves.

use baton_proto::custody::{Claim, Kept, Seq, Settled, Testimony, Unbroken, settle};
use baton_proto::v1;

/// What `baton-agent`'s exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done; a handover is proven.
    Done = 0,
    /// Our fault.
    Fault = 1,
    /// The command line or the configuration is wrong, or names a service that is not there.
    Usage = 2,
    /// The reload was refused, the agent cannot be reached, or the handover was rolled back with the lock kept.
    NotDone = 3,
    /// It is not proven that the lock was kept, or contact was lost after the reload was asked for.
    Unproven = 4,
    /// The lock was dropped.
    Dropped = 5,
}

/// The table of exit codes, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done; a handover is proven
  1  our fault
  2  usage or configuration, or no such service
  3  refused, unreachable, or rolled back with the lock kept
  4  unproven, or contact was lost after the reload was asked for
  5  the lock was dropped";

/// How a handover ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The new generation is in charge and the lock was kept.
    Proven(Kept),
    /// Nothing was done.
    Refused(String),
    /// The old generation is in charge and the lock was kept.
    RolledBack {
        /// The step that failed.
        step: &'static str,
        /// Why.
        cause: String,
        /// What is proven of the old master.
        unbroken: Unbroken,
    },
    /// It is not known whether the lock was kept, or who is in charge.
    Unproven {
        /// The missing piece.
        doubt: String,
        /// What failed on the host, if anything did.
        failed: Option<String>,
    },
    /// The lock was dropped.
    Dropped {
        /// The number of the grant.
        at: Seq,
    },
    /// Contact was lost after the reload was asked for.
    Unknown(String),
}

impl Outcome {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Proven(_) => Exit::Done,
            Self::Refused(_) | Self::RolledBack { .. } => Exit::NotDone,
            Self::Unproven { .. } | Self::Unknown(_) => Exit::Unproven,
            Self::Dropped { .. } => Exit::Dropped,
        }
    }

    /// The outcome in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proven(_) => "proven",
            Self::Refused(_) => "refused",
            Self::RolledBack { .. } => "rolled back",
            Self::Unproven { .. } => "unproven",
            Self::Dropped { .. } => "dropped",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Weighs an ending by its testimony.
pub fn conclude(testimony: &Testimony, ending: &v1::Ending) -> Outcome {
    let failed = (!ending.cause.is_empty()).then(|| format!("{}: {}", ending.step().verb(), ending.cause));
    match settle(claim(ending.result()), testimony) {
        Settled::Proven(kept) => Outcome::Proven(kept),
        Settled::RolledBack(unbroken) => {
            Outcome::RolledBack { step: ending.step().verb(), cause: ending.cause.clone(), unbroken }
        }
        Settled::Dropped { at } => Outcome::Dropped { at },
        Settled::Unproven(doubt) => Outcome::Unproven { doubt: doubt.to_string(), failed },
        Settled::NobodyInCharge => {
            Outcome::Unproven { doubt: "the lock was kept, but nobody is known to be in charge".to_owned(), failed }
        }
    }
}

/// What an ending claims. One that says nothing claims the least.
pub(crate) fn claim(result: v1::Result) -> Claim {
    match result {
        v1::Result::HandedOver => Claim::HandedOver,
        v1::Result::RolledBack => Claim::RolledBack,
        v1::Result::Broken | v1::Result::Unspecified => Claim::Broken,
    }
}

#[cfg(test)]
mod tests;
