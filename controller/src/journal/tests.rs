//! What a journal leaves to a later run.

use proptest::prelude::*;

use super::record::{Damage, Reader, Record};
use super::samples::{asked, begun, entries, host, settled};
use super::{Entry, Evidence, fold};
use crate::outcome::samples::{proven, rolled_back};
use crate::outcome::{DropSeen, Outcome};
use crate::rollout::{Note, Order, Past, PastHost, Stop};
use crate::standing::Standing;
use crate::standing::samples::healthy;

fn of(past: &Past, name: &str) -> PastHost {
    past.hosts.get(&host(name)).cloned().unwrap_or_default()
}

fn read(entries: &[Entry], judge: impl Fn(&Standing, &Evidence) -> Outcome) -> Result<(Vec<Entry>, Past), Damage> {
    let mut reader = Reader::new(judge);
    let mut found = Vec::new();
    for entry in entries {
        let Record { body, evidence, .. } = Record::of(entry);
        found.push(reader.read(&body, evidence)?);
    }
    Ok((found, reader.past()))
}

fn evidence() -> Evidence {
    Evidence { testimony: vec![1], ending: vec![2] }
}

#[test]
fn a_host_that_was_asked_and_has_not_ended_is_under_way() {
    let past = fold(&[begun(1), Entry::Claimed(host("a")), asked("a", 1)]);
    assert_eq!((of(&past, "a").attempt, of(&past, "a").outcome), (1, None));
    assert_eq!((past.runs, past.is_finished), (1, false));
    let past = fold(&[asked("a", 1), settled("a", 1, Outcome::Unknown("lost".into())), asked("a", 1)]);
    assert_eq!((of(&past, "a").settled, of(&past, "a").outcome), (None, None), "it is pursued again");
}

#[test]
fn the_first_look_before_an_attempt_is_the_one_that_counts() {
    let at = |attempt, generation| Entry::Asked {
        host: host("a"),
        attempt,
        before: Box::new(Standing { generation, release: format!("v{generation}"), ..healthy() }),
    };
    let past = fold(&[at(1, 3), at(1, 4)]);
    assert_eq!(of(&past, "a").before.unwrap().generation, 3);
    let past = fold(&[at(1, 3), at(2, 4), at(2, 5), at(1, 9)]);
    let known = of(&past, "a");
    assert_eq!((known.attempt, known.before.unwrap().generation), (2, 4));
}

#[test]
fn the_last_word_on_a_host_need_not_be_that_of_its_handover() {
    let broken = Entry::Outcome { host: host("a"), outcome: Outcome::Dropped(DropSeen::Guarded) };
    let past = fold(&[asked("a", 1), settled("a", 1, proven()), broken]);
    assert_eq!(of(&past, "a").settled, Some(proven()));
    assert_eq!(of(&past, "a").outcome, Some(Outcome::Dropped(DropSeen::Guarded)));
    let past = fold(&[asked("a", 1), asked("a", 2), settled("a", 1, proven())]);
    assert_eq!(of(&past, "a").settled, None, "that was of an attempt that is over");
}

#[test]
fn a_run_goes_on_past_what_halted_a_finished_one_and_not_past_what_a_crash_cut_short() {
    let stopping = || Entry::Stopping(Stop::Doubt(host("a")));
    let crashed = fold(&[begun(1), stopping(), begun(2)]);
    assert_eq!((crashed.stop, crashed.is_finished, crashed.runs), (Some(Stop::Doubt(host("a"))), false, 2));
    let halted = fold(&[begun(1), stopping(), Entry::Finished { exit: 4 }]);
    assert_eq!((halted.stop.is_some(), halted.is_finished), (true, true));
    let resumed = fold(&[begun(1), stopping(), Entry::Finished { exit: 4 }, begun(2)]);
    assert_eq!((resumed.stop, resumed.is_finished), (None, false));
}

#[test]
fn what_was_told_before_a_run_ended_was_seen_by_whoever_lets_it_go_on() {
    let told = [asked("a", 1), settled("a", 1, rolled_back()), asked("b", 1)];
    let seen = |entries: &[Entry]| {
        let past = fold(told.iter().chain(entries));
        (of(&past, "a").is_acknowledged, of(&past, "b").is_acknowledged)
    };
    let finished = || Entry::Finished { exit: 3 };
    assert_eq!(seen(&[]), (false, false));
    assert_eq!(seen(&[finished()]), (true, false), "nobody has been told of b");
    assert_eq!(seen(&[finished(), begun(2)]), (true, false));
    assert_eq!(seen(&[finished(), asked("a", 2)]), (false, false));
    let lost = Entry::Outcome { host: host("a"), outcome: Outcome::Unknown("lost".into()) };
    assert_eq!(seen(&[finished(), lost]), (false, false));
}

