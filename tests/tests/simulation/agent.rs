//! A simulated host: its agent, written from the contract alone, and the service that it watches.
//!
//! What an agent keeps on disk (claim, fences, attempts, results) survives its death; handovers go on while it is dead.

use std::collections::BTreeMap;
use std::time::Duration;

use baton::outcome::Account;
use baton_proto::custody::Process;

use crate::sample::{Tale, Teller};

/// For how long a claim stands unless it is renewed.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// Who called, so that the answer finds him: a run of a controller, and the number of his call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Caller {
    pub(crate) rollout: usize,
    pub(crate) run: u32,
    pub(crate) number: u64,
}

/// A claim that stands, or has stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) rollout: usize,
    pub(crate) session: u32,
    pub(crate) fence: u64,
    pub(crate) until: Duration,
}

/// A handover under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Underway {
    pub(crate) rollout: usize,
    pub(crate) attempt: u32,
    pub(crate) tale: Tale,
    /// The agent counts a drop that its testimony conceals.
    pub(crate) conceals: bool,
}

/// What an agent makes of a request to hand over.
#[derive(Debug)]
pub(crate) enum Reload {
    /// It signals now.
    Begin,
    /// It is under way, and the caller hears of its end.
    Joined,
    /// It has ended before, and this was told of it.
    Replayed(Box<Account>),
    /// The caller's claim does not stand, and nothing was begun.
    Aborted,
    /// The service is not in a state to be reloaded.
    Refused(&'static str),
}

/// One host.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) is_up: bool,
    pub(crate) is_cut: bool,
    /// Its service is not in a state to be handed over.
    pub(crate) refuses: bool,
    pub(crate) claim: Option<Held>,
    /// The highest fence that was ever granted.
    pub(crate) fence: u64,
    attempts: BTreeMap<usize, u32>,
    records: BTreeMap<(usize, u32), Account>,
    pub(crate) underway: Option<Underway>,
    /// Who waits for the end of the handover.
    pub(crate) listeners: Vec<Caller>,
    /// Who watches.
    pub(crate) watchers: Vec<Caller>,
    pub(crate) boot: u32,
    pub(crate) incarnation: u32,
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) master: Process,
}

impl Agent {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            is_up: true,
            is_cut: false,
            refuses: false,
            claim: None,
            fence: epoch * 3,
            attempts: BTreeMap::new(),
            records: BTreeMap::new(),
            underway: None,
            listeners: Vec::new(),
            watchers: Vec::new(),
            boot: 1,
            incarnation: 1,
            generation: 3,
            epoch,
            master: Process { pid: 100, start_ticks: 5_000 },
        }
    }

    pub(crate) fn can_be_reached(&self) -> bool {
        self.is_up && !self.is_cut
    }

    /// The claim that stands now.
    pub(crate) fn live(&self, now: Duration) -> Option<Held> {
        self.claim.filter(|held| held.until > now)
    }

    /// Grants a claim; the fence, or why not.
    pub(crate) fn open(&mut self, now: Duration, rollout: usize, session: u32) -> Result<u64, &'static str> {
        if self.underway.is_some_and(|underway| underway.rollout != rollout) {
            return Err("another rollout hands the service over");
        }
        if self.live(now).is_some_and(|held| held.rollout != rollout) {
            return Err("another rollout has the claim");
        }
        let again = self.claim.filter(|held| (held.rollout, held.session) == (rollout, session));
        let fence = again.map_or(self.fence + 1, |held| held.fence);
        self.fence = self.fence.max(fence);
        self.claim = Some(Held { rollout, session, fence, until: now + LEASE });
        Ok(fence)
    }

    /// Renews a claim; whether it still stood.
    pub(crate) fn renew(&mut self, now: Duration, rollout: usize, session: u32) -> bool {
        match &mut self.claim {
            Some(held) if (held.rollout, held.session) == (rollout, session) && held.until > now => {
                held.until = now + LEASE;
                true
            }
            _ => false,
        }
    }

    /// Takes a claim back; whether there was one. Its fence is never granted again.
    pub(crate) fn release(&mut self, rollout: usize, session: u32) -> bool {
        let is_his = self.claim.is_some_and(|held| (held.rollout, held.session) == (rollout, session));
        if is_his {
            self.claim = None;
        }
        is_his
    }

    /// What it makes of a request to hand over.
    pub(crate) fn reload(&mut self, now: Duration, rollout: usize, attempt: u32, fence: u64) -> Reload {
        if let Some(account) = self.records.get(&(rollout, attempt)) {
            return Reload::Replayed(Box::new(account.clone()));
        }
        if let Some(underway) = self.underway {
            let is_same = (underway.rollout, underway.attempt) == (rollout, attempt);
            return if is_same { Reload::Joined } else { Reload::Refused("a handover is under way") };
        }
        if self.live(now).is_none_or(|held| (held.rollout, held.fence) != (rollout, fence)) {
            return Reload::Aborted;
        }
        if self.attempts.get(&rollout).is_some_and(|highest| attempt <= *highest) {
            return Reload::Refused("the attempt is an old one");
        }
        if self.refuses { Reload::Refused("it is not serving") } else { Reload::Begin }
    }

    /// Begins a handover.
    pub(crate) fn begin(&mut self, underway: Underway) {
        self.attempts.insert(underway.rollout, underway.attempt);
        self.underway = Some(underway);
    }

    /// The handover under way comes to its end; what was told of it.
    pub(crate) fn end(&mut self) -> Option<(Underway, Account)> {
        let underway = self.underway.take()?;
        let new = Process { pid: self.master.pid + 100, start_ticks: self.master.start_ticks + 4_000 };
        let (boot, incarnation) = (self.boot_name(), self.incarnation_name());
        let teller = Teller { boot, incarnation, old: self.master, new, generation: self.generation + 1 };
        let account = teller.tell(underway.tale);
        match underway.tale {
            Tale::HandedOver | Tale::Dropped => (self.master, self.generation) = (new, self.generation + 1),
            Tale::Undone | Tale::Unsound | Tale::Broken => {}
        }
        self.epoch += u64::from(underway.conceals || underway.tale == Tale::Dropped);
        self.records.insert((underway.rollout, underway.attempt), account.clone());
        Some((underway, account))
    }

    /// The lock is free for a moment, and the agent counts it.
    pub(crate) fn drop_lock(&mut self) {
        self.epoch += 1;
    }

    /// The agent comes back with a count that is not the last it had.
    pub(crate) fn forget(&mut self) {
        self.epoch = self.epoch.saturating_sub(1);
    }

    /// Its process dies. What it has on disk stays.
    pub(crate) fn die(&mut self) {
        self.is_up = false;
        self.listeners.clear();
        self.watchers.clear();
    }

    /// It is there again: a claim stands for one fresh lease.
    pub(crate) fn rise(&mut self, now: Duration) {
        self.is_up = true;
        self.incarnation += 1;
        if let Some(held) = &mut self.claim {
            held.until = now + LEASE;
        }
    }

    /// The host is booted: its service is started anew, and a handover under way ends with nobody knowing how.
    pub(crate) fn reboot(&mut self) {
        if let Some(underway) = &mut self.underway {
            underway.tale = Tale::Broken;
        }
        self.boot += 1;
        self.master = Process { pid: 90, start_ticks: 700 };
    }

    pub(crate) fn boot_name(&self) -> String {
        format!("boot-{}", self.boot)
    }

    pub(crate) fn incarnation_name(&self) -> String {
        format!("run-{}", self.incarnation)
    }
}
