//! What is counted of the hosts, over all and within each zone, and what that allows.

use std::collections::BTreeMap;

use super::member::{Member, State};
use super::{Action, Rollout, Stop};
use crate::outcome::Weight;

/// The counts. They follow from the states of the hosts, and are kept so that no event costs a walk over the whole fleet.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// How many hosts take a slot.
    pub(super) slots_taken: usize,
    /// How many are looked at, or in flight.
    pub(super) open: usize,
    pub(super) last_looks: usize,
    /// How many were restarted since somebody last asked for it.
    pub(super) restarted: usize,
    available: usize,
    failures: usize,
    zones: BTreeMap<String, ZoneTally>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ZoneTally {
    available: usize,
    failures: usize,
}

/// Why a host cannot start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// Every slot is taken.
    NoSlot,
    /// So many are restarted, or on their way, and no more are wanted.
    Enough(usize),
    /// Fewer would be available than must be.
    Floor { min: usize, zone: Option<String> },
}

impl Tally {
    pub(super) fn of(members: &[Member]) -> Self {
        let mut tally = Self { available: members.len(), ..Self::default() };
        for zone in members.iter().filter_map(|member| member.zone.as_ref()) {
            tally.zones.entry(zone.clone()).or_default().available += 1;
        }
        tally
    }

    /// A host has gone from one state to another.
    pub(super) fn recount(&mut self, before: &State, now: &State) {
        let step = |count: &mut usize, counts: fn(&State) -> bool| {
            *count = *count + usize::from(counts(now)) - usize::from(counts(before));
        };
        step(&mut self.slots_taken, State::takes_slot);
        step(&mut self.open, |state| matches!(state, State::Looking { .. } | State::InFlight { .. }));
        step(&mut self.last_looks, |state| matches!(state, State::LastLook { .. }));
    }

    /// Whether a host of this zone can be counted on has changed.
    pub(super) fn recount_available(&mut self, zone: Option<&str>, before: bool, now: bool) {
        let zone = zone.and_then(|zone| self.zones.get_mut(zone)).map(|zone| &mut zone.available);
        for count in std::iter::once(&mut self.available).chain(zone) {
            *count = *count + usize::from(now) - usize::from(before);
        }
    }
}

impl Rollout {
    /// Why the host in this place cannot start now; none when it can.
    pub(super) fn hindrance(&self, place: usize) -> Option<Hindrance> {
        if self.tally.slots_taken >= self.bounds.in_flight_max {
            return Some(Hindrance::NoSlot);
        }
        if let Some(enough) = self.bounds.stop_after.filter(|enough| self.tally.restarted + self.tally.open >= *enough) {
            return Some(Hindrance::Enough(enough));
        }
        let member = &self.hosts[place];
        // One that is not available already is missed by nobody.
        let missed = usize::from(member.is_available());
        let falls_below = |available: usize, min: usize| available < min + missed;
        if falls_below(self.tally.available, self.bounds.available_min) {
            return Some(Hindrance::Floor { min: self.bounds.available_min, zone: None });
        }
        let zone = member.zone.as_ref()?;
        let (bounds, tally) = (self.bounds.zones.get(zone)?, self.tally.zones.get(zone)?);
        falls_below(tally.available, bounds.available_min)
            .then(|| Hindrance::Floor { min: bounds.available_min, zone: Some(zone.clone()) })
    }

    /// Halts where an outcome of this weight demands it.
    pub(super) fn weigh(&mut self, place: usize, weight: Weight, actions: &mut Vec<Action>) {
        let stop = match weight {
            Weight::Fine => None,
            Weight::Failure => self.count_failure(place),
            Weight::Halts => Some(Stop::Doubt(self.hosts[place].host.clone())),
        };
        if let Some(stop) = stop {
            self.stop(stop, actions);
        }
    }

    /// Counts a failure; why the rollout has to halt, if it is one too many.
    pub(super) fn count_failure(&mut self, place: usize) -> Option<Stop> {
        let member = &self.hosts[place];
        let host = || member.host.clone();
        self.tally.failures += 1;
        if self.tally.failures > self.bounds.failures_max {
            return Some(Stop::PastBudget { host: host(), max: self.bounds.failures_max, zone: None });
        }
        let zone = member.zone.as_ref()?;
        let (bounds, tally) = (self.bounds.zones.get(zone)?, self.tally.zones.get_mut(zone)?);
        tally.failures += 1;
        (tally.failures > bounds.failures_max).then(|| Stop::PastBudget {
            host: host(),
            max: bounds.failures_max,
            zone: Some(zone.clone()),
        })
    }
}
