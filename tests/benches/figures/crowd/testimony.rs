//! A sound testimony of a handover that never was.

use std::time::Duration;

use baton_agent::rpc::Speaker;
use baton_proto::custody::{
    Fact, FileIdentity, Image, Lock, MARK_MIN, Observation, Process, Role, Seq, Shape, Sighting, Testimony,
};
use baton_tests::fleet::SERVICE;

pub(super) const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

/// Old, new, old, new, with the signals between: as an agent tells of a handover without a flaw.
pub(super) fn handed_over(speaker: &Speaker, old: Process, new: Process) -> Testimony {
    let signal = |process, signal: &str| Fact::Signal { process, signal: signal.to_owned() };
    let facts = [
        (2, seen(1, Role::OldMaster, old)),
        (3, signal(old, "SIGUSR2")),
        (5, seen(4, Role::NewMaster, new)),
        (7, seen(6, Role::OldMaster, old)),
        (8, signal(old, "SIGQUIT")),
        (10, seen(9, Role::NewMaster, new)),
    ];
    let observation = |(seq, fact)| Observation {
        seq: Seq(seq),
        at: Duration::from_millis(seq),
        incarnation: speaker.incarnation.clone(),
        fact,
    };
    Testimony {
        service: SERVICE.to_owned(),
        boot: speaker.boot_id.clone(),
        incarnation: speaker.incarnation.clone(),
        shape: Shape::Beside,
        successors: Vec::new(),
        file: FILE,
        opened: Seq(1),
        closed: Seq(10),
        observations: facts.into_iter().map(observation).collect(),
        truncated: false,
    }
}

fn seen(began: u64, role: Role, process: Process) -> Fact {
    let image = Image { start_stack: u64::from(process.pid) << 12, random: u128::from(process.pid).to_le_bytes() };
    let lock = Lock { file: FILE, mark: mark(process), taker: process.pid };
    Fact::Sighting(Sighting { began: Seq(began), role, process, parent: 1, image, image_after: image, lock })
}

/// The mark of a process's lock.
pub(super) fn mark(process: Process) -> u64 {
    MARK_MIN + u64::from(process.pid)
}
