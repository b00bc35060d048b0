//! Outcomes and testimonies for tests.

use std::time::Duration;

use baton_proto::custody::{
    Basis, Claim, Fact, FileIdentity, Image, Kept, Lock, MARK_MIN, Observation, Process, Role, Seq, Shape, Sighting, Succession,
    Testimony, Unbroken,
};
use baton_proto::step::Step;

use super::{Account, Ending, Outcome, Proof};

pub(crate) const OLD: Process = Process { pid: 100, start_ticks: 5_000 };
pub(crate) const NEW: Process = Process { pid: 200, start_ticks: 9_000 };
const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

pub(crate) fn proven() -> Outcome {
    let kept = Kept { basis: Basis::Marked, by: Succession::Beside { old: OLD, new: NEW, overlap: Duration::from_millis(212) } };
    Outcome::Proven(Proof { kept, generation: 4, release: String::new(), lingering: Vec::new() })
}

pub(crate) fn rolled_back() -> Outcome {
    Outcome::RolledBack {
        step: Some(Step::Ready.into()),
        cause: "503 from 201".into(),
        unbroken: Unbroken { basis: Basis::Marked, master: OLD },
    }
}

fn observation(seq: u64, fact: Fact) -> Observation {
    Observation { seq: Seq(seq), at: Duration::from_millis(seq * 100), incarnation: "run-1".into(), fact }
}

fn sighting(began: u64, role: Role, process: Process) -> Fact {
    let image = Image { start_stack: u64::from(process.pid) << 12, random: [u8::try_from(process.pid).unwrap_or_default(); 16] };
    Fact::Sighting(Sighting {
        began: Seq(began),
        role,
        process,
        parent: 1,
        image,
        image_after: image,
        lock: Lock { file: FILE, mark: MARK_MIN + u64::from(process.pid) * 7, taker: process.pid },
    })
}

fn window(closed: u64, observations: Vec<Observation>) -> Testimony {
    Testimony {
        service: "web".into(),
        boot: "boot-1".into(),
        incarnation: "run-1".into(),
        shape: Shape::Beside,
        successors: Vec::new(),
        file: FILE,
        opened: Seq(1),
        closed: Seq(closed),
        observations,
        truncated: false,
    }
}

/// A handover without a flaw, and the word of the agent that it was one.
pub(crate) fn handed_over() -> Account {
    let observations = vec![
        observation(2, sighting(1, Role::OldMaster, OLD)),
        observation(3, Fact::Signal { process: OLD, signal: "SIGUSR2".into() }),
        observation(5, sighting(4, Role::NewMaster, NEW)),
        observation(7, sighting(6, Role::OldMaster, OLD)),
        observation(8, Fact::Signal { process: OLD, signal: "SIGQUIT".into() }),
        observation(10, sighting(9, Role::NewMaster, NEW)),
    ];
    let release = String::new();
    let ending =
        Ending { claim: Claim::HandedOver, step: None, cause: String::new(), lingering: Vec::new(), generation: 4, release };
    Account { testimony: window(10, observations), ending }
}

/// A handover that was undone without a flaw.
pub(crate) fn undone() -> Account {
    let observations = vec![
        observation(2, sighting(1, Role::OldMaster, OLD)),
        observation(3, Fact::Signal { process: OLD, signal: "SIGUSR2".into() }),
        observation(5, sighting(4, Role::OldMaster, OLD)),
    ];
    let ending = Ending {
        claim: Claim::RolledBack,
        step: Some(Step::Ready.into()),
        cause: "503 from 201".into(),
        lingering: Vec::new(),
        generation: 3,
        release: String::new(),
    };
    Account { testimony: window(5, observations), ending }
}

/// A handover in which the waiter was granted.
pub(crate) fn dropped() -> Account {
    let mut account = handed_over();
    account.testimony.closed = Seq(11);
    account.testimony.observations.push(observation(11, Fact::Grant { file: FILE }));
    account
}
