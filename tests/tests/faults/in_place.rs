//! The faults of a server that stays and replaces its workers: at HUP as nginx does, or by exec at USR2 as `HAProxy` does.

use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::server::Kind;
use nix::sys::signal::Signal;

use crate::trial::{Ending, Serves, Trial, on};

const GAP: Duration = Duration::from_millis(300);
const IMPATIENT: Timing =
    Timing { ready_within: Duration::from_secs(1), settle: Duration::from_millis(500), drain_within: Duration::from_secs(1) };

/// Hosts whose patients do this wrong from their birth, and are handed over so.
#[track_caller]
fn born_with(faults: &[Fault], dialect: &'static str, trials: &[Trial]) -> Fleet {
    let fleet = Fleet::of(trials.len()).server(Kind::Patient).dialect(dialect).faults(faults).timing(IMPATIENT).start();
    on(&fleet, trials);
    fleet
}

#[test]
fn workers_replaced_in_place_are_kept_and_whoever_stays_is_named() {
    born_with(
        &[],
        "nginx",
        &[
            Trial::of(&[], Ending::Kept("marked")).because("in place   new worker"),
            Trial::of(&[Fault::SlowDrain(Duration::from_millis(500))], Ending::Kept("marked")),
            Trial::of(&[Fault::SlowDrain(Duration::from_hours(1))], Ending::Kept("marked"))
                .because("2 of the old generation still there")
                .serves(Serves::Both),
            // A worker that the master forked after the signal, and of the old release: the lock was held, and that is all.
            Trial::of(&[Fault::IgnoreHup, Fault::LateWorker], Ending::Kept("marked"))
                .because("2 of the old generation still there")
                .serves(Serves::Old),
        ],
    );
}

#[test]
fn a_reload_in_place_that_changes_nothing_is_rolled_back_and_one_that_goes_wrong_is_not_kept() {
    let no_worker = "no new worker was ready within 1 s";
    born_with(
        &[],
        "nginx",
        &[
            Trial::of(&[Fault::IgnoreHup], Ending::RolledBack).because(no_worker),
            Trial::of(&[Fault::NeverReady], Ending::Unproven).because(no_worker).because("it cannot be undone").seen("503"),
            // Those of before are all there.
            Trial::of(&[Fault::NoWorkers, Fault::SlowDrain(Duration::from_hours(1))], Ending::RolledBack).because(no_worker),
            Trial::of(&[Fault::MoveLock(Duration::from_millis(200))], Ending::Unproven)
                .because("the handover broke at step close: process")
                .because("lives but does not hold the lock"),
            Trial::of(&[Fault::DieAfter(Duration::from_millis(200))], Ending::NeverKept).serves(Serves::Nobody),
        ],
    );
}

#[test]
fn a_master_that_lets_go_of_its_lock_and_takes_it_again_is_not_kept() {
    born_with(
        &[],
        "nginx",
        &[
            // It is the same open file, so only the waiter can tell.
            Trial::of(&[Fault::Relock(GAP)], Ending::Dropped).because("dropped its lock: the lock was free at #"),
            Trial::of(&[Fault::Reopen(GAP)], Ending::Dropped).because("dropped its lock: the lock was free at #"),
            // It is another open file, with another mark: what the waiter misses is seen by that.
            Trial::of(&[Fault::Reopen(Duration::ZERO)], Ending::NeverKept),
        ],
    );
    let blind = Trial::of(&[Fault::Reopen(GAP)], Ending::Unproven);
    let fleet = born_with(&[Fault::HelperForked], "nginx", &[blind.because("took it again (mark or taker changed)")]);
    assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the helper did not keep the lock");
}

#[test]
fn a_lock_without_a_mark_is_kept_by_contract_in_place_and_not_at_all_through_exec() {
    born_with(&[Fault::NoMark], "nginx", &[Trial::of(&[Fault::NoMark], Ending::Kept("contract")).because("contract")]);
    born_with(
        &[Fault::NoMark],
        "haproxy",
        &[
            Trial::of(&[Fault::NoMark, Fault::Exec], Ending::Unproven).because("called exec and its lock bears no mark"),
            Trial::of(&[Fault::NoMark, Fault::ExecDrops], Ending::NeverKept),
        ],
    );
}

#[test]
fn a_lock_that_goes_through_exec_is_kept_and_one_that_does_not_is_not() {
    let slow = Fault::SlowBoot(GAP);
    born_with(
        &[],
        "haproxy",
        &[
            Trial::of(&[Fault::Exec], Ending::Kept("marked")).because("in place by exec   new worker"),
            Trial::of(&[Fault::Exec, slow], Ending::Kept("marked")).because("in place by exec   new worker"),
            Trial::of(&[Fault::ExecDrops, slow], Ending::Dropped).because("dropped its lock: the lock was free at #"),
            Trial::of(&[Fault::ExecDrops], Ending::NeverKept),
        ],
    );
}

#[test]
fn a_new_image_that_does_not_serve_is_not_kept_whoever_answers_for_it() {
    let no_worker = "no new worker was ready within 1 s";
    born_with(
        &[],
        "haproxy",
        &[
            Trial::of(&[Fault::Exec, Fault::NeverReady], Ending::Unproven).because(no_worker).because("it cannot be undone"),
            // The old image has forked it after the signal, and it answers.
            Trial::of(&[Fault::Exec, Fault::NoWorkers, Fault::LateWorker], Ending::Unproven)
                .because(no_worker)
                .because("of the old generation")
                .serves(Serves::OldAfterLosses),
            Trial::of(&[Fault::Exec, Fault::DieAtBoot], Ending::NeverKept).serves(Serves::Nobody),
            // The server starts a new master beside the old one, and is not what its dialect says.
            Trial::of(&[], Ending::Unproven).because("no handover was seen: process").serves(Serves::Both),
        ],
    );
}

#[test]
fn a_helper_that_keeps_the_lock_while_exec_drops_it_does_not_prove_that_the_master_held() {
    let fleet = born_with(
        &[Fault::HelperForked],
        "haproxy",
        &[Trial::of(&[Fault::ExecDrops, Fault::SlowBoot(GAP)], Ending::Unproven)
            .because("the master let go of its lock and took it again (mark or taker changed)")],
    );
    assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the helper did not keep the lock");
}

#[test]
fn a_shell_that_starts_another_master_and_keeps_the_lock_does_not_prove_that_the_master_held() {
    for dialect in ["nginx", "haproxy"] {
        let fleet = Fleet::of(1).server(Kind::PatientWrapped).dialect(dialect).timing(IMPATIENT);
        let fleet = fleet.more("foreign-holders = \"allow\"\n").start();
        let crash = Trial::of(&[Fault::CrashAtHandover, Fault::SlowBoot(GAP)], Ending::Unproven);
        on(&fleet, &[crash.because("it cannot be undone: process").serves(Serves::Unasked)]);
        fleet.await_held();
        assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the shell did not keep the lock");
    }
}

/// What it was told it will do when it wakes: nothing was undone.
#[test]
fn a_signal_that_has_not_arrived_at_a_stopped_master_is_not_rolled_back() {
    let fleet = Fleet::of(1).server(Kind::Patient).dialect("haproxy").timing(IMPATIENT).start();
    let server = &fleet.hosts[0].server;
    server.set_faults(&[Fault::Exec]);
    server.signal(Signal::SIGSTOP);
    let run = fleet.baton(&["restart", "web"]).expect_code(4);
    assert!(run.text().contains("SIGUSR2 has not arrived at the master"), "{run}");
    server.signal(Signal::SIGCONT);
}
