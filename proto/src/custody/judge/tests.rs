use proptest::prelude::*;

use super::super::samples::{FILE, clean, process, restarted, stationary};
use super::super::{Fact, FileIdentity, MARK_MIN, Observation, Process, Role, Seq, Shape, Sighting, Testimony, Witness};
use super::{Basis, Doubt, Succession, Verdict, judge, unbroken};
use std::time::Duration;

/// The clean testimony, broken by `spoil` in exactly one way.
fn spoilt(spoil: impl FnOnce(&mut Testimony)) -> Verdict {
    broken(clean(), spoil)
}

fn broken(mut testimony: Testimony, spoil: impl FnOnce(&mut Testimony)) -> Verdict {
    spoil(&mut testimony);
    judge(&testimony)
}

fn look(testimony: &mut Testimony, index: usize) -> &mut Sighting {
    let Fact::Sighting(sighting) = &mut testimony.observations[index].fact else { panic!("line {index} is no sighting") };
    sighting
}

fn grant(seq: u64, file: FileIdentity) -> Observation {
    Observation { seq: Seq(seq), at: Duration::ZERO, incarnation: "run-1".into(), fact: Fact::Grant { file } }
}

/// Puts a line into the window and moves everything after it by one number.
fn insert(testimony: &mut Testimony, index: usize, fact: Fact) {
    let seq = if index == 0 { testimony.opened } else { Seq(testimony.observations[index - 1].seq.0 + 1) };
    for observation in &mut testimony.observations[index..] {
        observation.seq.0 += 1;
        match &mut observation.fact {
            Fact::Sighting(sighting) => sighting.began.0 += 1,
            Fact::Absence { began, .. } | Fact::Workers { began, .. } => began.0 += 1,
            Fact::Grant { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } => {}
        }
    }
    testimony.closed.0 += 1;
    let line = Observation { seq, at: Duration::ZERO, incarnation: "run-1".into(), fact };
    testimony.observations.insert(index, line);
}

/// The numbers of `testimony` are made whole again from its lines, in their order.
fn renumber(testimony: &mut Testimony) {
    let mut next = testimony.opened.0;
    for observation in &mut testimony.observations {
        let began = match &mut observation.fact {
            Fact::Sighting(sighting) => Some(&mut sighting.began),
            Fact::Absence { began, .. } | Fact::Workers { began, .. } => Some(began),
            Fact::Grant { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } => None,
        };
        if let Some(began) = began {
            *began = Seq(next);
            next += 1;
        }
        observation.seq = Seq(next);
        next += 1;
    }
    testimony.closed = Seq(next - 1);
}

/// Moves lines about and makes the numbers whole again.
fn reorder(testimony: &mut Testimony, change: impl FnOnce(&mut Vec<Observation>)) {
    change(&mut testimony.observations);
    renumber(testimony);
}

#[test]
fn a_clean_handover_is_kept() {
    let Verdict::Kept(kept) = judge(&clean()) else { panic!("{:?}", judge(&clean())) };
    let (old, new) = (process(Role::OldMaster), process(Role::NewMaster));
    assert_eq!(kept.basis, Basis::Marked);
    assert_eq!(kept.by, Succession::Beside { old, new, overlap: Duration::from_millis(200) });
    assert_eq!((kept.before(), kept.after()), (old, new));
}

#[test]
fn a_clean_handover_in_place_is_kept() {
    let (master, worker) = (process(Role::Master), process(Role::Worker));
    for (shape, by) in
        [(Shape::InPlace, Succession::InPlace { master, worker }), (Shape::Exec, Succession::Exec { master, worker })]
    {
        let Verdict::Kept(kept) = judge(&stationary(shape)) else { panic!("{:?}", judge(&stationary(shape))) };
        assert_eq!((kept.basis, kept.by), (Basis::Marked, by));
        assert_eq!((kept.before(), kept.after()), (master, master));
    }
}

