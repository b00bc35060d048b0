use std::time::Duration;

use baton_proto::custody::{Process, Role};
use proptest::prelude::*;

use super::super::{Action, Answer, Around, Ending, Errand, Event, Found, Intent, Outcome, Timing, Whom};
use super::Stationary;
use crate::config::Then;
use crate::dialect::Signal;

fn stationary() -> Stationary {
    around(Around::default())
}

fn around(around: Around) -> Stationary {
    draining(Then::Wait, around)
}

fn draining(drain_then: Then, around: Around) -> Stationary {
    let (ready_within, drain_within) = (Duration::from_mins(1), Duration::from_mins(2));
    let timing = Timing { ready_within, settle: Duration::from_secs(1), drain_within, drain_then };
    Stationary::new(timing, Signal::Usr2, around, Process { pid: 100, start_ticks: 1 })
}

/// An event by a letter: tests read as stories.
fn event(letter: char) -> Event {
    match letter {
        'o' => Event::Looked(Role::OldMaster, Found::Holding),
        'O' => Event::Looked(Role::OldMaster, Found::Otherwise("it runs another image".into())),
        'w' => Event::Looked(Role::Worker, Found::Holding),
        'W' => Event::Looked(Role::Worker, Found::Gone("there is none".into())),
        'p' => Event::Persisted(Ok(())),
        'P' => Event::Persisted(Err("the disk is full".into())),
        's' => Event::Signalled(Ok(())),
        'S' => Event::Signalled(Err("no such process".into())),
        'r' => Event::Probed(Answer::Ready("200 from 201".into())),
        'f' => Event::Probed(Answer::Failing("503 from 201".into())),
        'e' => Event::Probed(Answer::Elsewhere("200 from 101".into())),
        'x' => Event::Exited(Role::OldMaster),
        'X' => Event::Emptied(Role::OldMaster),
        'z' => Event::Probed(Answer::Stale("201 runs release v1".into())),
        'c' => Event::Ran(Errand::Check, Ok("it is sound".into())),
        'C' => Event::Ran(Errand::Check, Err("it is not".into())),
        'v' => Event::Verified(Ok(())),
        'V' => Event::Verified(Err("202 runs release v1".into())),
        't' => Event::Expired,
        other => panic!("{other} is no event"),
    }
}

