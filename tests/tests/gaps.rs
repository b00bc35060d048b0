//! A server whose old generation leaves before the new one takes the lock is never called kept, however short the gap.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Host, Timing};
use baton_tests::server::Kind;

const RUNS: usize = 200;
/// Hosts that are tried side by side; each in a rollout of its own, for a drop halts a rollout.
const HOSTS: usize = 8;

const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(10), settle: Duration::ZERO, drain_within: Duration::from_secs(10) };

/// How 200 handovers with such a gap ended: the exit code of each `baton restart`.
fn exit_codes(gap: Duration) -> Vec<i32> {
    let fleet = Fleet::of(HOSTS).server(Kind::Patient).timing(TIMING).start();
    let (sender, codes) = mpsc::channel();
    thread::scope(|scope| {
        for host in &fleet.hosts {
            let (sender, fleet) = (sender.clone(), &fleet);
            host.server.set_faults(&[Fault::Gap(gap)]);
            scope.spawn(move || {
                for _ in 0..RUNS / HOSTS {
                    sender.send(exit_code(fleet, host)).expect("the codes are collected");
                }
            });
        }
    });
    drop(sender);
    for host in &fleet.hosts {
        // Each run was a gap, and not some other failure.
        assert_eq!(host.server.log().matches("let go at").count(), RUNS / HOSTS, "{}", host.server.log());
    }
    codes.into_iter().collect()
}

fn exit_code(fleet: &Fleet, host: &Host) -> i32 {
    fleet.await_held_on(&host.name);
    let before = host.server.master();
    let run = fleet.baton(&["restart", "web", &host.name]);
    assert_ne!(host.server.master(), before, "the patient did not hand over\n{run}");
    assert!(!run.text().contains("Kept"), "{run}");
    run.code.unwrap_or_else(|| panic!("{run}"))
}

fn count(codes: &[i32], code: i32) -> usize {
    codes.iter().filter(|found| **found == code).count()
}

/// Every run is unproven or dropped: exit 4 or 5.
fn is_never_kept(gap: Duration) {
    let codes = exit_codes(gap);
    assert_eq!((codes.len(), count(&codes, 4) + count(&codes, 5)), (RUNS, RUNS), "{codes:?}");
}

#[test]
fn a_gap_as_short_as_can_be_is_never_kept_in_200_runs() {
    is_never_kept(Duration::ZERO);
}

#[test]
fn a_gap_of_100_microseconds_is_never_kept_in_200_runs() {
    is_never_kept(Duration::from_micros(100));
}

#[test]
fn a_gap_of_10_milliseconds_is_never_kept_in_200_runs() {
    is_never_kept(Duration::from_millis(10));
}

#[test]
fn a_gap_of_300_milliseconds_is_a_drop_in_200_of_200_runs() {
    let codes = exit_codes(Duration::from_millis(300));
    assert_eq!((codes.len(), count(&codes, 5)), (RUNS, RUNS), "{codes:?}");
}

/// The old master is there for a while, but without the lock: then the new generation is all that serves, and is left alone.
#[test]
fn a_new_generation_is_never_stopped_in_favour_of_a_master_that_has_let_go() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).start();
    let server = &fleet.hosts[0].server;
    server.set_faults(&[Fault::Gap(Duration::ZERO), Fault::LiveOn(Duration::from_secs(1))]);
    let run = fleet.baton(&["restart", "web"]);
    assert!(matches!(run.code, Some(4 | 5)), "{run}");
    assert_eq!(server.ask("/").map(|answer| answer.master).ok(), server.master().ok(), "{run}");
    fleet.await_held();
}
