//! What a rollout waits for, for people: a host that is done is not waited for, but its guard or the last look at it may be.

use std::collections::BTreeMap;
use std::time::Duration;

use super::member::{Claim, State};
use super::walking::Rest;
use super::{Phase, Rollout};
use crate::inventory::HostName;

/// The hosts that something is waited for, and what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Awaited {
    /// That they grant their claims.
    pub claims: Vec<HostName>,
    /// Their handovers.
    pub in_flight: Vec<HostName>,
    /// That their guards stand, for the first time or again.
    pub guards: Vec<HostName>,
    /// That they answer when they are looked at a last time.
    pub last_looks: Vec<HostName>,
    /// When each of them is given up, since the walk began.
    pub deadlines: BTreeMap<HostName, Duration>,
    /// The wave that must stand for a while, by its place in the plan, and until when.
    pub soaking: Option<(usize, Duration)>,
    /// The wave after which a person has to say that it may go on.
    pub person: Option<usize>,
    /// Whether it is paused.
    pub is_paused: bool,
}

impl Awaited {
    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts().next().is_none() && self.soaking.is_none() && self.person.is_none() && !self.is_paused
    }

    /// All of the hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        [&self.claims, &self.in_flight, &self.guards, &self.last_looks].into_iter().flatten()
    }
}

impl Rollout {
    /// What is waited for.
    #[must_use]
    pub fn awaited(&self) -> Awaited {
        let is_walking = matches!(self.phase, Phase::Claiming { .. } | Phase::Walking);
        let mut awaited = Awaited { is_paused: is_walking && self.is_paused, ..Awaited::default() };
        if let Phase::Claiming { deadline } = self.phase {
            let unanswered = self.hosts.iter().filter(|member| member.claim == Claim::Wanted);
            awaited.claims = unanswered.map(|member| member.host.clone()).collect();
            awaited.deadlines.extend(awaited.claims.iter().map(|host| (host.clone(), deadline)));
        }
        let mut places: Vec<_> = self.deadlines.iter().map(|(deadline, place)| (*place, *deadline)).collect();
        places.sort_unstable();
        for (place, deadline) in places {
            let member = &self.hosts[place];
            let hosts = match member.state {
                State::Looking { .. } | State::InFlight { .. } => &mut awaited.in_flight,
                State::Confirming { .. } | State::Redialling { .. } => &mut awaited.guards,
                State::LastLook { .. } => &mut awaited.last_looks,
                State::Waiting | State::Guarded { .. } | State::Released { .. } | State::Ended { .. } => continue,
            };
            hosts.push(member.host.clone());
            awaited.deadlines.insert(member.host.clone(), deadline);
        }
        match self.rest {
            Rest::Soaking { until } if is_walking => awaited.soaking = Some((self.wave, until)),
            Rest::Person if is_walking => awaited.person = Some(self.wave),
            Rest::Soaking { .. } | Rest::Person | Rest::None => {}
        }
        awaited
    }
}
