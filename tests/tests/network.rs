//! The harness's network: what is parted is not reached, what is lost is sent again, and what is held is not noticed.

use std::time::Duration;

use baton_tests::clock;
use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::net::Way;
use baton_tests::server::Kind;

const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(20), settle: Duration::ZERO, drain_within: Duration::from_secs(20) };

/// By how much a slow relay is late, in each direction.
const DELAY: Duration = Duration::from_millis(50);

#[test]
fn twenty_hosts_with_addresses_of_their_own_are_restarted() {
    let fleet = Fleet::of(20).server(Kind::Patient).timing(TIMING).in_namespaces().start();
    let run = fleet.baton(&["restart", SERVICE, "--yes", "--max-in-flight", "4", "--output", "json"]).expect_code(0);
    assert_eq!(run.outcomes().iter().filter(|outcome| outcome.is_proven("marked")).count(), 20, "{run}");
    assert!(fleet.hosts.iter().all(|host| host.server.handovers_asked() == 1), "{run}");
}

#[test]
fn a_host_whose_link_is_down_is_not_reached_until_it_is_up_again() {
    let fleet = Fleet::of(2).server(Kind::Patient).in_namespaces().start();
    fleet.network().part(1);
    let run = fleet.baton(&["status"]);
    assert_ne!(run.code, Some(0), "{run}");
    run.says(&["web-2", "cannot connect"]);
    fleet.network().mend();
    fleet.await_held();
}

#[test]
fn packets_that_are_lost_are_sent_again() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).in_namespaces().start();
    fleet.network().lose(0, 20);
    let _proven = fleet.baton(&["restart", SERVICE, "--yes"]).expect_code(0);
    assert!(fleet.network().lost(0) > 0);
}

#[test]
fn a_relay_is_slow_deaf_or_cut_and_goes_on() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).relayed().start();
    let relay = &fleet.relays[0];
    relay.delay(DELAY);
    let began = clock::now();
    let _told = fleet.baton(&["status"]).expect_code(0);
    // A handshake and a call are two journeys there and back.
    assert!(began.elapsed() >= 4 * DELAY, "{:?}", began.elapsed());
    relay.go_on();
    for way in [Way::ToAgent, Way::ToController] {
        relay.hold(way);
        fleet.baton(&["status"]).says(&["web-1", "cannot connect"]);
        relay.go_on();
        let _told = fleet.baton(&["status"]).expect_code(0);
    }
    assert!(relay.accepted() >= 4);
}
