use super::{Fact, FileIdentity, Image, Lock, MARK_MIN, Observation, Process, Role, Seq, Shape, Sighting, Testimony, Witness};
use std::time::Duration;

pub(crate) const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

fn observation(seq: u64, fact: Fact) -> Observation {
    Observation { seq: Seq(seq), at: Duration::from_millis(seq * 100), incarnation: "run-1".into(), fact }
}

pub(crate) fn process(role: Role) -> Process {
    match role {
        Role::OldMaster => Process { pid: 100, start_ticks: 5_000 },
        Role::NewMaster => Process { pid: 200, start_ticks: 9_000 },
        Role::Master => Process { pid: 250, start_ticks: 7_000 },
        Role::Worker => Process { pid: 300, start_ticks: 9_100 },
    }
}

/// The image of which a process of this role runs; `turn` tells one from the next after an exec.
fn image(role: Role, turn: u8) -> Image {
    // A worker is forked without exec.
    let pid = if role == Role::Worker { process(Role::Master).pid } else { process(role).pid };
    Image {
        start_stack: (u64::from(pid) << 12) + u64::from(turn),
        random: [turn ^ u8::try_from(pid % 251).unwrap_or_default(); 16],
    }
}

fn sighting(began: u64, role: Role, turn: u8) -> Fact {
    let holder = if role == Role::Worker { process(Role::Master).pid } else { process(role).pid };
    Fact::Sighting(Sighting {
        began: Seq(began),
        role,
        process: process(role),
        parent: if role == Role::Worker { holder } else { 1 },
        image: image(role, turn),
        image_after: image(role, turn),
        lock: Lock { file: FILE, mark: MARK_MIN + u64::from(holder) * 7, taker: holder },
    })
}

fn signal(role: Role, name: &str) -> Fact {
    Fact::Signal { process: process(role), signal: name.into() }
}

fn ready(pid: u32) -> Fact {
    Fact::Readiness { ready: true, detail: format!("200 from {pid}"), answered_by: Some(pid) }
}

fn testimony(shape: Shape, observations: Vec<Observation>) -> Testimony {
    Testimony {
        service: "web".into(),
        boot: "boot-1".into(),
        incarnation: "run-1".into(),
        shape,
        successors: Vec::new(),
        file: FILE,
        opened: Seq(11),
        closed: observations.last().map_or(Seq(11), |line| line.seq),
        observations,
        truncated: false,
    }
}

/// A handover without a flaw: old; USR2; ready; new, old, new; QUIT; old gone; new.
pub(crate) fn clean() -> Testimony {
    let gone = Fact::Exit { role: Role::OldMaster, process: process(Role::OldMaster) };
    testimony(
        Shape::Beside,
        vec![
            observation(12, sighting(11, Role::OldMaster, 0)),
            observation(13, signal(Role::OldMaster, "SIGUSR2")),
            observation(14, ready(201)),
            observation(16, sighting(15, Role::NewMaster, 0)),
            observation(18, sighting(17, Role::OldMaster, 0)),
            observation(20, sighting(19, Role::NewMaster, 0)),
            observation(21, signal(Role::OldMaster, "SIGQUIT")),
            observation(22, gone),
            observation(24, sighting(23, Role::NewMaster, 0)),
        ],
    )
}

/// A handover in place without a flaw, by exec or not: master; its workers; signal; ready; a new worker, master.
pub(crate) fn stationary(shape: Shape) -> Testimony {
    let turn = u8::from(shape == Shape::Exec);
    let workers = vec![Process { pid: 251, start_ticks: 7_001 }, Process { pid: 252, start_ticks: 7_002 }];
    testimony(
        shape,
        vec![
            observation(12, sighting(11, Role::Master, 0)),
            observation(14, Fact::Workers { began: Seq(13), master: process(Role::Master), workers }),
            observation(15, signal(Role::Master, "SIGHUP")),
            observation(16, ready(300)),
            observation(18, sighting(17, Role::Worker, turn)),
            observation(20, sighting(19, Role::Master, turn)),
        ],
    )
}

/// The clean handover, seen by two runs of the agent: the second from this number on.
pub(crate) fn restarted(from: u64) -> Testimony {
    let mut testimony = clean();
    testimony.successors = vec![Witness { incarnation: "run-2".into(), boot: "boot-1".into(), from: Seq(from) }];
    for observation in testimony.observations.iter_mut().filter(|observation| observation.seq >= Seq(from)) {
        observation.incarnation = "run-2".into();
    }
    testimony
}
