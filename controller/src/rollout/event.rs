//! What a rollout is told, and what it answers. Reading these two lists is reading the system.

use super::{Stop, Summary};
use crate::inventory::HostName;
use crate::outcome::Outcome;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The walk begins.
    Started,
    /// From here on the host may have been signalled.
    Asked(HostName),
    /// A host in flight has ended.
    Settled(HostName, Outcome),
    /// A finished host is watched, and nothing had happened to it.
    GuardStands(HostName),
    /// The watch on a finished host was lost, or the last look at it did not succeed yet, for this reason.
    GuardLost(HostName, String),
    /// Something happened to a finished host.
    GuardBroken(HostName, Outcome),
    /// A finished host was looked at a last time, and nothing had happened to it.
    StillStands(HostName),
    /// The operator wants it to stop: the first time after what is in flight, the second time at once.
    Interrupted,
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Begin the handover on a host.
    Reload(HostName),
    /// Keep a watch on a host that has ended so.
    Guard(HostName, Outcome),
    /// Look a last time at a host that has ended so: everything else is over.
    LastLook(HostName, Outcome),
    /// Let go of whatever is going on with a host.
    Abandon(HostName),
    /// Tell that a host has ended so, for the first time or anew.
    TellOutcome(HostName, Outcome),
    /// Tell that nothing new will start.
    TellStop(Stop),
    /// Nothing is left to do.
    Finish(Summary),
    /// An event that does not fit: late, repeated or uninvited.
    Ignore(Event),
}
