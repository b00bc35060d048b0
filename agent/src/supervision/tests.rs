use std::time::Duration;

use proptest::prelude::*;

use super::{Action, Asked, End, Event, Policy, Standing, Supervision, WAIT_FIRST, WAIT_MAX, WELL_AFTER};
use crate::hold::Exit;

const POLICY: Policy = Policy { tries: 4, window: Duration::from_mins(10) };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Tells a story of events, each at its time in seconds, and returns what the last one led to.
fn told(story: impl IntoIterator<Item = (u64, Event)>) -> (Supervision, Vec<Action>) {
    let mut supervision = Supervision::new(POLICY);
    let mut actions = Vec::new();
    for (seconds, event) in story {
        actions = supervision.handle(at(seconds), event);
    }
    (supervision, actions)
}

#[track_caller]
fn check(story: impl IntoIterator<Item = (u64, Event)>, expected: &[Action], standing: Standing) {
    let (supervision, actions) = told(story);
    assert_eq!((&actions[..], supervision.standing()), (expected, standing));
}

fn began() -> Vec<(u64, Event)> {
    vec![(0, Event::Began { asked: Asked::Run, hold: false }), (0, Event::Launched)]
}

fn running() -> Vec<(u64, Event)> {
    then(began(), &[(1, Event::Held)])
}

fn died() -> Event {
    Event::Ended(End::Told(Exit::Died))
}

fn stopping() -> Vec<(u64, Event)> {
    then(running(), &[(2, Event::Stop { alive: true }), (2, Event::Written(Ok(())))])
}

fn stopped() -> Vec<(u64, Event)> {
    then(stopping(), &[(3, Event::Ended(End::Told(Exit::Stopped)))])
}

fn given_up() -> Vec<(u64, Event)> {
    then(began(), &[(0, Event::Ended(End::Told(Exit::NotFound)))])
}

fn then(story: Vec<(u64, Event)>, rest: &[(u64, Event)]) -> Vec<(u64, Event)> {
    [story, rest.to_vec()].concat()
}

#[test]
fn a_service_of_which_nobody_said_otherwise_is_started() {
    check([(5, Event::Began { asked: Asked::Run, hold: false })], &[Action::Launch], Standing::Running(at(5)));
}

#[test]
fn a_hold_that_lives_is_kept() {
    check([(5, Event::Began { asked: Asked::Run, hold: true })], &[], Standing::Running(at(5)));
}

#[test]
fn what_was_stopped_on_purpose_stays_so_for_the_next_run_of_the_agent() {
    check([(0, Event::Began { asked: Asked::Stop, hold: false })], &[], Standing::Stopped);
    // It may have been told already, which is for hold to know.
    check([(0, Event::Began { asked: Asked::Stop, hold: true })], &[Action::Signal], Standing::Stopping);
}

#[test]
fn what_ends_is_started_again_after_a_second() {
    let ended = then(running(), &[(9, died())]);
    check(ended.clone(), &[Action::AnswerStart(Err(Exit::Died.meaning().to_owned()))], Standing::Waiting(at(10)));
    check(then(ended.clone(), &[(9, Event::Tick)]), &[], Standing::Waiting(at(10)));
    check(then(ended, &[(10, Event::Tick)]), &[Action::Launch], Standing::Running(at(10)));
}

/// Has it end as soon as it is started, so many times; the waits between, and how it stands then.
fn crash(supervision: &mut Supervision, times: usize) -> (Vec<Duration>, Standing) {
    let mut now = Duration::ZERO;
    let mut waits = Vec::new();
    supervision.handle(now, Event::Began { asked: Asked::Run, hold: false });
    for _ in 0..times {
        supervision.handle(now, Event::Ended(End::Told(Exit::NeverHeld)));
        let Some(due) = supervision.due() else { break };
        waits.push(due.saturating_sub(now));
        now = due;
        assert_eq!(supervision.handle(now, Event::Tick), [Action::Launch]);
    }
    (waits, supervision.standing())
}

