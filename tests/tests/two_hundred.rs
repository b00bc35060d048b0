//! Clean handovers are proven, every one: a proof that fails now and then would halt good rollouts.

use std::time::Duration;

use baton_tests::fleet::{Fleet, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Kind, Release};

const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(20), settle: Duration::ZERO, drain_within: Duration::from_secs(20) };

/// `rounds` rolling restarts of `hosts` hosts, two at a time, under load: all kept, nothing lost.
fn all_are_kept(kind: Kind, hosts: usize, rounds: usize) {
    let fleet = Fleet::of(hosts).server(kind).timing(TIMING).start();
    let load = Load::start(&fleet.targets(), Mix { pace: Duration::from_millis(100), ..Mix::default() });
    let before = fleet.standings();
    let mut kept = 0;
    for round in 0..rounds {
        fleet.deploy(&Release::sound(&format!("v{}", round + 2)));
        let run = fleet.baton(&["restart", "web", "--max-in-flight", "2", "--output", "json"]).expect_code(0);
        kept += run.outcomes().iter().filter(|outcome| outcome.is_proven("marked")).count();
    }
    let tally = load.stop();
    assert_eq!((kept, tally.failed()), (hosts * rounds, 0), "{tally}");
    for (before, after) in before.iter().zip(fleet.standings()) {
        assert_eq!(before.epoch, after.epoch);
    }
}

#[test]
fn clean_handovers_of_unicorn_under_load_are_kept_in_200_of_200() {
    all_are_kept(Kind::Unicorn, 10, 20);
}

#[test]
fn clean_handovers_of_the_patient_under_load_are_kept_in_200_of_200() {
    all_are_kept(Kind::Patient, 10, 20);
}
