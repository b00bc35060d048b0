//! What a guard makes of what it sees on a finished host.
//!
//! **Invariant:** the count of drops is compared at every new contact, so a drop while nobody was looking is found too.

use baton_proto::custody::Process;

use crate::outcome::{DropSeen, Outcome};
use crate::standing::Standing;

/// What a finished host must go on to look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    epoch: u64,
    master: Process,
    /// The run of the agent that was last in contact; none before the first.
    incarnation: Option<String>,
    boot: String,
}

/// What the watch on a finished host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The state at the beginning of the watch.
    Standing(Standing),
    /// Nobody held the lock.
    Drop,
    /// The lock is held (again).
    Held {
        /// By whom.
        master: Process,
        /// The drops so far.
        epoch: u64,
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
            Seen::Standing(standing) => self.weigh_standing(standing),
            Seen::Drop => Finding::Broken(Outcome::Dropped(DropSeen::Guarded)),
            Seen::Held { master, epoch } => self.compare(epoch).unwrap_or_else(|| self.same_master(master)),
        }
    }

    fn weigh_standing(&mut self, standing: Standing) -> Finding {
        if standing.boot != self.boot {
            return unknown("the host was rebooted".into());
        }
        if let Some(finding) = self.compare(standing.epoch) {
            return finding;
        }
        let same_run = self.incarnation.as_ref() == Some(&standing.incarnation);
        let finding = match standing.master.filter(|_| standing.is_held()) {
            Some(_) if same_run => Finding::Stands,
            Some(master) => self.same_master(master),
            None => Finding::NotYet(standing.lapse()),
        };
        if finding == Finding::Stands {
            self.incarnation = Some(standing.incarnation);
        }
        finding
    }

    fn compare(&self, epoch: u64) -> Option<Finding> {
        if epoch > self.epoch {
            return Some(Finding::Broken(Outcome::Dropped(DropSeen::Counted { before: self.epoch, after: epoch })));
        }
        let forgotten = || format!("the agent counts {epoch} drops and counted {} before: it lost its memory", self.epoch);
        (epoch < self.epoch).then(|| unknown(forgotten()))
    }

    fn same_master(&self, master: Process) -> Finding {
        if master == self.master {
            return Finding::Stands;
        }
        unknown(format!("master {master} is in charge, not {}, and nobody saw the change", self.master))
    }
}

fn unknown(cause: String) -> Finding {
    Finding::Broken(Outcome::Unknown(cause))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(guard.weigh(Seen::Standing(after())), Finding::Stands);
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

    #[test]
    fn a_drop_is_found_when_told_and_when_only_counted() {
        check(Seen::Drop, "dropped");
        check(Seen::Standing(Standing { epoch: 3, ..after() }), "dropped");
        check(Seen::Held { master: NEW, epoch: 3 }, "dropped");
        let mut guard = Guard::new(&healthy(), NEW);
        let missed = Outcome::Dropped(DropSeen::Counted { before: 2, after: 3 });
        assert_eq!(guard.weigh(Seen::Standing(Standing { epoch: 3, ..after() })), Finding::Broken(missed));
    }

    #[test]
    fn a_restarted_agent_is_fine_only_with_the_same_count_and_master() {
        let restarted = Standing { incarnation: "run-2".into(), ..after() };
        check(Seen::Standing(restarted.clone()), "stands");
        check(Seen::Standing(Standing { master: Some(OLD), ..restarted.clone() }), "unknown");
        check(Seen::Standing(Standing { epoch: 1, ..restarted.clone() }), "unknown");
        check(Seen::Standing(Standing { boot: "boot-2".into(), ..restarted }), "unknown");
    }

    #[test]
    fn another_master_under_the_same_run_was_handed_over_without_a_drop() {
        check(Seen::Standing(Standing { master: Some(OLD), ..after() }), "stands");
    }

    #[test]
    fn a_lock_that_is_not_held_yet_is_waited_for() {
        let free = Standing { custody: Custody::Free, master: None, incarnation: "run-2".into(), ..after() };
        check(Seen::Standing(free), "not yet");
        check(Seen::Held { master: NEW, epoch: 2 }, "stands");
        check(Seen::Held { master: OLD, epoch: 2 }, "unknown");
    }
}
