//! What the journal tells of the runs of a rollout that came before this one.

use std::collections::BTreeMap;

use super::Stop;
use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::standing::Standing;

/// What became of a rollout so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The hosts that anything is told of.
    pub hosts: BTreeMap<HostName, PastHost>,
    /// Why the last run was stopping.
    pub stop: Option<Stop>,
    /// Whether the last run came to its end, however that was: whoever resumes it has seen it.
    pub is_finished: bool,
    /// How many waves are done, with all that came after them.
    pub waves_done: usize,
    /// Whether somebody wanted it never to go on.
    pub is_aborted: bool,
    /// How many runs there were.
    pub runs: u32,
}

/// What became of a host so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PastHost {
    /// The last attempt that it was asked for; 0 if it never was.
    pub attempt: u32,
    /// How it stood before that.
    pub before: Option<Standing>,
    /// How that attempt ended.
    pub settled: Option<Outcome>,
    /// How the host has ended, by the last that is told of it.
    pub outcome: Option<Outcome>,
    /// Whether a run has come to its end since then.
    pub is_acknowledged: bool,
}
