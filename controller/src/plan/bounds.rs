//! The limits, counted out in hosts: what may fly and fail is rounded down, what must be available is rounded up.
//!
//! **Invariant:** at least one host may be in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Bounds, Limits, Planned, ZoneBounds};

/// How long one host may take at least, where nothing else is asked for.
const HOST_DEADLINE_MIN: Duration = Duration::from_mins(10);

/// How long one host may take at most, where nothing else is asked for: an agent allows a little more than 25 hours.
const HOST_DEADLINE_MAX: Duration = Duration::from_hours(26);

impl Bounds {
    /// The limits over these hosts.
    pub(super) fn count(hosts: &[Planned], limits: &Limits) -> Self {
        let longest = hosts.iter().filter_map(Planned::handover_within).max().unwrap_or_default();
        let failures_max = limits.max_failures.of(hosts.len());
        let mut zones: BTreeMap<String, usize> = BTreeMap::new();
        for zone in hosts.iter().filter_map(|planned| planned.zone.as_ref()) {
            *zones.entry(zone.clone()).or_default() += 1;
        }
        let zone_bounds = |hosts: usize| ZoneBounds {
            failures_max: limits.max_failures_per_zone.map_or(failures_max, |share| share.of(hosts)),
            available_min: limits.min_available_per_zone.rounded_up(hosts),
        };
        Self {
            in_flight_max: limits.max_in_flight.of(hosts.len()).max(1),
            failures_max,
            available_min: limits.min_available.rounded_up(hosts.len()),
            zones: zones.into_iter().map(|(zone, hosts)| (zone, zone_bounds(hosts))).collect(),
            stop_after: limits.stop_after,
            host_deadline: limits.host_deadline.unwrap_or_else(|| longest.clamp(HOST_DEADLINE_MIN, HOST_DEADLINE_MAX)),
            deadline: limits.deadline,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::plan::samples::builder;
    use crate::plan::{Bounds, ZoneBounds};

    fn bounds(hosts: usize, change: impl FnOnce(&mut crate::plan::Limits)) -> Bounds {
        builder(&"+".repeat(hosts)).limits(change).plan().bounds().clone()
    }

    #[test]
    fn percentages_are_of_the_chosen_hosts_and_one_is_always_in_flight() {
        let tenth = |hosts| {
            let bounds = bounds(hosts, |limits| {
                limits.max_in_flight = "10%".parse().unwrap();
                limits.max_failures = "10%".parse().unwrap();
                limits.min_available = "80%".parse().unwrap();
            });
            (bounds.in_flight_max, bounds.failures_max, bounds.available_min)
        };
        assert_eq!(tenth(59), (5, 5, 48));
        assert_eq!(tenth(9), (1, 0, 8));
    }

    #[test]
    fn what_is_per_zone_is_of_the_hosts_of_each_zone() {
        let plan = builder("++++++").zones("a a a b b -").limits(|limits| {
            limits.max_failures = "2".parse().unwrap();
            limits.max_failures_per_zone = Some("50%".parse().unwrap());
            limits.min_available_per_zone = "50%".parse().unwrap();
        });
        let zones = plan.plan().bounds().zones.clone();
        let zone = |failures_max, available_min| ZoneBounds { failures_max, available_min };
        assert_eq!(zones, [("a".to_owned(), zone(1, 2)), ("b".to_owned(), zone(1, 1))].into());
        let unsaid = builder("+++").zones("a a b").failures(2).plan();
        assert_eq!(unsaid.bounds().zones["b"], zone(2, 0), "as many as of all hosts");
    }

    #[test]
    fn a_host_may_take_as_long_as_its_handover_may_unless_told_otherwise() {
        let plan = |seconds, asked: Option<u64>| {
            let slow = builder("++x").handover_within(2, Duration::from_secs(seconds)).leave_out();
            let plan = slow.limits(|limits| limits.host_deadline = asked.map(Duration::from_secs)).plan();
            let cut_short = plan.cut_short().map(|(host, within)| format!("{host} {}", within.as_secs())).collect::<Vec<_>>();
            (plan.host_deadline().as_secs(), cut_short.join(", "))
        };
        let told = |seconds: u64, cut_short: &str| (seconds, cut_short.to_owned());
        assert_eq!(plan(213, None), told(600, ""));
        assert_eq!(plan(3_800, None), told(3_800, ""));
        assert_eq!(plan(u64::MAX / 1_000_000_000, None), told(93_600, "web-2 18446744073"));
        assert_eq!(plan(3_800, Some(1_200)), told(1_200, "web-2 3800"));
        assert_eq!(plan(3_800, Some(60)), told(60, "web-1 213, web-2 3800"));
        assert_eq!(plan(0, Some(300)), told(300, ""));
    }
}
