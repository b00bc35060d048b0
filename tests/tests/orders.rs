//! Pause, resume and abort from another terminal: heard within a second, whatever the rollout is at.
//!
//! What others lived through: an abort that is ignored while paused (argoproj/argo-rollouts#3756, #1152), and a resume that crashes
//! or starts anew.

use std::time::Duration;

use baton_tests::clock;
use baton_tests::controller::Run;
use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::recorded::{Lived, nothing_is_claimed, rollouts};
use baton_tests::server::{Kind, signal};
use baton_tests::steps::Steps;
use nix::sys::signal::Signal;
use serde_json::Value;

/// From the order to what the rollout tells of it.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// Long enough for orders to arrive in the middle of a handover.
const SETTLE: Duration = Duration::from_secs(3);

fn fleet(hosts: usize, settle: Duration) -> Fleet {
    Fleet::of(hosts).server(Kind::Patient).timing(Timing { settle, ..Timing::default() }).start()
}

/// A rollout under way, and its name.
struct Walk<'a> {
    fleet: &'a Fleet,
    steps: Steps,
    id: String,
}

impl<'a> Walk<'a> {
    /// Begins, and reads on until `is_there`.
    fn until(fleet: &'a Fleet, args: &[&str], is_there: impl Fn(&Value) -> bool) -> Self {
        let known = rollouts(fleet);
        let steps = Steps::begin_with(fleet, &[&["restart", SERVICE, "--yes"], args].concat());
        let mut walk = Self { fleet, steps, id: String::new() };
        walk.reads(is_there);
        walk.id.clone_from(rollouts(fleet).difference(&known).next().expect("it is in the journal"));
        walk
    }

    #[track_caller]
    fn reads(&mut self, is_there: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.steps.next_event().expect("the rollout goes on");
            if is_there(&event) {
                return event;
            }
        }
    }

    fn order(&self, verb: &str) -> Run {
        self.fleet.baton(&[verb, &self.id]).expect_code(0)
    }

    /// Gives an order, and waits until the rollout tells that it has heard.
    #[track_caller]
    fn hears(&mut self, verb: &str, is_heard: impl Fn(&Value) -> bool) {
        let ordered = clock::now();
        let run = self.order(verb);
        self.reads(is_heard);
        assert!(ordered.elapsed() < HEARD_WITHIN, "{verb} was heard after {:?}: {run}", ordered.elapsed());
    }

    /// Its end: the exit code, and how each host ended.
    #[track_caller]
    fn ends(self, code: i32) -> String {
        let (text, ended) = self.steps.finish();
        assert_eq!(ended, code, "{text}");
        text
    }
}

fn is_note(note: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "note" && event["note"] == note
}

fn is_step(host: &'static str, step: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "step" && event["host"] == host && event["step"] == step
}

fn is_outcome(host: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "host" && event["host"] == host && event["outcome"] == "proven"
}

fn is_aborted(event: &Value) -> bool {
    event["event"] == "stopping" && event["cause"] == "aborted"
}

fn asked(fleet: &Fleet) -> Vec<usize> {
    fleet.hosts.iter().map(|host| host.server.handovers_asked()).collect()
}

