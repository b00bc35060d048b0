//! `kill -9` of the agent in each state of a handover: the service goes on, the restarted agent finishes or undoes what it
//! began, never signals twice, and proves what a master that both of its runs saw proves.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_tests::agent::Agent;
use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Flaw, Kind, Release, Server};
use baton_tests::steps::Steps;

/// Steps that a handover tells of: each of them is once the last thing that the agent says before it dies.
const STEPS_TOLD: usize = 12;
/// The same of a handover in place.
const STEPS_TOLD_IN_PLACE: usize = 8;

/// How often the server was told to start a new master: Unicorn and Gunicorn write a line each time.
fn executions(server: &Server) -> usize {
    server.log().matches(if server.kind() == Kind::Gunicorn { "Handling signal: usr2" } else { "executing [" }).count()
}

/// How an agent is taken from its work, and brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    /// `kill -9`, and the same binary again.
    Killed,
    /// SIGTERM, and another binary: it ends when it is done with what it tells, or soon.
    Upgraded,
}

fn interrupt(agent: &mut Agent, how: Interruption) {
    match how {
        Interruption::Killed => {
            agent.kill();
            agent.start_again();
        }
        Interruption::Upgraded => {
            agent.stop();
            agent.start_another_binary();
        }
    }
}

fn interrupt_after(fleet: &mut Fleet, told: usize, how: Interruption) -> Option<String> {
    let old = fleet.hosts[0].server.master().expect("a master");
    let before = executions(&fleet.hosts[0].server);
    let generation = fleet.standings()[0].generation;
    let mut rollout = Steps::begin(fleet);
    let last = (0..told).filter_map(|_| rollout.next_step()).last();
    interrupt(&mut fleet.hosts[0].agent, how);
    let (text, code) = rollout.finish();
    fleet.await_held();
    let server = &fleet.hosts[0].server;
    let new = server.master().expect("a master");
    assert!(executions(server) <= before + 1, "after {last:?}: the server was signalled twice");
    let grown = u64::from(new != old);
    assert_eq!(fleet.standings()[0].generation, generation + grown, "after {last:?}: {old} -> {new}");
    for another in ["pid.oldbin", "pid.2"] {
        assert!(!server.pidfile().with_extension(another).exists(), "after {last:?}: two generations are left");
    }
    match code {
        // It was over before, or began only after it, or a master that both runs saw joins what they saw.
        0 => assert_ne!(new, old, "after {last:?}: proven without a new master"),
        // Rolled back, with the old master's lock unbroken: both saw it hold.
        3 => assert_eq!(new, old, "after {last:?}: {text}"),
        other => panic!("after {last:?}: exit {other}: {text}\nthe agent's log:\n{}", fleet.hosts[0].agent.log()),
    }
    match last.as_deref() {
        // The overlap was witnessed and that is on disk: it is finished. Before, it is undone, or had gone on meanwhile.
        Some("retire" | "drain" | "close") => assert_eq!(code, 0, "after {last:?}: what was begun was not finished: {text}"),
        // The interruption came before the intent was on disk, and the request that was made again began anew.
        Some("open") if code == 0 => {}
        Some("open" | "signal") if how == Interruption::Killed => {
            assert_eq!(new, old, "after {last:?}: what nobody can vouch for was not undone");
        }
        Some(_) | None => {}
    }
    last
}

#[test]
fn an_agent_killed_anywhere_in_a_handover_takes_it_up_without_a_second_signal() {
    is_taken_up(Kind::Unicorn, Interruption::Killed);
}

/// Its pid file names the old master, then nobody, and then the new one.
#[test]
fn an_agent_killed_anywhere_in_a_handover_of_gunicorn_takes_it_up_without_a_second_signal() {
    is_taken_up(Kind::Gunicorn, Interruption::Killed);
}

#[test]
fn an_agent_upgraded_in_the_middle_of_a_handover_takes_it_up_as_another_binary() {
    is_taken_up(Kind::Unicorn, Interruption::Upgraded);
}

fn is_taken_up(kind: Kind, how: Interruption) {
    let timing = Timing { settle: Duration::from_millis(300), ..Timing::default() };
    let mut fleet = Fleet::of(1).server(kind).timing(timing).start();
    let load = Load::start(&fleet.targets(), Mix::default());
    let steps: BTreeSet<String> = (1..=STEPS_TOLD).filter_map(|told| interrupt_after(&mut fleet, told, how)).collect();
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "requests were lost: {tally}");
    for step in ["open", "signal", "appear", "ready", "overlap", "retire", "drain", "close"] {
        assert!(steps.contains(step), "no interruption came after {step}: {steps:?}");
    }
}

#[test]
fn an_agent_killed_while_it_undoes_a_handover_undoes_it_when_it_is_back() {
    let timing = Timing { ready_within: Duration::from_secs(1), ..Timing::default() };
    let mut fleet = Fleet::of(1).timing(timing).start();
    let load = Load::start(&fleet.targets(), Mix::default());
    let old = fleet.hosts[0].server.master().expect("a master");
    fleet.deploy(&Release::flawed("v2", Flaw::NeverReady));
    let mut rollout = Steps::begin(&fleet);
    while rollout.next_step().expect("it is undone") != "undo" {}
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    let (text, code) = rollout.finish();
    // Both runs of the agent saw the old master hold.
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("\"verdict\":\"unbroken\""), "{text}");
    fleet.await_held();
    let server = &fleet.hosts[0].server;
    assert_eq!((server.master(), executions(server)), (Ok(old), 1), "{text}");
    assert_eq!(server.ask("/").expect("it serves").release, "v1");
    assert_eq!(load.stop().failed(), 0);
}

