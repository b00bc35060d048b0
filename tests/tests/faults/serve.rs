//! Two generations that do not go on as they should, once both are there: signals by somebody else, and a lock that is let go.

use std::time::Duration;

use baton_tests::controller::Running;
use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::server::{Kind, Server};
use baton_tests::wait;
use nix::sys::signal::Signal;

use crate::trial::{Ending, Serves, TIMING, Trial, on, side_by_side};

const SOON: Duration = Duration::from_secs(20);
const SETTLING: Timing = Timing { settle: Duration::from_secs(1), ..TIMING };
/// Far longer than any gap that a waiter misses.
const GAP: Duration = Duration::from_millis(300);

fn one(timing: Timing) -> Fleet {
    Fleet::of(1).server(Kind::Patient).timing(timing).start()
}

/// A rollout that has come to this step.
fn begun(fleet: &Fleet, step: &str) -> Running {
    let rollout = fleet.begin(&["restart", "web"]);
    rollout.wait_to_read(&["Step", step], SOON);
    rollout
}

/// Waits until the patient has let go and taken again, and says so.
fn relocked(server: &Server) {
    wait::until("the lock to be taken again", SOON, || {
        if server.log().contains("was without the lock from") { Ok(()) } else { Err(server.log()) }
    });
}

#[test]
fn a_second_signal_in_the_middle_of_a_handover_changes_nothing() {
    let fleet = one(SETTLING);
    let server = &fleet.hosts[0].server;
    let old = server.master().expect("it runs");
    let rollout = begun(&fleet, "it must stay so");
    baton_tests::server::signal(old, Signal::SIGUSR2);
    let run = rollout.finish(SOON).expect_code(0);
    assert!(run.stdout.contains("Kept"), "{run}");
    assert!(server.log().contains("USR2 ignored"), "{}", server.log());
    fleet.await_held();
}

#[test]
fn a_second_new_master_is_not_taken_for_the_one_that_was_proven() {
    let fleet = one(Timing { drain_within: Duration::from_secs(1), ..SETTLING });
    let server = &fleet.hosts[0].server;
    server.set_faults(&[Fault::TwoSuccessors]);
    let run = fleet.baton(&["restart", "web"]).expect_code(4);
    let named = server.master().expect("there is a master");
    // The first one is proven; and yet another is in charge, and the rollout does not go on.
    assert_eq!(fleet.verdict("web-1"), "kept, marked", "{run}");
    assert!(run.stderr.contains(&format!("nobody knows how web-1 stands: master {named} is in charge, not ")), "{run}");
    assert!(server.ask("/").is_ok(), "{run}");
}

#[test]
fn a_server_that_unlocks_its_descriptor_long_enough_is_seen_to_have_dropped_the_lock() {
    let fleet = one(TIMING);
    let server = &fleet.hosts[0].server;
    server.set_faults(&[Fault::Relock(GAP)]);
    server.signal(Signal::SIGTTIN);
    relocked(server);
    // For a moment there is no master.
    wait::until("the drop to be told", SOON, || {
        let status = fleet.baton(&["status", "--output", "json"]);
        if status.objects().iter().any(|object| object["epoch"] == 1) { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn a_new_master_that_unlocks_its_descriptor_while_the_old_one_holds_leaves_no_gap() {
    let fleet = one(SETTLING);
    let server = &fleet.hosts[0].server;
    server.set_faults(&[Fault::Relock(GAP)]);
    let rollout = begun(&fleet, "it must stay so");
    server.signal(Signal::SIGTTIN);
    let run = rollout.finish(SOON).expect_code(0);
    relocked(server);
    assert_eq!((fleet.verdict("web-1").as_str(), fleet.standings()[0].epoch), ("kept, marked", 0), "{run}");
}

#[test]
fn a_new_master_that_unlocks_its_descriptor_when_it_is_alone_has_dropped_the_lock() {
    let fleet = one(TIMING);
    let server = &fleet.hosts[0].server;
    server.set_faults(&[Fault::Relock(GAP), Fault::UnlockAtQuit, Fault::SlowDrain(Duration::from_secs(2))]);
    let rollout = begun(&fleet, "drain: waiting");
    server.signal(Signal::SIGTTIN);
    let run = rollout.finish(SOON).expect_code(5);
    relocked(server);
    assert!(run.stderr.contains("web-1 dropped its lock: the lock was free at #"), "{run}");
    assert_eq!(fleet.verdict("web-1"), "dropped", "{run}");
}

#[test]
fn a_new_generation_that_closes_its_socket_is_sent_away_if_that_is_seen() {
    side_by_side(&[Trial::of(&[Fault::CloseListener(Duration::from_millis(100))], Ending::RolledBack)
        .because("not ready within 2 s")
        .because("of the old generation")
        .timing(Timing { ready_within: Duration::from_secs(2), ..SETTLING })]);
}

/// The lock says that a generation lives, and nothing of what it does.
#[test]
fn a_generation_that_closes_its_socket_later_is_kept_and_serves_nobody() {
    let fleet = one(TIMING);
    let closes = Trial::of(
        &[Fault::CloseListener(Duration::from_millis(1500)), Fault::SlowDrain(Duration::from_secs(2))],
        Ending::Kept("marked"),
    );
    on(&fleet, &[closes.serves(Serves::Nobody)]);
    fleet.await_held();
}
