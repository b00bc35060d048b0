//! The workers of a master that stays: those of before the signal, who are waited for, and whether they were replaced.
//!
//! **Invariant:** a program that the server has started is none of them, even where it holds the lock: nobody waits for it.

use baton_proto::custody::{Fact, Process, Role};

use super::Driver;
use super::run::Run;
use crate::census;
use crate::dialect::Order;
use crate::handover::Event;
use crate::os::{clock, process};

impl Run {
    /// Takes hold of the workers of before, as they were listed by an earlier run of the agent. Those that are gone were workers, as
    /// far as can be told.
    pub(super) fn with_workers_of_before(mut self) -> Self {
        let file = self.journal.file();
        let is_other = |process: &Process| process::find(process.pid).is_ok() && process::holder(process.pid, file).is_err();
        self.workers = self.listed().iter().filter(|process| !is_other(process)).copied().collect();
        for worker in self.workers.clone() {
            self.old.hold(worker);
        }
        self
    }

    /// A worker of before that is gone, unless it has left by itself: where new workers come first, nobody was replaced while none
    /// has come, and somebody of before is there.
    pub(super) fn replaced(&self, order: Order) -> Option<Process> {
        let gone = self.workers.iter().find(|worker| !self.old.includes(**worker)).copied()?;
        match order {
            Order::NewFirst if !self.old.has_no_workers() && self.new_workers().is_empty() => None,
            Order::NewFirst | Order::OldFirst => Some(gone),
        }
    }
}

impl Driver {
    /// Lists all that is below a master that is about to replace its workers, and takes hold of each worker.
    pub(super) fn list(&mut self) -> Vec<Event> {
        let Some(run) = &mut self.run else { return Vec::new() };
        let master = run.old.master();
        let began = self.numbers.take();
        // Whoever is here now is not new later, whatever it is.
        let fact = Fact::Workers { began, master, workers: process::descendants(master.pid, None) };
        run.journal.note(self.numbers.take(), clock::since_boot(), fact);
        self.take_hold_of_workers();
        let is_alone = self.run.as_ref().is_some_and(|run| run.old.has_no_workers());
        if is_alone { vec![Event::Emptied(Role::OldMaster)] } else { Vec::new() }
    }

    /// Takes hold of the workers that a master that stays has now.
    pub(super) fn take_hold_of_workers(&mut self) {
        let Some(run) = &mut self.run else { return };
        let file = run.journal.file();
        let holders = self.census.holders_of(Some(run.old.master().pid), file);
        for worker in census::workers(&holders) {
            if !run.workers.contains(&worker) {
                run.workers.push(worker);
                run.old.hold(worker);
            }
        }
    }
}
