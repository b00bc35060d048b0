//! What is left of generations that were told to leave: each process held by a pidfd until it is gone, also by the next run of the agent.
//!
//! **Invariant:** nothing here looks again by itself: an exit arrives, and what nobody exits from stays listed.

use std::time::Duration;

use baton_proto::custody::Process;
use baton_proto::v1;
use baton_proto::wire::nanoseconds;
use tokio::sync::mpsc;

use super::generation::Generation;
use super::{Driver, Input};
use crate::census::OldGeneration;
use crate::config::LINGERING_MAX;
use crate::os::clock;
use crate::store::{Flush, Lingerers, Stored};

/// How many generations are kept: as many as may linger, and the one that is one too many.
const GENERATIONS_MAX: usize = LINGERING_MAX as usize + 1;
/// How many processes of one are kept on disk and told.
const TOLD_MAX: usize = 256;

/// The generations that are not gone yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lingering(Vec<Left>);

/// One of them.
#[derive(Debug)]
struct Left {
    number: u64,
    /// Since when its drain is over.
    since: Duration,
    members: Generation,
}

impl Lingering {
    /// Takes hold of those that an earlier run of the agent had left and that are still there.
    pub(super) fn of(stored: &Stored, boot: &str, exits: &mpsc::Sender<Input>) -> Self {
        let kept = stored.lingering.as_ref().filter(|kept| kept.boot_id == boot);
        let left = kept.into_iter().flat_map(|kept| &kept.generations).filter_map(|told| {
            let processes: Vec<Process> = told.processes.iter().map(|process| (*process).into()).collect();
            let members = Generation::among(&processes, exits.clone())?;
            Some(Left { number: told.generation, since: Duration::from_nanos(told.since_ns), members })
        });
        Self(left.collect())
    }

    /// As the wire has it.
    pub(super) fn told(&self) -> Vec<v1::Lingering> {
        let told = |left: &Left| v1::Lingering {
            generation: left.number,
            since_ns: nanoseconds(left.since),
            processes: left.processes().into_iter().map(Into::into).collect(),
        };
        self.0.iter().map(told).collect()
    }

    /// As the census has it.
    pub(super) fn facts(&self, now: Duration) -> Vec<OldGeneration> {
        let fact = |left: &Left| OldGeneration {
            number: left.number,
            overtime: now.saturating_sub(left.since),
            processes: left.processes(),
        };
        self.0.iter().map(fact).collect()
    }

    /// Keeps what is left of a generation.
    fn keep(&mut self, number: u64, since: Duration, mut members: Generation) {
        for left in &self.0 {
            // A master that stays has workers of generations before the last, which are listed as that.
            for process in left.members.processes() {
                members.bury(process);
            }
        }
        if members.is_empty() {
            return;
        }
        if self.0.len() >= GENERATIONS_MAX {
            self.0.remove(0);
        }
        self.0.push(Left { number, since, members });
    }

    /// Takes note of an exit. Whether the process was one of these.
    fn bury(&mut self, process: Process) -> bool {
        self.0.iter_mut().any(|left| left.members.bury(process))
    }

    /// Forgets a generation of which nobody is there any more; its number.
    fn forget(&mut self) -> Option<u64> {
        let gone = self.0.iter().position(|left| left.members.is_empty())?;
        Some(self.0.remove(gone).number)
    }
}

impl Left {
    fn processes(&self) -> Vec<Process> {
        let mut processes = self.members.processes();
        processes.truncate(TOLD_MAX);
        processes
    }
}

impl Driver {
    /// Keeps what is left of a generation whose drain is over, on disk with the next write; the pids of all who are left. A program that
    /// the server has started, and that outlives it, is told and not kept: it may be meant to.
    pub(super) fn leave_behind(&mut self, number: u64, mut members: Generation) -> Vec<u32> {
        let pids = members.pids();
        members.let_helpers_go();
        if !members.is_empty() {
            tracing::warn!(generation = number, ?pids, "an old generation lingers");
            self.lingering.keep(number, clock::since_boot(), members);
            self.store_lingering();
        }
        pids
    }

    /// Takes note of an exit: of a generation that lingers, perhaps.
    pub(super) fn bury_lingering(&mut self, process: Process) {
        if !self.lingering.bury(process) {
            return;
        }
        let gone = self.lingering.forget();
        self.store_lingering();
        drop(self.store.write(&self.stored, Flush::Later));
        if let Some(generation) = gone {
            tracing::info!(generation, "the last process of an old generation is gone");
            self.count();
            self.say(v1::watch_event::Event::Status(self.status()));
        }
    }

    fn store_lingering(&mut self) {
        let generations = self.lingering.told();
        let kept = Lingerers { boot_id: self.witness.boot.clone(), generations };
        self.stored.lingering = Some(kept).filter(|kept| !kept.generations.is_empty());
    }
}
