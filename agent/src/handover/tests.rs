use std::time::Duration;

use baton_proto::custody::{Basis, Kept, Process, Role, Succession, Verdict};
use baton_proto::step::Step;
use proptest::prelude::*;

use super::{Action, Answer, Around, Ending, Errand, Event, Found, Handover, Intent, Outcome, Timing, Whom};
use crate::config::Then;
use crate::dialect::{Signal, rows};

const OLD: Process = Process { pid: 100, start_ticks: 1 };
const NEW: Process = Process { pid: 200, start_ticks: 2 };
const NOW: Duration = Duration::from_secs(100);

fn handover(dialect: &str) -> Handover {
    let timing = Timing {
        ready_within: Duration::from_mins(1),
        settle: Duration::ZERO,
        drain_within: Duration::from_mins(2),
        drain_then: Then::Wait,
    };
    let row = rows(dialect).next().expect("it is in the table");
    let around = Around { release: Some("v2".into()), has_before: true, has_check: true, has_after: true };
    Handover::new(timing, row, around, OLD)
}

/// Everything but the talk.
fn deeds(actions: Vec<Action>) -> Vec<Action> {
    actions.into_iter().filter(|action| !matches!(action, Action::Tell(..) | Action::Deadline(_))).collect()
}

fn ran(errand: Errand) -> Event {
    Event::Ran(errand, Ok(String::new()))
}

fn switched() -> Event {
    Event::Switched(Ok("current names v2".into()))
}

#[test]
fn a_handover_to_a_release_begins_with_the_switch_and_ends_with_the_hook() {
    let mut handover = handover("unicorn");
    assert_eq!(deeds(handover.begin()), [Action::Look(Role::OldMaster)]);
    let mut told = |event| deeds(handover.handle(NOW, event));
    assert_eq!(told(Event::Looked(Role::OldMaster, Found::Holding)), [Action::Persist(Intent::Prepare)]);
    assert_eq!(told(Event::Persisted(Ok(()))), [Action::Switch("v2".into())]);
    assert_eq!(told(switched()), [Action::Run(Errand::Before)]);
    assert_eq!(told(ran(Errand::Before)), [Action::Run(Errand::Check)]);
    assert_eq!(told(ran(Errand::Check)), [Action::Persist(Intent::Signal)]);
    assert_eq!(told(Event::Persisted(Ok(()))), [Action::Signal(Role::OldMaster, Whom::Master, Signal::Usr2)]);
    told(Event::Signalled(Ok(())));
    told(Event::Appeared(NEW));
    told(Event::Probed(Answer::Ready("200 from 201".into())));
    let by = Succession::Beside { old: OLD, new: NEW, overlap: Duration::ZERO };
    told(Event::Weighed(Verdict::Kept(Kept { basis: Basis::Marked, by })));
    told(Event::Persisted(Ok(())));
    told(Event::Looked(Role::NewMaster, Found::Holding));
    told(Event::Signalled(Ok(())));
    told(Event::Emptied(Role::OldMaster));
    assert_eq!(told(Event::Looked(Role::NewMaster, Found::Holding)), [Action::RunAfter(Outcome::HandedOver)]);
    let ending = Ending { outcome: Outcome::HandedOver, failed_step: None, cause: String::new() };
    assert_eq!(told(ran(Errand::After)), [Action::Finish(ending)]);
    assert_eq!(told(ran(Errand::After)), []);
}

#[test]
fn a_hook_that_fails_ends_it_before_the_signal_with_the_release_of_before() {
    for dialect in ["unicorn", "puma", "nginx"] {
        let mut handover = handover(dialect);
        handover.begin();
        let mut told = |event| deeds(handover.handle(NOW, event));
        told(Event::Looked(Role::OldMaster, Found::Holding));
        told(Event::Persisted(Ok(())));
        told(switched());
        let failed = Event::Ran(Errand::Before, Err("it ended with exit code 1".into()));
        assert_eq!(told(failed), [Action::Confirm]);
        assert_eq!(told(Event::Looked(Role::OldMaster, Found::Holding)), [Action::SwitchBack]);
        assert_eq!(told(switched()), [Action::RunAfter(Outcome::RolledBack)]);
        let cause = "the hook before: it ended with exit code 1".to_owned();
        let ending = Ending { outcome: Outcome::RolledBack, failed_step: Some(Step::Prepare), cause };
        assert_eq!(told(ran(Errand::After)), [Action::Finish(ending)]);
    }
}

