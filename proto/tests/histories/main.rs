//! The judge against 100,000 histories whose truth is known.
//!
//! [`world`] is a host with processes, open file descriptions and a lock file, [`happening`] what can happen on it,
//! [`story`] what a server does, [`program`] what an agent does, [`witness`] how it looks, and [`history`] all of them
//! together, from one seed. The [`oracle`] judges a second time. The laws:
//!
//! 1. What the judge calls kept was kept: between the first sighting and the last, some master held at every instant.
//! 2. Judge and oracle agree on every testimony, honest, faulty, tampered with, or scrambled ([`scramble`]).
//! 3. Every honest history of each of the three shapes is kept, with and without a restart of the agent.
//! 4. No testimony that was tampered with is kept, where what was changed matters: [`tampering`] says what that is.
//! 5. The same of `unbroken`, for handovers that were undone.
//!
//! # What no testimony can show
//!
//! [`history::Limit`] lists it. Such histories are left out of law 1 and counted in the table, each kind for itself:
//!
//! - a server that unlocks and relocks its own descriptor, marked or not; only the waiter may catch it;
//! - without a mark, a process that closes and opens again under one image;
//! - an exec proven by the mark, where the pid was given out again within one clock tick and a bystander kept the lock;
//! - a process with an image of its own that the dialect names as a master and that is none;
//! - of a handover in place, whether the new worker was forked because of the signal: it was forked after the listing.
//!
//! # Asking for more
//!
//! The seeds are 0 to 99,999, the same in each run, and a broken law is told with its seed, its story and the shortest
//! testimony that shows it. `HISTORIES_FROM=1000000 cargo test -p baton-proto --test histories -- --nocapture` runs others and
//! prints the tables.

mod dice;
mod happening;
mod history;
mod oracle;
mod program;
mod scramble;
mod story;
mod tale;
mod tally;
mod tampering;
mod witness;
mod world;

use std::thread;
use std::time::Duration;

use baton_proto::custody::{Basis, Kept, Testimony, Unbroken, Verdict, judge, unbroken};

use dice::Dice;
use history::{History, Promise, Truth};
use oracle::{FLAWS, Flaw, Ruling};
use tally::Tally;

const HISTORIES: u64 = 100_000;
const SHARDS: u64 = 4;

/// The judge's verdict in the oracle's words.
fn ruling(verdict: &Verdict) -> Ruling {
    match verdict {
        Verdict::Kept(Kept { basis, .. }) => Ruling::Kept(*basis),
        Verdict::Dropped { at } => Ruling::Dropped(*at),
        Verdict::Unproven(_) => Ruling::Unproven(""),
    }
}

fn ruling_unbroken(stayed: &Result<Unbroken, Verdict>) -> Ruling {
    match stayed {
        Ok(Unbroken { basis, .. }) => Ruling::Kept(*basis),
        Err(verdict) => ruling(verdict),
    }
}

fn agree(one: Ruling, other: Ruling) -> bool {
    one == other || matches!((one, other), (Ruling::Unproven(_), Ruling::Unproven(_)))
}

/// Law 2: weighs one testimony twice, by both judges.
fn weigh(history: &History, testimony: &Testimony, what: &str, tally: &mut Tally) -> (Ruling, Ruling) {
    let verdict = judge(testimony);
    let second = oracle::judge(testimony, None);
    if !agree(ruling(&verdict), second) {
        tally.broken(format!("law 2: the judge says {}, the oracle {second:?}", name(&verdict)), history, what, testimony);
    }
    let stayed = unbroken(testimony);
    let stayed_ruling = ruling_unbroken(&stayed);
    let second = oracle::unbroken(testimony, None);
    if !agree(stayed_ruling, second) {
        let said = stayed.as_ref().map_or_else(name, |_| "unbroken".to_owned());
        tally.broken(format!("law 2: unbroken says {said}, the oracle {second:?}"), history, what, testimony);
    }
    (ruling(&verdict), stayed_ruling)
}

/// A verdict without its numbers.
fn name(verdict: &Verdict) -> String {
    let said = format!("{verdict:?}");
    said.chars().filter(|letter| !letter.is_ascii_digit()).take(160).collect()
}

/// Laws 1, 2, 3 and 5 on one history as it was told.
fn check(history: &History, tally: &mut Tally) {
    let testimony = &history.testimony;
    let (handover, stay) = weigh(history, testimony, "as told", tally);
    let promised = match history.promise {
        Promise::Kept => matches!(handover, Ruling::Kept(_)),
        Promise::Unbroken => matches!(stay, Ruling::Kept(_)),
        Promise::Nothing => true,
    };
    if !promised {
        tally.broken("law 3: honest, and not kept".to_owned(), history, "as told", testimony);
    }
    let claims = [(handover, History::is_kept as fn(&History, Basis) -> Truth), (stay, History::is_unbroken)];
    let mut limits = [None; 2];
    for (limit, (ruling, is_so)) in limits.iter_mut().zip(claims) {
        let Ruling::Kept(basis) = ruling else { continue };
        match is_so(history, basis) {
            Truth::So => {}
            Truth::Beyond(beyond) => *limit = Some(beyond),
            Truth::Not => tally.broken(format!("law 1: falsely {ruling:?}"), history, "as told", testimony),
        }
    }
    tally.told(history, handover, stay, limits[0].or(limits[1]));
}

