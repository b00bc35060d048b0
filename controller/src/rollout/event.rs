//! What a rollout is told, and what it answers. Reading these lists is reading the system.

use std::time::Duration;

use super::{Stop, Summary};
use crate::inventory::HostName;
use crate::outcome::{Outcome, Refusal};
use crate::standing::Standing;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The walk begins.
    Started,
    /// The claim on a host stands, for the first time or again.
    Claimed(HostName),
    /// A host could not be claimed, or is another's by now.
    ClaimRefused(HostName, Refusal),
    /// A host was looked at once more, at its turn.
    Looked(HostName, Box<Standing>),
    /// A host in flight has ended: refused, if it was not asked.
    Settled(HostName, Outcome),
    /// A finished host is watched, and nothing had happened to it.
    GuardStands(HostName),
    /// The watch on a finished host was lost, or the last look at it did not succeed yet, for this reason.
    GuardLost(HostName, String),
    /// Something happened to a finished host.
    GuardBroken(HostName, Outcome),
    /// A finished host was looked at a last time, and nothing had happened to it.
    StillStands(HostName),
    /// An order was given from elsewhere.
    Ordered(Order),
    /// The operator wants it to stop: the first time after what is in flight, the second time at once.
    Interrupted,
    /// Time has passed.
    Tick,
}

/// What can be ordered while a rollout runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing new starts until it is resumed.
    Pause,
    /// It goes on: where it was paused, and where it waits for a person.
    Resume,
    /// Nothing new starts any more.
    Abort,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Claim a host, and keep the claim until all is over.
    Claim(HostName),
    /// Look at a host once more: it has a slot from here on.
    Look(HostName),
    /// Ask a host for its handover, as this attempt. From here on it may be signalled.
    Ask(HostName, u32),
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
    /// Tell how far the walk is.
    Tell(Note),
    /// Nothing is left to do.
    Finish(Summary),
    /// An event that does not fit: late, repeated or uninvited.
    Ignore(Event),
}

/// How far the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The hosts of a wave may start, by its place in the plan.
    WaveBegins(usize),
    /// A wave is done, and must stand until then.
    Soaking {
        /// Its place in the plan.
        wave: usize,
        /// Until when, since the walk began.
        until: Duration,
    },
    /// A wave is done, and a person has to say that it may go on.
    AwaitingPerson {
        /// Its place in the plan.
        wave: usize,
    },
    /// A wave is done, and all that comes after it is over.
    WaveEnds(usize),
    /// Nothing starts until it is resumed.
    Paused,
    /// It goes on.
    GoingOn,
}
