//! The host is not the one that was meant, or does not answer: it is refused, with the reason, before anything is touched.

use std::time::Duration;

use baton_tests::clock;
use baton_tests::fleet::Fleet;
use baton_tests::server::Kind;

use crate::certificate::{Pair, expired};
use crate::facts::Facts;
use crate::inventory::{Inventory, complains};
use crate::listener::{Manner, listen};

/// A little more than what the dialler gives TCP, TLS and HTTP/2 together.
const DIALLED_WITHIN: Duration = Duration::from_secs(8);

fn two_hosts() -> Fleet {
    Fleet::of(2).server(Kind::Patient).start()
}

/// A restart with such an inventory fails for this reason, and nothing was touched.
#[track_caller]
fn is_refused(fleet: &Fleet, inventory: &Inventory, words: &[&str], next: &str) {
    let before = Facts::of(fleet);
    let run = complains(inventory.baton(&["restart", "web"]), 2, words, next);
    assert!(run.stderr.contains("nothing was touched"), "{run}");
    let run = inventory.baton(&["status"]).expect_code(3);
    assert!(words.iter().all(|word| run.stdout.contains(word)), "{words:?}: {run}");
    assert_eq!(Facts::of(fleet), before);
}

#[test]
fn an_unreachable_host_refuses_the_rollout_before_it_begins_unless_it_is_to_be_left_out() {
    let mut fleet = Fleet::of(3).start();
    let others = Facts::of_hosts(&fleet, &["web-1", "web-3"]);
    let unreached = Facts::of_hosts(&fleet, &["web-2"]);
    fleet.hosts[1].agent.kill();
    let address = fleet.hosts[1].agent.address().to_string();

    let run = complains(fleet.baton(&["restart", "web"]), 2, &["web-2", &address, "Connection refused"], "the agent runs");
    assert!(run.stderr.contains("nothing was touched"), "{run}");
    assert_eq!(Facts::of_hosts(&fleet, &["web-1", "web-3"]), others);

    let run = fleet.baton(&["restart", "web", "--leave-out-broken", "--output", "json"]).expect_code(3);
    let outcome = |name: &str| run.outcomes().into_iter().rfind(|outcome| outcome.host == name).expect("an outcome");
    assert!(outcome("web-1").is_proven("marked") && outcome("web-3").is_proven("marked"), "{run}");
    assert_eq!(outcome("web-2").outcome, "refused", "{run}");

    fleet.hosts[1].agent.start_again();
    fleet.await_held();
    assert!(Facts::of_hosts(&fleet, &["web-2"]).are_but_for_the_agents_pid(&unreached));
    let _all_proven = fleet.baton(&["restart", "web"]).expect_code(0);
}

#[test]
fn a_host_that_shows_the_certificate_of_another_host_is_not_believed() {
    let fleet = two_hosts();
    let address = fleet.hosts[0].agent.address();
    let inventory = Inventory::of(&fleet).without("web-1").at("web-2", address);
    is_refused(&fleet, &inventory, &[&format!("the host at {address} is web-1, not web-2"), "web-2"], "`name` and `address`");
}

#[test]
fn a_host_of_another_fleet_is_not_believed() {
    let fleet = two_hosts();
    let others = Fleet::of(1).server(Kind::Patient).start();
    let others_before = Facts::of(&others);
    let inventory = Inventory::of(&fleet).at("web-2", others.hosts[0].agent.address());
    is_refused(&fleet, &inventory, &["web-2", "certificate", "unknown issuer"], "`authority` in fleet.toml");
    assert_eq!(Facts::of(&others), others_before);
}

#[test]
fn an_inventory_that_calls_the_fleet_by_another_name_than_our_certificate_asks_nobody() {
    let fleet = two_hosts();
    let inventory = Inventory::of(&fleet).named("staging");
    let before = Facts::of(&fleet);
    let words = ["spiffe://test/operator/", "not of the fleet \"staging\""];
    for verb in [&["restart", "web"][..], &["plan", "web"], &["status"], &["testimony", "web-1", "web"]] {
        let _refused = complains(inventory.baton(verb), 2, &words, "`name` and `certificate` in [fleet]");
    }
    assert_eq!(Facts::of(&fleet), before);
}

#[test]
fn a_host_with_an_expired_certificate_is_refused_until_it_is_renewed() {
    let fleet = two_hosts();
    let before = Facts::of(&fleet);
    let own = Pair::of(&fleet.pki, "web-2");
    let good = own.copy_to(&fleet.directory().join("good"));
    expired(&fleet, "agent", "web-2").replace(&own);
    let run =
        complains(fleet.baton(&["restart", "web"]), 2, &["web-2", "certificate", "expired"], "`baton pki issue agent HOST`");
    assert!(run.stderr.contains("nothing was touched"), "{run}");
    good.replace(&own);
    assert_eq!(Facts::of(&fleet), before);
    let _all_proven = fleet.baton(&["restart", "web"]).expect_code(0);
}

#[test]
fn a_port_that_says_nothing_is_given_up_at_a_deadline() {
    let fleet = two_hosts();
    let inventory = Inventory::of(&fleet).at("web-2", listen(Manner::Silent));
    let began = clock::now();
    let run = inventory.baton(&["plan", "web"]).expect_code(2);
    assert!(began.elapsed() < DIALLED_WITHIN, "{:?}: {run}", began.elapsed());
    is_refused(&fleet, &inventory, &["web-2", "timed out after 5 s"], "firewall");
}

#[test]
fn what_does_not_speak_tls_is_no_agent() {
    let fleet = two_hosts();
    for bytes in
        [&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2p1\r\n", &[0; 64], &[0xa5; 4096]]
    {
        let address = listen(Manner::Says(bytes));
        let inventory = Inventory::of(&fleet).at("web-2", address);
        is_refused(
            &fleet,
            &inventory,
            &["web-2", &address.to_string(), "does not speak TLS"],
            "`listen` in the host's agent.toml",
        );
    }
}

#[test]
fn a_port_that_hangs_up_is_no_agent() {
    let fleet = two_hosts();
    let address = listen(Manner::Rude);
    let inventory = Inventory::of(&fleet).at("web-2", address);
    is_refused(&fleet, &inventory, &["web-2", &format!("{address} closed the connection")], "`listen` in the host's agent.toml");
}
