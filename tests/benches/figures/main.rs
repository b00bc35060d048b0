//! The figures: what Baton costs, each beside a baseline that was measured in the same run, in turns with it.
//!
//! - [`census`]: to know who holds a lock, beside reading nine known files of /proc
//! - [`wake`]: from the death of the last holder to the agent's observation, beside a bare flock
//! - [`orchestration`]: what a rollout adds to the handovers of fifty hosts, beside the same handovers by hand
//! - [`fleet`]: what a thousand hosts cost the controller, beside bare handshakes and beside the ideal schedule
//! - [`idle`]: what an agent and `hold` cost while nothing happens, beside `flock(1)`
//! - [`relock`]: how often a server that lets go of its lock and takes it again is caught, by the waiter or by the mark
//! - [`spread`], [`report`]: samples, and the tables made of them
//! - [`bare`], [`by_hand`], [`sweep`], [`crowd`], [`site`], [`client`], [`process`]: the baselines, and what is measured
//!
//! `cargo bench -p baton-tests --bench figures -- wake` makes one of them, without a name it makes all but `relock`, which takes
//! minutes by itself; the others take less than five together.
//! Whatever it starts is on the leash of a sandbox.
//!
//! **Invariant:** a figure is the shipped binary's: agents and controller are run in the release profile, as `make bench` builds them.

mod bare;
mod by_hand;
mod census;
mod client;
mod crowd;
mod fleet;
mod idle;
mod orchestration;
mod process;
mod relock;
mod report;
mod site;
mod spread;
mod sweep;
mod wake;

use std::process::ExitCode;

/// A bench, by its name.
type Bench = (&'static str, fn(), When);

/// When it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// If it is named, or none is.
    Always,
    /// If it is named: it takes minutes.
    Named,
}

const BENCHES: [Bench; 6] = [
    ("census", census::run, When::Always),
    ("idle", idle::run, When::Always),
    ("wake", wake::run, When::Always),
    ("fleet", fleet::run, When::Always),
    ("orchestration", orchestration::run, When::Always),
    ("relock", relock::run, When::Named),
];

/// What this program may be instead, by its name.
type Part = (&'static str, fn(&[String]));

/// What it is when a bench starts it.
const PARTS: [Part; 2] = [(crowd::PART, crowd::be), (sweep::PART, sweep::be)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((part, rest)) = arguments.split_first()
        && let Some((_, be)) = PARTS.iter().find(|(name, _)| name == part)
    {
        be(rest);
        return ExitCode::SUCCESS;
    }
    // cargo adds flags such as `--bench`.
    let wanted: Vec<String> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let known = |name: &String| BENCHES.iter().any(|(bench, ..)| bench == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        report::unknown(unknown, &BENCHES.map(|(name, ..)| name));
        return ExitCode::FAILURE;
    }
    report::machine(&process::machine());
    for (name, run, when) in BENCHES {
        if wanted.is_empty() && when == When::Always || wanted.iter().any(|wanted| wanted == name) {
            run();
        }
    }
    ExitCode::SUCCESS
}
