//! The bounds of a rollout on real hosts: zones, budgets, floors, a host that is broken before, and one that dies after it was done.

use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::recorded::nothing_is_claimed;
use baton_tests::server::{Flaw, Kind, Release};
use serde_json::Value;

const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(20), settle: Duration::ZERO, drain_within: Duration::from_secs(20) };

fn asked(fleet: &Fleet) -> Vec<usize> {
    fleet.hosts.iter().map(|host| host.server.handovers_asked()).collect()
}

/// The hosts in the order in which they were started.
fn started(events: &[Value]) -> Vec<&str> {
    events.iter().filter(|event| event["event"] == "started").filter_map(|event| event["host"].as_str()).collect()
}

fn fleet(hosts: usize) -> Fleet {
    Fleet::of(hosts).server(Kind::Patient).timing(TIMING).start()
}

#[test]
fn zone_by_zone_no_host_of_the_next_is_begun_before_the_last_of_this_one_is_done() {
    let fleet = Fleet::of(6).server(Kind::Patient).timing(TIMING).zones(&["a", "b"]).start();
    let run = fleet.baton(&["restart", SERVICE, "--by-zone", "--max-in-flight", "6", "--yes", "--output", "json"]).expect_code(0);
    let events = run.objects();
    let started = started(&events);
    assert_eq!(started.len(), 6, "{run}");
    assert!(started[..3].iter().all(|host| ["web-1", "web-3", "web-5"].contains(host)), "{started:?}");
    let place = |kind: &str, host: &str| events.iter().position(|event| event["event"] == kind && event["host"] == host);
    let first_of_b = place("started", started[3]);
    assert!(["web-1", "web-3", "web-5"].iter().all(|host| place("host", host) < first_of_b), "{run}");
}

#[test]
fn a_slow_host_has_one_slot_and_holds_up_nobody_beside_it() {
    let slow = Timing { settle: Duration::from_secs(5), ..TIMING };
    let fleet = Fleet::of(4).server(Kind::Patient).timing(TIMING).timing_of("web-1", slow).start();
    let run = fleet.baton(&["restart", SERVICE, "--max-in-flight", "2", "--yes", "--output", "json"]).expect_code(0);
    let events = run.objects();
    let place = |kind: &str, host: &str| events.iter().position(|event| event["event"] == kind && event["host"] == host);
    assert!(place("host", "web-4") < place("host", "web-1"), "all others are done before it is: {run}");
}

#[test]
fn past_the_budget_nothing_more_is_begun() {
    let fleet = fleet(4);
    let before = fleet.standings();
    for host in &fleet.hosts[..3] {
        host.server.deploy(&Release::flawed("v2", Flaw::RaisesAtBoot));
    }
    let run = fleet.baton(&["restart", SERVICE, "--max-failures", "1", "--yes"]).expect_code(3);
    assert_eq!(asked(&fleet), [1, 1, 0, 0], "{run}");
    let after = fleet.standings();
    assert_eq!(
        before.iter().map(|host| host.master).collect::<Vec<_>>(),
        after.iter().map(|host| host.master).collect::<Vec<_>>()
    );
    nothing_is_claimed(&fleet, "past the budget");
}

#[test]
fn never_fewer_are_available_than_the_floor_allows_however_many_may_be_in_flight() {
    let fleet = fleet(4);
    let arguments = ["restart", SERVICE, "--max-in-flight", "4", "--min-available", "3", "--yes", "--output", "json"];
    let run = fleet.baton(&arguments).expect_code(0);
    let (mut in_flight, mut most) = (0_i32, 0);
    for event in run.objects() {
        in_flight += i32::from(event["event"] == "started") - i32::from(event["event"] == "host");
        most = most.max(in_flight);
    }
    assert_eq!(most, 1, "{run}");
}

#[test]
fn while_a_host_is_broken_nothing_is_touched_unless_it_is_left_out() {
    let fleet = fleet(3);
    fleet.hosts[1].server.kill();
    let refused = fleet.baton(&["restart", SERVICE, "--yes"]).expect_code(2);
    refused.says(&["web-2"]);
    assert_eq!(asked(&fleet), [0, 0, 0], "{refused}");
    let run = fleet.baton(&["restart", SERVICE, "--leave-out-broken", "--yes"]).expect_code(3);
    assert_eq!(asked(&fleet), [1, 0, 1], "{run}");
    nothing_is_claimed(&fleet, "one was left out");
}

#[test]
fn a_generation_that_dies_while_the_last_host_soaks_halts_the_rollout() {
    let fleet = fleet(2);
    fleet.hosts[1].server.set_faults(&[Fault::DieAfter(Duration::from_secs(2))]);
    let run = fleet.baton(&["restart", SERVICE, "--soak", "10s", "--yes"]).expect_code(5);
    run.says(&["web-2"]);
}

#[test]
fn after_as_many_as_were_wanted_it_stops_and_resume_does_the_rest() {
    let fleet = fleet(3);
    let run = fleet.baton(&["restart", SERVICE, "--stop-after", "2", "--yes"]).expect_code(7);
    assert_eq!(asked(&fleet), [1, 1, 0], "{run}");
    let id = baton_tests::recorded::rollouts(&fleet).pop_first().expect("it is in the journal");
    let run = fleet.baton(&["resume", &id]);
    assert_eq!(asked(&fleet), [1, 1, 1], "{run}");
}
