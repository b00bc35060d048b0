use std::time::Duration;

use baton_proto::custody::{FileIdentity, Process};

use super::{Action, Ended, Event, Force, Job, Look, NotStarted, Note, Policy};
use crate::hold::exit::Exit;

const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };
const MASTER: Process = Process { pid: 100, start_ticks: 1 };
const NEXT: Process = Process { pid: 200, start_ticks: 2 };
const HELPER: Process = Process { pid: 300, start_ticks: 3 };

fn nothing() -> Look {
    Look { file: Some(FILE), ..Look::default() }
}

fn holding() -> Look {
    Look { masters: vec![MASTER], kin: vec![MASTER], ..nothing() }
}

fn booting(process: Process) -> Look {
    Look { named: vec![process], kin: vec![process], ..nothing() }
}

/// Tells a story of events, each at its time in milliseconds, and returns what the last one led to.
fn told(story: impl IntoIterator<Item = (u64, Event)>) -> (Job, Vec<Action>) {
    let policy = Policy { stop_within: Duration::from_mins(1), first_holder_within: Duration::from_secs(30) };
    let mut job = Job::new(policy, Duration::ZERO);
    let mut actions = job.handle(Duration::ZERO, &Event::Began);
    for (at, event) in story {
        actions = job.handle(Duration::from_millis(at), &event);
    }
    (job, actions)
}

fn check(story: impl IntoIterator<Item = (u64, Event)>, expected: &[Action]) {
    assert_eq!(told(story).1, expected);
}

fn started() -> Vec<(u64, Event)> {
    vec![(0, Event::Looked(nothing())), (0, Event::Started(MASTER))]
}

fn held() -> Vec<(u64, Event)> {
    [started(), vec![(300, Event::Looked(holding()))]].concat()
}

fn stopping() -> Vec<(u64, Event)> {
    [held(), vec![(1_000, Event::ToldToStop), (1_000, Event::Looked(holding()))]].concat()
}

fn then(story: Vec<(u64, Event)>, rest: &[(u64, Event)]) -> Vec<(u64, Event)> {
    [story, rest.to_vec()].concat()
}

#[test]
fn it_looks_before_it_starts_anything() {
    check([], &[Action::Watch, Action::Search]);
    check([(0, Event::Looked(nothing()))], &[Action::Start]);
}

#[test]
fn a_living_server_is_adopted_and_the_command_not_started() {
    check([(0, Event::Looked(holding()))], &[Action::Unwatch, Action::Say(Note::Adopted(MASTER)), Action::Arm(FILE)]);
}

#[test]
fn a_pid_file_that_names_somebody_without_the_lock_does_not_keep_the_command_from_starting() {
    check([(0, Event::Looked(booting(NEXT)))], &[Action::Start]);
}

#[test]
fn the_waiter_is_armed_when_a_holder_is_seen() {
    check(held(), &[Action::Unwatch, Action::Say(Note::Held(MASTER)), Action::Arm(FILE)]);
}

#[test]
fn it_says_that_it_waits_when_it_does() {
    check(then(held(), &[(300, Event::Armed)]), &[Action::Say(Note::Waiting)]);
    check(then(stopping(), &[(1_000, Event::Armed)]), &[]);
}

#[test]
fn while_somebody_holds_nothing_is_due() {
    assert_eq!(told(held()).0.due(), None);
}

#[test]
fn the_end_of_the_last_holder_is_the_end() {
    check(then(held(), &[(9_000, Event::Granted)]), &[Action::Say(Note::Free), Action::Exit(Exit::Died)]);
}

#[test]
fn the_end_of_the_command_is_not_the_end_of_the_service() {
    let ended = Ended::Signal(9);
    check(then(held(), &[(9_000, Event::Ended(ended))]), &[Action::Say(Note::EndedAlone(ended))]);
}

#[test]
fn a_command_that_daemonises_is_not_the_end() {
    let early = then(started(), &[(100, Event::Ended(Ended::Code(0)))]);
    check(early.clone(), &[Action::Say(Note::EndedEarly(Ended::Code(0)))]);
    let seen = then(early, &[(105, Event::Looked(holding()))]);
    check(seen, &[Action::Unwatch, Action::Say(Note::Held(MASTER)), Action::Arm(FILE)]);
}

#[test]
fn a_command_that_ended_while_its_server_boots_is_waited_for() {
    let mut story = then(started(), &[(100, Event::Ended(Ended::Code(1)))]);
    story.extend((0..20).map(|at| (200 + at, Event::Looked(booting(NEXT)))));
    check(story, &[]);
}

