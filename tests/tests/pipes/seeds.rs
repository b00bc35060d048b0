//! The seeds: each is a world that happens and is looked at by the laws.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use baton_tests::dice::Dice;
use tokio::task::JoinSet;

use crate::host::Host;
use crate::laws;
use crate::network::Network;
use crate::operator::Operator;
use crate::relay::Way;
use crate::scenario::{Roughness, Scenario, Trouble};
use crate::trace::{Line, Seen, Trace};

/// How many seeds `make test` tries.
const SEEDS: Range<u64> = 0..720;

/// How many lines are shown where a law is broken.
const LINES_SHOWN: usize = 120;

/// All that was seen of a scenario, and whether every run came to its end.
fn happen(scenario: &Scenario) -> (Vec<Line>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be built").block_on(live(scenario))
}

async fn live(scenario: &Scenario) -> (Vec<Line>, bool) {
    let trace = Trace::new();
    let network = Network::new(scenario.hosts(), Dice::new(scenario.seed));
    let mut hosts = Vec::new();
    for (place, behaviour) in scenario.behaviours.iter().enumerate() {
        let mut host = Host::new(place, *behaviour, network.clone(), trace.clone());
        host.start();
        hosts.push(host);
    }
    let mut operators = Vec::new();
    for number in 0..scenario.fates.len() {
        let operator = Operator::new(number, scenario, network.clone(), trace.clone());
        operators.push((operator.plan().await, operator));
    }
    network.roughen(scenario.roughness);
    let mut walking: JoinSet<bool> = operators.into_iter().map(|(prepared, operator)| operator.walk(prepared)).collect();
    befall(scenario, hosts, &network, &trace);
    let mut all_ended = true;
    while let Some(ended) = walking.join_next().await {
        all_ended &= ended.expect("an operator does not panic");
    }
    (trace.lines(), all_ended)
}

/// Lets every trouble happen in its time.
fn befall(scenario: &Scenario, hosts: Vec<Host>, network: &Network, trace: &Trace) {
    for (place, mut host) in hosts.into_iter().enumerate() {
        let troubles: Vec<_> = scenario.troubles.iter().filter(|(_, on, _)| *on == place).copied().collect();
        let (network, trace) = (network.clone(), trace.clone());
        tokio::spawn(async move {
            for (at, place, trouble) in troubles {
                tokio::time::sleep_until(trace.instant(at)).await;
                let weather = |what| trace.note(Seen::Weather { host: place, what });
                match trouble {
                    Trouble::Cut => {
                        weather("cut");
                        network.cut(place);
                    }
                    Trouble::Refuses(lasts) => {
                        weather("refuses");
                        network.refuse(place, lasts);
                    }
                    Trouble::Silent(way, lasts) => {
                        weather(if way == Way::ToAgent { "deaf" } else { "mute" });
                        network.silence(place, way, lasts);
                    }
                    Trouble::AgentDies(lasts) => host.die(lasts).await,
                }
            }
            // Agents live until the end of the world.
            std::future::pending::<()>().await;
        });
    }
    let (network, calm_at) = (network.clone(), trace.instant(scenario.calm_at));
    tokio::spawn(async move {
        tokio::time::sleep_until(calm_at).await;
        network.roughen(Roughness::default());
    });
}

/// What is wrong with a seed; none where nothing is.
fn fault(seed: u64) -> Option<String> {
    let scenario = Scenario::new(seed);
    let (lines, all_ended) = happen(&scenario);
    laws::check(&scenario, &lines, all_ended).err().map(|what| report(&scenario, &lines, &what))
}

fn report(scenario: &Scenario, lines: &[Line], what: &str) -> String {
    let mut text = String::new();
    for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    }
    let (seed, kind, hosts) = (scenario.seed, scenario.kind, scenario.hosts());
    write!(
        text,
        "seed {seed} ({kind:?}, {hosts} hosts): {what}\n\
         replay: BATON_SEED={seed} cargo test -p baton-tests --test pipes replay -- --nocapture"
    )
    .expect("writing to a string cannot fail");
    text
}

/// Tries seeds on all cores; the lowest that has a fault, with it.
fn first_fault(seeds: Range<u64>) -> Option<(u64, String)> {
    let (next, end) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(fault) = fault(seed) {
                end.fetch_min(seed, Ordering::Relaxed);
                return Some((seed, fault));
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let found = workers.into_iter().filter_map(|worker| worker.join().expect("a world does not panic"));
        found.min_by_key(|(seed, _)| *seed)
    })
}

fn asked(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "which seeds are tried is asked for by whoever runs the test")]
    std::env::var(name).ok()
}

fn seeds() -> Range<u64> {
    let Some(asked) = asked("BATON_SEEDS") else { return SEEDS };
    let (from, to) = asked.split_once("..").expect("BATON_SEEDS is of the form 0..1000");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn the_real_doing_keeps_every_promise_over_broken_pipes() {
    if let Some((_, fault)) = first_fault(seeds()) {
        panic!("\n{fault}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is for whoever runs the test")]
fn a_thousand_hosts_over_pipes_are_all_proven() {
    let scenario = Scenario::undisturbed(1_000, 50);
    let before = processor_time();
    let (lines, all_ended) = happen(&scenario);
    if let Err(what) = laws::check(&scenario, &lines, all_ended) {
        panic!("{}", report(&scenario, &lines, &what));
    }
    let (spent, virtual_time) = (processor_time().saturating_sub(before), lines.last().expect("it ended").at);
    println!("1,000 hosts over pipes: {virtual_time:.1?} on their clock, {spent:.1?} of a processor");
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).expect("it is below a second"))
}

#[test]
#[expect(clippy::print_stdout, reason = "whoever replays a seed wants to see it")]
fn replay() {
    let Some(seed) = asked("BATON_SEED").map(|seed| seed.parse().expect("BATON_SEED is a number")) else { return };
    let scenario = Scenario::new(seed);
    println!("{scenario:#?}");
    let (lines, _) = happen(&scenario);
    for line in &lines {
        println!("{line}");
    }
    if let Some(fault) = fault(seed) {
        panic!("\n{fault}");
    }
}