#[test]
fn each_wait_is_half_as_long_again_and_the_longest_half_a_minute() {
    let mut supervision = Supervision::new(Policy { tries: 1_000, ..POLICY });
    let (waits, _) = crash(&mut supervision, 12);
    let milliseconds: Vec<u128> = waits.iter().map(Duration::as_millis).collect();
    assert_eq!(milliseconds, [1_000, 1_500, 2_250, 3_375, 5_062, 7_593, 11_390, 17_085, 25_628, 30_000, 30_000, 30_000]);
}

#[test]
fn too_many_starts_are_the_end_and_it_says_so() {
    let mut supervision = Supervision::new(POLICY);
    let (waits, standing) = crash(&mut supervision, 12);
    assert_eq!((waits.len(), standing, supervision.starts()), (3, Standing::GivenUp, 4));
    let trouble = supervision.trouble("web").expect("it does not run");
    for words in ["given up after 4 starts", "nobody ever held the lock", "`baton-agent start web`"] {
        assert!(trouble.contains(words), "{trouble}");
    }
    assert_eq!(supervision.due(), None);
}

#[test]
fn with_the_defaults_a_database_that_is_away_for_five_minutes_ends_nothing() {
    let mut supervision = Supervision::new(Policy::default());
    let (waits, standing) = crash(&mut supervision, 100);
    assert_eq!(standing, Standing::GivenUp);
    assert!(waits.iter().sum::<Duration>() > Duration::from_mins(6), "{waits:?}");
}

#[test]
fn what_was_well_for_a_minute_begins_with_the_first_wait_again() {
    let crashed = then(began(), &[(1, died()), (2, Event::Tick), (2, Event::Launched), (3, Event::Held)]);
    let soon = then(crashed.clone(), &[(3 + WELL_AFTER.as_secs() - 1, died())]);
    assert_eq!(told(soon).0.due(), Some(at(62) + WAIT_FIRST * 3 / 2));
    let late = then(crashed, &[(3 + WELL_AFTER.as_secs(), died())]);
    assert_eq!(told(late).0.due(), Some(at(63) + WAIT_FIRST));
}

#[test]
fn what_never_held_was_not_well_however_long_it_booted() {
    let story = then(began(), &[(1, died()), (2, Event::Tick), (2, Event::Launched), (600, died())]);
    assert_eq!(told(story).0.due(), Some(at(600) + WAIT_FIRST * 3 / 2));
}

#[test]
fn what_cannot_be_run_is_given_up_at_once() {
    let ends = [
        End::Told(Exit::NotFound),
        End::Told(Exit::NotExecutable),
        End::Told(Exit::Usage),
        End::Impossible("there is no user \"web\"".into()),
    ];
    for end in ends {
        let why = end.to_string();
        check(then(began(), &[(0, Event::Ended(end))]), &[Action::AnswerStart(Err(why))], Standing::GivenUp);
    }
}

#[test]
fn a_start_on_purpose_forgives_everything() {
    let asked = then(given_up(), &[(5, Event::Start)]);
    check(asked.clone(), &[Action::Write(Asked::Run)], Standing::GivenUp);
    let begun = then(asked, &[(5, Event::Written(Ok(())))]);
    check(begun.clone(), &[Action::Launch], Standing::Running(at(5)));
    assert_eq!(told(begun.clone()).0.starts(), 1);
    assert_eq!(told(then(begun, &[(6, died())])).0.due(), Some(at(6) + WAIT_FIRST));
    // Whoever does not want to wait need not.
    let waiting = then(began(), &[(1, died()), (2, Event::Tick), (2, died())]);
    check(then(waiting, &[(2, Event::Start)]), &[Action::Launch], Standing::Running(at(2)));
}

#[test]
fn a_start_is_answered_when_it_is_held_or_has_ended() {
    check(then(began(), &[(0, Event::Start)]), &[], Standing::Running(at(0)));
    check(then(began(), &[(0, Event::Start), (4, Event::Held)]), &[Action::AnswerStart(Ok(()))], Standing::Running(at(0)));
    check(then(running(), &[(9, Event::Start)]), &[Action::AnswerStart(Ok(()))], Standing::Running(at(0)));
}

