//! A rollout that is told to stop finishes what it has begun, and says what it did not touch.

use std::process::Command;
use std::time::Duration;

use baton_tests::binaries;
use baton_tests::controller::{Run, Running};
use baton_tests::fleet::{Fleet, Timing};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SOON: Duration = Duration::from_secs(20);
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Long enough for a signal to arrive in the middle of the first handover.
const SETTLE: Duration = Duration::from_secs(3);

fn fleet() -> Fleet {
    Fleet::of(2).timing(Timing { settle: SETTLE, ..Timing::default() }).start()
}

fn signal(running: &Running, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(running.pid()).expect("a pid fits")), signal).expect("it runs");
}

/// A rollout that gets these signals while web-1 is handed over.
fn told(fleet: &Fleet, signals: &[Signal]) -> Run {
    let rollout = fleet.begin(&["restart", "web"]);
    rollout.wait_to_read(&["Step", "web-1", "ready"], SOON);
    for told in signals {
        signal(&rollout, *told);
        rollout.wait_to_read(&["Halting", "as asked", "web-1"], SOON);
    }
    rollout.finish(ENDS_WITHIN)
}

#[test]
fn a_signal_that_means_end_drains_the_rollout() {
    for signals in [&[Signal::SIGINT][..], &[Signal::SIGTERM], &[Signal::SIGHUP], &[Signal::SIGHUP, Signal::SIGHUP]] {
        let fleet = fleet();
        let masters = [0, 1].map(|host: usize| fleet.hosts[host].server.master());
        let run = told(&fleet, signals).expect_code(130);
        assert!(run.stdout.contains("1 of 2 proven; web-2 untouched"), "{signals:?}: {run}");
        assert!(run.stderr.contains("`baton restart web web-2`"), "{signals:?}: {run}");
        assert_ne!(fleet.hosts[0].server.master(), masters[0], "{signals:?}: {run}");
        assert_eq!(fleet.hosts[1].server.master(), masters[1], "{signals:?}: {run}");
    }
}

#[test]
fn a_second_one_from_the_operator_leaves_at_once() {
    let fleet = fleet();
    let run = told(&fleet, &[Signal::SIGINT, Signal::SIGINT]).expect_code(4);
    assert!(run.text().contains("left in flight"), "{run}");
}

#[test]
fn a_rollout_under_nohup_outlives_its_terminal() {
    let fleet = fleet();
    let mut command = Command::new("nohup");
    command.arg(binaries::find("baton")).args(["restart", "web"]).env("BATON_CONFIG", fleet.config());
    let rollout = Running::start(command, fleet.directory());
    rollout.wait_to_read(&["Step", "web-1", "ready"], SOON);
    signal(&rollout, Signal::SIGHUP);
    let run = rollout.finish(ENDS_WITHIN).expect_code(0);
    assert!(run.stdout.contains("2 of 2 proven"), "{run}");
}
