//! What a report knows of the rollout that it tells of: how it is called, how its waves are, and how long its hosts take.
//!
//! **Invariant:** it learns from what is told, and from nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Told;
use super::contacts::Contacts;
use super::eta::{Ahead, Eta, estimate};
use crate::inventory::HostName;
use crate::plan::{Fate, Plan, Then, Wave, WaveKind};
use crate::rollout::{Picture, Stage, Whereabouts};

/// The rollout that is told of.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Its name; empty where none is told of.
    pub(super) rollout: String,
    /// Whether hosts are switched to other releases.
    pub(super) switches_release: bool,
    pub(super) left_out: BTreeSet<HostName>,
    /// How long a host usually takes, by what the plan knew.
    usual: Option<Duration>,
    waves: Vec<Wave>,
    /// How many hosts may go at once in each wave.
    at_once: Vec<usize>,
}

impl Course {
    /// Learns from what is told.
    pub(super) fn learn(&mut self, told: &Told<'_>) {
        if let Told::Planned { plan, rollout: Some(rollout) } = told {
            *self = Self::of(plan, rollout);
        }
    }

    fn of(plan: &Plan, rollout: &str) -> Self {
        let is_restarted = |fate: &Fate| matches!(fate, Fate::Restart(_));
        let restarted: Vec<bool> = plan.hosts().iter().map(|planned| is_restarted(&planned.fate)).collect();
        let left_out = plan.hosts().iter().filter(|planned| !is_restarted(&planned.fate));
        Self {
            rollout: rollout.to_owned(),
            switches_release: plan.hosts().iter().any(|planned| planned.release.is_some()),
            left_out: left_out.map(|planned| planned.host.clone()).collect(),
            usual: plan.circumstances().usual,
            waves: plan.waves().to_vec(),
            at_once: plan.waves().iter().map(|wave| at_once(plan, wave, &restarted)).collect(),
        }
    }

    /// How many waves there are.
    pub(super) fn waves(&self) -> usize {
        self.waves.len()
    }

    /// The wave in this place.
    pub(super) fn wave(&self, place: usize) -> Option<&Wave> {
        self.waves.get(place)
    }

    /// The wave in this place, such as "wave 2 of 3 (zone b)"; none where it is the only one.
    pub(super) fn wave_name(&self, place: usize) -> Option<String> {
        let wave = self.waves.get(place).filter(|_| self.waves.len() > 1)?;
        let kind = match &wave.kind {
            WaveKind::Canaries => "canaries".to_owned(),
            WaveKind::Zone(Some(zone)) => format!("zone {zone}"),
            WaveKind::Zone(None) => "no zone".to_owned(),
            WaveKind::Rest => "the rest".to_owned(),
        };
        Some(format!("wave {} of {} ({kind})", place + 1, self.waves.len()))
    }

    /// How long it will still take; where it is held up, once it is not.
    pub(super) fn eta(&self, picture: &Picture, contacts: &Contacts, at: Duration) -> Option<Eta> {
        if picture.is_stopping {
            return None;
        }
        let ahead: Vec<Ahead> =
            (picture.wave..self.waves.len()).filter_map(|wave| self.ahead(wave, picture, contacts, at)).collect();
        estimate(contacts.usual().or(self.usual), &ahead, picture.starts_max)
    }

    fn ahead(&self, place: usize, picture: &Picture, contacts: &Contacts, at: Duration) -> Option<Ahead> {
        let wave = self.waves.get(place)?;
        let hosts = picture.hosts.get(wave.hosts.clone())?;
        let waiting = hosts.iter().filter(|host| **host == Whereabouts::Waiting).count();
        let open = picture
            .open
            .iter()
            .filter(|(place, _)| wave.hosts.contains(place) && picture.hosts[*place] != Whereabouts::Redialling);
        let open: Vec<Duration> =
            open.map(|(_, host)| contacts.of(host, at).map(|contact| contact.elapsed).unwrap_or_default()).collect();
        let then = match picture.stage {
            Stage::Soaking(until) if place == picture.wave => Then::Soak(until.saturating_sub(at)),
            Stage::Person if place == picture.wave => Then::GoOn,
            // An earlier run has waited for it already.
            _ if waiting == 0 && open.is_empty() => Then::GoOn,
            Stage::Planned
            | Stage::Claiming(_)
            | Stage::Walking
            | Stage::Soaking(_)
            | Stage::Person
            | Stage::Concluding(_)
            | Stage::Over => wave.then,
        };
        Some(Ahead { waiting, open, at_once: self.at_once[place], then })
    }
}

/// How many hosts of a wave may go at once, by the slots and by the floors.
fn at_once(plan: &Plan, wave: &Wave, restarted: &[bool]) -> usize {
    let bounds = plan.bounds();
    let count = |restarted: &[bool]| restarted.iter().filter(|is_restarted| **is_restarted).count();
    let fleet = count(restarted).saturating_sub(bounds.available_min);
    let zone = match &wave.kind {
        WaveKind::Zone(Some(zone)) => {
            bounds.zones.get(zone).map(|zone| count(&restarted[wave.hosts.clone()]).saturating_sub(zone.available_min))
        }
        WaveKind::Canaries | WaveKind::Zone(None) | WaveKind::Rest => None,
    };
    bounds.in_flight_max.min(fleet).min(zone.unwrap_or(usize::MAX)).max(1)
}
