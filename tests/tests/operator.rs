//! A rollout asks its operator before it begins; told to stop, it finishes what it has begun and says what it did not touch.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
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
        assert!(run.stderr.contains("` goes on with the hosts that were not touched"), "{signals:?}: {run}");
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
    command.env("BATON_STATE", fleet.config().with_file_name("state"));
    let rollout = Running::start(command, fleet.directory());
    rollout.wait_to_read(&["Step", "web-1", "ready"], SOON);
    signal(&rollout, Signal::SIGHUP);
    let run = rollout.finish(ENDS_WITHIN).expect_code(0);
    assert!(run.stdout.contains("2 of 2 proven"), "{run}");
}

/// Runs a command of the shell on a terminal of its own, types into it, and returns its exit code and what the terminal showed.
fn on_a_terminal(command: &str, typed: &str) -> (Option<i32>, String) {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", command, "/dev/null"]);
    let mut running = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script is part of every Debian");
    running.stdin.take().expect("it is piped").write_all(typed.as_bytes()).expect("it reads");
    let output = running.wait_with_output().expect("our own child");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn whoever_types_is_asked_also_when_progress_goes_to_a_file() {
    let fleet = fleet();
    let (baton, config) = (binaries::find("baton"), fleet.config());
    let state = config.with_file_name("state");
    let surroundings = format!("BATON_CONFIG={} BATON_STATE={}", config.display(), state.display());
    let restart = format!("{surroundings} timeout --foreground 60 {} restart web", baton.display());
    let master = fleet.hosts[0].server.master();
    let log = fleet.directory().join("log");
    for elsewhere in [String::new(), format!("2>{}", log.display())] {
        let (code, shown) = on_a_terminal(&format!("{restart} {elsewhere}"), "n\n");
        assert_eq!(code, Some(7), "{shown}");
        assert!(shown.contains("Restart web on 2 hosts? [y/N]"), "{shown}");
    }
    assert!(fs::read_to_string(log).is_ok_and(|log| log.contains("nothing was touched") && !log.contains("[y/N]")));
    assert_eq!(fleet.hosts[0].server.master(), master);
}