#[test]
fn a_command_that_ended_and_left_nobody_is_given_up_after_a_few_looks() {
    let mut story = then(started(), &[(100, Event::Ended(Ended::Code(1)))]);
    story.extend((0..4).map(|at| (105 + at, Event::Looked(nothing()))));
    check(story.clone(), &[]);
    story.push((200, Event::Looked(nothing())));
    check(story.clone(), &[Action::Search]);
    let found = then(story.clone(), &[(205, Event::Looked(holding()))]);
    check(found, &[Action::Unwatch, Action::Say(Note::Held(MASTER)), Action::Arm(FILE)]);
    story.push((205, Event::Looked(nothing())));
    check(story, &[Action::Say(Note::NeverHeld), Action::Exit(Exit::NeverHeld)]);
}

#[test]
fn files_that_come_and_go_beside_the_pid_file_do_not_put_that_off() {
    let mut story = then(started(), &[(100, Event::Ended(Ended::Code(1)))]);
    let look = |at| [(at, Event::Stirred), (at + 5, Event::Looked(nothing()))];
    story.extend((0..20).flat_map(|round| look(100 + 50 * round)));
    check(story.clone(), &[]);
    let somebody = then(story.clone(), &[(1_080, Event::Looked(booting(NEXT))), (1_110, Event::Looked(nothing()))]);
    check(somebody, &[]);
    story.push((1_110, Event::Looked(nothing())));
    check(story.clone(), &[Action::Search]);
    story.push((1_110, Event::Looked(nothing())));
    check(story, &[Action::Say(Note::NeverHeld), Action::Exit(Exit::NeverHeld)]);
}

#[test]
fn a_command_that_cannot_run_has_the_codes_that_shells_use() {
    for (why, exit) in [
        (NotStarted::NotFound, Exit::NotFound),
        (NotStarted::NotExecutable, Exit::NotExecutable),
        (NotStarted::NoRoom, Exit::Failed),
    ] {
        check([(0, Event::Looked(nothing())), (0, Event::NotStarted(why))], &[Action::Exit(exit)]);
    }
}

#[test]
fn without_a_holder_by_the_deadline_the_command_is_stopped() {
    let at_last = then(started(), &[(30_000, Event::Tick), (30_000, Event::Looked(booting(MASTER)))]);
    check(at_last.clone(), &[Action::Search]);
    let late = then(at_last, &[(30_010, Event::Looked(booting(MASTER)))]);
    check(late.clone(), &[Action::Say(Note::TooLate), Action::Watch, Action::Search]);
    let asked = then(late, &[(30_000, Event::Looked(booting(MASTER)))]);
    check(asked.clone(), &[Action::Ask(MASTER)]);
    let gone = then(asked, &[(30_500, Event::Looked(nothing()))]);
    check(gone, &[Action::Say(Note::Gone), Action::Exit(Exit::TooLate)]);
}

#[test]
fn a_holder_at_the_very_deadline_is_a_holder() {
    let late = then(started(), &[(30_000, Event::Tick), (30_000, Event::Looked(holding()))]);
    check(late, &[Action::Unwatch, Action::Say(Note::Held(MASTER)), Action::Arm(FILE)]);
}

#[test]
fn events_only_hasten_the_next_look() {
    let (job, actions) = told(then(started(), &[(3, Event::Stirred)]));
    assert_eq!((job.due(), actions), (Some(Duration::from_millis(5)), vec![]));
}

#[test]
fn told_to_stop_it_asks_every_master_once() {
    let both = Look { masters: vec![NEXT, MASTER], kin: vec![NEXT, MASTER], ..nothing() };
    let story = then(held(), &[(1_000, Event::ToldToStop), (1_000, Event::Looked(both.clone()))]);
    check(story.clone(), &[Action::Ask(NEXT), Action::Ask(MASTER)]);
    check(then(story, &[(1_005, Event::Looked(both))]), &[]);
}

#[test]
fn a_successor_that_shows_while_stopping_is_asked_too() {
    let handover = Look { masters: vec![MASTER], named: vec![NEXT], kin: vec![MASTER, NEXT], ..nothing() };
    check(then(stopping(), &[(1_100, Event::Looked(handover))]), &[Action::Ask(NEXT)]);
    let stranger = Look { masters: vec![MASTER], named: vec![NEXT], kin: vec![MASTER], ..nothing() };
    check(then(stopping(), &[(1_100, Event::Looked(stranger))]), &[]);
}

#[test]
fn a_stop_is_over_when_the_lock_is_free_and_nobody_is_left() {
    let free = then(stopping(), &[(2_000, Event::Granted)]);
    check(free.clone(), &[Action::Look]);
    check(then(free, &[(2_000, Event::Looked(nothing()))]), &[Action::Say(Note::Gone), Action::Exit(Exit::Stopped)]);
}

