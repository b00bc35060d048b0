//! What the world saw, line by line: what happened on the hosts, what each controller heard, wrote and did.
//!
//! **Invariant:** nothing here is asked of the machine: the laws know only what it was told and what it wanted done.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use baton::outcome::Outcome;
use baton::rollout::{Action, Event, Note, Order, Stop};

use crate::scenario::place;

/// How a host ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Word {
    Proven,
    Refused,
    RolledBack,
    Unproven,
    Dropped,
    Unknown,
}

impl From<&Outcome> for Word {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Proven(_) => Self::Proven,
            Outcome::Refused(_) => Self::Refused,
            Outcome::RolledBack { .. } => Self::RolledBack,
            Outcome::Unproven(_) => Self::Unproven,
            Outcome::Dropped(_) => Self::Dropped,
            Outcome::Unknown(_) => Self::Unknown,
        }
    }
}

impl Word {
    /// Whether a rollout halts at it.
    pub(crate) fn halts(self) -> bool {
        match self {
            Self::Unproven | Self::Dropped | Self::Unknown => true,
            Self::Proven | Self::Refused | Self::RolledBack => false,
        }
    }

    /// Whether it counts against the budget.
    pub(crate) fn is_failure(self) -> bool {
        match self {
            Self::Refused | Self::RolledBack => true,
            Self::Proven | Self::Unproven | Self::Dropped | Self::Unknown => false,
        }
    }
}

/// What a controller was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Started,
    Claimed(usize),
    /// And whether another has it.
    ClaimRefused(usize, bool),
    Looked(usize),
    Settled(usize, Word),
    GuardStands(usize),
    GuardLost(usize),
    GuardBroken(usize, Word),
    StillStands(usize),
    Ordered(Order),
    Interrupted,
    Tick,
}

impl From<&Event> for Heard {
    fn from(event: &Event) -> Self {
        match event {
            Event::Started => Self::Started,
            Event::Claimed(host) => Self::Claimed(place(host)),
            Event::ClaimRefused(host, refusal) => Self::ClaimRefused(place(host), refusal.is_claimed),
            Event::Looked(host, _) => Self::Looked(place(host)),
            Event::Settled(host, outcome) => Self::Settled(place(host), outcome.into()),
            Event::GuardStands(host) => Self::GuardStands(place(host)),
            Event::GuardLost(host, _) => Self::GuardLost(place(host)),
            Event::GuardBroken(host, outcome) => Self::GuardBroken(place(host), outcome.into()),
            Event::StillStands(host) => Self::StillStands(place(host)),
            Event::Ordered(order) => Self::Ordered(*order),
            Event::Interrupted => Self::Interrupted,
            Event::Tick => Self::Tick,
        }
    }
}

/// What a controller did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Did {
    Claim(usize),
    Look(usize),
    Ask(usize, u32),
    Guard(usize, Word),
    LastLook(usize),
    Abandon(usize),
    Told(usize, Word),
    Stop(Stop),
    Note(Note),
    Finish { exit: u8, hosts: Vec<Option<Word>> },
    Ignored,
}

impl From<&Action> for Did {
    fn from(action: &Action) -> Self {
        match action {
            Action::Claim(host) => Self::Claim(place(host)),
            Action::Look(host) => Self::Look(place(host)),
            Action::Ask(host, attempt) => Self::Ask(place(host), *attempt),
            Action::Guard(host, outcome) => Self::Guard(place(host), outcome.into()),
            Action::LastLook(host, _) => Self::LastLook(place(host)),
            Action::Abandon(host) => Self::Abandon(place(host)),
            Action::TellOutcome(host, outcome) => Self::Told(place(host), outcome.into()),
            Action::TellStop(stop) => Self::Stop(stop.clone()),
            Action::Tell(note) => Self::Note(*note),
            Action::Finish(summary) => Self::Finish {
                exit: summary.exit().code(),
                hosts: summary.hosts.iter().map(|(_, outcome)| outcome.as_ref().map(Word::from)).collect(),
            },
            Action::Ignore(_) => Self::Ignored,
        }
    }
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An agent granted a claim to a rollout.
    Granted { rollout: usize, host: usize, session: u32, fence: u64 },
    /// It was given back.
    Released { rollout: usize, host: usize },
    /// An agent signalled: a handover began.
    Signalled { rollout: usize, host: usize, attempt: u32, fence: u64 },
    /// A handover came to its end on its host.
    Over { rollout: usize, host: usize, attempt: u32 },
    /// Nobody held the lock, and the agent knows it.
    LockFree { host: usize },
    /// Something went wrong with a host, or was mended.
    Trouble { host: usize, what: &'static str },
    /// A controller's process began to walk.
    Begun { rollout: usize, run: u32, retries: bool },
    /// It was killed.
    Killed { rollout: usize },
    /// It was told something.
    Heard { rollout: usize, heard: Heard },
    /// It wrote so many entries, and among them that hosts have ended so, and that the run has.
    Wrote { rollout: usize, entries: usize, ended: Vec<(usize, Word)>, is_finished: bool },
    /// It did something.
    Did { rollout: usize, did: Did },
}

/// When, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Duration,
    pub(crate) seen: Seen,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3}  ", self.at.as_secs_f64())?;
        match &self.seen {
            Seen::Heard { rollout, heard } => write!(f, "controller {rollout} <- {heard:?}"),
            Seen::Did { rollout, did } => write!(f, "controller {rollout} -> {did:?}"),
            Seen::Wrote { rollout, entries, .. } => write!(f, "controller {rollout} == {entries} entries written"),
            Seen::Begun { rollout, run, retries } => {
                write!(f, "controller {rollout} begins run {run}{}", if *retries { ", retries what failed" } else { "" })
            }
            Seen::Killed { rollout } => write!(f, "controller {rollout} is killed"),
            Seen::Granted { .. }
            | Seen::Released { .. }
            | Seen::Signalled { .. }
            | Seen::Over { .. }
            | Seen::LockFree { .. }
            | Seen::Trouble { .. } => write!(f, "    {:?}", self.seen),
        }
    }
}

/// All that was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trace(pub(crate) Vec<Line>);

impl Trace {
    /// A number that two different traces hardly share.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.iter().for_each(|line| line.to_string().hash(&mut hasher));
        hasher.finish()
    }

    /// What each host of a rollout has come to, by its last run that finished; none if none did.
    pub(crate) fn ending(&self, rollout: usize) -> Option<(u8, &[Option<Word>])> {
        self.0.iter().rev().find_map(|line| {
            let Seen::Did { rollout: whose, did: Did::Finish { exit, hosts } } = &line.seen else { return None };
            (*whose == rollout).then_some((*exit, hosts.as_slice()))
        })
    }
}
