//! From what the hosts answered to a plan: who is restarted, in which order, how many at once, who is refused and why.
//!
//! **Invariant:** a [`Plan`] leaves no choice to its execution, and making one touches nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::inventory::{HostName, Policy, Share};
use crate::outcome::Refusal;
use crate::standing::Standing;

/// The limits of a rollout: the flags, else the inventory, else one at a time and no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many hosts may be in flight at once.
    pub max_in_flight: Share,
    /// How many may be refused or rolled back before the rollout halts.
    pub max_failures: Share,
    /// How long one host may take; none for as long as its handover may.
    pub host_deadline: Option<Duration>,
}

/// How long one host may take at least, where nothing else is asked for.
const HOST_DEADLINE_MIN: Duration = Duration::from_mins(10);

/// How long one host may take at most, where nothing else is asked for: an agent allows a little more than 25 hours.
const HOST_DEADLINE_MAX: Duration = Duration::from_hours(26);

impl Limits {
    /// The flags' limits, and where there is no flag the policy's.
    #[must_use]
    pub fn new(flags: Policy, policy: Policy, host_deadline: Option<Duration>) -> Self {
        Self {
            max_in_flight: flags.max_in_flight.or(policy.max_in_flight).unwrap_or(Share::Count(1)),
            max_failures: flags.max_failures.or(policy.max_failures).unwrap_or(Share::Count(0)),
            host_deadline,
        }
    }
}

/// One chosen host, and what was learned of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The host.
    pub host: HostName,
    /// How the service stands there, or why that cannot be told.
    pub standing: Result<Standing, Refusal>,
}

/// One host's place in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The host.
    pub host: HostName,
    /// The zone that it is in, by its label `zone`.
    pub zone: Option<String>,
    /// The release to switch to there; none for the one that is there.
    pub release: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a host in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is restarted; this is how it stands now.
    Restart(Box<Standing>),
    /// It is broken already, for this reason, and is left out as told.
    LeaveOut(Refusal),
    /// It is broken already, for this reason: while it is among those chosen nothing is restarted.
    Refuse(Refusal),
}

/// Hosts that may go together. The next wave begins when the last host of this one is done, and what comes then is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// Which one it is.
    pub kind: WaveKind,
    /// The places of its hosts in the plan; never none.
    pub hosts: Range<usize>,
    /// What comes when its last host is done.
    pub then: Then,
}

/// Which wave it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaveKind {
    /// The first few, to see how they fare.
    Canaries,
    /// Those of a zone; none for the hosts that are in none.
    Zone(Option<String>),
    /// All that are left.
    Rest,
}

/// What comes after a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next one, at once.
    GoOn,
    /// All that are done must stand for so long.
    Soak(Duration),
    /// A person looks at it, and says when to go on.
    Person,
}

/// The limits of a rollout, counted out in hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// How many hosts may be in flight at once, at least one.
    pub in_flight_max: usize,
    /// How many may fail before the rollout halts.
    pub failures_max: usize,
    /// How many must be available at any time.
    pub available_min: usize,
    /// The same within each zone.
    pub zones: BTreeMap<String, ZoneBounds>,
    /// After how many hosts that were restarted the rollout stops.
    pub stop_after: Option<usize>,
    /// How long one host may take.
    pub host_deadline: Duration,
    /// How long all of it may take: nothing new starts after that.
    pub deadline: Option<Duration>,
}

/// The limits within one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneBounds {
    /// How many of its hosts may fail before the rollout halts.
    pub failures_max: usize,
    /// How many must be available at any time.
    pub available_min: usize,
}

/// One walk over the fleet, fixed before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    service: String,
    release: Option<String>,
    hosts: Vec<Planned>,
    waves: Vec<Wave>,
    bounds: Bounds,
}

