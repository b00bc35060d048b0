//! What was run, so that a generator which no longer makes something is noticed.

use std::collections::BTreeMap;

use baton_proto::custody::Testimony;

use crate::history::{History, Limit, Promise};
use crate::oracle::{Flaw, Ruling};
use crate::tale::tell;
use crate::tampering::{TAMPERINGS, Tampering};

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    kept: u64,
    dropped: u64,
    unproven: u64,
    unbroken: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: BTreeMap<String, Row>,
    limits: BTreeMap<Limit, u64>,
    tamperings: BTreeMap<Tampering, u64>,
    broken: BTreeMap<String, Broken>,
}

/// A law that is broken: how often, and the shortest testimony that shows it.
#[derive(Debug, Default)]
struct Broken {
    count: u64,
    lines: usize,
    shown: String,
}

impl Broken {
    fn plus(&mut self, other: Self) {
        self.count += other.count;
        if self.shown.is_empty() || other.lines < self.lines {
            (self.lines, self.shown) = (other.lines, other.shown);
        }
    }
}

impl Tally {
    pub(crate) fn told(&mut self, history: &History, handover: Ruling, stay: Ruling, limit: Option<Limit>) {
        let row = self.kinds.entry(history.kind.clone()).or_default();
        match handover {
            Ruling::Kept(_) => row.kept += 1,
            Ruling::Dropped(_) => row.dropped += 1,
            Ruling::Unproven(_) => row.unproven += 1,
        }
        row.unbroken += u64::from(matches!(stay, Ruling::Kept(_)));
        if let Some(limit) = limit {
            *self.limits.entry(limit).or_default() += 1;
        }
        debug_assert!(history.promise != Promise::Kept || row.kept > 0);
    }

    pub(crate) fn tampered(&mut self, tampering: Tampering) {
        *self.tamperings.entry(tampering).or_default() += 1;
    }

    pub(crate) fn broken(&mut self, law: String, history: &History, what: &str, testimony: &Testimony) {
        let shown = format!("history {} ({}; {what})\n{}", history.seed, history.kind, tell(testimony));
        let lines = testimony.observations.len();
        self.broken.entry(law).or_default().plus(Broken { count: 1, lines, shown });
    }

    /// No law is broken.
    pub(crate) fn holds(&self) {
        let laws: Vec<String> = self
            .broken
            .iter()
            .map(|(law, Broken { count, shown, .. })| format!("{law}; {count} times, for one in {shown}"))
            .collect();
        assert!(laws.is_empty(), "{}", laws.join("\n\n"));
    }

    pub(crate) fn plus(mut self, other: Self) -> Self {
        for (law, broken) in other.broken {
            self.broken.entry(law).or_default().plus(broken);
        }
        for (kind, row) in other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            sum.kept += row.kept;
            sum.dropped += row.dropped;
            sum.unproven += row.unproven;
            sum.unbroken += row.unbroken;
        }
        for (limit, count) in other.limits {
            *self.limits.entry(limit).or_default() += count;
        }
        for (tampering, count) in other.tamperings {
            *self.tamperings.entry(tampering).or_default() += count;
        }
        self
    }

    #[expect(clippy::print_stdout, reason = "the table is for whoever runs the test with --nocapture")]
    pub(crate) fn print(&self) {
        println!("{:<52} {:>7} {:>7} {:>8} {:>8}", "histories", "kept", "dropped", "unproven", "unbroken");
        for (kind, Row { kept, dropped, unproven, unbroken }) in &self.kinds {
            println!("{kind:<52} {kept:>7} {dropped:>7} {unproven:>8} {unbroken:>8}");
        }
        for (limit, count) in &self.limits {
            println!("kept, untrue, and beyond any testimony: {limit:?} {count}");
        }
        for (tampering, count) in &self.tamperings {
            println!("tampered with, and not kept: {tampering:?} {count}");
        }
    }

    /// Nothing that the generator should make is missing.
    pub(crate) fn has_all(&self, histories: u64) {
        let total: u64 = self.kinds.values().map(|row| row.kept + row.dropped + row.unproven).sum();
        assert_eq!(total, histories);
        for shape in ["Beside", "InPlace", "Exec"] {
            for restarted in ["", ", agent restarted"] {
                let kept = self.kinds.get(&format!("honest {shape}: as asked{restarted}")).map_or(0, |row| row.kept);
                assert!(kept >= 2_000, "{kept} honest histories {shape}{restarted} are too few");
                let undone = self.kinds.get(&format!("honest {shape}: undone{restarted}")).map_or(0, |row| row.unbroken);
                assert!(undone >= 500, "{undone} undone histories {shape}{restarted} are too few");
            }
        }
        for tampering in TAMPERINGS {
            let count = self.tamperings.get(tampering).copied().unwrap_or(0);
            assert!(count >= 100, "{tampering:?} was done {count} times only");
        }
    }
}

/// For each flaw: how many histories it calls kept that were not, and how many it judges otherwise than the whole oracle.
#[expect(clippy::print_stdout, reason = "the table is for whoever runs the test with --nocapture")]
pub(crate) fn print_flaws(found: &[(Flaw, u64, u64)]) {
    println!("{:<24} {:>12} {:>8}", "flaw", "falsely kept", "differs");
    for (flaw, falsely_kept, differs) in found {
        println!("{:<24} {falsely_kept:>12} {differs:>8}", format!("{flaw:?}"));
    }
}
