//! Testimonies to be judged.

use std::time::Duration;

use baton_proto::custody::{
    Fact, FileIdentity, Image, Lock, MARK_MIN, Observation, Process, Role, Seq, Shape, Sighting, Testimony,
};

const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

/// Old, new, old, new: the lock was kept.
pub(crate) fn handed_over() -> Testimony {
    let (old, new) = (Role::OldMaster, Role::NewMaster);
    testimony(vec![seen(1, old, 100), seen(3, new, 200), seen(5, old, 100), seen(7, new, 200)])
}

/// Old, new: no overlap was seen.
pub(crate) fn without_overlap() -> Testimony {
    testimony(vec![seen(1, Role::OldMaster, 100), seen(3, Role::NewMaster, 200)])
}

/// Old at both ends.
pub(crate) fn undone() -> Testimony {
    testimony(vec![seen(1, Role::OldMaster, 100), seen(3, Role::OldMaster, 100)])
}

/// Old, then nobody.
pub(crate) fn dropped() -> Testimony {
    testimony(vec![seen(1, Role::OldMaster, 100), line(3, Fact::Grant { file: FILE })])
}

fn seen(began: u64, role: Role, pid: u32) -> Observation {
    let image = Image { start_stack: u64::from(pid), random: [0; 16] };
    let sighting = Sighting {
        began: Seq(began),
        role,
        process: Process { pid, start_ticks: 1 },
        parent: 1,
        image,
        image_after: image,
        lock: Lock { file: FILE, mark: MARK_MIN + u64::from(pid), taker: pid },
    };
    line(began + 1, Fact::Sighting(sighting))
}

fn line(seq: u64, fact: Fact) -> Observation {
    Observation { seq: Seq(seq), at: Duration::from_millis(seq), incarnation: "run-1".into(), fact }
}

fn testimony(observations: Vec<Observation>) -> Testimony {
    let closed = observations.last().expect("there is a line").seq;
    Testimony {
        service: "web".into(),
        boot: "boot-1".into(),
        incarnation: "run-1".into(),
        shape: Shape::Beside,
        successors: Vec::new(),
        file: FILE,
        opened: Seq(1),
        closed,
        observations,
        truncated: false,
    }
}
