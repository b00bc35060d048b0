//! The seeds: each is a scenario that happens, is looked at by the laws, and where nothing but controllers died, beside itself undisturbed.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::laws;
use crate::scenario::{Kind, Scenario};
use crate::trace::Trace;
use crate::world::World;

/// How many seeds `make test` tries.
const SEEDS: Range<u64> = 0..20_000;

/// How many lines of a trace are shown where a law is broken.
const LINES_SHOWN: usize = 60;

/// What is wrong with a seed; none where nothing is.
pub(crate) fn fault(seed: u64) -> Option<String> {
    let scenario = Scenario::new(seed);
    let trace = World::run(&scenario);
    if let Err(violation) = laws::check(&scenario, &trace) {
        return Some(report(&scenario, &trace, violation.line, &violation.to_string()));
    }
    let apart = differs_from_calm(&scenario, &trace)?;
    Some(report(&scenario, &trace, trace.0.len(), &apart))
}

/// A rollout of which nothing but its controllers died ends like one that was left alone: how it does not.
fn differs_from_calm(scenario: &Scenario, trace: &Trace) -> Option<String> {
    if scenario.kind != Kind::Killed {
        return None;
    }
    let calm = scenario.without_kills();
    let undisturbed = World::run(&calm);
    let (killed, alone) = (trace.ending(0), undisturbed.ending(0));
    (killed != alone)
        .then(|| format!("law \"6: ends where an undisturbed run ends\" is broken: {killed:?}, undisturbed {alone:?}"))
}

fn report(scenario: &Scenario, trace: &Trace, line: usize, what: &str) -> String {
    let mut text = String::new();
    let end = (line + 1).min(trace.0.len());
    for line in &trace.0[end.saturating_sub(LINES_SHOWN)..end] {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    }
    let (seed, kind, hosts) = (scenario.seed, scenario.kind, scenario.hosts);
    write!(
        text,
        "seed {seed} ({kind:?}, {hosts} hosts): {what}\n\
         replay: BATON_SEED={seed} cargo test -p baton-tests --test simulation replay -- --nocapture"
    )
    .expect("writing to a string cannot fail");
    text
}

/// Tries seeds on all cores; the lowest that has a fault, with it.
pub(crate) fn first_fault(seeds: Range<u64>, each: impl Fn(u64) -> Option<String> + Sync) -> Option<(u64, String)> {
    let next = AtomicU64::new(seeds.start);
    let end = AtomicU64::new(seeds.end);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut found = None;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return found;
            }
            if let Some(fault) = each(seed) {
                end.fetch_min(seed, Ordering::Relaxed);
                found = Some((seed, fault));
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let found = workers.into_iter().filter_map(|worker| worker.join().expect("a simulation does not panic"));
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
fn every_promise_is_kept_whatever_happens() {
    if let Some((_, fault)) = first_fault(seeds(), fault) {
        panic!("\n{fault}");
    }
}

#[test]
fn a_fleet_of_ten_thousand_ends_with_every_host_proven() {
    let scenario = Scenario::undisturbed(1, 10_000);
    let trace = World::run(&scenario);
    if let Err(violation) = laws::check(&scenario, &trace) {
        panic!("{}", report(&scenario, &trace, violation.line, &violation.to_string()));
    }
}

#[test]
fn one_seed_is_replayed_exactly() {
    for seed in [5, 18, 31, 44, 103, 999] {
        let scenario = Scenario::new(seed);
        let (first, second) = (World::run(&scenario), World::run(&Scenario::new(seed)));
        assert_eq!(first.fingerprint(), second.fingerprint(), "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(World::run(&Scenario::new(5)).fingerprint(), World::run(&Scenario::new(13)).fingerprint());
}

#[test]
#[expect(clippy::print_stdout, reason = "whoever replays a seed wants to see it")]
fn replay() {
    let Some(seed) = asked("BATON_SEED").map(|seed| seed.parse().expect("BATON_SEED is a number")) else { return };
    let scenario = Scenario::new(seed);
    let trace = World::run(&scenario);
    println!("seed {seed}: {:?}, {} hosts, trace {:016x}", scenario.kind, scenario.hosts, trace.fingerprint());
    trace.0.iter().for_each(|line| println!("{line}"));
    if let Some(fault) = fault(seed) {
        panic!("\n{fault}");
    }
}
