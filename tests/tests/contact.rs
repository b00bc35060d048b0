//! Contact that is lost in the middle of a handover and comes back: the host is waited for, nothing is signalled twice, and the
//! handover is proven.

use std::time::Duration;

use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::net::Way;
use baton_tests::recorded::Lived;
use baton_tests::server::Kind;
use baton_tests::steps::Steps;
use baton_tests::wait;

const HOSTS: usize = 2;
const LOST_PERCENT: u8 = 15;
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(20), settle: Duration::from_secs(1), drain_within: Duration::from_secs(20) };

/// A walk over two hosts, of which the first is troubled in flight until its agent has ended the handover.
fn is_waited_for(trouble: impl Fn(&Fleet), heal: impl Fn(&Fleet)) {
    let fleet = Fleet::of(HOSTS).server(Kind::Patient).timing(TIMING).in_namespaces().relayed().start();
    let before = Lived::of(&fleet);
    let mut walk = Steps::begin_with(&fleet, &["restart", SERVICE, "--yes"]);
    while walk.next_step().expect("it goes on") != "ready" {}
    trouble(&fleet);
    wait::until("the agent to end the handover", Duration::from_secs(20), || {
        if fleet.hosts[0].agent.log().contains("the handover is over") { Ok(()) } else { Err("it goes on".to_owned()) }
    });
    heal(&fleet);
    let (text, code) = walk.finish();
    assert_eq!(code, 0, "{text}");
    fleet.network().mend();
    before.is_followed_by_one_handover_of_each(&Lived::of(&fleet), "contact was lost");
}

#[test]
fn a_link_that_is_down_in_flight_and_comes_up_again_costs_nothing_but_time() {
    is_waited_for(|fleet| fleet.network().part(0), |fleet| fleet.network().mend());
}

#[test]
fn a_relay_that_is_deaf_in_flight_and_hears_again_costs_nothing_but_time() {
    for way in [Way::ToAgent, Way::ToController] {
        is_waited_for(|fleet| fleet.relays[0].hold(way), |fleet| fleet.relays[0].go_on());
    }
}

#[test]
fn a_connection_that_is_cut_in_flight_is_joined_by_the_next_one() {
    is_waited_for(|fleet| fleet.relays[0].cut(), |_| {});
}

#[test]
fn a_lossy_link_costs_nothing_but_time() {
    is_waited_for(
        |fleet| fleet.network().lose(0, LOST_PERCENT),
        |fleet| assert!(fleet.network().lost(0) > 0, "nothing was lost"),
    );
}

/// What others do then: the next host is taken out as well (ansible/ansible#18782, #82834).
#[test]
fn a_host_that_stays_parted_in_flight_halts_the_rollout_and_no_other_is_begun() {
    let fleet = Fleet::of(HOSTS).server(Kind::Patient).timing(TIMING).in_namespaces().start();
    let mut walk = Steps::begin_with(&fleet, &["restart", SERVICE, "--yes", "--host-deadline", "5s"]);
    while walk.next_step().expect("it goes on") != "ready" {}
    fleet.network().part(0);
    let (text, code) = walk.finish();
    assert_eq!(code, 4, "{text}");
    let asked: Vec<usize> = fleet.hosts.iter().map(|host| host.server.handovers_asked()).collect();
    assert_eq!(asked, [1, 0], "{text}");
}