impl Plan {
    /// Plans the restart of `service`, to `release` if one is named, on the hosts that were looked at, in that order.
    #[must_use]
    pub fn new(service: &str, release: Option<&str>, looked: Vec<Looked>, limits: Limits) -> Self {
        let total = looked.len();
        let hosts: Vec<Planned> = looked.into_iter().map(|looked| Planned::new(looked, release)).collect();
        let longest = hosts.iter().filter_map(Planned::handover_within).max().unwrap_or_default();
        let host_deadline = limits.host_deadline.unwrap_or_else(|| longest.clamp(HOST_DEADLINE_MIN, HOST_DEADLINE_MAX));
        let bounds = Bounds {
            in_flight_max: limits.max_in_flight.of(total).max(1),
            failures_max: limits.max_failures.of(total),
            available_min: 0,
            zones: BTreeMap::new(),
            stop_after: None,
            host_deadline,
            deadline: None,
        };
        let waves = vec![Wave { kind: WaveKind::Rest, hosts: 0..total, then: Then::GoOn }];
        Self { service: service.to_owned(), release: release.map(str::to_owned), hosts, waves, bounds }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The release to switch to on every host.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }

    /// The hosts, in their order.
    #[must_use]
    pub fn hosts(&self) -> &[Planned] {
        &self.hosts
    }

    /// The waves, in their order: together they have every host once.
    #[must_use]
    pub fn waves(&self) -> &[Wave] {
        &self.waves
    }

    /// The limits, counted out.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// How many hosts may be in flight at once, at least one.
    #[must_use]
    pub fn in_flight_max(&self) -> usize {
        self.bounds.in_flight_max
    }

    /// How many hosts may be refused or rolled back before the rollout halts.
    #[must_use]
    pub fn failures_max(&self) -> usize {
        self.bounds.failures_max
    }

    /// How long one host may take.
    #[must_use]
    pub fn host_deadline(&self) -> Duration {
        self.bounds.host_deadline
    }

    /// The hosts on which a handover may take longer than a host may, and how long.
    pub fn cut_short(&self) -> impl Iterator<Item = (&HostName, Duration)> {
        let within = self.hosts.iter().filter_map(|planned| Some((&planned.host, planned.handover_within()?)));
        within.filter(|(_, within)| *within > self.bounds.host_deadline)
    }

    /// The hosts that are refused, and why.
    pub fn refused(&self) -> impl Iterator<Item = (&HostName, &str)> {
        self.hosts.iter().filter_map(|planned| match &planned.fate {
            Fate::Refuse(refusal) => Some((&planned.host, refusal.cause.as_str())),
            Fate::LeaveOut(_) | Fate::Restart(_) => None,
        })
    }

    /// Whether so many hosts are refused that nothing would be restarted.
    #[must_use]
    pub fn is_past_budget(&self) -> bool {
        self.refused().count() > self.bounds.failures_max
    }
}

impl Planned {
    fn new(looked: Looked, release: Option<&str>) -> Self {
        let fate = match looked.standing {
            Ok(standing) => match standing.objection() {
                None => Fate::Restart(Box::new(standing)),
                Some(objection) => Fate::Refuse(objection.into()),
            },
            Err(refusal) => Fate::Refuse(refusal),
        };
        Self { host: looked.host, zone: None, release: release.map(str::to_owned), fate }
    }

    /// The longest that a handover may take there; none where there will be none.
    fn handover_within(&self) -> Option<Duration> {
        match &self.fate {
            Fate::Restart(standing) => Some(standing.handover_within),
            Fate::LeaveOut(_) | Fate::Refuse(_) => None,
        }
    }
}

/// Plans for tests.
#[cfg(test)]
pub(crate) mod samples {
    use std::time::Duration;

    use super::{Limits, Looked, Plan};
    use crate::inventory::{HostName, Share};
    use crate::standing::samples::healthy;

    pub(crate) const HOST_DEADLINE: Duration = Duration::from_mins(10);

