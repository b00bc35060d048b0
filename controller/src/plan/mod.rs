//! From what the hosts answered to a plan: who is restarted, in which order, how many at once, who is refused and why.
//!
//! ```text
//! Choices + Looked of every host ─▶ Plan ─▶ objections   it must not be carried out
//!                                    │  └─▶ warnings     it may, and something speaks against it
//!                                    ├────▶ estimate     how long it takes
//!                                    └────▶ document     as text and back, without a loss
//! ```
//!
//! **Invariant:** a [`Plan`] leaves no choice to its execution, and making one touches nothing.
//! **Invariant:** a plan with an [`Objection`] is not carried out.

mod bounds;
mod choices;
mod difference;
mod document;
mod estimate;
mod looked;
mod objection;
mod warning;
mod waves;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

pub use choices::{Choices, Limits, Releases};
pub use difference::{Difference, differences, find};
pub use document::DocumentError;
pub use estimate::{Estimate, estimate};
pub use looked::{About, Circumstances, Clock, LEVEL_MIN, Looked};
pub use objection::Objection;
pub use warning::{CERTIFICATE_LEFT_MIN, CLOCK_OFF_MAX, Warning};

use crate::inventory::HostName;
use crate::outcome::{Exit, Refusal};
use crate::standing::Standing;

/// One host's place in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The host.
    pub host: HostName,
    /// Where its agent listens.
    pub address: String,
    /// The zone that it is in, by its label `zone`.
    pub zone: Option<String>,
    /// The release to switch to there; none for the one that is there.
    pub release: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
    /// Until when its agent's certificate is valid, since 1970, where that is known.
    pub certificate_ends: Option<Duration>,
    /// Its clock, where that is known.
    pub clock: Option<Clock>,
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
    choices: Choices,
    hosts: Vec<Planned>,
    waves: Vec<Wave>,
    bounds: Bounds,
    circumstances: Circumstances,
}

impl Plan {
    /// Plans what was chosen on the hosts that were looked at, in that order but for the zones.
    #[must_use]
    pub fn new(choices: Choices, looked: Vec<Looked>, circumstances: Circumstances) -> Self {
        let hosts = looked.into_iter().map(|looked| Planned::new(looked, &choices)).collect();
        Self::over(choices, hosts, circumstances)
    }

    /// The plan over hosts of which it is known what becomes of them.
    fn over(choices: Choices, hosts: Vec<Planned>, circumstances: Circumstances) -> Self {
        let hosts = waves::order(hosts, &choices.limits);
        let waves = waves::cut(&hosts, &choices.limits);
        let bounds = Bounds::count(&hosts, &choices.limits);
        Self { choices, hosts, waves, bounds, circumstances }
    }

    /// What was chosen: whoever plans anew chooses the same.
    #[must_use]
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.choices.service
    }

    /// The release to switch to, where it is one for all hosts.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        match &self.choices.releases {
            Releases::One(release) => Some(release),
            Releases::Current | Releases::Each(_) => None,
        }
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

    /// What was around it when it was made.
    #[must_use]
    pub fn circumstances(&self) -> &Circumstances {
        &self.circumstances
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

    /// The hosts that are not restarted, whether left out or refused, and why.
    pub fn refused(&self) -> impl Iterator<Item = (&HostName, &str)> {
        self.hosts.iter().filter_map(|planned| match &planned.fate {
            Fate::Refuse(refusal) | Fate::LeaveOut(refusal) => Some((&planned.host, refusal.cause.as_str())),
            Fate::Restart(_) => None,
        })
    }

    /// How many hosts are restarted, of a zone or of all.
    #[must_use]
    pub fn restarted_in(&self, zone: Option<&str>) -> usize {
        let is_there = |planned: &&Planned| zone.is_none() || planned.zone.as_deref() == zone;
        self.hosts.iter().filter(is_there).filter(|planned| planned.is_restarted()).count()
    }

    /// Why it must not be carried out; nothing for a plan that may.
    #[must_use]
    pub fn objections(&self) -> Vec<Objection> {
        objection::all(self)
    }

    /// What speaks against it, and does not forbid it.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        warning::all(self)
    }

    /// How long it takes.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        estimate(self, self.circumstances.usual)
    }

    /// The exit code that this plan is: whether it may be carried out.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let exits = self.objections().into_iter().map(|objection| objection.exit());
        exits.reduce(|one, other| if other == Exit::Claimed { other } else { one }).unwrap_or(Exit::Proven)
    }
}

impl Planned {
    /// Whether it is restarted.
    #[must_use]
    pub fn is_restarted(&self) -> bool {
        self.standing().is_some()
    }

    /// Whether it is left out, as told.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        match &self.fate {
            Fate::LeaveOut(_) => true,
            Fate::Restart(_) | Fate::Refuse(_) => false,
        }
    }

    /// How the service stood there, where it is restarted.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        match &self.fate {
            Fate::Restart(standing) => Some(standing),
            Fate::LeaveOut(_) | Fate::Refuse(_) => None,
        }
    }
}

impl Fate {
    /// The fate in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Restart(_) => "restart",
            Self::LeaveOut(_) => "leave_out",
            Self::Refuse(_) => "refuse",
        }
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod samples;