#[test]
fn each_flaw_of_a_handover_in_place_has_its_own_doubt() {
    type Spoil = fn(&mut Testimony);
    let flaws: Vec<(Shape, Spoil, Doubt)> = vec![
        // With another image at the end, it was not in place; with the same one, it was no exec.
        (Shape::InPlace, |t| t.observations = stationary(Shape::Exec).observations, Doubt::Exec { role: Role::Master }),
        (Shape::Exec, |t| t.observations = stationary(Shape::InPlace).observations, Doubt::NoHandover(process(Role::Master))),
        (Shape::Exec, |t| look(t, 5).lock.taker += 1, Doubt::Relocked { role: Role::Master }),
        (Shape::Exec, |t| look(t, 5).lock.mark += 1, Doubt::Relocked { role: Role::Master }),
        (Shape::Exec, |t| [0, 5].into_iter().for_each(|index| look(t, index).lock.mark = 0), Doubt::ExecUnmarked),
        // As long as its pid, which it writes there each time that it takes its lock.
        (Shape::Exec, |t| [0, 5].into_iter().for_each(|index| look(t, index).lock.mark = 5), Doubt::ExecUnmarked),
        (Shape::Exec, |t| [0, 5].into_iter().for_each(|index| look(t, index).lock.mark = MARK_MIN - 1), Doubt::ExecUnmarked),
        (
            Shape::Exec,
            |t| (look(t, 4).image, look(t, 4).image_after) = (look(t, 0).image, look(t, 0).image),
            Doubt::NoNewWorker(Some("300 runs the image that the master ran before".into())),
        ),
        (
            Shape::Exec,
            |t| reorder(t, |lines| drop(lines.remove(1))),
            Doubt::NoNewWorker(Some("the master's workers were not listed before the signal".into())),
        ),
        (Shape::InPlace, |t| look(t, 4).parent = 1, Doubt::NoNewWorker(Some("300 is no child of the master 250".into()))),
        (Shape::InPlace, |t| look(t, 4).role = Role::NewMaster, Doubt::NoNewWorker(None)),
        (Shape::InPlace, |t| look(t, 4).image_after.start_stack += 1, Doubt::Exec { role: Role::Worker }),
        (Shape::InPlace, |t| look(t, 5).image_after.start_stack += 1, Doubt::Exec { role: Role::Master }),
        (Shape::InPlace, |t| look(t, 5).role = Role::Worker, Doubt::EndOpen { role: Role::Master, end: "closing", reason: None }),
        // A listing after the signal says nothing of who was there before it.
        (
            Shape::InPlace,
            |t| reorder(t, |lines| lines.swap(1, 2)),
            Doubt::NoNewWorker(Some("the master's workers were not listed before the signal".into())),
        ),
        (
            Shape::InPlace,
            |t| reorder(t, |lines| drop(lines.remove(2))),
            Doubt::NoNewWorker(Some("no signal to the master is on record before 300 was seen".into())),
        ),
        // Something else between the worker and the master: it was not at the close.
        (Shape::InPlace, |t| insert(t, 5, ready()), Doubt::NoNewWorker(None)),
    ];
    for (shape, spoil, doubt) in flaws {
        assert_eq!(broken(stationary(shape), spoil), Verdict::Unproven(doubt));
    }
    // A worker that was there before the signal is none of the new ones.
    let verdict = broken(stationary(Shape::InPlace), |t| {
        let worker = look(t, 4).process;
        let Fact::Workers { workers, .. } = &mut t.observations[1].fact else { panic!("line 1 is the listing") };
        workers.push(worker);
    });
    assert_eq!(verdict, Verdict::Unproven(Doubt::NoNewWorker(Some("300 was there before the signal".into()))));
}

fn ready() -> Fact {
    Fact::Readiness { ready: true, detail: String::new(), answered_by: None }
}

#[test]
fn in_place_without_a_mark_and_without_an_exec_rests_on_the_contract() {
    for (mark, basis) in [(0, Basis::Contract), (MARK_MIN - 1, Basis::Contract), (MARK_MIN, Basis::Marked)] {
        let verdict =
            broken(stationary(Shape::InPlace), |t| [0, 5].into_iter().for_each(|index| look(t, index).lock.mark = mark));
        assert!(matches!(verdict, Verdict::Kept(kept) if kept.basis == basis), "{mark}: {verdict:?}");
    }
}

#[test]
fn a_custody_without_a_length_is_no_proof() {
    // The last look at the master began before its first one had ended: both may be of one instant, at the very end.
    let mut testimony = stationary(Shape::InPlace);
    for (line, (began, seq)) in
        testimony.observations.iter_mut().zip([(11, 19), (12, 13), (14, 14), (15, 15), (16, 17), (18, 20)])
    {
        line.seq = Seq(seq);
        match &mut line.fact {
            Fact::Sighting(sighting) => sighting.began = Seq(began),
            Fact::Workers { began: first, .. } => *first = Seq(began),
            Fact::Absence { .. } | Fact::Grant { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } => {}
        }
    }
    testimony.observations.sort_by_key(|line| line.seq);
    assert_eq!(judge(&testimony), Verdict::Unproven(Doubt::NoLength { role: Role::Master }));
}