    /// A plan for `web-1`, `web-2`…; one letter a host: `+` is healthy, `x` unreachable.
    pub(crate) fn plan(hosts: &str, in_flight: usize, failures: usize) -> Plan {
        let looked = hosts.chars().enumerate().map(|(index, fate)| Looked {
            host: HostName::parse(&format!("web-{}", index + 1)).unwrap(),
            standing: if fate == '+' { Ok(healthy()) } else { Err("connection refused".into()) },
        });
        let limits = Limits { max_in_flight: Share::Count(in_flight), max_failures: Share::Count(failures), host_deadline: None };
        Plan::new("web", None, looked.collect(), limits)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::samples::plan;
    use super::{Limits, Looked, Plan};
    use crate::inventory::{HostName, Policy, Share};
    use crate::standing::samples::healthy;
    use crate::standing::{Custody, Standing};

    #[test]
    fn flags_go_before_the_inventory_and_the_inventory_before_one_at_a_time() {
        let flags = Policy { max_in_flight: Some(Share::Count(3)), max_failures: None };
        let policy = Policy { max_in_flight: Some(Share::Count(2)), max_failures: Some(Share::Percent(5)) };
        let limits = |flags, policy| {
            let limits = Limits::new(flags, policy, None);
            (limits.max_in_flight, limits.max_failures)
        };
        assert_eq!(limits(flags, policy), (Share::Count(3), Share::Percent(5)));
        assert_eq!(limits(Policy::default(), policy), (Share::Count(2), Share::Percent(5)));
        assert_eq!(limits(Policy::default(), Policy::default()), (Share::Count(1), Share::Count(0)));
    }

    #[test]
    fn percentages_are_of_the_chosen_hosts_and_one_is_always_in_flight() {
        let looked = |total: usize| {
            let host = |index| HostName::parse(&format!("web-{index}")).unwrap();
            (0..total).map(|index| Looked { host: host(index), standing: Ok(healthy()) }).collect()
        };
        let limits = Limits { max_in_flight: Share::Percent(10), max_failures: Share::Percent(10), host_deadline: None };
        let plan = |total| Plan::new("web", None, looked(total), limits);
        assert_eq!((plan(59).in_flight_max(), plan(59).failures_max()), (5, 5));
        assert_eq!((plan(9).in_flight_max(), plan(9).failures_max()), (1, 0));
    }

    #[test]
    fn a_host_that_could_not_be_reloaded_is_refused_before_anything_is_touched() {
        let free = Standing { custody: Custody::Free, ..healthy() };
        let host = |name| HostName::parse(name).unwrap();
        let looked = vec![
            Looked { host: host("a"), standing: Err("connection refused".into()) },
            Looked { host: host("b"), standing: Ok(free) },
            Looked { host: host("c"), standing: Ok(healthy()) },
        ];
        let plan = Plan::new("web", None, looked, Limits::new(Policy::default(), Policy::default(), None));
        let refused: Vec<_> = plan.refused().map(|(host, cause)| format!("{host}: {cause}")).collect();
        assert_eq!(refused, ["a: connection refused", "b: the lock is not held"]);
        assert!(plan.is_past_budget());
    }

    #[test]
    fn a_host_may_take_as_long_as_its_handover_may_unless_told_otherwise() {
        let host = |name| HostName::parse(name).unwrap();
        let plan = |seconds, asked: Option<u64>| {
            let slow = Standing { handover_within: Duration::from_secs(seconds), ..healthy() };
            let looked = vec![
                Looked { host: host("a"), standing: Ok(healthy()) },
                Looked { host: host("b"), standing: Ok(slow) },
                Looked { host: host("c"), standing: Err("connection refused".into()) },
            ];
            let limits = Limits::new(Policy::default(), Policy::default(), asked.map(Duration::from_secs));
            let plan = Plan::new("web", None, looked, limits);
            let cut_short = plan.cut_short().map(|(host, within)| format!("{host} {}", within.as_secs())).collect::<Vec<_>>();
            (plan.host_deadline().as_secs(), cut_short.join(", "))
        };
        let told = |seconds: u64, cut_short: &str| (seconds, cut_short.to_owned());
        assert_eq!(plan(213, None), told(600, ""));
        assert_eq!(plan(3_800, None), told(3_800, ""));
        assert_eq!(plan(u64::MAX / 1_000_000_000, None), told(93_600, "b 18446744073"));
        assert_eq!(plan(3_800, Some(1_200)), told(1_200, "b 3800"));
        assert_eq!(plan(3_800, Some(60)), told(60, "a 213, b 3800"));
        assert_eq!(plan(0, Some(300)), told(300, ""));
    }

    #[test]
    fn refused_hosts_count_against_the_budget() {
        assert!(!plan("+x+", 1, 1).is_past_budget());
        assert!(plan("+xx", 1, 1).is_past_budget());
    }
}
