//! What was run, so that a generator which no longer makes something is noticed.

use std::collections::BTreeMap;
use std::fmt::Write;

use baton_proto::custody::Testimony;

use crate::history::{History, Limit};
use crate::oracle::{Flaw, Ruling};
use crate::story::{DEEDS, WAYS};
use crate::tale::tell;
use crate::tampering::{TAMPERINGS, Tampering};

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    kept: u64,
    dropped: u64,
    unproven: u64,
    unbroken: u64,
}

impl Row {
    fn of(handover: Ruling, stay: Ruling) -> Self {
        Self {
            kept: u64::from(matches!(handover, Ruling::Kept(_))),
            dropped: u64::from(matches!(handover, Ruling::Dropped(_))),
            unproven: u64::from(matches!(handover, Ruling::Unproven(_))),
            unbroken: u64::from(matches!(stay, Ruling::Kept(_))),
        }
    }

    fn plus(&mut self, other: Self) {
        self.kept += other.kept;
        self.dropped += other.dropped;
        self.unproven += other.unproven;
        self.unbroken += other.unbroken;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: BTreeMap<String, Row>,
    /// Those with a moment at which no master held.
    lapsed: Row,
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
        let row = Row::of(handover, stay);
        self.kinds.entry(history.kind.clone()).or_default().plus(row);
        if history.has_lapse() {
            self.lapsed.plus(row);
        }
        if let Some(limit) = limit {
            *self.limits.entry(limit).or_default() += 1;
        }
    }

    pub(crate) fn tampered(&mut self, tampering: Tampering) {
        *self.tamperings.entry(tampering).or_default() += 1;
    }

    pub(crate) fn broken(&mut self, law: String, history: &History, what: &str, testimony: &Testimony) {
        let shown = format!("history {} ({}; {what})\n{:?}\n{}", history.seed, history.kind, history.story, tell(testimony));
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
            self.kinds.entry(kind).or_default().plus(row);
        }
        self.lapsed.plus(other.lapsed);
        for (limit, count) in other.limits {
            *self.limits.entry(limit).or_default() += count;
        }
        for (tampering, count) in other.tamperings {
            *self.tamperings.entry(tampering).or_default() += count;
        }
        self
    }

    /// All that was run, as a table.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<52} {:>7} {:>7} {:>8} {:>8}\n", "histories", "kept", "dropped", "unproven", "unbroken");
        let lapsed = "of all: with a moment that no master held".to_owned();
        for (kind, Row { kept, dropped, unproven, unbroken }) in self.kinds.iter().chain([(&lapsed, &self.lapsed)]) {
            let _ = writeln!(table, "{kind:<52} {kept:>7} {dropped:>7} {unproven:>8} {unbroken:>8}");
        }
        for (limit, count) in &self.limits {
            let _ = writeln!(table, "kept, untrue, and beyond any testimony: {limit:?} {count}");
        }
        for (tampering, count) in &self.tamperings {
            let _ = writeln!(table, "tampered with, and not kept: {tampering:?} {count}");
        }
        table
    }

    /// Nothing that the generator should make is missing.
    pub(crate) fn has_all(&self, histories: u64) {
        let total = |row: &Row| row.kept + row.dropped + row.unproven;
        assert_eq!(self.kinds.values().map(total).sum::<u64>(), histories);
        // Twelve of honest ones; and for each shape, with an agent that goes astray and without, every way and every deed.
        let kinds = 12 + 3 * 2 * (WAYS.len() + DEEDS);
        assert_eq!(self.kinds.len(), kinds, "some kind of history is not made any more");
        for (kind, row) in &self.kinds {
            assert!(total(row) >= 100, "{kind} was made {} times only", total(row));
        }
        assert!(total(&self.lapsed) >= 10_000, "only {} histories have a moment that no master held", total(&self.lapsed));
        assert_eq!(self.limits.len(), 5, "some limit is not met any more: {:?}", self.limits);
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

/// For each flaw: how many histories it calls kept that were not, and how many testimonies it judges otherwise than the whole
/// oracle.
pub(crate) fn table_of_flaws(found: &[(Flaw, u64, u64)]) -> String {
    let mut table = format!("{:<24} {:>12} {:>8}\n", "flaw", "falsely kept", "differs");
    for (flaw, falsely_kept, differs) in found {
        let _ = writeln!(table, "{:<24} {falsely_kept:>12} {differs:>8}", format!("{flaw:?}"));
    }
    table
}