#[test]
fn a_hole_is_not_made_up_for_by_a_stray() {
    assert_eq!(spoilt(|t| t.observations[2].seq = Seq(25)), Verdict::Unproven(Doubt::NumberingBroken(Seq(16))));
    let verdict = spoilt(|t| {
        t.observations.remove(2);
        t.observations.push(grant(25, FileIdentity { inode: 9, ..FILE }));
    });
    assert!(matches!(verdict, Verdict::Unproven(Doubt::NumberingBroken(_))), "{verdict:?}");
}

#[test]
fn a_file_is_told_by_device_inode_and_birth() {
    for seen in [FileIdentity { device: 9, ..FILE }, FileIdentity { inode: 9, ..FILE }, FileIdentity { born: 9, ..FILE }] {
        let verdict = spoilt(|t| [3, 5, 8].into_iter().for_each(|index| look(t, index).lock.file = seen));
        assert_eq!(verdict, Verdict::Unproven(Doubt::FileReplaced { expected: FILE, seen }));
    }
}

#[test]
fn a_master_that_was_seen_without_its_lock_in_between_is_no_proof() {
    let (role, old) = (Role::OldMaster, process(Role::OldMaster));
    let reason = "process 100 lives but does not hold the lock".to_owned();
    let without = spoilt(|t| reorder(t, |lines| lines[2].fact = Fact::Absence { began: Seq(0), role, process: old, reason }));
    assert_eq!(without, Verdict::Unproven(Doubt::Interrupted { role, at: Seq(15) }));
    let exited = spoilt(|t| t.observations[2].fact = Fact::Exit { role, process: old });
    assert_eq!(exited, Verdict::Unproven(Doubt::Interrupted { role, at: Seq(14) }));
}

#[test]
fn an_agent_that_was_restarted_goes_on_with_what_a_common_holder_proves() {
    for from in
        (12..=24).filter(|from| !clean().observations.iter().any(|line| line.seq.0 == *from && line.numbers().count() > 1))
    {
        assert!(matches!(judge(&restarted(from)), Verdict::Kept(_)), "from #{from}: {:?}", judge(&restarted(from)));
    }
    // Nobody was seen holding by both: the new master was first seen by the second run, when the old one was gone.
    let verdict = broken(restarted(15), |t| {
        t.observations.remove(4);
        renumber(t);
    });
    let Verdict::Unproven(Doubt::AgentRestarted(doubt)) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(**doubt, Doubt::NoOverlap);
}

#[test]
fn the_runs_of_the_agent_are_stated_apart_from_the_lines() {
    let successor = |from, boot: &str| Witness { incarnation: "run-2".into(), boot: boot.into(), from: Seq(from) };
    for (successors, doubt) in [
        (vec![], Doubt::OtherWitness(Seq(16))),
        (vec![successor(17, "boot-1")], Doubt::OtherWitness(Seq(16))),
        (vec![successor(16, "boot-1")], Doubt::OtherWitness(Seq(16))),
        (vec![successor(14, "boot-1")], Doubt::OtherWitness(Seq(14))),
        (vec![successor(15, "boot-2")], Doubt::Rebooted),
        (vec![successor(15, "boot-1"), successor(15, "boot-1")], Doubt::WitnessesUnclear),
        (vec![successor(15, "boot-1"), successor(25, "boot-1")], Doubt::WitnessesUnclear),
        (vec![successor(11, "boot-1")], Doubt::WitnessesUnclear),
    ] {
        let verdict = broken(restarted(15), |t| t.successors = successors);
        assert_eq!(verdict, Verdict::Unproven(doubt));
    }
}

#[test]
fn without_a_mark_the_proof_rests_on_the_contract() {
    let verdict = spoilt(|t| {
        for index in [0, 4] {
            look(t, index).lock.mark = 0;
        }
    });
    assert!(matches!(verdict, Verdict::Kept(kept) if kept.basis == Basis::Contract), "{verdict:?}");
}

#[test]
fn a_grant_anywhere_in_the_window_is_a_drop() {
    for index in 0..=clean().observations.len() {
        let mut testimony = clean();
        insert(&mut testimony, index, Fact::Grant { file: FILE });
        assert!(matches!(judge(&testimony), Verdict::Dropped { .. }), "at {index}");
        assert!(matches!(unbroken(&testimony), Err(Verdict::Dropped { .. })), "at {index}");
    }
}

