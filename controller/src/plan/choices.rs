//! What was chosen: the service, the releases, and the limits within which it goes.
//!
//! **Invariant:** whoever plans anew with the same choices, over hosts that stand the same, gets the same plan.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::inventory::{HostName, Policy, Share};

/// The limits of a rollout: the flags, else the inventory, else one at a time and no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many hosts may be in flight at once.
    pub max_in_flight: Share,
    /// How many may be refused or rolled back before the rollout halts.
    pub max_failures: Share,
    /// How many of each zone may; none for as many as of all.
    pub max_failures_per_zone: Option<Share>,
    /// How many must be available at any time.
    pub min_available: Share,
    /// How many of each zone must.
    pub min_available_per_zone: Share,
    /// How many go first.
    pub canaries: usize,
    /// How long those that are done must stand before it goes on; none where nobody waits for that.
    pub soak: Option<Duration>,
    /// Whether one zone goes after the other.
    pub by_zone: bool,
    /// After how many hosts that were restarted it stops.
    pub stop_after: Option<usize>,
    /// How long one host may take; none for as long as its handover may.
    pub host_deadline: Option<Duration>,
    /// How long all of it may take.
    pub deadline: Option<Duration>,
    /// Whether what is broken already is left out.
    pub leave_out_broken: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Policy::default(), Policy::default(), false)
    }
}

impl Limits {
    /// The flags' limits, and where there is no flag the policy's.
    #[must_use]
    pub fn new(flags: Policy, policy: Policy, leave_out_broken: bool) -> Self {
        let chosen = flags.or(policy);
        Self {
            max_in_flight: chosen.max_in_flight.unwrap_or(Share::Count(1)),
            max_failures: chosen.max_failures.unwrap_or(Share::Count(0)),
            max_failures_per_zone: chosen.max_failures_per_zone,
            min_available: chosen.min_available.unwrap_or(Share::Count(0)),
            min_available_per_zone: chosen.min_available_per_zone.unwrap_or(Share::Count(0)),
            canaries: chosen.canary.unwrap_or(0),
            soak: chosen.soak.filter(|soak| !soak.is_zero()),
            by_zone: chosen.by_zone.unwrap_or(false),
            stop_after: chosen.stop_after,
            host_deadline: chosen.host_deadline,
            deadline: chosen.deadline,
            leave_out_broken,
        }
    }
}

/// Which release each host is switched to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Releases {
    /// The one that is there.
    Current,
    /// One for all.
    One(String),
    /// Each host its own; the one that is there where none is named.
    Each(BTreeMap<HostName, String>),
}

impl Releases {
    /// The release that `host` is switched to; none for the one that is there.
    #[must_use]
    pub fn of(&self, host: &HostName) -> Option<&str> {
        match self {
            Self::Current => None,
            Self::One(release) => Some(release),
            Self::Each(releases) => releases.get(host).map(String::as_str),
        }
    }
}

/// All that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// The service.
    pub service: String,
    /// The releases.
    pub releases: Releases,
    /// The limits.
    pub limits: Limits,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Limits;
    use crate::inventory::{Policy, Share};

    #[test]
    fn flags_go_before_the_inventory_and_the_inventory_before_one_at_a_time() {
        let flags = Policy { max_in_flight: Some(Share::Count(3)), ..Policy::default() };
        let policy = Policy { max_in_flight: Some(Share::Count(2)), max_failures: Some(Share::Percent(5)), ..Policy::default() };
        let limits = |flags, policy| {
            let limits = Limits::new(flags, policy, false);
            (limits.max_in_flight, limits.max_failures)
        };
        assert_eq!(limits(flags, policy), (Share::Count(3), Share::Percent(5)));
        assert_eq!(limits(Policy::default(), policy), (Share::Count(2), Share::Percent(5)));
        assert_eq!(limits(Policy::default(), Policy::default()), (Share::Count(1), Share::Count(0)));
    }

    #[test]
    fn to_soak_for_no_time_is_not_to_soak() {
        let soak = |soak| Limits::new(Policy { soak: Some(soak), ..Policy::default() }, Policy::default(), false).soak;
        assert_eq!(soak(Duration::ZERO), None);
        assert_eq!(soak(Duration::from_secs(1)), Some(Duration::from_secs(1)));
    }
}
