//! A release that does not work never takes over: the rollout halts at the first host, and nothing is lost.

use std::time::Duration;

use baton_tests::fleet::{Fleet, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Flaw, Kind, Release};

/// Longer than the two seconds after which a release that dies after its boot is dead.
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(6), settle: Duration::from_secs(3), drain_within: Duration::from_secs(20) };

/// The rollout of v2 with `flaw` halts at web-1; the message names the host, the step and the cause.
fn halts_at_the_first_host(kind: Kind, flaw: Flaw, cause: &str) {
    let fleet = Fleet::of(3).server(kind).timing(TIMING).start();
    let load = Load::start(&fleet.targets(), Mix { long: 1, long_for: Duration::from_millis(700), ..Mix::default() });
    let before = fleet.standings();
    fleet.deploy(&Release::flawed("v2", flaw));

    let run = fleet.baton(&["restart", "web"]).expect_code(3);

    assert_eq!(fleet.standings(), before, "{run}");
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}\n{run}");
    for host in &fleet.hosts {
        let answer = host.server.ask("/").expect("the old generation serves");
        assert_eq!(answer.release, "v1", "{run}");
    }
    let error = run.stderr.lines().find(|line| line.starts_with("error:")).unwrap_or_default();
    assert!(error.contains("web-1"), "the message does not name the host\n{run}");
    // A master that dies in no time may be gone before it was seen to appear.
    let unseen = flaw == Flaw::RaisesAtBoot && error.contains("the new master exited while it booted");
    assert!(error.contains(cause) || unseen, "the message does not name {cause:?}\n{run}");
    assert!(error.contains("at step ready") || error.contains("at step appear"), "the message does not name the step\n{run}");
    let text = run.text();
    assert!(text.contains("RolledBack") && text.contains("Halted"), "{run}");
    for untouched in ["web-2", "web-3"] {
        assert!(text.lines().any(|line| line.contains("Halted") && line.contains(untouched)), "{run}");
    }
}

#[test]
fn a_release_that_raises_at_boot_halts_the_rollout() {
    halts_at_the_first_host(Kind::Unicorn, Flaw::RaisesAtBoot, "exited before it was ready");
}

#[test]
fn a_release_whose_workers_raise_at_boot_halts_the_rollout() {
    halts_at_the_first_host(Kind::UnicornLazy, Flaw::RaisesAtBoot, "not ready within 6 s");
}

#[test]
fn a_release_that_hangs_at_boot_halts_the_rollout() {
    halts_at_the_first_host(Kind::Unicorn, Flaw::HangsAtBoot, "not ready within 6 s");
}

#[test]
fn a_release_that_never_becomes_ready_halts_the_rollout() {
    halts_at_the_first_host(Kind::Unicorn, Flaw::NeverReady, "503");
}

#[test]
fn a_release_that_boots_and_dies_two_seconds_later_halts_the_rollout() {
    halts_at_the_first_host(Kind::Unicorn, Flaw::DiesAfterBoot, "after it was ready");
}

#[test]
fn the_patient_with_a_release_that_dies_at_boot_halts_the_rollout() {
    halts_at_the_first_host(Kind::Patient, Flaw::RaisesAtBoot, "exited");
}