#[test]
fn waves_before_the_one_that_began_are_done_and_what_was_called_off_stays_so() {
    let noted = |note| Entry::Noted(note);
    let begins = fold(&[noted(Note::WaveBegins(0)), noted(Note::WaveBegins(2)), noted(Note::AwaitingPerson { wave: 2 })]);
    assert_eq!((begins.waves_done, begins.is_aborted), (2, false));
    assert_eq!(fold(&[noted(Note::WaveBegins(0)), noted(Note::WaveEnds(0))]).waves_done, 1);
    let past = fold(&[Entry::Ordered(Order::Abort), Entry::Finished { exit: 7 }, begun(2), Entry::Ordered(Order::Resume)]);
    assert!(past.is_aborted);
}

#[test]
fn what_the_testimony_does_not_show_is_unproven_whatever_was_written() {
    let judged = |outcome: Outcome, judged: Outcome| {
        let settled = Entry::Settled { host: host("a"), attempt: 1, outcome, evidence: Some(evidence()) };
        let (_, past) = read(&[asked("a", 1), settled], |_, _| judged.clone()).unwrap();
        of(&past, "a").settled.unwrap()
    };
    assert_eq!(judged(proven(), proven()), proven());
    assert_eq!(judged(rolled_back(), rolled_back()), rolled_back());
    let told = |outcome: Outcome| {
        let Outcome::Unproven(unproven) = outcome else { panic!("{outcome:?}") };
        unproven.to_string()
    };
    assert_eq!(
        told(judged(proven(), rolled_back())),
        "the journal says proven, and by the testimony that it has it is rolled back"
    );
    let bare = read(&[asked("a", 1), settled("a", 1, proven())], |_, _| proven()).unwrap().1;
    assert_eq!(told(of(&bare, "a").settled.unwrap()), "the journal says proven, and has no testimony");
    let settled = Entry::Settled { host: host("a"), attempt: 1, outcome: proven(), evidence: Some(evidence()) };
    let (found, _) = read(&[settled], |_, _| proven()).unwrap();
    let [Entry::Settled { outcome, .. }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(told(outcome.clone()), "the journal says proven, and not how the service stood before");
}

#[test]
fn a_host_that_is_known_again_to_be_as_it_was_settled_is_so_by_the_same_evidence() {
    let settled = Entry::Settled { host: host("a"), attempt: 1, outcome: proven(), evidence: Some(evidence()) };
    let told = |outcome: Outcome| Entry::Outcome { host: host("a"), outcome };
    let regained = [asked("a", 1), settled, told(Outcome::Unknown("lost".into())), told(proven())];
    assert_eq!(of(&read(&regained, |_, _| proven()).unwrap().1, "a").outcome, Some(proven()));
    let unseen = read(&[asked("a", 1), told(proven())], |_, _| proven()).unwrap().1;
    assert!(matches!(of(&unseen, "a").outcome, Some(Outcome::Unproven(_))));
}

#[test]
fn what_is_no_entry_is_damage() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"kind": "sung"}"#,
        r#"{"kind": "claimed"}"#,
        r#"{"kind": "claimed", "host": ""}"#,
        r#"{"kind": "claimed", "host": "-a"}"#,
        r#"{"kind": "finished", "exit": 300}"#,
    ] {
        assert!(Reader::new(|_, _| proven()).read(body, None).is_err(), "{body}");
    }
}

#[test]
fn a_field_that_only_newer_programs_write_is_no_damage() {
    let body = r#"{"kind": "claimed", "host": "a", "fence": 7}"#;
    assert_eq!(Reader::new(|_, _| proven()).read(body, None), Ok(Entry::Claimed(host("a"))));
}

/// With an `Asked` before each that settled, so that there is something to judge it by.
fn sound(entry: Entry) -> Vec<Entry> {
    match &entry {
        Entry::Settled { host, attempt, .. } => {
            vec![Entry::Asked { host: host.clone(), attempt: *attempt, before: Box::new(healthy()) }, entry]
        }
        Entry::Begun { .. }
        | Entry::Claimed(_)
        | Entry::Asked { .. }
        | Entry::Outcome { .. }
        | Entry::Stopping(_)
        | Entry::Noted(_)
        | Entry::Ordered(_)
        | Entry::Finished { .. } => vec![entry],
    }
}

proptest! {
    #[test]
    fn every_entry_is_read_back_as_it_was_written(entry in entries()) {
        let entries = sound(entry);
        let found = match entries.last() {
            Some(Entry::Settled { outcome, .. }) => outcome.clone(),
            _ => proven(),
        };
        let (read, past) = read(&entries, |_, _| found.clone()).unwrap();
        prop_assert_eq!(&read, &entries);
        prop_assert_eq!(past, fold(&entries));
    }

    #[test]
    fn nothing_that_is_read_makes_the_reader_panic(body in ".*") {
        let _ = Reader::new(|_, _| proven()).read(&body, None);
    }
}
