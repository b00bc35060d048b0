//! `baton undo`: exactly the hosts of that rollout go back to the release that each had.

use std::time::Duration;

use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::recorded::{nothing_is_claimed, rollouts};
use baton_tests::server::{Kind, Release};

const RELEASES: &str = "release = { directory = \"{directory}/releases\", link = \"{directory}/current\" }\n";
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(10), settle: Duration::from_millis(200), drain_within: Duration::from_secs(20) };

/// Hosts whose server runs release v1 of those that lie there: v1, v2 and v3.
fn fleet(hosts: usize) -> Fleet {
    let fleet = Fleet::of(hosts).server(Kind::UnicornReleased { stale: false }).timing(TIMING).more(RELEASES).start();
    fleet.deploy(&Release::sound("v2"));
    fleet.deploy(&Release::sound("v3"));
    fleet
}

fn served(fleet: &Fleet) -> Vec<String> {
    fleet.hosts.iter().map(|host| host.server.ask("/").expect("it serves").release).collect()
}

fn generations(fleet: &Fleet) -> Vec<u64> {
    fleet.standings().iter().map(|standing| standing.generation).collect()
}

/// Restarts, and tells the name of the rollout.
fn restart(fleet: &Fleet, args: &[&str], code: i32) -> String {
    let known = rollouts(fleet);
    let _ended = fleet.baton(&[&["restart", SERVICE], args, &["--yes"]].concat()).expect_code(code);
    rollouts(fleet).difference(&known).next().expect("it is in the journal").clone()
}

#[test]
fn the_hosts_of_a_rollout_go_back_to_the_release_that_each_had_and_no_other_host_is_touched() {
    let fleet = fleet(3);
    restart(&fleet, &["web-2", "--release", "v2"], 0);
    let id = restart(&fleet, &["web-1,web-2", "--release", "v3"], 0);
    assert_eq!(served(&fleet), ["v3", "v3", "v1"]);

    let run = fleet.baton(&["undo", &id, "--yes"]).expect_code(0);

    assert_eq!(served(&fleet), ["v1", "v2", "v1"], "{run}");
    assert_eq!(generations(&fleet), [3, 4, 1], "{run}");
    nothing_is_claimed(&fleet, "undone");
}

#[test]
fn of_a_rollout_that_was_stopped_only_the_hosts_that_it_touched_are_undone() {
    let fleet = fleet(3);
    let id = restart(&fleet, &["--release", "v2", "--stop-after", "1"], 7);
    assert_eq!(served(&fleet), ["v2", "v1", "v1"]);
    let run = fleet.baton(&["undo", &id, "--yes"]).expect_code(0);
    assert_eq!(served(&fleet), ["v1", "v1", "v1"], "{run}");
    assert_eq!(generations(&fleet), [3, 1, 1], "{run}");
}

#[test]
fn what_somebody_deployed_since_stays_and_keeps_the_rest_only_until_it_is_left_out() {
    let fleet = fleet(2);
    let id = restart(&fleet, &["--release", "v2"], 0);
    restart(&fleet, &["web-2", "--release", "v3"], 0);
    let refused = fleet.baton(&["undo", &id, "--yes"]).expect_code(2);
    refused.says(&["web-2", "somebody deployed since"]);
    assert_eq!(served(&fleet), ["v2", "v3"], "{refused}");
    let run = fleet.baton(&["undo", &id, "--leave-out-broken", "--yes"]).expect_code(3);
    assert_eq!(served(&fleet), ["v1", "v3"], "{run}");
}