/// Laws 2, 4 and 5 on an honest history that somebody tampered with.
fn check_tampered(history: &History, tally: &mut Tally) {
    let mut dice = Dice::new(!history.seed);
    let (tampering, testimony) = tampering::of(&history.testimony, &mut dice);
    let what = format!("{tampering:?}");
    let (handover, stay) = weigh(history, &testimony, &what, tally);
    let ruling = if history.promise == Promise::Kept { handover } else { stay };
    if matches!(ruling, Ruling::Kept(_)) {
        tally.broken(format!("law 4: {what}, and yet kept"), history, &what, &testimony);
    }
    if history.promise != Promise::Nothing {
        tally.tampered(tampering);
    }
}

/// Times are for people: whatever they are, the verdict is the same.
fn check_retimed(history: &History, tally: &mut Tally) {
    let mut dice = Dice::new(history.seed);
    let mut retimed = history.testimony.clone();
    for line in &mut retimed.observations {
        line.at = Duration::from_micros(dice.below(1_000_000));
    }
    let same = agree(ruling(&judge(&history.testimony)), ruling(&judge(&retimed)))
        && agree(ruling_unbroken(&unbroken(&history.testimony)), ruling_unbroken(&unbroken(&retimed)));
    if !same {
        tally.broken("the times of lines change the verdict".to_owned(), history, "retimed", &retimed);
    }
}

/// Law 2 on what nobody would write.
fn check_scrambled(history: &History, tally: &mut Tally) {
    let scrambled = scramble::of(&history.testimony, &mut Dice::new(history.seed ^ 0x5C5C_5C5C));
    weigh(history, &scrambled, "scrambled", tally);
}

/// Where the seeds begin: other histories, for whoever wants more of them.
fn seeds_from() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "an argument of the test; cargo test has no other way in")]
    std::env::var("HISTORIES_FROM").ok().and_then(|from| from.parse().ok()).unwrap_or(0)
}

/// Runs over all seeds, on all processors.
fn over_histories<T: Send>(count: u64, each: impl Fn(&mut T, u64) + Sync, start: impl Fn() -> T + Sync) -> Vec<T> {
    let from = seeds_from();
    let run = |shard| {
        let mut result = start();
        (from..from + count).filter(|seed| seed % SHARDS == shard).for_each(|seed| each(&mut result, seed));
        result
    };
    thread::scope(|scope| {
        let shards: Vec<_> = (0..SHARDS).map(|shard| scope.spawn(move || run(shard))).collect();
        shards.into_iter().map(|shard| shard.join().expect("no law is broken; else it is said above")).collect()
    })
}

#[expect(clippy::print_stdout, reason = "the tables are for whoever runs this with --nocapture")]
fn show(table: &str) {
    println!("{table}");
}

#[test]
fn of_a_hundred_thousand_histories_none_is_falsely_kept_and_every_honest_one_is_kept() {
    let each = |tally: &mut Tally, seed| {
        let history = History::of(seed);
        check(&history, tally);
        check_scrambled(&history, tally);
        if history.promise != Promise::Nothing {
            check_tampered(&history, tally);
            check_retimed(&history, tally);
        }
    };
    let tally = over_histories(HISTORIES, each, Tally::default).into_iter().fold(Tally::default(), Tally::plus);
    show(&tally.table());
    tally.holds();
    tally.has_all(HISTORIES);
}

/// How often one flaw was found out.
#[derive(Debug, Clone, Copy, Default)]
struct Refuted {
    falsely_kept: u64,
    differs: u64,
}

/// Judges a history, what a tamperer made of it, and a scrambled one, with each flaw.
fn refute(refuted: &mut [Refuted], seed: u64) {
    let history = History::of(seed);
    let tampered = tampering::of(&history.testimony, &mut Dice::new(!seed)).1;
    let scrambled = scramble::of(&history.testimony, &mut Dice::new(seed));
    let testimonies = [&history.testimony, &tampered, &scrambled];
    let rulings = testimonies.map(|testimony| oracle::judge(testimony, None));
    for (refuted, flaw) in refuted.iter_mut().zip(FLAWS) {
        for (place, testimony) in testimonies.into_iter().enumerate() {
            if matches!(rulings[place], Ruling::Kept(_)) {
                // Whoever asks less keeps it too.
                continue;
            }
            let ruling = oracle::judge(testimony, Some(*flaw));
            refuted.differs += u64::from(!agree(ruling, rulings[place]));
            let is_false = matches!(ruling, Ruling::Kept(basis) if place == 0 && history.is_kept(basis) == Truth::Not);
            refuted.falsely_kept += u64::from(is_false);
        }
    }
}

#[test]
fn every_question_that_a_judge_may_forget_to_ask_is_found_out_by_a_history() {
    let shards = over_histories(
        12_000,
        |refuted: &mut Vec<Refuted>, seed| refute(refuted, seed),
        || vec![Refuted::default(); FLAWS.len()],
    );
    let sum = |place: usize, of: fn(&Refuted) -> u64| shards.iter().map(|shard| of(&shard[place])).sum::<u64>();
    let found: Vec<(Flaw, u64, u64)> = FLAWS
        .iter()
        .enumerate()
        .map(|(place, flaw)| (*flaw, sum(place, |refuted| refuted.falsely_kept), sum(place, |refuted| refuted.differs)))
        .collect();
    show(&tally::table_of_flaws(&found));
    let missed: Vec<_> = found.iter().filter(|(_, _, differs)| *differs == 0).collect();
    assert!(missed.is_empty(), "no history tells these from the whole oracle: {missed:?}");
}
