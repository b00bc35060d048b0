//! A server's own test of its configuration goes before the signal: what it refuses is never signalled.
//!
//! Without it a reload of such a configuration is an outage for some: benoitc/gunicorn#2443 is a HUP onto broken code that takes
//! the whole service down.

use std::time::Duration;

use baton_tests::fleet::{Fleet, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Flaw, Kind, Release};

const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(10), settle: Duration::from_millis(200), drain_within: Duration::from_secs(20) };

/// A broken configuration is stopped by the check, with its word for it; and a sound one passes.
fn stops(kind: Kind, flaw: Flaw, told: &str) {
    let fleet = Fleet::of(1).server(kind).timing(TIMING).checked().start();
    let server = &fleet.hosts[0].server;
    let load = Load::start(&fleet.targets(), Mix::default());
    let before = (server.master(), server.ask("/").expect("it serves").pid);
    fleet.deploy(&Release::flawed("v2", flaw));

    let run = fleet.baton(&["restart", "web"]).expect_code(3);

    let text = run.text();
    assert!(text.contains("RolledBack") && text.contains("at step prepare: the check: "), "{run}");
    assert!(text.contains(told), "the check's own word is not told: {run}");
    assert!(!text.contains("SIG"), "it was signalled: {run}");
    let after = server.ask("/").expect("it serves");
    assert_eq!((server.master(), after.release.as_str()), (before.0, "v1"), "{run}");
    fleet.deploy(&Release::sound("v3"));
    let run = fleet.baton(&["restart", "web"]).expect_code(0);
    assert_eq!(server.ask("/").expect("it serves").release, "v3", "{run}");
    assert_ne!(server.ask("/").expect("it serves").pid, before.1);
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}\n{run}");
}

#[test]
fn gunicorn_that_would_exit_at_its_hup_is_not_signalled() {
    stops(Kind::GunicornHup, Flaw::RaisesAtBoot, "ended with exit code 1");
}

#[test]
fn gunicorn_beside_is_not_signalled() {
    stops(Kind::Gunicorn, Flaw::RaisesAtBoot, "ended with exit code 1");
}

#[test]
fn nginx_is_not_signalled() {
    stops(Kind::Nginx, Flaw::RefusedConfiguration, "unknown directive \"nonsense\"");
}

#[test]
fn nginx_by_its_upgrade_is_not_signalled() {
    stops(Kind::NginxUpgrade, Flaw::RefusedConfiguration, "unknown directive \"nonsense\"");
}

#[test]
fn haproxy_is_not_signalled() {
    stops(Kind::Haproxy, Flaw::RefusedConfiguration, "nonsense");
}

#[test]
fn php_fpm_that_would_exit_is_not_signalled() {
    stops(Kind::PhpFpm, Flaw::RefusedConfiguration, "unknown entry 'nonsense'");
}