/// What the first run of the agent wrote down before the signal outlives the second, too, which has not come to the end of it.
#[test]
fn an_agent_that_is_stopped_while_it_finishes_what_a_killed_one_began_leaves_it_to_the_next() {
    let mut fleet = Fleet::of(1).timing(Timing { drain_within: Duration::from_secs(30), ..Timing::default() }).start();
    let old = fleet.hosts[0].server.master().expect("a master");
    let load = Load::start(&fleet.targets(), Mix { long: 1, long_for: Duration::from_secs(14), ..Mix::default() });
    fleet.deploy(&Release::sound("v2"));
    let mut rollout = Steps::begin(&fleet);
    for how in [Interruption::Killed, Interruption::Upgraded] {
        while rollout.next_step().expect("it drains") != "drain" {}
        interrupt(&mut fleet.hosts[0].agent, how);
    }
    let (text, code) = rollout.finish();
    assert_eq!(code, 0, "{text}\n{}", fleet.hosts[0].agent.log());
    fleet.await_held();
    let server = &fleet.hosts[0].server;
    assert_eq!(executions(server), 1, "the server was signalled twice: {text}");
    assert_ne!(server.master(), Ok(old), "{text}");
    assert_eq!(load.stop().failed(), 0);
}

/// A server that replaces itself in place, killed at each step of its agent: what was begun is finished, or nothing was replaced.
/// `unrecorded_max` of them may end unproven, because the agent died before it had written down that it sent the signal.
fn is_taken_up_in_place(dialect: &'static str, faults: &[Fault], unrecorded_max: usize) {
    let timing = Timing { ready_within: Duration::from_secs(2), settle: Duration::from_millis(300), ..Timing::default() };
    let mut fleet = Fleet::of(1).server(Kind::Patient).dialect(dialect).faults(faults).timing(timing).start();
    let load = Load::start(&fleet.targets(), Mix::default());
    let (mut last_steps, mut unrecorded) = (BTreeSet::new(), 0);
    for told in 1..=STEPS_TOLD_IN_PLACE {
        let (before, master) = (boots(&fleet.hosts[0].server), fleet.hosts[0].server.master());
        let generation = fleet.standings()[0].generation;
        let mut rollout = Steps::begin(&fleet);
        let last = (0..told).filter_map(|_| rollout.next_step()).last();
        interrupt(&mut fleet.hosts[0].agent, Interruption::Killed);
        let (text, code) = rollout.finish();
        fleet.await_held();
        let server = &fleet.hosts[0].server;
        let booted = boots(server) - before;
        match code {
            0 => assert_eq!(booted, 1, "after {last:?}: {text}"),
            3 => assert_eq!(booted, 0, "after {last:?}: {text}"),
            // It died between the signal and the word of it.
            4 => {
                assert!(text.contains("no signal to the master is on record"), "after {last:?}: {text}");
                unrecorded += 1;
            }
            other => panic!("after {last:?}: exit {other}: {text}\n{}", fleet.hosts[0].agent.log()),
        }
        assert!(booted <= 1, "after {last:?}: the server was signalled twice: {text}");
        assert_eq!(server.master(), master, "after {last:?}: {text}");
        let grown = fleet.standings()[0].generation - generation;
        assert_eq!(usize::try_from(grown), Ok(booted), "after {last:?}: {text}");
        last_steps.extend(last);
    }
    assert!(unrecorded <= unrecorded_max, "{unrecorded} signals were not on record");
    assert_eq!(load.stop().failed(), 0, "requests were lost");
    for step in ["open", "signal", "ready", "close"] {
        assert!(last_steps.contains(step), "no interruption came after {step}: {last_steps:?}");
    }
}

/// How often the patient has begun to serve: with a new image, or new workers.
fn boots(server: &Server) -> usize {
    server.log().lines().filter(|line| line.contains(": serving ")).count()
}

#[test]
fn an_agent_killed_anywhere_in_a_handover_in_place_takes_it_up_without_a_second_signal() {
    // It is told to be ready within a millisecond of its signal.
    is_taken_up_in_place("nginx", &[], STEPS_TOLD_IN_PLACE / 2);
}

#[test]
fn an_agent_killed_anywhere_in_a_handover_by_exec_takes_it_up_without_a_second_signal() {
    // What the master runs tells of the exec.
    is_taken_up_in_place("haproxy", &[Fault::Exec], 0);
}

/// Nothing joins what was seen before to what is seen after: nobody guesses.
#[test]
fn when_every_holder_has_changed_while_the_agent_was_dead_nothing_is_proven() {
    let timing = Timing { settle: Duration::from_millis(300), ..Timing::default() };
    let mut fleet = Fleet::of(1).server(Kind::Patient).timing(timing).start();
    for step in ["ready", "retire"] {
        let mut rollout = Steps::begin(&fleet);
        while rollout.next_step().expect("it is told") != step {}
        fleet.hosts[0].agent.kill();
        fleet.hosts[0].server.kill();
        fleet.hosts[0].server.boot();
        fleet.hosts[0].agent.start_again();
        let (text, code) = rollout.finish();
        assert_eq!(code, 4, "{text}");
        assert!(text.contains("the agent was restarted"), "{text}");
        fleet.await_held();
    }
}
