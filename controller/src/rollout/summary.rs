//! How a rollout ended.

use crate::inventory::HostName;
use crate::outcome::{Exit, Outcome};

/// Why nothing new is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A host was dropped, or nobody can tell whether it was.
    Doubt(HostName),
    /// More hosts were refused or rolled back than is tolerated.
    PastBudget {
        /// The one too many.
        host: HostName,
        /// How many are tolerated.
        max: usize,
        /// In this zone; none for over all.
        zone: Option<String>,
    },
    /// Another rollout has a host.
    Claimed(HostName),
    /// With the next host fewer would be available than must be, and nothing is under way that could change that.
    Floor {
        /// The host that would be next.
        host: HostName,
        /// How many must be available.
        min: usize,
        /// In this zone; none for over all.
        zone: Option<String>,
    },
    /// So many hosts were restarted, and no more were wanted.
    StopAfter(usize),
    /// Its own deadline has passed.
    Deadline,
    /// Somebody ordered it.
    Aborted,
    /// The operator wanted it.
    Interrupted,
}

impl Stop {
    /// The exit code that it would be, if no host has a graver one.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Doubt(_) => Exit::Proven,
            Self::PastBudget { .. } | Self::Floor { .. } => Exit::Failed,
            Self::Claimed(_) => Exit::Claimed,
            Self::StopAfter(_) | Self::Aborted => Exit::Stopped,
            Self::Deadline => Exit::Deadline,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// How every chosen host ended; no outcome for one that was not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The hosts, in the order of the plan.
    pub hosts: Vec<(HostName, Option<Outcome>)>,
    /// Why the rollout stopped early, if it did.
    pub stop: Option<Stop>,
}

impl Summary {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let stop = self.stop.as_ref().map_or(Exit::Proven, Stop::exit);
        let outcomes = self.hosts.iter().filter_map(|(_, outcome)| outcome.as_ref());
        let worst = outcomes.fold(stop, |worst, outcome| worst.or_worse(outcome.exit()));
        // The doubt that it stopped for is over since. The hosts that it did not come to are not proven.
        let is_half_done = worst == Exit::Proven && self.stop.is_some() && self.untouched().next().is_some();
        if is_half_done { Exit::Unproven } else { worst }
    }

    /// The hosts that nothing was done to.
    pub fn untouched(&self) -> impl Iterator<Item = &HostName> {
        self.hosts.iter().filter(|(_, outcome)| outcome.is_none()).map(|(host, _)| host)
    }

    /// The outcome that says most about why the run did not end well: the gravest, and of those the first.
    #[must_use]
    pub fn gravest(&self) -> Option<(&HostName, &Outcome)> {
        let mut gravest: Option<(&HostName, &Outcome)> = None;
        for (host, outcome) in &self.hosts {
            let Some(outcome) = outcome else { continue };
            let before = gravest.map_or(Exit::Proven, |(_, outcome)| outcome.exit());
            if before.or_worse(outcome.exit()) != before {
                gravest = Some((host, outcome));
            }
        }
        gravest
    }
}

#[cfg(test)]
mod tests {
    use super::{Stop, Summary};
    use crate::inventory::HostName;
    use crate::outcome::Exit;
    use crate::outcome::samples::proven;

    #[test]
    fn whoever_stopped_for_a_doubt_that_is_over_says_that_every_host_is_proven_only_when_every_host_is() {
        let host = |name| HostName::parse(name).unwrap();
        let exit = |second| {
            let hosts = vec![(host("web-1"), Some(proven())), (host("web-2"), second)];
            Summary { hosts, stop: Some(Stop::Doubt(host("web-1"))) }.exit()
        };
        assert_eq!(exit(None), Exit::Unproven);
        assert_eq!(exit(Some(proven())), Exit::Proven);
    }
}