#[test]
fn a_stop_is_on_disk_before_anybody_is_told() {
    let asked = then(running(), &[(2, Event::Stop { alive: true })]);
    check(asked.clone(), &[Action::Write(Asked::Stop)], Standing::Stopping);
    let tells = [Action::Signal];
    check(then(asked.clone(), &[(2, Event::Written(Ok(())))]), &tells, Standing::Stopping);
    let failed = Event::Written(Err("the disk is full".into()));
    let why = Err("the disk is full".to_owned());
    // A later write must not bring it to the disk after all: the next run of the agent would stop what runs.
    let refused = [Action::TakeBack(Asked::Run), Action::AnswerStop(why.clone())];
    check(then(asked, &[(2, failed.clone())]), &refused, Standing::Running(at(0)));
    let refused = [Action::TakeBack(Asked::Stop), Action::AnswerStart(why.map(drop))];
    check(then(stopped(), &[(99, Event::Start), (99, failed)]), &refused, Standing::Stopped);
}

#[test]
fn what_is_stopped_on_purpose_is_not_started_again() {
    check(stopped(), &[Action::AnswerStop(Ok(Exit::Stopped.meaning().to_owned()))], Standing::Stopped);
    check(then(stopped(), &[(9_999, Event::Tick)]), &[], Standing::Stopped);
    assert_eq!(told(stopped()).0.due(), None);
}

#[test]
fn one_run_of_the_agent_tells_a_hold_once() {
    check(then(stopping(), &[(2, Event::Stop { alive: true })]), &[], Standing::Stopping);
    check(then(stopping(), &[(2, Event::Written(Ok(())))]), &[], Standing::Stopping);
    check(then(stopping(), &[(2, Event::Launched)]), &[], Standing::Stopping);
}

#[test]
fn a_stop_that_leaves_somebody_says_so_and_may_be_asked_for_again() {
    let left = then(stopping(), &[(9, Event::Ended(End::Told(Exit::StillThere)))]);
    check(left.clone(), &[Action::AnswerStop(Err(Exit::StillThere.meaning().to_owned()))], Standing::Stopped);
    let again = then(left, &[(10, Event::Stop { alive: true })]);
    check(again.clone(), &[Action::Write(Asked::Stop)], Standing::Stopping);
    let adopting = then(again, &[(10, Event::Written(Ok(())))]);
    check(adopting.clone(), &[Action::Launch], Standing::Stopping);
    let tells = [Action::Signal];
    check(then(adopting, &[(10, Event::Launched)]), &tells, Standing::Stopping);
}

#[test]
fn a_server_whose_hold_was_killed_is_adopted_to_be_stopped() {
    let killed = then(running(), &[(5, Event::Ended(End::Killed(9))), (5, Event::Stop { alive: true })]);
    check(then(killed, &[(5, Event::Written(Ok(())))]), &[Action::Launch], Standing::Stopping);
    let while_written = then(running(), &[(5, Event::Stop { alive: true }), (5, Event::Ended(End::Killed(9)))]);
    check(then(while_written, &[(5, Event::Written(Ok(())))]), &[Action::Launch], Standing::Stopping);
}

#[test]
fn where_nothing_runs_a_stop_only_sees_to_it_that_nothing_will() {
    let waiting = then(running(), &[(5, died()), (5, Event::Stop { alive: false })]);
    check(waiting.clone(), &[Action::Write(Asked::Stop)], Standing::Stopping);
    check(
        then(waiting, &[(5, Event::Written(Ok(())))]),
        &[Action::AnswerStop(Ok("nothing of it ran".into()))],
        Standing::Stopped,
    );
    let again = then(stopped(), &[(9, Event::Stop { alive: false })]);
    check(again, &[Action::AnswerStop(Ok("it was stopped already".into()))], Standing::Stopped);
}

