//! Testimonies that simulated agents give: a sound handover, one undone, one with a drop, one with a piece missing.
//!
//! What they prove is not said here: the controller's own judge weighs them.

use std::time::Duration;

use baton::outcome::{Account, Ending};
use baton_proto::custody::{
    Claim, Fact, FileIdentity, Image, Lock, MARK_MIN, Observation, Process, Role, Seq, Shape, Sighting, Testimony,
};

/// What an agent has to tell of a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tale {
    HandedOver,
    Undone,
    /// The waiter was granted, and the agent says so in the testimony, whatever it claims at the end.
    Dropped,
    /// It claims a handover, and the testimony lacks the overlap.
    Unsound,
    /// It cannot tell who is in charge.
    Broken,
}

/// Who tells, and of whom.
#[derive(Debug, Clone)]
pub(crate) struct Teller {
    pub(crate) boot: String,
    pub(crate) incarnation: String,
    pub(crate) old: Process,
    pub(crate) new: Process,
    pub(crate) generation: u64,
}

const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

impl Teller {
    /// The account of a handover.
    pub(crate) fn tell(&self, tale: Tale) -> Account {
        match tale {
            Tale::HandedOver => self.account(Claim::HandedOver, self.handed_over()),
            Tale::Undone => self.account(Claim::RolledBack, self.undone()),
            Tale::Dropped => {
                let mut seen = self.handed_over();
                seen.push(self.observation(11, Fact::Grant { file: FILE }));
                self.account(Claim::HandedOver, seen)
            }
            Tale::Unsound => self.account(Claim::HandedOver, self.undone()),
            Tale::Broken => self.account(Claim::Broken, self.undone()),
        }
    }

    fn handed_over(&self) -> Vec<Observation> {
        vec![
            self.sighting(1, Role::OldMaster, self.old),
            self.observation(3, Fact::Signal { process: self.old, signal: "SIGUSR2".into() }),
            self.sighting(4, Role::NewMaster, self.new),
            self.sighting(6, Role::OldMaster, self.old),
            self.observation(8, Fact::Signal { process: self.old, signal: "SIGQUIT".into() }),
            self.sighting(9, Role::NewMaster, self.new),
        ]
    }

    fn undone(&self) -> Vec<Observation> {
        vec![
            self.sighting(1, Role::OldMaster, self.old),
            self.observation(3, Fact::Signal { process: self.old, signal: "SIGUSR2".into() }),
            self.sighting(4, Role::OldMaster, self.old),
        ]
    }

    fn account(&self, claim: Claim, observations: Vec<Observation>) -> Account {
        let testimony = Testimony {
            service: "web".into(),
            boot: self.boot.clone(),
            incarnation: self.incarnation.clone(),
            shape: Shape::Beside,
            successors: Vec::new(),
            file: FILE,
            opened: Seq(1),
            closed: observations.last().map_or(Seq(1), |last| last.seq),
            observations,
            truncated: false,
        };
        let (generation, release) = (self.generation, String::new());
        let ending = Ending { claim, step: None, cause: "simulated".into(), lingering: Vec::new(), generation, release };
        Account { testimony, ending }
    }

    fn observation(&self, seq: u64, fact: Fact) -> Observation {
        Observation { seq: Seq(seq), at: Duration::from_millis(seq * 100), incarnation: self.incarnation.clone(), fact }
    }

    fn sighting(&self, began: u64, role: Role, process: Process) -> Observation {
        let image = Image { start_stack: u64::from(process.pid) << 12, random: [process.pid.to_le_bytes()[0]; 16] };
        let lock = Lock { file: FILE, mark: MARK_MIN + u64::from(process.pid) * 7, taker: process.pid };
        let (began, parent) = (Seq(began), 1);
        let sighting = Sighting { began, role, process, parent, image, image_after: image, lock };
        self.observation(began.0 + 1, Fact::Sighting(sighting))
    }
}
