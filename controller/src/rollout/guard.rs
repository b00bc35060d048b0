//! What a guard makes of what it sees on a finished host.
//!
//! **Invariant:** the count of drops is compared at every new contact, so a drop while nobody was looking is found too.
//! **Invariant:** a guard stands only by the same master; that the agent saw no drop excuses no other.

use baton_proto::custody::Process;

use crate::outcome::{DropSeen, Outcome};
use crate::standing::{Custody, Standing};

/// What a finished host must go on to look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    epoch: u64,
    master: Process,
    /// The run of the agent that has last vouched for the master; none before the first.
    incarnation: Option<String>,
    boot: String,
}

/// What the watch on a finished host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The state: at the beginning of the watch, and when it gets worse.
    Standing(Box<Standing>),
    /// Nobody held the lock.
    Drop,
    /// The lock is held (again).
    Held {
        /// By whom.
        master: Process,
        /// The drops so far.
        epoch: u64,
        /// The run of the agent that says so.
        incarnation: String,
    },
}

/// What a guard makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// All is as it was.
    Stands,
    /// It cannot be told yet, for this reason.
    NotYet(String),
    /// It is not.
    Broken(Outcome),
}

impl Guard {
    /// A guard of a host that stood like `before` ahead of its handover, and ended with `master` in charge.
    #[must_use]
    pub fn new(before: &Standing, master: Process) -> Self {
        Self { epoch: before.epoch, master, incarnation: None, boot: before.boot.clone() }
    }

    /// Weighs what was seen.
    pub fn weigh(&mut self, seen: Seen) -> Finding {
        match seen {
            Seen::Standing(standing) => self.weigh_standing(*standing),
            Seen::Drop => Finding::Broken(Outcome::Dropped(DropSeen::Guarded)),
            Seen::Held { master, epoch, incarnation } => self.weigh_master(master, epoch, incarnation),
        }
    }

    fn weigh_standing(&mut self, standing: Standing) -> Finding {
        if standing.boot != self.boot {
            return unknown("the host was rebooted".into());
        }
        match standing.master.filter(|_| standing.is_held()) {
            Some(master) => self.weigh_master(master, standing.epoch, standing.incarnation),
            None => self.compare(standing.epoch).unwrap_or_else(|| self.weigh_lapse(&standing)),
        }
    }

    fn weigh_master(&mut self, master: Process, epoch: u64, incarnation: String) -> Finding {
        if let Some(finding) = self.compare(epoch) {
            return finding;
        }
        // That no drop was counted proves nothing: a waiter may miss one.
        if master != self.master {
            return unknown(format!("master {master} is in charge, not {}, and nobody saw the change", self.master));
        }
        self.incarnation = Some(incarnation);
        Finding::Stands
    }

    /// A run of the agent that never vouched for the master may still be looking for it. One that did has lost it, and so
    /// has one whose waiter is armed: it is armed only once a master was seen.
    fn weigh_lapse(&self, standing: &Standing) -> Finding {
        let vouched = self.incarnation.as_ref() == Some(&standing.incarnation);
        if vouched || standing.custody == Custody::Orphaned {
            return unknown(format!("its master is gone: {}", standing.lapse()));
        }
        Finding::NotYet(standing.lapse())
    }

    fn compare(&self, epoch: u64) -> Option<Finding> {
        if epoch > self.epoch {
            return Some(Finding::Broken(Outcome::Dropped(DropSeen::Counted { before: self.epoch, after: epoch })));
        }
        let forgotten = || format!("the agent counts {epoch} drops and counted {} before: it lost its memory", self.epoch);
        (epoch < self.epoch).then(|| unknown(forgotten()))
    }
}

fn unknown(cause: String) -> Finding {
    Finding::Broken(Outcome::Unknown(cause))
}

#[cfg(test)]
mod tests {
    use baton_proto::custody::Process;

    use super::{Finding, Guard, Seen};
    use crate::outcome::samples::{NEW, OLD};
    use crate::outcome::{DropSeen, Outcome};
    use crate::standing::samples::healthy;
    use crate::standing::{Custody, Standing};