#[test]
fn a_start_and_a_stop_do_not_overtake_each_other() {
    let refusal = "it is being stopped; try again when it has stopped".to_owned();
    check(then(stopping(), &[(2, Event::Start)]), &[Action::AnswerStart(Err(refusal))], Standing::Stopping);
    let refusal = "it is being started; try again in a moment".to_owned();
    let starting = then(stopped(), &[(5, Event::Start), (5, Event::Stop { alive: false })]);
    check(starting, &[Action::AnswerStop(Err(refusal))], Standing::Stopped);
}

#[test]
fn an_exit_code_of_hold_is_read_back() {
    for exit in Exit::ALL {
        assert_eq!(End::from(i32::from(exit.code())), End::Told(exit));
    }
    assert_eq!(End::from(99), End::Code(99));
}

fn any_event() -> impl Strategy<Value = Event> {
    let ends = prop_oneof![
        Just(End::Told(Exit::Died)),
        Just(End::Told(Exit::Stopped)),
        Just(End::Told(Exit::StillThere)),
        Just(End::Told(Exit::NotFound)),
        Just(End::Killed(9)),
        Just(End::Unseen),
    ];
    prop_oneof![
        Just(Event::Start),
        any::<bool>().prop_map(|alive| Event::Stop { alive }),
        Just(Event::Held),
        ends.prop_map(Event::Ended),
        Just(Event::Tick),
        Just(Event::Written(Ok(()))),
        Just(Event::Written(Err("full".into()))),
    ]
}

proptest! {
    /// Whatever comes in whatever order: at most one `hold` at a time, at most one signal to each, none without a stop that is on disk, no start
    /// sooner than a second after an end but on purpose, and never more than the policy allows.
    #[test]
    fn the_laws_hold_whatever_comes(events in proptest::collection::vec((0_u64..40, any_event()), 0..200)) {
        let mut supervision = Supervision::new(POLICY);
        let mut now = Duration::ZERO;
        let (mut hold, mut signalled, mut on_disk, mut ended) = (false, false, Asked::Run, None::<Duration>);
        let mut writing: Option<Asked> = None;
        let mut launches: Vec<Duration> = Vec::new();
        let story = std::iter::once((0, Event::Began { asked: Asked::Run, hold: false })).chain(events);
        for (pause, event) in story {
            now += at(pause);
            // The world is not absurd: only what runs ends, and only what is being written is written.
            let is_absurd = matches!(event, Event::Ended(_)) && !hold || matches!(event, Event::Written(_)) && writing.is_none();
            if is_absurd {
                continue;
            }
            if event == Event::Start {
                launches.clear();
            }
            if let Event::Ended(_) = event { (hold, ended) = (false, Some(now)); }
            if let Event::Written(result) = &event {
                let wish = writing.take().expect("checked");
                if result.is_ok() { on_disk = wish; }
            }
            let on_purpose = matches!(event, Event::Start | Event::Written(_) | Event::Began { .. });
            let mut events = vec![event];
            while let Some(event) = events.pop() {
                for action in supervision.handle(now, event) {
                    match action {
                        Action::Launch => {
                            prop_assert!(!hold, "two holds");
                            prop_assert!(on_purpose || ended.is_none_or(|ended| now >= ended + WAIT_FIRST), "too soon");
                            launches.retain(|launch| now.saturating_sub(*launch) < POLICY.window);
                            launches.push(now);
                            prop_assert!(on_disk != Asked::Run || launches.len() <= POLICY.tries as usize, "too often");
                            (hold, signalled) = (true, false);
                            events.push(Event::Launched);
                        }
                        Action::Signal => {
                            prop_assert!(hold && !signalled, "told twice, or nobody");
                            prop_assert!(on_disk != Asked::Run, "told before it was on disk");
                            signalled = true;
                        }
                        Action::Write(wish) => writing = Some(wish),
                        Action::TakeBack(stands) => prop_assert_eq!(stands, on_disk),
                        Action::AnswerStart(_) | Action::AnswerStop(_) => {}
                    }
                }
            }
            prop_assert!(supervision.due().is_none_or(|due| due <= now + WAIT_MAX));
            prop_assert!(!matches!(supervision.standing(), Standing::Running(_)) || hold);
        }
    }
}
