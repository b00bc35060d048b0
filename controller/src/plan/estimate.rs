//! How long a rollout will take: its schedule, played through with times for each host. Hosts start in their order: one that must
//! wait for its zone's floor is not overtaken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::{Plan, Planned, Then};

/// How long a rollout will take from its start on. What a person is waited for is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Where every host takes as long as it usually does; none where that is not known.
    pub usual: Option<Duration>,
    /// Where every host takes as long as its handover may.
    pub longest: Duration,
    /// How often a person is waited for.
    pub persons: usize,
}

/// Estimates how long `plan` takes, where a host `usual`ly takes so long.
#[must_use]
pub fn estimate(plan: &Plan, usual: Option<Duration>) -> Estimate {
    let host_deadline = plan.host_deadline();
    let longest = |planned: &Planned| {
        let within = planned.handover_within().unwrap_or_default();
        // An agent that does not say may take as long as it is given.
        if within.is_zero() { host_deadline } else { within.min(host_deadline) }
    };
    let (longest, persons) = play(plan, longest);
    Estimate { usual: usual.map(|usual| play(plan, |_| usual.min(host_deadline)).0), longest, persons }
}

/// Plays the schedule through; how long it took, and how often a person was waited for.
fn play(plan: &Plan, takes: impl Fn(&Planned) -> Duration) -> (Duration, usize) {
    let mut schedule = Schedule::new(plan);
    let (mut persons, mut left) = (0, plan.bounds().stop_after.unwrap_or(usize::MAX));
    for wave in plan.waves() {
        for planned in plan.hosts()[wave.hosts.clone()].iter().filter(|planned| planned.is_restarted()) {
            if left == 0 {
                schedule.await_all();
                return (schedule.now, persons);
            }
            left -= 1;
            schedule.start(planned.zone.as_deref(), takes(planned));
        }
        schedule.await_all();
        match wave.then {
            Then::GoOn => {}
            Then::Soak(soak) => schedule.now = schedule.now.saturating_add(soak),
            Then::Person => persons += 1,
        }
    }
    (schedule.now, persons)
}

/// Hosts in flight, with what time it is.
struct Schedule<'a> {
    now: Duration,
    in_flight: BinaryHeap<Reverse<(Duration, Option<&'a str>)>>,
    /// How many may be in flight at once: over all, and in each zone.
    max: usize,
    zone_max: BTreeMap<&'a str, usize>,
    zone_in_flight: BTreeMap<&'a str, usize>,
}

impl<'a> Schedule<'a> {
    fn new(plan: &'a Plan) -> Self {
        let bounds = plan.bounds();
        let spare = |zone: Option<&str>, min: usize| plan.restarted_in(zone).saturating_sub(min).max(1);
        let zone_max = bounds.zones.iter().map(|(zone, bounds)| (zone.as_str(), spare(Some(zone), bounds.available_min)));
        Self {
            now: Duration::ZERO,
            in_flight: BinaryHeap::new(),
            max: bounds.in_flight_max.min(spare(None, bounds.available_min)),
            zone_max: zone_max.collect(),
            zone_in_flight: BTreeMap::new(),
        }
    }

    fn start(&mut self, zone: Option<&'a str>, takes: Duration) {
        while !self.may_start(zone) && self.end_next() {}
        self.in_flight.push(Reverse((self.now.saturating_add(takes), zone)));
        if let Some(zone) = zone {
            *self.zone_in_flight.entry(zone).or_default() += 1;
        }
    }

    fn may_start(&self, zone: Option<&str>) -> bool {
        let in_zone = |zone: &str| {
            let max = self.zone_max.get(zone).copied().unwrap_or(usize::MAX);
            self.zone_in_flight.get(zone).copied().unwrap_or_default() < max
        };
        self.in_flight.len() < self.max && zone.is_none_or(in_zone)
    }

    /// Waits for whatever ends next; whether there was something.
    fn end_next(&mut self) -> bool {
        let Some(Reverse((ends, zone))) = self.in_flight.pop() else { return false };
        self.now = self.now.max(ends);
        if let Some(count) = zone.and_then(|zone| self.zone_in_flight.get_mut(zone)) {
            *count = count.saturating_sub(1);
        }
        true
    }

    fn await_all(&mut self) {
        while self.end_next() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::estimate;
    use crate::plan::samples::{Builder, builder};

    /// The seconds that it takes when a host takes ten, at most 213, and how often a person is waited for.
    #[track_caller]
    fn check(plan: Builder, usual: u64, longest: u64, persons: usize) {
        let plan = plan.plan();
        let estimated = estimate(&plan, Some(Duration::from_secs(10)));
        let seconds = (estimated.usual.map(|usual| usual.as_secs()), estimated.longest.as_secs(), estimated.persons);
        assert_eq!(seconds, (Some(usual), longest, persons));
        assert_eq!(estimate(&plan, None).usual, None);
    }

    #[test]
    fn a_window_slides_over_the_hosts() {
        check(builder("++++"), 40, 4 * 213, 0);
        check(builder("+++++").in_flight(2), 30, 3 * 213, 0);
        check(builder("+x+x").leave_out(), 20, 2 * 213, 0);
        check(builder(""), 0, 0, 0);
    }

    #[test]
    fn a_floor_leaves_fewer_slots() {
        check(builder("++++").in_flight(4).available(2), 20, 2 * 213, 0);
        check(builder("++++").in_flight(4).available(4), 40, 4 * 213, 0);
        let zones = builder("++++").zones("a a b b").in_flight(4).limits(|limits| {
            limits.min_available_per_zone = "1".parse().unwrap();
        });
        check(zones, 30, 3 * 213, 0);
    }

    #[test]
    fn soaks_are_counted_and_persons_are_named() {
        check(builder("+++").in_flight(3).canaries(1).soak(30), 10 + 30 + 10 + 30, 2 * 213 + 60, 0);
        check(builder("+++").in_flight(3).canaries(1), 20, 2 * 213, 1);
        check(builder("++").zones("a b").by_zone().soak(30), 10 + 60 + 10 + 30, 2 * 213 + 90, 0);
        check(builder("+++").limits(|limits| limits.stop_after = Some(2)), 20, 2 * 213, 0);
    }

    #[test]
    fn no_host_takes_longer_than_it_may() {
        let deadline = |builder: Builder| builder.limits(|limits| limits.host_deadline = Some(Duration::from_secs(7)));
        check(deadline(builder("++")), 14, 14, 0);
        check(deadline(builder("+").handover_within(1, Duration::ZERO)), 7, 7, 0);
        check(builder("+").handover_within(1, Duration::ZERO), 10, 600, 0);
    }
}
