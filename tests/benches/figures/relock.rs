//! What no mark can show: a server that unlocks its own descriptor and locks it again. How often does the waiter catch it?
//!
//! First the waiter alone: the patient lets go for so long, again and again, and the agent's epoch says how many of these drops were
//! seen. Then the verdict over whole handovers: of a server that does so in the middle, of one that closes its lock and opens it anew,
//! and of one that drops it at exec; the last two with a mark and without.

use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::server::Kind;
use baton_tests::wait;
use nix::sys::signal::Signal;

use crate::bare::await_waiter;
use crate::report;
use crate::site::LOG;

/// How often the lock is let go for each gap.
const RELOCKS: usize = 300;
/// How many handovers each kind of server makes.
const HANDOVERS: usize = 100;
const GAPS_US: [u64; 6] = [0, 10, 100, 1_000, 10_000, 100_000];
const SOON: Duration = Duration::from_secs(20);
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(10), settle: Duration::ZERO, drain_within: Duration::from_secs(10) };

/// How handovers of one kind ended.
#[derive(Debug, Default)]
struct Ended {
    kept: usize,
    unproven: usize,
    dropped: usize,
}

/// Measures and reports.
pub(crate) fn run() {
    report::title(
        "relock: a server that unlocks its own descriptor and locks it again",
        &["a contract broken in a way that no mark shows; whether the agent's waiter sees the drop".to_owned()],
    );
    report::head("without the lock for", &["n", "seen", "rate"]);
    let fleet = fleet("nginx", &[]);
    for gap in GAPS_US {
        let seen = seen(&fleet, Duration::from_micros(gap));
        report::row(&format!("{gap} µs"), &[RELOCKS.to_string(), seen.to_string(), share(seen, RELOCKS)]);
    }
    report::gap();
    report::head("in the middle of a handover the server", &["n", "Kept", "Unproven", "Dropped"]);
    for gap in GAPS_US {
        let told = [Fault::Relock(Duration::from_micros(gap))];
        tell(&format!("unlocks its descriptor for {gap} µs, marked"), &handovers(&fleet, &told));
    }
    drop(fleet);
    closed();
}

/// What the mark does close.
fn closed() {
    let (marked, bare): (&[Fault], &[Fault]) = (&[], &[Fault::NoMark]);
    for (faults, mark) in [(marked, "marked"), (bare, "no mark")] {
        let fleet = fleet("nginx", faults);
        for gap in [0, 1_000] {
            let told = [faults, &[Fault::Reopen(Duration::from_micros(gap))]].concat();
            tell(&format!("closes its lock and opens it {gap} µs later, {mark}"), &handovers(&fleet, &told));
        }
    }
    for (faults, mark) in [(marked, "marked"), (bare, "no mark")] {
        let fleet = fleet("haproxy", faults);
        let told = [faults, &[Fault::ExecDrops]].concat();
        tell(&format!("drops its lock at exec and takes it anew, {mark}"), &handovers(&fleet, &told));
    }
    report::gap();
    report::note(
        "The lock was free in each of these handovers, so every Kept here is false, and rests on a contract that was broken.",
    );
}

fn fleet(dialect: &'static str, faults: &[Fault]) -> Fleet {
    Fleet::of(1).server(Kind::Patient).dialect(dialect).faults(faults).timing(TIMING).log(LOG).start()
}

/// How many of the drops the agent has seen.
fn seen(fleet: &Fleet, gap: Duration) -> usize {
    let server = &fleet.hosts[0].server;
    server.set_faults(&[Fault::Relock(gap)]);
    let relocks = || server.log().matches("was without the lock from").count();
    let (before, already) = (epoch(fleet), relocks());
    for number in 1..=RELOCKS {
        // It is armed again after a drop that it has seen, and has gone back to sleep after one that it has not.
        await_waiter(&server.lock());
        server.signal(Signal::SIGTTIN);
        wait::until("the lock to be taken again", SOON, || match relocks() - already {
            count if count == number => Ok(()),
            count => Err(format!("{count} of {number}")),
        });
    }
    await_waiter(&server.lock());
    usize::try_from(epoch(fleet) - before).expect("no more than there were")
}

fn epoch(fleet: &Fleet) -> u64 {
    fleet.await_held();
    fleet.standings()[0].epoch
}

fn handovers(fleet: &Fleet, faults: &[Fault]) -> Ended {
    let host = &fleet.hosts[0];
    host.server.set_faults(faults);
    let mut ended = Ended::default();
    for _ in 0..HANDOVERS {
        fleet.await_held();
        await_waiter(&host.server.lock());
        let run = fleet.baton(&["restart", "web"]);
        match run.code {
            Some(0) => ended.kept += 1,
            Some(4) => ended.unproven += 1,
            Some(5) => ended.dropped += 1,
            _ => panic!("{run}"),
        }
    }
    ended
}

fn tell(what: &str, ended: &Ended) {
    let Ended { kept, unproven, dropped } = ended;
    report::row(what, &[HANDOVERS, *kept, *unproven, *dropped].map(|count| count.to_string()));
}

fn share(part: usize, whole: usize) -> String {
    format!("{} %", part * 100 / whole)
}
