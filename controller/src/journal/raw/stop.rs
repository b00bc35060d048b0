//! Why nothing new starts, as it is written down.

use serde::{Deserialize, Serialize};

use super::host;
use crate::journal::record::Damage;
use crate::rollout::Stop;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub(in crate::journal) enum RawStop {
    Doubt { host: String },
    PastBudget { host: String, max: usize, zone: Option<String> },
    Claimed { host: String },
    Floor { host: String, min: usize, zone: Option<String> },
    StopAfter { hosts: usize },
    Deadline,
    Aborted,
    Interrupted,
}

impl From<&Stop> for RawStop {
    fn from(stop: &Stop) -> Self {
        match stop {
            Stop::Doubt(host) => Self::Doubt { host: host.to_string() },
            Stop::PastBudget { host, max, zone } => Self::PastBudget { host: host.to_string(), max: *max, zone: zone.clone() },
            Stop::Claimed(host) => Self::Claimed { host: host.to_string() },
            Stop::Floor { host, min, zone } => Self::Floor { host: host.to_string(), min: *min, zone: zone.clone() },
            Stop::StopAfter(hosts) => Self::StopAfter { hosts: *hosts },
            Stop::Deadline => Self::Deadline,
            Stop::Aborted => Self::Aborted,
            Stop::Interrupted => Self::Interrupted,
        }
    }
}

impl TryFrom<RawStop> for Stop {
    type Error = Damage;

    fn try_from(stop: RawStop) -> Result<Self, Damage> {
        Ok(match stop {
            RawStop::Doubt { host: name } => Self::Doubt(host(&name)?),
            RawStop::PastBudget { host: name, max, zone } => Self::PastBudget { host: host(&name)?, max, zone },
            RawStop::Claimed { host: name } => Self::Claimed(host(&name)?),
            RawStop::Floor { host: name, min, zone } => Self::Floor { host: host(&name)?, min, zone },
            RawStop::StopAfter { hosts } => Self::StopAfter(hosts),
            RawStop::Deadline => Self::Deadline,
            RawStop::Aborted => Self::Aborted,
            RawStop::Interrupted => Self::Interrupted,
        })
    }
}