#[test]
fn a_successor_without_the_lock_does_not_survive_a_stop() {
    let booting = Look { kin: vec![NEXT], ..nothing() };
    let story = then(stopping(), &[(2_000, Event::Granted), (2_000, Event::Looked(booting.clone()))]);
    check(story.clone(), &[]);
    let forced = then(story, &[(3_000, Event::Tick)]);
    check(forced.clone(), &[Action::Force(Force::Term)]);
    check(then(forced, &[(3_100, Event::Looked(nothing()))]), &[Action::Say(Note::Gone), Action::Exit(Exit::Stopped)]);
}

#[test]
fn a_successor_that_takes_the_lock_while_stopping_is_waited_for_and_asked() {
    let successor = Look { masters: vec![NEXT], kin: vec![NEXT], ..nothing() };
    let story = then(stopping(), &[(2_000, Event::Granted), (2_000, Event::Looked(successor))]);
    check(story, &[Action::Arm(FILE), Action::Ask(NEXT)]);
}

#[test]
fn the_ladder_has_three_rungs_and_an_end() {
    let term = then(stopping(), &[(61_000, Event::Tick)]);
    check(term.clone(), &[Action::Force(Force::Term)]);
    let kill = then(term, &[(66_000, Event::Tick)]);
    check(kill.clone(), &[Action::Force(Force::Kill)]);
    let again = then(kill, &[(66_200, Event::Tick)]);
    check(again.clone(), &[Action::Force(Force::Kill)]);
    check(then(again, &[(71_000, Event::Tick)]), &[Action::Say(Note::StillThere), Action::Exit(Exit::StillThere)]);
}

#[test]
fn told_again_it_skips_to_the_next_rung() {
    let term = then(stopping(), &[(1_500, Event::ToldToStop)]);
    check(term.clone(), &[Action::Force(Force::Term)]);
    let kill = then(term, &[(1_600, Event::ToldToStop)]);
    check(kill.clone(), &[Action::Force(Force::Kill)]);
    check(then(kill, &[(1_700, Event::ToldToStop)]), &[Action::Force(Force::Kill)]);
}

#[test]
fn without_a_master_the_command_is_asked_and_without_a_command_nobody() {
    let anonymous = Look { kin: vec![HELPER], ..nothing() };
    let told_to_stop = [(1_000, Event::ToldToStop), (1_000, Event::Looked(anonymous))];
    check(then(held(), &told_to_stop), &[Action::Ask(MASTER)]);
    let without = then(held(), &[(900, Event::Ended(Ended::Code(0)))]);
    check(then(without, &told_to_stop), &[Action::Say(Note::NobodyToAsk), Action::Force(Force::Term)]);
}

#[test]
fn a_waiter_that_fails_leaves_the_server_alone() {
    check(then(held(), &[(400, Event::WaiterFailed)]), &[Action::Exit(Exit::Failed)]);
    let story = then(stopping(), &[(1_100, Event::WaiterFailed), (1_100, Event::Looked(holding()))]);
    check(story, &[Action::Arm(FILE)]);
}

#[test]
fn what_cannot_be_watched_is_not_begun_but_what_runs_is_stopped_all_the_same() {
    check([(0, Event::NotWatched)], &[Action::Exit(Exit::Failed)]);
    check(then(stopping(), &[(1_000, Event::NotWatched)]), &[]);
    check(then(stopping(), &[(1_000, Event::NotWatched), (61_000, Event::Tick)]), &[Action::Force(Force::Term)]);
}

#[test]
fn after_the_end_nothing_happens() {
    let over = then(held(), &[(9_000, Event::Granted)]);
    for event in [
        Event::Looked(holding()),
        Event::Stirred,
        Event::Armed,
        Event::Ended(Ended::Code(0)),
        Event::WaiterFailed,
        Event::NotWatched,
        Event::Granted,
        Event::ToldToStop,
        Event::Tick,
    ] {
        check(then(over.clone(), &[(9_001, event)]), &[]);
    }
    assert_eq!(told(over).0.due(), None);
}

#[test]
fn an_agent_that_says_again_what_it_has_said_before_hurries_nobody() {
    let once = then(held(), &[(1_000, Event::ToldToStopOnce)]);
    check(once.clone(), &[Action::Say(Note::Stopping), Action::Watch, Action::Search]);
    check(then(once, &[(1_000, Event::Looked(holding())), (1_500, Event::ToldToStopOnce)]), &[]);
    check(then(stopping(), &[(1_500, Event::ToldToStopOnce)]), &[]);
}
