//! `kill -9` of a master in each state of a handover: whoever is left goes on serving, and nothing is called proven that is
//! not.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use baton_tests::fleet::{Fleet, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Kind, Server};
use baton_tests::steps::Steps;
use baton_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Steps that a handover tells of: after each of them a master is killed once.
const STEPS_TOLD: usize = 10;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a request takes that is to be in flight when a master is killed.
const LONG: Duration = Duration::from_millis(700);
const PROVEN: i32 = 0;
const ROLLED_BACK: i32 = 3;

fn kill_nine(pid: u32) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid fits")), Signal::SIGKILL).expect("it can be killed");
}

/// Waits until somebody answers, and says whose worker it was.
fn served_by(server: &Server) -> u32 {
    wait::until("somebody to serve", ANSWER_WITHIN, || {
        server.ask("/").map(|answer| answer.master).map_err(|error| error.to_string())
    })
}

fn fleet(kind: Kind) -> Fleet {
    let timing = Timing { settle: Duration::from_millis(300), ..Timing::default() };
    Fleet::of(1).server(kind).timing(timing).start()
}

/// Kills the old master after so many steps; the last of them.
fn kill_old_after(fleet: &Fleet, told: usize) -> Option<String> {
    let server = &fleet.hosts[0].server;
    let old = server.master().expect("a master");
    let mut steps = Steps::begin(fleet);
    let last = (0..told).filter_map(|_| steps.next_step()).last();
    kill_nine(old);
    let (text, code) = steps.finish();
    assert_ne!(code, ROLLED_BACK, "after {last:?}: rolled back to a dead master: {text}");
    match last.as_deref() {
        // There may have been nobody yet to hand over to: the server is dead, and that is what is told.
        Some("open" | "signal" | "appear") => assert_ne!(code, PROVEN, "after {last:?}: {text}"),
        Some(_) | None => assert_ne!(served_by(server), old, "after {last:?}"),
    }
    if server.ask("/").is_err() {
        server.kill();
        server.boot();
    }
    // Until it is buried, Unicorn takes it for alive, and would ignore the next reload.
    let buried = || if Path::new(&format!("/proc/{old}")).exists() { Err("it is there".to_owned()) } else { Ok(()) };
    wait::until("the old master to be buried", ANSWER_WITHIN, buried);
    fleet.await_held();
    last
}

/// Kills the new master after so many steps, when it is known; the last of them.
fn kill_new_after(fleet: &Fleet, told: usize) -> Option<String> {
    let server = &fleet.hosts[0].server;
    let old = server.master().expect("a master");
    // A request that takes long keeps the old generation from being gone before the kill.
    let load = Load::start(&fleet.targets(), Mix { keep_alive: 0, close: 0, long: 2, long_for: LONG, ..Mix::default() });
    let mut steps = Steps::begin(fleet);
    let last = (0..told).filter_map(|_| steps.next_step()).last();
    let new = wait::until("a new master", ANSWER_WITHIN, || {
        server.master().and_then(|pid| if pid == old { Err("none".into()) } else { Ok(pid) })
    });
    kill_nine(new);
    let (text, code) = steps.finish();
    drop(load.stop());
    assert_ne!(code, PROVEN, "after {last:?}: {text}");
    if code == ROLLED_BACK {
        assert_eq!(served_by(server), old, "after {last:?}: {text}");
    }
    if server.ask("/").is_err() {
        server.kill();
        server.boot();
    }
    fleet.await_held();
    last
}

fn every_step(kind: Kind, kill_after: fn(&Fleet, usize) -> Option<String>) {
    let fleet = fleet(kind);
    let steps: BTreeSet<String> = (1..=STEPS_TOLD).filter_map(|told| kill_after(&fleet, told)).collect();
    for step in ["open", "signal", "appear", "ready", "overlap", "retire", "drain"] {
        assert!(steps.contains(step), "no kill came after {step}: {steps:?}");
    }
}

#[test]
fn an_old_unicorn_killed_anywhere_in_a_handover_leaves_the_new_one_serving() {
    every_step(Kind::Unicorn, kill_old_after);
}

#[test]
fn a_new_unicorn_killed_anywhere_in_a_handover_is_never_called_proven() {
    every_step(Kind::Unicorn, kill_new_after);
}
