use std::time::Duration;

use super::super::{Action, Event, Past, PastHost, Rollout, Stop};
use crate::inventory::HostName;
use crate::outcome::samples::{proven, rolled_back};
use crate::outcome::{DropSeen, Outcome, Unproven};
use crate::plan::samples::plan;
use crate::standing::samples::healthy;

fn host(number: usize) -> HostName {
    HostName::parse(&format!("web-{number}")).unwrap()
}

fn known(attempt: u32, settled: Option<Outcome>, outcome: Option<Outcome>) -> PastHost {
    PastHost { attempt, before: Some(healthy()), settled, outcome, is_acknowledged: false }
}

fn unproven() -> Outcome {
    Outcome::Unproven(Unproven::OtherBoot)
}

fn unknown() -> Outcome {
    Outcome::Unknown("left in flight".into())
}

/// What a resumed rollout of one host does at once, and when its claims are granted, in short words; `-` for nothing.
fn check(past: PastHost, finished: bool, retry_failed: bool, expected: &str) {
    let past = Past { hosts: [(host(1), past)].into(), is_finished: finished, runs: 1, ..Past::default() };
    let acknowledged = |known: &PastHost| PastHost { is_acknowledged: finished, ..known.clone() };
    let hosts = past.hosts.iter().map(|(host, known)| (host.clone(), acknowledged(known))).collect();
    let mut rollout = Rollout::resume(&plan("+", 1, 0), &Past { hosts, ..past }, retry_failed);
    let mut actions = rollout.handle(Duration::ZERO, Event::Started);
    if actions.contains(&Action::Claim(host(1))) {
        actions.extend(rollout.handle(Duration::ZERO, Event::Claimed(host(1))));
    }
    if actions.contains(&Action::Look(host(1))) {
        actions.extend(rollout.handle(Duration::ZERO, Event::Looked(host(1), Box::new(healthy()))));
    }
    let word = |action: &Action| match action {
        Action::Ask(_, attempt) => Some(format!("ask {attempt}")),
        Action::Guard(..) => Some("guard".to_owned()),
        Action::TellStop(Stop::Doubt(_)) => Some("halt".to_owned()),
        Action::TellStop(Stop::PastBudget { .. }) => Some("past budget".to_owned()),
        Action::Finish(summary) => Some(format!("exit {}", summary.exit().code())),
        Action::Claim(_)
        | Action::Look(_)
        | Action::LastLook(..)
        | Action::Abandon(_)
        | Action::TellOutcome(..)
        | Action::TellStop(_)
        | Action::Tell(_)
        | Action::Ignore(_) => None,
    };
    let words: Vec<String> = actions.iter().filter_map(word).collect();
    assert_eq!(words.join(", "), expected, "{actions:?}");
}

#[test]
fn a_host_that_was_asked_is_asked_for_the_same_attempt_again() {
    check(known(1, None, None), false, false, "ask 1");
    check(known(2, None, None), false, true, "ask 2");
    check(known(0, None, None), false, false, "ask 1");
}

#[test]
fn a_host_that_is_done_is_guarded_and_not_asked() {
    check(known(1, Some(proven()), Some(proven())), false, false, "guard");
    check(known(1, Some(proven()), Some(proven())), true, true, "guard");
    check(known(1, Some(proven()), None), false, false, "guard");
    check(known(1, Some(rolled_back()), Some(rolled_back())), true, false, "guard");
}

#[test]
fn of_what_nobody_could_tell_the_agent_is_asked_and_the_guard_stands_again() {
    check(known(1, None, Some(unknown())), true, false, "ask 1");
    check(known(1, Some(unknown()), Some(unknown())), true, false, "ask 1");
    check(known(1, Some(proven()), Some(unknown())), true, false, "guard");
}

#[test]
fn what_halted_a_run_that_ended_does_not_halt_the_next_and_stays_in_its_exit_code() {
    let dropped = Outcome::Dropped(DropSeen::Guarded);
    check(known(1, Some(unproven()), Some(unproven())), true, false, "exit 4");
    check(known(1, Some(proven()), Some(dropped.clone())), true, false, "exit 5");
    check(known(1, Some(unproven()), Some(unproven())), false, false, "halt, exit 4");
    check(known(1, Some(proven()), Some(dropped)), false, false, "halt, exit 5");
}

#[test]
fn hosts_that_failed_are_tried_again_as_another_attempt_only_where_that_is_wanted() {
    let refused = Outcome::Refused("busy".into());
    check(known(1, Some(refused.clone()), Some(refused.clone())), true, false, "exit 3");
    check(known(1, Some(refused.clone()), Some(refused.clone())), true, true, "ask 2");
    check(known(0, None, Some(refused)), true, true, "ask 1");
    check(known(1, Some(rolled_back()), Some(rolled_back())), true, true, "ask 2");
    check(known(3, Some(unproven()), Some(unproven())), true, true, "ask 4");
}

#[test]
fn a_run_that_died_while_it_was_halting_goes_on_halting() {
    let hosts = [(host(1), known(1, Some(unproven()), Some(unproven()))), (host(2), known(1, None, None))].into();
    let past = Past { hosts, stop: Some(Stop::Doubt(host(1))), runs: 1, ..Past::default() };
    let mut rollout = Rollout::resume(&plan("+++", 2, 0), &past, false);
    let actions = rollout.handle(Duration::ZERO, Event::Started);
    let stop = Action::TellStop(Stop::Doubt(host(1)));
    assert_eq!(actions, [stop, Action::Claim(host(2)), Action::Ask(host(2), 1)]);
    rollout.handle(Duration::ZERO, Event::Settled(host(2), proven()));
    rollout.handle(Duration::ZERO, Event::GuardStands(host(2)));
    let actions = rollout.handle(Duration::ZERO, Event::StillStands(host(2)));
    let Some(Action::Finish(summary)) = actions.last() else { panic!("{actions:?}") };
    assert_eq!(summary.exit().code(), 4);
    assert_eq!(summary.untouched().collect::<Vec<_>>(), [&host(3)]);
}

#[test]
fn what_nobody_has_seen_halts_also_where_failed_hosts_are_to_be_tried_again() {
    let dropped = Outcome::Dropped(DropSeen::Guarded);
    check(known(1, Some(unproven()), Some(unproven())), false, true, "halt, exit 4");
    check(known(1, Some(proven()), Some(dropped)), false, true, "halt, exit 5");
    check(known(1, Some(rolled_back()), Some(rolled_back())), false, true, "ask 2");
}

#[test]
fn a_journal_that_names_the_last_attempt_there_is_makes_nobody_panic() {
    check(known(u32::MAX, Some(unproven()), Some(unproven())), true, true, "ask 4294967295");
}