#[test]
fn paused_in_flight_it_finishes_the_host_begins_no_other_and_goes_on_when_told() {
    let fleet = fleet(2, SETTLE);
    let before = Lived::of(&fleet);
    let mut walk = Walk::until(&fleet, &[], is_step("web-1", "ready"));
    walk.hears("pause", is_note("paused"));
    walk.reads(is_outcome("web-1"));
    // It says so again and again, and that nothing is in flight.
    walk.reads(|event| {
        event["event"] == "waiting" && event["paused"] == true && event["hosts"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(asked(&fleet), [1, 0]);
    walk.hears("resume", is_note("going_on"));
    walk.ends(0);
    before.is_followed_by_one_handover_of_each(&Lived::of(&fleet), "paused and resumed");
    nothing_is_claimed(&fleet, "paused and resumed");
}

#[test]
fn an_abort_is_heard_while_paused() {
    let fleet = fleet(2, Duration::from_millis(300));
    let mut walk = Walk::until(&fleet, &[], is_step("web-1", "ready"));
    walk.hears("pause", is_note("paused"));
    walk.reads(is_outcome("web-1"));
    walk.hears("abort", is_aborted);
    let text = walk.ends(7);
    assert_eq!(asked(&fleet), [1, 0], "{text}");
    nothing_is_claimed(&fleet, "aborted while paused");
}

#[test]
fn an_abort_is_heard_in_flight_and_the_host_is_finished() {
    let fleet = fleet(2, SETTLE);
    let mut walk = Walk::until(&fleet, &[], is_step("web-1", "ready"));
    walk.hears("abort", is_aborted);
    walk.reads(is_outcome("web-1"));
    let text = walk.ends(7);
    assert_eq!(asked(&fleet), [1, 0], "{text}");
}

#[test]
fn an_abort_is_heard_while_it_soaks() {
    let fleet = fleet(2, Duration::ZERO);
    let mut walk = Walk::until(&fleet, &["--canary", "1", "--soak", "1h"], is_note("soaking"));
    walk.hears("abort", is_aborted);
    let text = walk.ends(7);
    assert_eq!(asked(&fleet), [1, 0], "{text}");
    nothing_is_claimed(&fleet, "aborted while it soaked");
}

#[test]
fn a_pause_is_heard_while_it_soaks_and_a_resume_after_that() {
    let fleet = fleet(2, Duration::ZERO);
    let mut walk = Walk::until(&fleet, &["--canary", "1", "--soak", "3s"], is_note("soaking"));
    walk.hears("pause", is_note("paused"));
    walk.hears("resume", is_note("going_on"));
    walk.ends(0);
    assert_eq!(asked(&fleet), [1, 1]);
}

#[test]
fn a_canary_without_a_soak_waits_for_a_person_who_lets_it_go_on() {
    let fleet = fleet(2, Duration::ZERO);
    let mut walk = Walk::until(&fleet, &["--canary", "1"], is_note("awaiting_person"));
    assert_eq!(asked(&fleet), [1, 0]);
    walk.hears("resume", is_note("going_on"));
    walk.ends(0);
    assert_eq!(asked(&fleet), [1, 1]);
}

#[test]
fn interrupted_it_drains_and_names_the_command_that_ends_what_it_began() {
    let fleet = fleet(3, Duration::from_secs(1));
    let before = Lived::of(&fleet);
    let mut walk = Walk::until(&fleet, &[], is_step("web-1", "ready"));
    signal(walk.steps.pid(), Signal::SIGINT);
    walk.reads(is_outcome("web-1"));
    let text = walk.ends(130);
    assert_eq!(asked(&fleet), [1, 0, 0], "{text}");
    let summary: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON");
    let command = summary["remaining_command"].as_str().and_then(|command| command.strip_prefix("baton ")).expect("a command");
    let _gone_on = fleet.baton(&command.split_whitespace().collect::<Vec<_>>()).expect_code(0);
    before.is_followed_by_one_handover_of_each(&Lived::of(&fleet), "interrupted and resumed");
    nothing_is_claimed(&fleet, "interrupted and resumed");
}

#[test]
fn an_aborted_rollout_is_over_for_good() {
    let fleet = fleet(2, Duration::from_millis(300));
    let mut walk = Walk::until(&fleet, &[], is_step("web-1", "ready"));
    walk.hears("abort", is_aborted);
    let id = walk.id.clone();
    walk.ends(7);
    let refused = fleet.baton(&["resume", &id]).expect_code(2);
    assert!(refused.stderr.contains(&id), "{refused}");
    assert_eq!(asked(&fleet), [1, 0], "{refused}");
}

#[test]
fn an_order_to_a_rollout_that_is_over_says_so_and_does_nothing() {
    let fleet = fleet(1, Duration::ZERO);
    let _proven = fleet.baton(&["restart", SERVICE, "--yes"]).expect_code(0);
    let id = rollouts(&fleet).pop_first().expect("it is in the journal");
    for verb in ["pause", "abort"] {
        let run = fleet.baton(&[verb, &id]).expect_code(2);
        assert!(run.stderr.contains(&id), "{run}");
    }
    let _unknown = fleet.baton(&["pause", "20000101-000000-0000"]).expect_code(2);
    assert_eq!(asked(&fleet), [1]);
}

/// What is told to a walk that is dead, and to one that lives: one process walks, never two.
#[test]
fn of_two_that_resume_at_once_one_walks_and_nothing_is_signalled_twice() {
    let fleet = fleet(3, Duration::from_millis(500));
    let before = Lived::of(&fleet);
    let walk = Walk::until(&fleet, &[], is_step("web-1", "ready"));
    let id = walk.id.clone();
    walk.steps.kill();
    let resumed = [0, 1].map(|_| fleet.begin(&["resume", &id]));
    let runs = resumed.map(|run| run.finish(Duration::from_mins(1)).expect_code(0));
    before.is_followed_by_one_handover_of_each(&Lived::of(&fleet), &format!("{}{}", runs[0], runs[1]));
    nothing_is_claimed(&fleet, "resumed twice");
}
