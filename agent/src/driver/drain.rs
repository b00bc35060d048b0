//! The doing of a drain: who was told to leave, and whether somebody of the old generation is there whom nobody has listed.
//!
//! A process that the old master has started after it was told to leave is not below it any more when it has left. But it has the old
//! master's lock: as long as the kernel lists that, somebody is there, and a walk over all processes finds out who.
//!
//! **Invariant:** nobody is taken for one of the old generation who has the lock of the new one, or is known to be of it.

use baton_proto::custody::{Lock, Process, Role};
use baton_proto::step::Step;

use super::generation::Generation;
use super::{Driver, Inbox};
use crate::dialect::Signal;
use crate::handover::{Event, Whom};
use crate::os::lock::{self, Takers};
use crate::os::process;

/// More pids than a sentence should have.
const NAMED_MAX: usize = 16;

impl Driver {
    /// Tells who of the old generation was signalled because its time is over.
    pub(super) fn tell_whom(&mut self, role: Role, whom: Whom, signal: Signal, processes: &[Process]) {
        if role != Role::OldMaster || whom == Whom::Master {
            return;
        }
        let detail = match processes {
            [] => format!("nobody was left to get {signal}"),
            processes => format!("{signal} to {}", named(processes)),
        };
        self.publish(Step::Drain, detail);
    }

    /// Whoever of the old generation is known is gone: is somebody there who has its lock? Then a walk is asked for that finds out who,
    /// and the generation is not gone before that has come to its end.
    pub(super) fn seek_the_unlisted(&mut self) -> bool {
        let Some(run) = self.run.as_ref().filter(|run| run.step == Step::Drain && !run.seeks) else { return false };
        let file = run.journal.file();
        let is_listed = match (self.old_lock(), lock::takers(file)) {
            (Some(old), Takers::Listed(takers)) => takers.contains(&old.taker),
            (Some(_) | None, Takers::Listed(_) | Takers::Unlisted) => false,
        };
        let seeks = is_listed && self.walk();
        if let Some(run) = &mut self.run {
            run.seeks = seeks;
        }
        seeks
    }

    /// The lock of the old master, where it is another than that of the new one.
    fn old_lock(&self) -> Option<Lock> {
        let run = self.run.as_ref().filter(|run| !run.is_stationary())?;
        let [old, new] = [Some(run.old.master()), run.new.as_ref().map(Generation::master)]
            .map(|master| master.and_then(|master| run.journal.last_lock(master)));
        old.filter(|old| new.is_some_and(|new| (new.mark, new.taker) != (old.mark, old.taker)))
    }

    /// A walk that was asked for has found these holders: those who have the old master's lock are of the old generation.
    pub(super) async fn found_unlisted(&mut self, holders: &[u32], inbox: &mut Inbox) {
        let old = self.old_lock();
        let Some(run) = self.run.as_mut().filter(|run| run.seeks) else { return };
        run.seeks = false;
        let file = run.journal.file();
        let mut found = Vec::new();
        for seen in holders.iter().filter_map(|pid| process::look(*pid, file).ok()) {
            let is_new = run.new.as_ref().is_some_and(|new| new.includes(seen.process));
            if !is_new && old.is_some_and(|old| (old.mark, old.taker) == (seen.lock.mark, seen.lock.taker)) {
                run.old.hold(seen.process);
                found.push(seen.process);
            }
        }
        if run.old.is_empty() {
            self.feed([Event::Emptied(Role::OldMaster)], inbox).await;
        } else {
            let detail = format!(
                "waiting for {}, too, of the old generation, which it had started when it was told to leave",
                named(&found)
            );
            self.publish(Step::Drain, detail);
        }
    }
}

/// The first of these pids, and how many more there are.
fn named(processes: &[Process]) -> String {
    let mut pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    let more = pids.len().saturating_sub(NAMED_MAX);
    let mut names: Vec<String> = pids.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