    fn after() -> Standing {
        Standing { master: Some(NEW), ..healthy() }
    }

    /// A guard in which everything was well at first contact.
    fn standing_guard() -> Guard {
        let mut guard = Guard::new(&healthy(), NEW);
        assert_eq!(guard.weigh(Seen::Standing(Box::new(after()))), Finding::Stands);
        guard
    }

    fn check(seen: Seen, expected: &str) {
        let found = match standing_guard().weigh(seen) {
            Finding::Stands => "stands",
            Finding::NotYet(_) => "not yet",
            Finding::Broken(outcome) => outcome.word(),
        };
        assert_eq!(found, expected);
    }

    fn held(master: Process, epoch: u64) -> Seen {
        Seen::Held { master, epoch, incarnation: "run-1".into() }
    }

    #[test]
    fn a_drop_is_found_when_told_and_when_only_counted() {
        check(Seen::Drop, "dropped");
        check(Seen::Standing(Box::new(Standing { epoch: 3, ..after() })), "dropped");
        check(Seen::Standing(Box::new(Standing { epoch: 3, custody: Custody::Free, master: None, ..after() })), "dropped");
        check(held(NEW, 3), "dropped");
        let mut guard = Guard::new(&healthy(), NEW);
        let missed = Outcome::Dropped(DropSeen::Counted { before: 2, after: 3 });
        assert_eq!(guard.weigh(Seen::Standing(Box::new(Standing { epoch: 3, ..after() }))), Finding::Broken(missed));
    }

    #[test]
    fn a_restarted_agent_is_fine_only_with_the_same_count_and_master() {
        let restarted = Standing { incarnation: "run-2".into(), ..after() };
        check(Seen::Standing(Box::new(restarted.clone())), "stands");
        check(Seen::Standing(Box::new(Standing { master: Some(OLD), ..restarted.clone() })), "unknown");
        check(Seen::Standing(Box::new(Standing { epoch: 1, ..restarted.clone() })), "unknown");
        check(Seen::Standing(Box::new(Standing { boot: "boot-2".into(), ..restarted })), "unknown");
    }

    #[test]
    fn another_master_is_unknown_however_it_is_seen_since_a_quiet_waiter_is_no_proof() {
        check(Seen::Standing(Box::new(Standing { master: Some(OLD), ..after() })), "unknown");
        check(held(OLD, 2), "unknown");
        check(held(NEW, 2), "stands");
    }

    #[test]
    fn a_master_that_is_gone_is_unknown_at_once() {
        let orphaned = Standing { custody: Custody::Orphaned, master: None, ..after() };
        check(Seen::Standing(Box::new(orphaned.clone())), "unknown");
        check(Seen::Standing(Box::new(Standing { incarnation: "run-2".into(), ..orphaned.clone() })), "unknown");
        check(Seen::Standing(Box::new(Standing { custody: Custody::Free, ..orphaned.clone() })), "unknown");
        let trouble = "the master 200 exited".to_owned();
        let Finding::Broken(Outcome::Unknown(cause)) =
            standing_guard().weigh(Seen::Standing(Box::new(Standing { trouble, ..orphaned })))
        else {
            panic!("it stands")
        };
        assert_eq!(cause, "its master is gone: the lock is held, but not by a master: the master 200 exited");
    }

    #[test]
    fn a_restarted_agent_may_take_a_moment_to_find_the_master() {
        let free = Standing { custody: Custody::Free, master: None, incarnation: "run-2".into(), ..after() };
        let mut guard = standing_guard();
        for _ in 0..2 {
            assert!(matches!(guard.weigh(Seen::Standing(Box::new(free.clone()))), Finding::NotYet(_)));
        }
        let found = Seen::Held { master: NEW, epoch: 2, incarnation: "run-2".into() };
        assert_eq!(guard.weigh(found), Finding::Stands);
        assert!(matches!(guard.weigh(Seen::Standing(Box::new(free))), Finding::Broken(Outcome::Unknown(_))));
    }
}
