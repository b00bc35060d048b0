use super::{Fact, FileIdentity, Image, Lock, Observation, Process, Role, Seq, Sighting, Testimony};
use std::time::Duration;

pub(crate) const FILE: FileIdentity = FileIdentity { device: 1, inode: 2 };

fn observation(seq: u64, fact: Fact) -> Observation {
    Observation { seq: Seq(seq), at: Duration::from_millis(seq * 100), incarnation: "run-1".into(), fact }
}

pub(crate) fn process(role: Role) -> Process {
    match role {
        Role::OldMaster => Process { pid: 100, start_ticks: 5_000 },
        Role::NewMaster => Process { pid: 200, start_ticks: 9_000 },
        Role::Worker => Process { pid: 300, start_ticks: 9_100 },
    }
}

fn sighting(began: u64, role: Role) -> Fact {
    let pid = process(role).pid;
    Fact::Sighting(Sighting {
        began: Seq(began),
        role,
        process: process(role),
        image: Image { start_stack: u64::from(pid) << 12, random: [u8::try_from(pid % 251).unwrap_or_default(); 16] },
        lock: Lock { file: FILE, mark: u64::from(pid) * 7, taker: pid },
    })
}

/// A handover without a flaw: old; USR2; ready; new, old, new; QUIT; old gone; new.
pub(crate) fn clean() -> Testimony {
    let signal = |role, name: &str| Fact::Signal { process: process(role), signal: name.into() };
    Testimony {
        service: "web".into(),
        boot: "boot-1".into(),
        incarnation: "run-1".into(),
        file: FILE,
        opened: Seq(11),
        closed: Seq(24),
        observations: vec![
            observation(12, sighting(11, Role::OldMaster)),
            observation(13, signal(Role::OldMaster, "SIGUSR2")),
            observation(14, Fact::Readiness { ready: true, detail: "200 from 201".into(), answered_by: Some(201) }),
            observation(16, sighting(15, Role::NewMaster)),
            observation(18, sighting(17, Role::OldMaster)),
            observation(20, sighting(19, Role::NewMaster)),
            observation(21, signal(Role::OldMaster, "SIGQUIT")),
            observation(22, Fact::Exit { role: Role::OldMaster, process: process(Role::OldMaster) }),
            observation(24, sighting(23, Role::NewMaster)),
        ],
        truncated: false,
    }
}
