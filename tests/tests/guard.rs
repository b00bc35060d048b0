//! A finished host stays guarded until the rollout ends, whatever becomes of its agent.

use std::fs;
use std::time::Duration;

use baton_tests::controller::Running;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::server::{Server, signal};
use baton_tests::wait;
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(20);
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Long enough for the agent of another host to be killed and found again, or to be given up after ten seconds.
const SETTLE: Duration = Duration::from_secs(15);

/// A rollout over three hosts that is at web-2: web-1 is finished and guarded, web-3 has its turn later.
fn at_the_second_host() -> (Fleet, Running) {
    let settling = Timing { settle: SETTLE, ready_within: SETTLE + SOON, ..Timing::default() };
    let fleet = Fleet::of(3).timing_of("web-2", settling).start();
    let rollout = fleet.begin(&["restart", "web"]);
    rollout.wait_to_read(&["Kept", "web-1"], SOON);
    rollout.wait_to_read(&["Step", "web-2"], SOON);
    (fleet, rollout)
}

#[test]
fn an_agent_that_comes_back_and_finds_the_same_master_does_not_stop_the_rollout() {
    let (mut fleet, rollout) = at_the_second_host();
    let master = fleet.hosts[0].server.master();
    fleet.hosts[0].agent.kill();
    rollout.wait_to_read(&["Retrying", "web-1"], SOON);
    fleet.hosts[0].agent.start_again();
    rollout.wait_to_read(&["Regained", "web-1"], SOON);
    let run = rollout.finish(ENDS_WITHIN).expect_code(0);
    assert!(run.stdout.contains("3 of 3 proven"), "{run}");
    assert_eq!(fleet.hosts[0].server.master(), master, "{run}");
    fleet.await_held();
}

#[test]
fn an_agent_that_stays_dead_halts_the_rollout() {
    let (mut fleet, rollout) = at_the_second_host();
    let untouched = fleet.hosts[2].server.master();
    fleet.hosts[0].agent.kill();
    let run = rollout.finish(ENDS_WITHIN).expect_code(4);
    let error = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains("web-1") && error.contains("guard was lost"), "{run}");
    assert!(run.stdout.contains("web-1 unknown; web-3 untouched"), "{run}");
    assert_eq!(fleet.hosts[2].server.master(), untouched, "{run}");
    assert!(fleet.hosts[0].server.ask("/").is_ok(), "{run}");
}

#[test]
fn an_agent_that_comes_back_and_finds_another_master_halts_the_rollout() {
    let (mut fleet, rollout) = at_the_second_host();
    let untouched = fleet.hosts[2].server.master();
    fleet.hosts[0].agent.kill();
    let server = &fleet.hosts[0].server;
    server.kill();
    // Until whoever adopted the dead master has buried it, the pid file keeps a new one from starting.
    fs::remove_file(server.pidfile()).expect("a server that was killed leaves its pid file");
    server.boot();
    fleet.hosts[0].agent.start_again();
    // Nobody saw the drop, so nobody claims to have.
    let run = rollout.finish(ENDS_WITHIN).expect_code(4);
    let error = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains("web-1") && error.contains("nobody saw the change"), "{run}");
    assert_eq!(fleet.hosts[2].server.master(), untouched, "{run}");
}

#[test]
fn a_frozen_agent_of_a_finished_host_is_found_out_before_the_end() {
    let (fleet, rollout) = at_the_second_host();
    // Its kernel goes on to acknowledge whatever is sent, so its connection stands and its guard hears nothing.
    signal(fleet.hosts[0].agent.pid(), Signal::SIGSTOP);
    let run = rollout.finish(ENDS_WITHIN).expect_code(4);
    let error = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains("web-1") && error.contains("could not be looked at a last time"), "{run}");
    assert!(run.stdout.contains("2 of 3 proven; web-1 unknown"), "{run}");
    signal(fleet.hosts[0].agent.pid(), Signal::SIGCONT);
    fleet.await_held();
}

/// What another deploy script does: USR2, wait for the new master, QUIT to the old one.
fn hand_over_by_hand(server: &Server) {
    let old = server.master().expect("it runs");
    signal(old, Signal::SIGUSR2);
    wait::until("the new master to answer", SOON, || match (server.master(), server.ask("/")) {
        (Ok(master), Ok(answer)) if master != old && answer.master == master => Ok(()),
        other => Err(format!("{other:?}")),
    });
    signal(old, Signal::SIGQUIT);
}

#[test]
fn a_handover_by_somebody_else_on_a_finished_host_halts_the_rollout() {
    let (fleet, rollout) = at_the_second_host();
    let untouched = fleet.hosts[2].server.master();
    hand_over_by_hand(&fleet.hosts[0].server);
    let run = rollout.finish(ENDS_WITHIN).expect_code(4);
    let error = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains("nobody knows how web-1 stands"), "{run}");
    // It is told at once, not at the last look: the third host has not begun.
    assert!(run.stdout.contains("1 of 3 proven; web-1 unknown; web-3 untouched"), "{run}");
    assert_eq!(fleet.hosts[2].server.master(), untouched, "{run}");
    // The service goes on, and its agent finds the new master.
    fleet.await_held();
}
