//! While nothing happens nothing is woken, but by the renewals of a claim; and what happens then is noticed at once.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use baton_tests::deployed::signal;
use baton_tests::fleet::{Fleet, Host, Timing};
use baton_tests::quiet::{switches_of_all, wait_until_quiet};
use baton_tests::server::Kind;
use baton_tests::{clock, wait};
use rustix::process::Signal;

/// What is measured.
const IDLE: Duration = Duration::from_mins(1);
/// A rollout renews its claim on a host three times in a lease, which is ten seconds.
const RENEWALS_MAX: u64 = 19;
/// A message is read and answered at once; on a busy machine it may come in two pieces.
const WOKEN_BY_A_RENEWAL: u64 = 2;
/// The second host settles for so long: longer than all that takes.
const SETTLE: Duration = Duration::from_secs(130);

const SOON: Duration = Duration::from_secs(20);
/// From the death of the last holder to the end of hold, and to the operator's terminal. The machine may be busy.
const MOMENT: Duration = Duration::from_secs(3);
const HALTED_WITHIN: Duration = Duration::from_mins(4);

/// What hold ends with when its service has died.
const DIED: i32 = 3;

/// How often all threads of a process have gone to sleep.
fn woken(pid: u32) -> u64 {
    switches_of_all(&[pid]).iter().flat_map(BTreeMap::values).sum()
}

/// Kills the master and every worker at once.
fn kill_server(host: &Host) {
    let master = host.server.master().expect("a master");
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).expect("the master runs");
    let workers = children.split_whitespace().map(|pid| pid.parse().expect("a pid"));
    for pid in std::iter::once(master).chain(workers) {
        signal(pid, Signal::KILL);
    }
}

#[test]
fn a_guarded_host_hears_of_nothing_but_its_claim_for_a_minute_and_its_death_halts_the_rollout() {
    let settling = Timing { settle: SETTLE, ready_within: SETTLE + SOON, ..Timing::default() };
    let fleet = Fleet::of(3).server(Kind::UnicornHeld).timing_of("web-2", settling).start();
    let first = fleet.hosts[0].server.master().expect("a master");
    let untouched = fleet.hosts[2].server.master();

    let rollout = fleet.begin(&["restart", "web"]);
    rollout.wait_to_read(&["Kept", "web-1"], SOON);
    rollout.wait_to_read(&["Step", "web-2", "ready"], SOON);
    let finished = &fleet.hosts[0];
    assert_ne!(finished.server.master(), Ok(first));
    let (agent, hold) = (finished.agent.pid(), finished.server.launcher());
    let before = wait_until_quiet(&[hold]);
    let woken_before = woken(agent);
    let began = clock::now();
    wait::until("a minute to pass", IDLE + SOON, || {
        if began.elapsed() >= IDLE { Ok(()) } else { Err(format!("{:?}", began.elapsed())) }
    });
    assert_eq!(switches_of_all(&[hold]), before, "something woke hold");
    // The agent hears of its claim, and of nothing else.
    let woken = woken(agent) - woken_before;
    assert!(woken <= RENEWALS_MAX * WOKEN_BY_A_RENEWAL, "the agent was woken {woken} times");

    kill_server(finished);
    assert_eq!(finished.server.launcher_ended(MOMENT).code(), Some(DIED));
    rollout.wait_to_read(&["Dropped", "web-1"], MOMENT);
    let run = rollout.finish(HALTED_WITHIN).expect_code(5);
    let error = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains("web-1 dropped its lock"), "{run}");
    assert!(run.stdout.contains("web-3 untouched"), "{run}");
    assert_eq!(fleet.hosts[2].server.master(), untouched, "{run}");
}
