//! What a simulated agent testifies of a handover. What it proves is not said here: the controller's own judge weighs it.

use std::time::Duration;

use baton_proto::custody::{
    Fact, FileIdentity, Image, Lock, MARK_MIN, Observation, Process, Role, Seq, Shape, Sighting, Testimony, Witness,
};
use baton_proto::v1;

/// How a handover goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tale {
    HandedOver,
    /// The same, of a server without a mark.
    Unmarked,
    Undone,
    /// The lock was free for a moment.
    Dropped,
    /// The new master's mark was another at the close.
    Relocked,
}

impl Tale {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::HandedOver | Self::Unmarked => "handed over",
            Self::Undone => "undone",
            Self::Dropped => "dropped",
            Self::Relocked => "relocked",
        }
    }

    pub(crate) fn is_undone(self) -> bool {
        self == Self::Undone
    }
}

const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

/// Of whom is told.
#[derive(Debug, Clone)]
pub(crate) struct Account<'a> {
    pub(crate) boot: &'a str,
    /// The run of the agent that opened the window.
    pub(crate) opened_by: &'a str,
    /// The run that closed it.
    pub(crate) closed_by: &'a str,
    pub(crate) old: Process,
    pub(crate) new: Process,
    pub(crate) generation: u64,
}

impl Account<'_> {
    /// The testimony and the agent's last word.
    pub(crate) fn tell(&self, tale: Tale) -> (v1::Testimony, v1::Ending) {
        // The run that closes the window makes the last sighting, which begins with this number.
        let last = if tale.is_undone() { 4 } else { 9 };
        let observations = if tale.is_undone() { self.undone() } else { self.handed_over(tale) };
        let is_another = self.opened_by != self.closed_by;
        let successor = Witness { incarnation: self.closed_by.to_owned(), boot: self.boot.to_owned(), from: Seq(last) };
        let mut testimony = Testimony {
            service: "web".into(),
            boot: self.boot.to_owned(),
            incarnation: self.opened_by.to_owned(),
            shape: Shape::Beside,
            successors: is_another.then_some(successor).into_iter().collect(),
            file: FILE,
            opened: Seq(1),
            closed: observations.last().map_or(Seq(1), |last| last.seq),
            observations,
            truncated: false,
        };
        for observation in testimony.observations.iter_mut().filter(|observation| observation.seq.0 >= last) {
            self.closed_by.clone_into(&mut observation.incarnation);
        }
        let result = if tale.is_undone() { v1::Result::RolledBack } else { v1::Result::HandedOver };
        let generation = self.generation + u64::from(!tale.is_undone());
        let ending = v1::Ending { result: result.into(), cause: "simulated".into(), generation, ..v1::Ending::default() };
        ((&testimony).into(), ending)
    }

    fn handed_over(&self, tale: Tale) -> Vec<Observation> {
        let marks = u64::from(tale != Tale::Unmarked);
        let relocked = if tale == Tale::Relocked { 3 } else { marks };
        let mut seen = vec![
            self.sighting(1, Role::OldMaster, self.old, marks),
            self.observation(3, Fact::Signal { process: self.old, signal: "SIGUSR2".into() }),
            self.sighting(4, Role::NewMaster, self.new, marks),
            self.sighting(6, Role::OldMaster, self.old, marks),
            self.observation(8, Fact::Signal { process: self.old, signal: "SIGQUIT".into() }),
            self.sighting(9, Role::NewMaster, self.new, relocked),
        ];
        if tale == Tale::Dropped {
            seen.push(self.observation(11, Fact::Grant { file: FILE }));
        }
        seen
    }

    fn undone(&self) -> Vec<Observation> {
        vec![
            self.sighting(1, Role::OldMaster, self.old, 1),
            self.observation(3, Fact::Signal { process: self.old, signal: "SIGUSR2".into() }),
            self.sighting(4, Role::OldMaster, self.old, 1),
        ]
    }

    fn observation(&self, seq: u64, fact: Fact) -> Observation {
        Observation { seq: Seq(seq), at: Duration::from_millis(seq * 100), incarnation: self.opened_by.to_owned(), fact }
    }

    fn sighting(&self, began: u64, role: Role, process: Process, marks: u64) -> Observation {
        let image = Image { start_stack: u64::from(process.pid) << 12, random: [process.pid.to_le_bytes()[0]; 16] };
        let mark = marks * (MARK_MIN + u64::from(process.pid) * 7);
        let lock = Lock { file: FILE, mark, taker: process.pid };
        let (began, parent) = (Seq(began), 1);
        let sighting = Sighting { began, role, process, parent, image, image_after: image, lock };
        self.observation(began.0 + 1, Fact::Sighting(sighting))
    }
}