#[test]
fn an_agent_that_was_restarted_before_the_signal_switches_back_and_sends_none() {
    for dialect in ["unicorn", "puma", "nginx"] {
        let mut handover = handover(dialect);
        assert_eq!(deeds(handover.resume(NOW, Intent::Prepare, true, None)), [Action::Confirm]);
        let confirmed = handover.handle(NOW, Event::Looked(Role::OldMaster, Found::Holding));
        assert_eq!(deeds(confirmed), [Action::SwitchBack]);
    }
}

/// Whatever may happen, by a letter.
fn event(letter: char) -> Event {
    match letter {
        'o' => Event::Looked(Role::OldMaster, Found::Holding),
        'O' => Event::Looked(Role::OldMaster, Found::Gone("it is gone".into())),
        'n' => Event::Looked(Role::NewMaster, Found::Holding),
        'p' => Event::Persisted(Ok(())),
        'P' => Event::Persisted(Err("the disk is full".into())),
        'w' => switched(),
        'W' => Event::Switched(Err("the link was changed".into())),
        'b' => ran(Errand::Before),
        'B' => Event::Ran(Errand::Before, Err("no".into())),
        'c' => ran(Errand::Check),
        'f' => ran(Errand::After),
        's' => Event::Signalled(Ok(())),
        'a' => Event::Appeared(NEW),
        'r' => Event::Probed(Answer::Ready("200 from 201".into())),
        'z' => Event::Probed(Answer::Stale("201 runs release v1".into())),
        'k' => {
            let by = Succession::Beside { old: OLD, new: NEW, overlap: Duration::ZERO };
            Event::Weighed(Verdict::Kept(Kept { basis: Basis::Marked, by }))
        }
        'x' => Event::Exited(Role::OldMaster),
        'y' => Event::Exited(Role::NewMaster),
        'X' => Event::Emptied(Role::OldMaster),
        'Y' => Event::Emptied(Role::NewMaster),
        't' => Event::Expired,
        other => panic!("{other} is no event"),
    }
}

proptest! {
    #[test]
    fn a_release_is_switched_once_before_the_signal_and_back_whenever_it_failed(
        letters in "opwbcp[oOnpPwWbBcfsarzkxyXYt]{0,40}", dialect in prop::sample::select(vec!["unicorn", "puma"]),
    ) {
        let mut handover = handover(dialect);
        let mut actions = handover.begin();
        for letter in letters.chars() {
            actions.extend(handover.handle(NOW, event(letter)));
        }
        let position = |wanted: fn(&Action) -> bool| actions.iter().position(wanted);
        let count = |wanted: fn(&Action) -> bool| actions.iter().filter(|action| wanted(action)).count();
        let is_switch: fn(&Action) -> bool = |action| matches!(action, Action::Switch(_));
        let is_back: fn(&Action) -> bool = |action| matches!(action, Action::SwitchBack);
        let is_reload: fn(&Action) -> bool = |action| matches!(action, Action::Signal(Role::OldMaster, _, Signal::Usr2));
        prop_assert!(count(is_switch) <= 1 && count(is_back) <= 1 && count(is_reload) <= 1);
        prop_assert!(position(is_reload).is_none() || position(is_switch) < position(is_reload));
        let finished = actions.iter().position(|action| matches!(action, Action::Finish(_)));
        if let Some(finished) = finished {
            prop_assert_eq!(finished, actions.len() - 1, "the end is last");
            if let Action::Finish(Ending { outcome: Outcome::RolledBack, .. }) = &actions[finished] {
                prop_assert_eq!(count(is_switch), count(is_back), "rolled back, and so is the link");
            }
            if let Action::Finish(Ending { outcome: Outcome::HandedOver, .. }) = &actions[finished] {
                prop_assert_eq!(count(is_back), 0);
            }
        }
    }
}

#[test]
fn one_that_cannot_be_gone_on_with_leaves_the_release_of_before_unless_the_new_one_was_ready() {
    for dialect in ["unicorn", "puma", "nginx"] {
        for (intent, step) in [(Intent::Prepare, Step::Prepare), (Intent::Signal, Step::Signal)] {
            let mut handover = handover(dialect);
            assert_eq!(handover.abandon(intent, "the host was rebooted".into()), [Action::SwitchBack]);
            let mut told = |event| deeds(handover.handle(NOW, event));
            assert_eq!(told(switched()), [Action::RunAfter(Outcome::Broken)]);
            let cause = "the host was rebooted".to_owned();
            let ending = Ending { outcome: Outcome::Broken, failed_step: Some(step), cause };
            assert_eq!(told(ran(Errand::After)), [Action::Finish(ending)]);
        }
        let actions = handover(dialect).abandon(Intent::Retire, "the host was rebooted".into());
        assert_eq!(deeds(actions), [Action::RunAfter(Outcome::Broken)]);
    }
}
