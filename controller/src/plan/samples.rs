//! Plans for tests.

use std::time::Duration;

use baton_proto::claim::Claim;

use super::{About, Choices, Circumstances, Clock, LEVEL_MIN, Limits, Looked, Plan, Releases};
use crate::inventory::{HostName, Share};
use crate::standing::samples::healthy;
use crate::standing::{Custody, Standing};

pub(crate) const HOST_DEADLINE: Duration = Duration::from_mins(10);

/// In the morning of 2026-11-24.
pub(crate) const NOW: Duration = Duration::from_mins(29_924_981);

/// A plan for `web-1`, `web-2`…; one letter a host, as of a [`builder`]. What is broken is left out.
pub(crate) fn plan(hosts: &str, in_flight: usize, failures: usize) -> Plan {
    builder(hosts).in_flight(in_flight).failures(failures).leave_out().plan()
}

/// A plan for `web-1`, `web-2`… to be: one letter a host. `+` is healthy, `x` unreachable, `f` has a free lock, `c` is claimed by
/// another, `o` has an old agent.
pub(crate) fn builder(hosts: &str) -> Builder {
    let looked = hosts.chars().enumerate().map(|(index, letter)| looked(index + 1, letter)).collect();
    let choices = Choices { service: "web".into(), releases: Releases::Current, limits: Limits::default() };
    Builder { looked, choices, circumstances: Circumstances { now: NOW, ..Circumstances::default() } }
}

fn looked(number: usize, letter: char) -> Looked {
    let claim = Claim {
        rollout: "r-9".into(),
        operator: "ada".into(),
        reason: "a hot fix".into(),
        age: Duration::from_secs(12),
        since: None,
        lease_left: Duration::from_secs(7),
        fence: 9,
    };
    let level = if letter == 'o' { 0 } else { LEVEL_MIN };
    Looked {
        host: HostName::parse(&format!("web-{number}")).unwrap(),
        address: format!("web-{number}.internal:7646"),
        zone: None,
        standing: match letter {
            'x' => Err("connection refused".into()),
            'f' => Ok(Standing { custody: Custody::Free, ..healthy() }),
            'c' => Ok(Standing { claim: Some(claim), ..healthy() }),
            '+' | 'o' => Ok(healthy()),
            other => panic!("{other:?} is no host"),
        },
        about: (letter != 'x').then(|| About { version: "0.0.9".into(), level, certificate_ends: None, clock: None }),
    }
}

/// A plan to be.
#[derive(Debug, Clone)]
pub(crate) struct Builder {
    looked: Vec<Looked>,
    choices: Choices,
    circumstances: Circumstances,
}

impl Builder {
    pub(crate) fn plan(self) -> Plan {
        Plan::new(self.choices, self.looked, self.circumstances)
    }

    /// The zones of the hosts, with blanks between; `-` is none.
    pub(crate) fn zones(mut self, zones: &str) -> Self {
        for (looked, zone) in self.looked.iter_mut().zip(zones.split(' ')) {
            looked.zone = (zone != "-").then(|| zone.to_owned());
        }
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.choices.limits);
        self
    }

    pub(crate) fn in_flight(self, max: usize) -> Self {
        self.limits(|limits| limits.max_in_flight = Share::Count(max))
    }

    pub(crate) fn failures(self, max: usize) -> Self {
        self.limits(|limits| limits.max_failures = Share::Count(max))
    }

    pub(crate) fn available(self, min: usize) -> Self {
        self.limits(|limits| limits.min_available = Share::Count(min))
    }

    pub(crate) fn canaries(self, count: usize) -> Self {
        self.limits(|limits| limits.canaries = count)
    }

    /// Soaks for so many seconds.
    pub(crate) fn soak(self, seconds: u64) -> Self {
        self.limits(|limits| limits.soak = Some(Duration::from_secs(seconds)))
    }

    pub(crate) fn by_zone(self) -> Self {
        self.limits(|limits| limits.by_zone = true)
    }

    pub(crate) fn leave_out(self) -> Self {
        self.limits(|limits| limits.leave_out_broken = true)
    }

    pub(crate) fn releases(mut self, releases: Releases) -> Self {
        self.choices.releases = releases;
        self
    }

    pub(crate) fn circumstances(mut self, circumstances: Circumstances) -> Self {
        self.circumstances = circumstances;
        self
    }

    pub(crate) fn usual(mut self, usual: Duration) -> Self {
        self.circumstances.usual = Some(usual);
        self
    }

    fn host(&mut self, number: usize) -> &mut Looked {
        &mut self.looked[number - 1]
    }

    /// Changes how the service stands on a host that answers.
    pub(crate) fn standing(mut self, number: usize, change: impl FnOnce(&mut Standing)) -> Self {
        self.host(number).standing.as_mut().map(change).unwrap();
        self
    }

    pub(crate) fn handover_within(self, number: usize, within: Duration) -> Self {
        self.standing(number, |standing| standing.handover_within = within)
    }

    pub(crate) fn certificate_ends(mut self, number: usize, ends: Duration) -> Self {
        self.host(number).about.as_mut().unwrap().certificate_ends = Some(ends);
        self
    }

    pub(crate) fn clock(mut self, number: usize, clock: Clock) -> Self {
        self.host(number).about.as_mut().unwrap().clock = Some(clock);
        self
    }
}
