use std::time::Duration;

use baton_proto::custody::{Fact, FileIdentity, Image, Lock, Observation, Process, Role, Seq, Shape, Sighting, Testimony};
use baton_proto::v1;

use super::{EXIT_CODES, Exit, Outcome, conclude};

const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

fn seen(began: u64, role: Role, pid: u32) -> Observation {
    let image = Image { start_stack: u64::from(pid), random: [0; 16] };
    let sighting = Sighting {
        began: Seq(began),
        role,
        process: Process { pid, start_ticks: 1 },
        parent: 1,
        image,
        image_after: image,
        lock: Lock { file: FILE, mark: u64::from(pid), taker: pid },
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

fn handed_over() -> Testimony {
    let (old, new) = (Role::OldMaster, Role::NewMaster);
    testimony(vec![seen(1, old, 10), seen(3, new, 20), seen(5, old, 10), seen(7, new, 20)])
}

fn undone() -> Testimony {
    testimony(vec![seen(1, Role::OldMaster, 10), seen(3, Role::OldMaster, 10)])
}

fn dropped() -> Testimony {
    testimony(vec![seen(1, Role::OldMaster, 10), line(3, Fact::Grant { file: FILE })])
}

fn check(testimony: &Testimony, result: v1::Result, exit: Exit, word: &str) {
    let ending =
        v1::Ending { result: result.into(), step: v1::Step::Ready.into(), cause: "no answer".into(), ..v1::Ending::default() };
    let outcome = conclude(testimony, &ending);
    assert_eq!((outcome.exit(), outcome.word()), (exit, word), "{outcome:?}");
}

#[test]
fn an_outcome_is_never_better_than_its_proof() {
    check(&handed_over(), v1::Result::HandedOver, Exit::Done, "proven");
    check(&undone(), v1::Result::HandedOver, Exit::Unproven, "unproven");
    check(&dropped(), v1::Result::HandedOver, Exit::Dropped, "dropped");

    check(&undone(), v1::Result::RolledBack, Exit::NotDone, "rolled back");
    check(&handed_over(), v1::Result::RolledBack, Exit::Unproven, "unproven");
    check(&dropped(), v1::Result::RolledBack, Exit::Dropped, "dropped");

    for result in [v1::Result::Broken, v1::Result::Unspecified] {
        check(&handed_over(), result, Exit::Unproven, "unproven");
        check(&undone(), result, Exit::Unproven, "unproven");
        check(&dropped(), result, Exit::Dropped, "dropped");
    }
}

#[test]
fn the_help_lists_every_exit_code() {
    for exit in [Exit::Done, Exit::Fault, Exit::Usage, Exit::NotDone, Exit::Unproven, Exit::Dropped] {
        assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
    }
    assert_eq!(Outcome::Unknown(String::new()).exit(), Exit::Unproven);
    assert_eq!(Outcome::Refused(String::new()).exit(), Exit::NotDone);
}
