//! A simulated controller: what is left of it on disk, and the process that walks while it lives.

use std::collections::BTreeMap;
use std::time::Duration;

use baton::inventory::HostName;
use baton::journal::Entry;
use baton::journal::step::Known;
use baton::plan::Plan;
use baton::rollout::{Guard, Rollout};
use baton::standing::Standing;

use crate::agent::Caller;
use crate::scenario::place;

/// What a controller is busy with at a host.
#[derive(Debug, Clone, Default)]
pub(crate) enum Doing {
    #[default]
    Nothing,
    Claiming {
        dials: u32,
    },
    Looking {
        dials: u32,
    },
    Asking {
        attempt: u32,
        may_have_begun: bool,
    },
    Guarding(Box<Guard>),
    LookingLast(Box<Guard>),
}

/// One of the three things that go on with a host at once, and the number of its last call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thread {
    pub(crate) doing: Doing,
    pub(crate) number: u64,
}

/// Which of them it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Claim,
    Task,
    LastLook,
}

pub(crate) const SLOTS: [Slot; 3] = [Slot::Claim, Slot::Task, Slot::LastLook];

/// How it stands with a claim, as its holder knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Claim {
    #[default]
    Unwanted,
    Sought,
    Stands,
    /// And whether another has it.
    Denied {
        is_claimed: bool,
    },
}

/// One host, as a controller's process knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contact {
    pub(crate) threads: [Thread; 3],
    pub(crate) claim: Claim,
    pub(crate) fence: u64,
    /// The last look at it.
    pub(crate) looked: Option<Standing>,
    /// The attempt that it was asked for, and how it stood before.
    pub(crate) asked: Option<(u32, Standing)>,
    /// Whether an earlier run may have asked it for that attempt.
    pub(crate) may_have_begun: bool,
}

impl Contact {
    /// What is to be written of it: how it stood before it was asked, and for which attempt that was.
    pub(crate) fn known(&self) -> Option<Known<'_>> {
        let before = self.looked.as_ref().or(self.asked.as_ref().map(|(_, before)| before))?;
        Some(Known { before, attempt: self.asked.as_ref().map_or(0, |(attempt, _)| *attempt) })
    }
}

/// A process that walks.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) rollout: Rollout,
    pub(crate) begun: Duration,
    pub(crate) contacts: BTreeMap<usize, Contact>,
    /// When it will be told the time next.
    pub(crate) tick: Option<Duration>,
}

/// One rollout, over all of its runs.
#[derive(Debug)]
pub(crate) struct Controller {
    pub(crate) hosts: Vec<usize>,
    /// What was written, and is kept whatever dies.
    pub(crate) journal: Vec<Entry>,
    pub(crate) process: Option<Process>,
    pub(crate) run: u32,
    /// The steps that were made, over all runs.
    pub(crate) steps: u64,
    pub(crate) has_gone_on: bool,
}

impl Controller {
    pub(crate) fn new(plan: &Plan) -> Self {
        let hosts = plan.hosts().iter().map(|planned| place(&planned.host)).collect();
        Self { hosts, journal: Vec::new(), process: None, run: 0, steps: 0, has_gone_on: false }
    }

    pub(crate) fn contact(&mut self, host: &HostName) -> Option<&mut Contact> {
        self.process.as_mut()?.contacts.get_mut(&place(host))
    }

    /// The calls to a host that an answer may still come to.
    pub(crate) fn callers(&self, rollout: usize, host: usize) -> Vec<Caller> {
        let contact = self.process.as_ref().and_then(|process| process.contacts.get(&host));
        let threads = contact.into_iter().flat_map(|contact| &contact.threads);
        let busy = threads.filter(|thread| !matches!(thread.doing, Doing::Nothing));
        busy.map(|thread| Caller { rollout, run: self.run, number: thread.number }).collect()
    }
}
