//! The journal of one handover: numbered observations, bounded, with both ends of the window.
//!
//! **Invariant:** lines stand in the order of their numbers, also when one is told late (the waiter's thread takes its
//! number first and tells afterwards).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_proto::custody::{Fact, FileIdentity, Image, Lock, Observation, Process, Seq, Shape, Testimony, Witness};

/// More lines than any handover has that is going well.
pub const OBSERVATIONS_MAX: usize = 4_096;

/// Hands out the numbers of one service's observations, to the driver and to the waiter's thread alike.
#[derive(Debug)]
pub struct Numbers(AtomicU64);

impl Numbers {
    /// Numbers from `first` on.
    pub fn starting_at(first: Seq) -> Self {
        Self(AtomicU64::new(first.0))
    }

    /// The next number; nobody else gets it.
    pub fn take(&self) -> Seq {
        // The total order of one counter is all that is asked for: it is what every ordering guarantees.
        Seq(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// What is seen in one window.
#[derive(Debug, Clone)]
pub struct Journal {
    testimony: Testimony,
    incarnation: String,
}

impl Journal {
    /// Opens a window at the witness' number, which the first observation must account for.
    pub fn open(service: String, shape: Shape, witness: Witness, file: FileIdentity) -> Self {
        let Witness { incarnation, boot, from: opened } = witness;
        let testimony = Testimony {
            service,
            boot,
            incarnation: incarnation.clone(),
            shape,
            successors: Vec::new(),
            file,
            opened,
            closed: opened,
            observations: Vec::new(),
            truncated: false,
        };
        Self { testimony, incarnation }
    }

    /// Goes on with a window that an earlier run of the agent opened.
    pub fn resume(mut testimony: Testimony, witness: Witness) -> Self {
        let incarnation = witness.incarnation.clone();
        testimony.successors.push(witness);
        Self { testimony, incarnation }
    }

    /// The file that the window is about.
    pub fn file(&self) -> FileIdentity {
        self.testimony.file
    }

    /// Notes a line under a number that was taken for it.
    pub fn note(&mut self, seq: Seq, at: Duration, fact: Fact) {
        let lines = &mut self.testimony.observations;
        let is_grant = matches!(fact, Fact::Grant { .. });
        if lines.len() >= OBSERVATIONS_MAX {
            self.testimony.truncated = true;
            // A drop must not be lost in the crowd. There are few: a waiter is armed again only when somebody holds.
            if !is_grant {
                return;
            }
        }
        let place = lines.partition_point(|line| line.seq < seq);
        lines.insert(place, Observation { seq, at, incarnation: self.incarnation.clone(), fact });
        self.testimony.closed = self.testimony.closed.max(seq);
    }

    /// What this process ran when it was last found holding.
    pub fn last_image(&self, process: Process) -> Option<Image> {
        let mut sightings = self.testimony.observations.iter().rev().filter_map(|line| line.fact.sighting());
        sightings.find(|sighting| sighting.process == process).map(|sighting| sighting.image)
    }

    /// The lock that this process had when it was last found holding.
    pub fn last_lock(&self, process: Process) -> Option<Lock> {
        let mut sightings = self.testimony.observations.iter().rev().filter_map(|line| line.fact.sighting());
        sightings.find(|sighting| sighting.process == process).map(|sighting| sighting.lock)
    }

    /// Whether a number was handed out within the window whose line has not been told yet.
    pub fn has_hole(&self) -> bool {
        let numbers: u64 = self.testimony.observations.iter().map(|line| line.numbers().count() as u64).sum();
        let span = self.testimony.closed.0.saturating_sub(self.testimony.opened.0).saturating_add(1);
        !self.testimony.truncated && numbers < span
    }

    /// The testimony, as if the window closed after the last line.
    pub fn testimony(&self) -> &Testimony {
        &self.testimony
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_proto::custody::{Fact, FileIdentity, Seq, Shape, Witness};

    use super::{Journal, OBSERVATIONS_MAX};

    const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

    fn journal() -> Journal {
        let witness = Witness { incarnation: "run".into(), boot: "boot".into(), from: Seq(5) };
        Journal::open("web".into(), Shape::Beside, witness, FILE)
    }

    #[test]
    fn a_line_that_is_told_late_takes_its_place() {
        let mut journal = journal();
        for (seq, hole) in [(5, false), (7, true), (6, false)] {
            journal.note(Seq(seq), Duration::ZERO, Fact::Grant { file: FILE });
            assert_eq!(journal.has_hole(), hole, "after {seq}");
        }
        let seqs: Vec<u64> = journal.testimony().observations.iter().map(|line| line.seq.0).collect();
        assert_eq!(seqs, [5, 6, 7]);
        assert_eq!((journal.testimony().opened, journal.testimony().closed), (Seq(5), Seq(7)));
    }

    #[test]
    fn too_many_lines_are_not_kept_and_that_is_said_but_a_grant_is() {
        let mut journal = journal();
        let ready = || Fact::Readiness { ready: true, detail: String::new(), answered_by: None };
        for seq in 0..=OBSERVATIONS_MAX as u64 {
            journal.note(Seq(5 + seq), Duration::ZERO, ready());
        }
        assert!(journal.testimony().truncated);
        assert_eq!(journal.testimony().observations.len(), OBSERVATIONS_MAX);
        journal.note(Seq(9_999), Duration::ZERO, Fact::Grant { file: FILE });
        assert!(journal.testimony().observations.iter().any(|line| matches!(line.fact, Fact::Grant { .. })));
    }
}