/// What a list of actions does, without the talk.
fn deeds(actions: &[Action]) -> String {
    let deed = |action: &Action| match action {
        Action::Look(Role::Worker) => "look-worker".to_owned(),
        Action::Look(_) => "look".to_owned(),
        Action::List => "list".to_owned(),
        Action::Promotion => "promotion".to_owned(),
        Action::Confirm => "confirm".to_owned(),
        Action::Persist(_) => "write".to_owned(),
        Action::Signal(_, Whom::Workers, signal) => format!("{signal}-workers"),
        Action::Signal(_, _, signal) => signal.to_string(),
        Action::Probe(_) => "probe".to_owned(),
        Action::Weigh => "weigh".to_owned(),
        Action::Switch(_) => "switch".to_owned(),
        Action::SwitchBack => "switch-back".to_owned(),
        Action::Run(_) | Action::RunAfter(_) => "run".to_owned(),
        Action::Verify => "verify".to_owned(),
        Action::Deadline(_) | Action::Tell(..) => String::new(),
        Action::Finish(Ending { outcome, failed_step, .. }) => {
            format!("{outcome:?}{}", failed_step.map(|step| format!("@{step}")).unwrap_or_default())
        }
    };
    let words: Vec<String> = actions.iter().map(deed).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Plays the letters, one a second; what was done, all in one line.
fn play(mut handover: Stationary, first: &[Action], letters: &str) -> String {
    let mut words = vec![deeds(first)];
    for (second, letter) in letters.chars().enumerate() {
        words.push(deeds(&handover.handle(Duration::from_secs(second as u64), event(letter))));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn begun(letters: &str) -> String {
    let mut handover = stationary();
    let first = handover.begin();
    play(handover, &first, letters)
}

const TO_READY: &str = "look list write SIGUSR2 probe";

#[test]
fn a_handover_in_place_goes_its_way() {
    assert_eq!(begun("opserrXwo"), format!("{TO_READY} probe probe verify look-worker look HandedOver"));
    // The workers of before are gone first, as with a server that makes requests wait.
    assert_eq!(begun("opsXrrwo"), format!("{TO_READY} probe verify look-worker look HandedOver"));
    // They stay for longer than they may.
    assert_eq!(begun("opsrrtwo"), format!("{TO_READY} probe verify look-worker look HandedOver"));
    // That no new worker holds is for the judge.
    assert_eq!(begun("opsrrXWo"), format!("{TO_READY} probe verify look-worker look HandedOver"));
}

#[test]
fn workers_of_before_whose_time_is_over_are_hurried_only_as_it_is_configured() {
    let hurried = |then, letters: &str| {
        let mut handover = draining(then, Around::default());
        let first = handover.begin();
        play(handover, &first, letters)
    };
    let to_drain = format!("{TO_READY} probe");
    assert_eq!(hurried(Then::Term, "opsrrtsXwo"), format!("{to_drain} SIGTERM-workers verify look-worker look HandedOver"));
    assert_eq!(hurried(Then::Term, "opsrrtstwo"), format!("{to_drain} SIGTERM-workers verify look-worker look HandedOver"));
    let killed = format!("{to_drain} SIGTERM-workers SIGKILL-workers verify look-worker look HandedOver");
    assert_eq!(hurried(Then::Kill, "opsrrtstsXwo"), killed);
    assert_eq!(hurried(Then::Kill, "opsrrtststwo"), killed);
    assert_eq!(hurried(Then::Kill, "opsrrXwo"), format!("{to_drain} verify look-worker look HandedOver"));
}

#[test]
fn a_failure_after_the_signal_says_that_there_is_no_way_back() {
    let cause = |letters: &str| {
        let mut handover = stationary();
        handover.begin();
        let all =
            letters.chars().zip(0..).flat_map(|(letter, second)| handover.handle(Duration::from_secs(second), event(letter)));
        let ending = all.filter_map(|action| if let Action::Finish(ending) = action { Some(ending.cause) } else { None });
        ending.last().expect("it is over")
    };
    assert_eq!(cause("opsrrXwO"), "it runs another image; there is no way back: SIGUSR2 went to the master 100 5 s before");
    assert!(cause("opstO").ends_with(
        "it cannot be undone: it runs another image; there is no way back: SIGUSR2 went to the master 100 2 s before"
    ));
    assert!(!cause("opsto").contains("no way back"));
}

#[test]
fn nothing_is_signalled_unless_the_master_holds_and_the_intent_is_written() {
    assert_eq!(begun("Oo"), "look confirm RolledBack@open");
    assert_eq!(begun("oPo"), "look list write confirm RolledBack@signal");
    assert_eq!(begun("oto"), "look list write confirm RolledBack@signal");
}

#[test]
fn a_failure_is_undone_only_if_nothing_was_replaced() {
    for (letters, step) in [("opS", "signal"), ("opst", "ready"), ("opsft", "ready"), ("opsx", "ready"), ("opsrrx", "drain")] {
        assert!(begun(&format!("{letters}o")).ends_with(&format!("confirm RolledBack@{step}")), "{letters}");
        assert!(begun(&format!("{letters}O")).ends_with(&format!("confirm Broken@{step}")), "{letters}");
    }
    assert!(begun("opsrrXwO").ends_with("verify look-worker look Broken@close"));
}

#[test]
fn a_resumed_handover_waits_for_what_the_signal_may_have_done() {
    let resumed = |letters: &str, lives| {
        let mut handover = stationary();
        let first = handover.resume(Duration::ZERO, Intent::Signal, lives);
        play(handover, &first, letters)
    };
    assert_eq!(resumed("orrXwo", true), "look probe probe verify look-worker look HandedOver");
    assert_eq!(resumed("oto", true), "look probe confirm RolledBack@ready");
    assert_eq!(resumed("O", false), "confirm Broken@ready");
}

#[test]
fn a_configuration_that_fails_its_check_is_not_signalled() {
    let checked = |letters: &str| {
        let mut handover = around(Around { has_check: true, ..Around::default() });
        let first = handover.begin();
        play(handover, &first, letters)
    };
    assert_eq!(checked("oCo"), "look run confirm RolledBack@prepare");
    assert_eq!(checked("oxo"), "look run confirm RolledBack@signal");
    assert_eq!(checked("ocpsrrXvwo"), "look run list write SIGUSR2 probe probe verify look-worker look HandedOver");
}

#[test]
fn a_worker_that_runs_another_release_is_no_handover() {
    assert_eq!(begun("opszO"), format!("{TO_READY} confirm Broken@ready"));
    assert_eq!(begun("opsrrXVwo"), format!("{TO_READY} probe verify look-worker look Broken@close"));
}

proptest! {
    #[test]
    fn one_signal_is_sent_and_one_end_is_told(letters in "[oOwWpPsSrfezcCvVxXt]{0,40}", resumed: bool, lives: bool, has_check: bool) {
        let mut handover = draining(Then::Kill, Around { has_check, ..Around::default() });
        let mut actions = if resumed { handover.resume(Duration::ZERO, Intent::Signal, lives) } else { handover.begin() };
        for (second, letter) in letters.chars().enumerate() {
            actions.extend(handover.handle(Duration::from_secs(second as u64), event(letter)));
        }
        let count = |wanted: fn(&Action) -> bool| actions.iter().filter(|action| wanted(action)).count();
        prop_assert!(count(|action| matches!(action, Action::Signal(_, Whom::Master, _))) <= usize::from(!resumed));
        // The master is never among those who are hurried.
        let others = |action: &Action| matches!(action, Action::Signal(_, Whom::Master, signal) if *signal != Signal::Usr2);
        prop_assert_eq!(count(others), 0);
        prop_assert_eq!(count(|action| matches!(action, Action::Signal(_, Whom::All, _))), 0);
        prop_assert!(count(|action| matches!(action, Action::Finish(_))) <= 1);
        let proven = actions.iter().any(|action| matches!(action, Action::Finish(Ending { outcome: Outcome::HandedOver, .. })));
        prop_assert!(!proven || letters.contains('r'));
    }
}
