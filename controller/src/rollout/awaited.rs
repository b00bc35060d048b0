//! What a rollout waits for, for people: a host that is done is not waited for, but its guard or the last look at it may be.

use super::Rollout;
use super::state::State;
use crate::inventory::HostName;

/// The hosts that something is waited for, and what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Awaited {
    /// Their handovers.
    pub in_flight: Vec<HostName>,
    /// That their guards stand, for the first time or again.
    pub guards: Vec<HostName>,
    /// That they answer when they are looked at a last time.
    pub last_looks: Vec<HostName>,
}

impl Awaited {
    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts().next().is_none()
    }

    /// All of the hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        [&self.in_flight, &self.guards, &self.last_looks].into_iter().flatten()
    }
}

impl Rollout {
    /// What is waited for.
    #[must_use]
    pub fn awaited(&self) -> Awaited {
        let mut awaited = Awaited::default();
        for place in &self.pending {
            let (host, state) = &self.hosts[*place];
            let hosts = match state {
                State::InFlight { .. } => &mut awaited.in_flight,
                State::Confirming { .. } | State::Redialling { .. } => &mut awaited.guards,
                State::LastLook { .. } => &mut awaited.last_looks,
                State::Waiting | State::Guarded { .. } | State::Released { .. } | State::Ended { .. } => continue,
            };
            hosts.push(host.clone());
        }
        awaited
    }
}