#[test]
fn a_grant_outweighs_every_doubt() {
    let verdict = spoilt(|t| {
        t.truncated = true;
        t.observations = vec![grant(14, FILE)];
    });
    assert_eq!(verdict, Verdict::Dropped { at: Seq(14) });
}

#[test]
fn a_grant_outside_the_window_or_on_another_file_is_no_drop_but_a_doubt() {
    assert_eq!(spoilt(|t| t.observations.push(grant(25, FILE))), Verdict::Unproven(Doubt::NumberingBroken(Seq(24))));
    let other = FileIdentity { device: 1, inode: 3, born: 3 };
    let verdict = spoilt(|t| insert(t, 2, Fact::Grant { file: other }));
    assert_eq!(verdict, Verdict::Unproven(Doubt::FileReplaced { expected: FILE, seen: other }));
}

#[test]
fn each_flaw_has_its_own_doubt() {
    let cases: Vec<(Verdict, Doubt)> = vec![
        (spoilt(|t| t.truncated = true), Doubt::Truncated),
        (spoilt(|t| t.observations[3].incarnation = "run-2".into()), Doubt::OtherWitness(Seq(16))),
        (spoilt(|t| t.incarnation = "run-2".into()), Doubt::OtherWitness(Seq(12))),
        (spoilt(|t| look(t, 3).image_after.random[0] ^= 1), Doubt::Exec { role: Role::NewMaster }),
        (spoilt(|t| look(t, 4).image.random[0] ^= 1), Doubt::Exec { role: Role::OldMaster }),
        (spoilt(|t| look(t, 8).image.start_stack += 1), Doubt::Exec { role: Role::NewMaster }),
        (spoilt(|t| look(t, 4).lock.mark += 1), Doubt::Relocked { role: Role::OldMaster }),
        (spoilt(|t| look(t, 8).lock.taker += 1), Doubt::Relocked { role: Role::NewMaster }),
        (
            spoilt(|t| look(t, 8).process.start_ticks += 1),
            Doubt::TwoMasters {
                role: Role::NewMaster,
                one: process(Role::NewMaster),
                other: Process { pid: 200, start_ticks: 9_001 },
            },
        ),
        (
            spoilt(|t| {
                for index in [3, 5, 8] {
                    look(t, index).process = process(Role::OldMaster);
                }
                t.observations[7].fact = ready();
            }),
            Doubt::NoHandover(process(Role::OldMaster)),
        ),
        (
            spoilt(|t| {
                for index in [3, 5, 8] {
                    let image = look(t, 0).image;
                    (look(t, index).image, look(t, index).image_after) = (image, image);
                }
            }),
            Doubt::NoHandover(process(Role::OldMaster)),
        ),
        (spoilt(|t| look(t, 4).role = Role::Worker), Doubt::NoOverlap),
        (spoilt(|t| look(t, 8).role = Role::Worker), Doubt::EndOpen { role: Role::NewMaster, end: "closing", reason: None }),
        (spoilt(|t| look(t, 0).role = Role::Worker), Doubt::EndOpen { role: Role::OldMaster, end: "opening", reason: None }),
        (
            spoilt(|t| {
                for index in [3, 5, 8] {
                    look(t, index).role = Role::Worker;
                }
            }),
            Doubt::NeverSeen { role: Role::NewMaster, reason: None },
        ),
    ];
    for (verdict, doubt) in cases {
        assert_eq!(verdict, Verdict::Unproven(doubt));
    }
}

#[test]
fn old_first_then_new_proves_nothing() {
    let verdict = spoilt(|t| {
        look(t, 4).role = Role::Worker;
        insert(t, 3, Fact::Sighting(Sighting { began: Seq(15), ..*look(&mut clean(), 0) }));
        // The inserted look is made whole: it began at 15, so it ended at 16 and all after it move on once more.
        for observation in &mut t.observations[3..] {
            observation.seq.0 += 1;
        }
        for index in 4..t.observations.len() {
            if let Fact::Sighting(sighting) = &mut t.observations[index].fact {
                sighting.began.0 += 1;
            }
        }
        t.closed.0 += 1;
    });
    assert_eq!(verdict, Verdict::Unproven(Doubt::NoOverlap));
}

