//! The harness itself: its servers hand over by hand, its load sees every failure, and nothing outlives a sandbox.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::load::{Failure, Load, Mix};
use baton_tests::sandbox::Sandbox;
use baton_tests::server::{Kind, Release, Server, signal};
use baton_tests::{address, wait};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(20);

fn start(sandbox: &Sandbox, kind: Kind) -> Server {
    Server::start(kind, &sandbox.path().join("server"), address::next(), &Release::sound("v1"))
}

/// What the agent does, without looking at locks: USR2, wait for the new generation, QUIT.
fn hand_over(server: &Server, release: &str) {
    let old = server.master().unwrap();
    server.deploy(&Release::sound(release));
    signal(old, Signal::SIGUSR2);
    wait::until("the new generation to answer", SOON, || {
        let answer = server.ask("/").map_err(|error| error.to_string())?;
        if answer.release == release { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    signal(old, Signal::SIGQUIT);
    wait::until("the old generation to leave", SOON, || {
        let oldbin = server.pidfile().with_extension("pid.oldbin");
        if oldbin.exists() { Err("its pid file is there".to_owned()) } else { Ok(()) }
    });
}

fn hands_over_without_a_failed_request(kind: Kind) {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, kind);
    let first = server.master().unwrap();
    let long_for = Duration::from_millis(300);
    let load = Load::start(&[server.address()], Mix { long: 1, long_for, ..Mix::default() });
    for release in ["v2", "v3"] {
        hand_over(&server, release);
    }
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(tally.served_by(server.address(), "v3") > 0, "{tally}");
    assert_ne!(server.master(), Ok(first));
}

#[test]
fn the_patient_hands_over_without_a_failed_request() {
    hands_over_without_a_failed_request(Kind::Patient);
}

#[test]
fn unicorn_hands_over_without_a_failed_request() {
    hands_over_without_a_failed_request(Kind::Unicorn);
}

#[test]
fn unicorn_as_a_daemon_hands_over_without_a_failed_request() {
    hands_over_without_a_failed_request(Kind::UnicornDaemon);
}

#[test]
fn a_dead_server_is_seen_by_the_load() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, Kind::Patient);
    let load = Load::start(&[server.address()], Mix::default());
    let count = |count: u64| if count > 10 { Ok(()) } else { Err(format!("{count}")) };
    wait::until("requests to be served", SOON, || count(load.so_far().0));
    server.kill();
    wait::until("requests to fail", SOON, || count(load.so_far().1));
    let tally = load.stop();
    assert!(tally.failed_by(Failure::Refused) > 0, "{tally}");
}

#[test]
fn a_request_cut_short_is_seen_by_the_load() {
    let sandbox = Sandbox::new();
    let server = start(&sandbox, Kind::Patient);
    let long_for = Duration::from_mins(1);
    let load = Load::start(&[server.address()], Mix { keep_alive: 0, close: 0, long: 1, long_for, ..Mix::default() });
    wait::until("the long request to be under way", SOON, || connections_to(&server));
    server.kill();
    wait::until("the long request to fail", SOON, || if load.so_far().1 > 0 { Ok(()) } else { Err("it has not".to_owned()) });
    let tally = load.stop();
    assert!(tally.failed_by(Failure::ResetOnFresh) + tally.failed_by(Failure::EndOnFresh) > 0, "{tally}");
}

/// Ok once the kernel has an established connection to the server.
fn connections_to(server: &Server) -> Result<(), String> {
    let table = fs::read_to_string("/proc/net/tcp").map_err(|error| error.to_string())?;
    let std::net::IpAddr::V4(address) = server.address().ip() else { return Err("no IPv4 address".to_owned()) };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.octets()), server.address().port());
    let established =
        table.lines().map(str::split_whitespace).any(|mut words| words.nth(1) == Some(&local) && words.nth(1) == Some("01"));
    if established { Ok(()) } else { Err("no connection".to_owned()) }
}

/// The times that the patient logged after `words`, in nanoseconds.
fn logged(server_log: &str, words: &str) -> Vec<u64> {
    let times = server_log.lines().filter_map(|line| line.split_once(words));
    times.map(|(_, rest)| rest.trim_end_matches(" ns").parse().unwrap()).collect()
}

#[test]
fn the_patients_gap_is_as_long_as_told_and_never_an_overlap() {
    for gap in [0, 100, 10_000] {
        let sandbox = Sandbox::new();
        let server = start(&sandbox, Kind::Patient);
        server.set_faults(&[Fault::Gap(Duration::from_micros(gap))]);
        for _ in 0..10 {
            let old = server.master().unwrap();
            signal(old, Signal::SIGUSR2);
            wait::until("the new generation to answer", SOON, || match server.ask("/") {
                Ok(answer) if answer.master != old => Ok(()),
                other => Err(format!("{other:?}")),
            });
        }
        let log = fs::read_to_string(sandbox.path().join("server/server.log")).unwrap();
        let (mut free, mut taken) = (logged(&log, "let go at "), logged(&log, "took the lock at "));
        free.sort_unstable();
        taken.sort_unstable();
        assert_eq!((free.len(), taken.len()), (10, 11), "{log}");
        for (free, taken) in free.iter().zip(&taken[1..]) {
            assert!(taken - free >= gap * 1000, "asked for {gap} us, but free at {free} ns and taken at {taken} ns");
        }
    }
}

#[test]
fn nothing_outlives_a_sandbox() {
    let sandbox = Sandbox::new();
    let patient = start(&sandbox, Kind::Patient);
    let directory = sandbox.path().join("daemon");
    let daemon = Server::start(Kind::UnicornDaemon, &directory, address::next(), &Release::sound("v1"));
    let path = sandbox.path().to_owned();
    hand_over(&patient, "v2");
    drop(sandbox);
    assert!(!path.exists());
    for server in [patient, daemon] {
        assert!(server.ask("/").is_err(), "{server:?} still answers");
    }
}

/// Each starts, serves its release, and is killed with all that is before it or below it, and starts again.
#[test]
fn every_kind_of_server_starts_and_is_killed_and_starts_again() {
    for kind in [Kind::Gunicorn, Kind::PumaPhased, Kind::NginxUpgrade, Kind::PhpFpm, Kind::PatientGeneric] {
        let sandbox = Sandbox::new();
        let directory = sandbox.path().join("server");
        let server = Server::start(kind, &directory, address::next(), &Release::sound("v1"));
        let answer = server.ask("/").expect("it serves");
        assert_eq!((answer.release.as_str(), Ok(answer.master)), ("v1", server.master()), "{kind:?}");
        server.kill();
        assert!(server.ask("/").is_err(), "{kind:?}");
        server.deploy(&Release::sound("v2"));
        server.boot();
        assert_eq!(server.ask("/").expect("it serves").release, "v2", "{kind:?}");
    }
}
