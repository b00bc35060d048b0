use proptest::prelude::*;

use super::super::samples::{FILE, clean, process};
use super::super::{Fact, FileIdentity, Observation, Role, Seq, Sighting, Testimony};
use super::{Basis, Doubt, Verdict, judge, unbroken};
use std::time::Duration;

/// The clean testimony, broken by `spoil` in exactly one way.
fn spoilt(spoil: impl FnOnce(&mut Testimony)) -> Verdict {
    let mut testimony = clean();
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
            Fact::Absence { began, .. } => began.0 += 1,
            Fact::Grant { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } => {}
        }
    }
    testimony.closed.0 += 1;
    let line = Observation { seq, at: Duration::ZERO, incarnation: "run-1".into(), fact };
    testimony.observations.insert(index, line);
}

#[test]
fn a_clean_handover_is_kept() {
    let Verdict::Kept(kept) = judge(&clean()) else { panic!("{:?}", judge(&clean())) };
    assert_eq!(kept.basis, Basis::Marked);
    assert_eq!((kept.old, kept.new), (process(Role::OldMaster), process(Role::NewMaster)));
    assert_eq!(kept.overlap, Duration::from_millis(200));
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
    let other = FileIdentity { device: 1, inode: 3 };
    let verdict = spoilt(|t| insert(t, 2, Fact::Grant { file: other }));
    assert_eq!(verdict, Verdict::Unproven(Doubt::FileReplaced { expected: FILE, seen: other }));
}

#[test]
fn each_flaw_has_its_own_doubt() {
    let cases: Vec<(Verdict, Doubt)> = vec![
        (spoilt(|t| t.truncated = true), Doubt::Truncated),
        (spoilt(|t| t.observations[3].incarnation = "run-2".into()), Doubt::AgentRestarted),
        (spoilt(|t| t.incarnation = "run-2".into()), Doubt::AgentRestarted),
        (spoilt(|t| look(t, 4).image.random[0] ^= 1), Doubt::Exec { role: Role::OldMaster }),
        (spoilt(|t| look(t, 8).image.start_stack += 1), Doubt::Exec { role: Role::NewMaster }),
        (spoilt(|t| look(t, 4).lock.mark += 1), Doubt::Relocked { role: Role::OldMaster }),
        (spoilt(|t| look(t, 8).lock.taker += 1), Doubt::Relocked { role: Role::NewMaster }),
        (
            spoilt(|t| look(t, 8).process.start_ticks += 1),
            Doubt::TwoMasters {
                role: Role::NewMaster,
                one: process(Role::NewMaster),
                other: super::Process { pid: 200, start_ticks: 9_001 },
            },
        ),
        (
            spoilt(|t| {
                for index in [3, 5, 8] {
                    look(t, index).process = process(Role::OldMaster);
                }
            }),
            Doubt::NoHandover(process(Role::OldMaster)),
        ),
        (
            spoilt(|t| {
                for index in [3, 5, 8] {
                    look(t, index).image = look(t, 0).image;
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

proptest! {
    #[test]
    fn no_testimony_with_a_line_missing_is_kept(index in 0..9usize) {
        let verdict = spoilt(|t| { t.observations.remove(index); });
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_a_line_repeated_is_kept(from in 0..9usize, to in 0..=9usize) {
        let verdict = spoilt(|t| { let line = t.observations[from].clone(); t.observations.insert(to, line); });
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_two_lines_swapped_is_kept(one in 0..9usize, other in 0..9usize) {
        prop_assume!(one != other);
        let verdict = spoilt(|t| t.observations.swap(one, other));
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn no_testimony_with_a_moved_end_is_kept(opened in 0..40u64, closed in 0..40u64) {
        prop_assume!((opened, closed) != (11, 24));
        let verdict = spoilt(|t| { t.opened = Seq(opened); t.closed = Seq(closed); });
        prop_assert!(matches!(verdict, Verdict::Unproven(_)), "{verdict:?}");
    }

    #[test]
    fn any_numbers_are_judged_without_a_panic(opened: u64, closed: u64, seq: u64, began: u64, index in 0..9usize) {
        let verdict = spoilt(|t| {
            t.opened = Seq(opened);
            t.closed = Seq(closed);
            t.observations[index].seq = Seq(seq);
            if let Fact::Sighting(sighting) = &mut t.observations[index].fact { sighting.began = Seq(began); }
        });
        let dropped = matches!(verdict, Verdict::Dropped { .. });
        prop_assert!(!dropped);
    }
}