#[test]
fn an_old_look_that_began_before_the_new_one_ended_is_no_overlap() {
    // The two looks ran side by side: numbers 15 and 16 are swapped between their ends.
    let verdict = spoilt(|t| {
        look(t, 3).began = Seq(15);
        t.observations[3].seq = Seq(17);
        look(t, 4).began = Seq(16);
        look(t, 5).role = Role::Worker;
    });
    assert_eq!(verdict, Verdict::Unproven(Doubt::NoOverlap));
}

#[test]
fn a_rolled_back_handover_is_unbroken_when_the_old_master_held_at_both_ends() {
    let mut testimony = clean();
    testimony.observations.truncate(5);
    testimony.closed = Seq(18);
    assert!(unbroken(&testimony).is_ok_and(|unbroken| unbroken.master == process(Role::OldMaster)));
    testimony.observations.truncate(4);
    testimony.closed = Seq(16);
    assert!(matches!(unbroken(&testimony), Err(Verdict::Unproven(Doubt::EndOpen { role: Role::OldMaster, .. }))));
}

/// The clean testimonies of all shapes, seen by one run of the agent or by two.
fn all_clean() -> Vec<Testimony> {
    vec![clean(), stationary(Shape::InPlace), stationary(Shape::Exec), restarted(15)]
}

fn one_clean() -> impl Strategy<Value = Testimony> {
    proptest::sample::select(all_clean())
}

proptest! {
    #[test]
    fn no_testimony_with_a_line_missing_is_kept(testimony in one_clean(), index: prop::sample::Index) {
        let index = index.index(testimony.observations.len());
        let verdict = broken(testimony, |t| { t.observations.remove(index); });
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_a_line_repeated_is_kept(testimony in one_clean(), from: prop::sample::Index, to: prop::sample::Index) {
        let count = testimony.observations.len();
        let (from, to) = (from.index(count), to.index(count + 1));
        let verdict = broken(testimony, |t| { let line = t.observations[from].clone(); t.observations.insert(to, line); });
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_two_lines_swapped_is_kept(testimony in one_clean(), one: prop::sample::Index, other: prop::sample::Index) {
        let count = testimony.observations.len();
        let (one, other) = (one.index(count), other.index(count));
        prop_assume!(one != other);
        let verdict = broken(testimony, |t| t.observations.swap(one, other));
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_a_moved_end_is_kept(testimony in one_clean(), opened in 0..40u64, closed in 0..40u64) {
        prop_assume!((Seq(opened), Seq(closed)) != (testimony.opened, testimony.closed));
        let verdict = broken(testimony, |t| { t.opened = Seq(opened); t.closed = Seq(closed); });
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_a_line_of_another_run_is_kept(testimony in one_clean(), index: prop::sample::Index) {
        let index = index.index(testimony.observations.len());
        let verdict = broken(testimony, |t| t.observations[index].incarnation = "another".into());
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_of_another_boot_is_kept(from in 12..=24u64) {
        let verdict = broken(restarted(from), |t| t.successors[0].boot = "boot-2".into());
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_a_lock_on_another_file_is_kept(testimony in one_clean(), index: prop::sample::Index, inode: u64, born: u64) {
        let other = FileIdentity { inode, born, ..FILE };
        prop_assume!(other != FILE);
        let looks: Vec<usize> =
            (0..testimony.observations.len()).filter(|i| matches!(testimony.observations[*i].fact, Fact::Sighting(_))).collect();
        let verdict = broken(testimony, |t| look(t, looks[index.index(looks.len())]).lock.file = other);
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_a_grant_is_kept(testimony in one_clean(), index: prop::sample::Index) {
        let index = index.index(testimony.observations.len() + 1);
        let verdict = broken(testimony, |t| insert(t, index, Fact::Grant { file: FILE }));
        let dropped = matches!(verdict, Verdict::Dropped { .. });
        prop_assert!(dropped, "{verdict:?}");
    }

    #[test]
    fn any_numbers_are_judged_without_a_panic(
        testimony in one_clean(), opened: u64, closed: u64, from: u64, seq: u64, began: u64, index: prop::sample::Index,
    ) {
        let index = index.index(testimony.observations.len());
        let verdict = broken(testimony, |t| {
            t.opened = Seq(opened);
            t.closed = Seq(closed);
            t.observations[index].seq = Seq(seq);
            t.successors.iter_mut().for_each(|successor| successor.from = Seq(from));
            if let Fact::Sighting(sighting) = &mut t.observations[index].fact { sighting.began = Seq(began); }
        });
        let dropped = matches!(verdict, Verdict::Dropped { .. });
        prop_assert!(!dropped);
    }
}
