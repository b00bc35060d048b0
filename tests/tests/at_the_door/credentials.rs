//! Who asks is not who may: refused, with the reason, and nothing was touched.

use std::fs;
use std::path::{Path, PathBuf};

use baton_tests::fleet::{Fleet, OPERATOR};
use baton_tests::pki::Pki;
use baton_tests::server::Kind;

use crate::caller::{Version, shake_hands};
use crate::certificate::expired;
use crate::facts::Facts;
use crate::inventory::{Inventory, complains};

fn one_host() -> Fleet {
    Fleet::of(1).server(Kind::Patient).start()
}

/// A restart by somebody who may not, as our own certificate says: nobody is asked.
#[track_caller]
fn may_not(fleet: &Fleet, inventory: &Inventory, words: &[&str], next: &str) {
    let before = Facts::of(fleet);
    let run = complains(inventory.baton(&["restart", "web"]), 2, words, next);
    assert_eq!(run.stdout, "", "{run}");
    assert_eq!(Facts::of(fleet), before);
}

/// A restart by somebody whom the agent turns away: it fails for this reason, and nothing was touched.
#[track_caller]
fn is_denied(fleet: &Fleet, inventory: &Inventory, words: &[&str], next: &str) {
    let before = Facts::of(fleet);
    let run = complains(inventory.baton(&["restart", "web"]), 2, &[words, &["web-1"]].concat(), next);
    assert!(run.stderr.contains("nothing was touched"), "{run}");
    assert_eq!(Facts::of(fleet), before);
}

#[test]
fn the_operator_of_another_fleet_is_turned_away() {
    let fleet = one_host();
    let directory = fleet.directory().join("other");
    fs::create_dir(&directory).expect("a directory in the sandbox can be made");
    // Of the same name, so that nothing but the signature tells them apart.
    let other = Pki::init("test", &directory);
    other.issue("operator", OPERATOR);
    let inventory = Inventory::of(&fleet).asked_by(&other, OPERATOR);
    is_denied(&fleet, &inventory, &["refused our certificate"], "of this fleet");
    let _refused = inventory.baton(&["status"]).expect_code(3);
}

#[test]
fn an_expired_operator_is_turned_away() {
    let fleet = one_host();
    let pair = expired(&fleet, "operator", "late");
    let inventory = Inventory::of(&fleet).certificate(&pair.certificate).key(&pair.key);
    may_not(&fleet, &inventory, &["late.crt expired on "], "`baton pki issue operator late`");
    let _refused = inventory.baton(&["status"]).expect_code(2);
    // Whoever does not look at it first is turned away by the agent.
    let error = shake_hands(fleet.hosts[0].agent.address(), Version::Tls13, Some(&pair)).expect_err("it has expired");
    assert!(error.contains("certificate expired"), "{error}");
}

#[test]
fn an_agents_own_certificate_can_neither_restart_nor_look() {
    let fleet = one_host();
    let inventory = Inventory::of(&fleet).asked_by(&fleet.pki, "web-1");
    may_not(&fleet, &inventory, &["spiffe://test/agent/web-1", "role agent", "may not"], "`baton pki issue operator NAME`");
    let _denied = inventory.baton(&["status"]).expect_code(2);
}

#[test]
fn an_observer_can_look_and_plan_and_not_restart() {
    let fleet = one_host();
    fleet.pki.issue("observer", "grafana");
    let inventory = Inventory::of(&fleet).asked_by(&fleet.pki, "grafana");
    let _shown = inventory.baton(&["status"]).expect_code(0);
    let planned = inventory.baton(&["plan", "web"]).expect_code(0);
    assert!(planned.stdout.contains("spiffe://test/observer/grafana may look, and may not restart"), "{planned}");
    may_not(&fleet, &inventory, &["spiffe://test/observer/grafana", "may not restart"], "`baton pki issue operator NAME`");
}

#[test]
fn an_unknown_service_is_told_with_those_that_are_known() {
    let fleet = one_host();
    let before = Facts::of(&fleet);
    for (verb, who) in [
        (&["restart", "wbe"][..], "no host has a service"),
        (&["plan", "wbe"], "no host has a service"),
        (&["testimony", "web-1", "wbe"], "web-1 has no service"),
    ] {
        let run = complains(fleet.baton(verb), 2, &[who, "\"wbe\"; known: web"], "`baton status`");
        assert_eq!(run.stdout, "", "{run}");
    }
    assert_eq!(Facts::of(&fleet), before);
}

/// Files that are no certificate, key or authority: nobody is even dialled.
#[test]
fn certificate_files_that_do_not_parse_are_named() {
    let fleet = one_host();
    let before = Facts::of(&fleet);
    fleet.pki.issue("operator", "eve");
    let bad = |name: &str, text: &str| -> PathBuf {
        let path = fleet.directory().join(name);
        fs::write(&path, text).expect("a file in the sandbox can be written");
        path
    };
    let garbage = bad("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let (empty, missing) = (bad("empty.pem", ""), fleet.directory().join("missing.pem"));
    let inventory = || Inventory::of(&fleet);
    for (inventory, file) in [
        (inventory().certificate(&garbage), &garbage),
        (inventory().certificate(&empty), &empty),
        (inventory().certificate(&missing), &missing),
        (inventory().key(&garbage), &garbage),
        (inventory().key(&missing), &missing),
        (inventory().authority(&garbage), &garbage),
        (inventory().authority(&empty), &empty),
        (inventory().key(&fleet.pki.key("eve")), &fleet.pki.certificate(OPERATOR)),
    ] {
        let file: &Path = file;
        let file = file.to_str().expect("the sandbox has a name that is text");
        let _refused = complains(inventory.baton(&["restart", "web"]), 2, &[file], "[fleet] in fleet.toml");
    }
    assert_eq!(Facts::of(&fleet), before);
}
