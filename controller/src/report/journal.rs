//! What is told of the journal of rollouts.

use std::fmt;

use crate::outcome::TABLE;
use crate::rollout::{Order, Past};
use crate::store::{Listed, RolloutRow, RunRow, Written};

/// How a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A process walks it.
    Running {
        /// Which; 0 where it has not said so yet.
        pid: u32,
    },
    /// The process that walked it is gone, and has not said how it ended.
    Crashed,
    /// Its last run has ended.
    Ended {
        /// The exit code.
        exit: u8,
    },
    /// It was written down, and nobody has walked it.
    NotBegun,
}

impl Condition {
    /// The condition in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running { .. } => "running",
            Self::Crashed => "crashed",
            Self::Ended { .. } => "ended",
            Self::NotBegun => "not_begun",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { pid: 0 } => f.write_str("running"),
            Self::Running { pid } => write!(f, "running ({pid})"),
            Self::Crashed => f.write_str("crashed"),
            Self::Ended { exit } => {
                let meaning = TABLE.iter().find(|(_, code, _)| code == exit).map_or("ended", |(_, _, meaning)| meaning);
                write!(f, "{exit}: {meaning}")
            }
            Self::NotBegun => f.write_str("not begun"),
        }
    }
}

/// What the journal of rollouts says.
#[derive(Debug)]
pub enum Journal<'a> {
    /// The last rollouts, and how each stands.
    Rollouts(&'a [(Listed, Condition)]),
    /// One rollout.
    Rollout {
        /// The rollout.
        rollout: &'a RolloutRow,
        /// Who walked it.
        runs: &'a [RunRow],
        /// Its plan, as the document that was written down.
        plan: &'a str,
        /// How it stands.
        condition: Condition,
    },
    /// The next entry of that rollout.
    Entry(&'a Written),
    /// How each of its hosts stands, after all entries.
    Hosts {
        /// The rollout.
        rollout: &'a RolloutRow,
        /// What is known.
        past: &'a Past,
    },
    /// An order was taken.
    Taken {
        /// The rollout.
        rollout: &'a str,
        /// The order.
        order: Order,
        /// What the rollout does now.
        answer: &'a str,
    },
}
