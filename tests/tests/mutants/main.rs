//! The engine, broken on purpose: each mutant breaks one promise in the real source, and the laws of the simulation have to refuse it.
//!
//! All of them are built at once: every patch asks at run time whether it is the one that is meant, so the engine and the
//! simulation are built a single time, and run once for each mutant.
//!
//! - [`list`]: the mutants
//! - [`scratch`]: the pure part of the engine, copied, patched and built beside the simulation
//!
//! **Invariant:** a patch that does not fit the source exactly once fails, and says so: no mutant is ever missed silently.

mod list;
mod scratch;

use list::MUTANTS;
use scratch::Scratch;

/// How many seeds a mutant may pass before it has to be caught.
const SEEDS: &str = "0..4000";

#[test]
fn every_mutant_of_the_engine_is_caught_by_a_law() {
    let scratch = Scratch::build(&MUTANTS);
    let sound = scratch.run(0, "0..100");
    assert!(sound.is_none(), "the engine itself is refused: {sound:?}");
    let mut missed = Vec::new();
    let mut caught = Vec::new();
    for (mutant, number) in MUTANTS.iter().zip(1..) {
        match scratch.run(number, SEEDS) {
            Some(refusal) => caught.push(format!("{}: {refusal}", mutant.name)),
            None => missed.push(mutant.name),
        }
    }
    assert!(missed.is_empty(), "no law refuses: {missed:#?}\ncaught: {caught:#?}");
    assert!(caught.len() >= 10, "{caught:#?}");
}
