//! What was last heard of each host in flight, for lines that say what is waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Told;
use crate::inventory::HostName;
use crate::step::Step;

/// How it stands with a host in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contact {
    /// The step that it was last heard to be in.
    pub(super) step: Option<Step>,
    /// For how long nothing was heard of it, where contact is lost.
    pub(super) lost_for: Option<Duration>,
}

/// What was last heard of the hosts in flight.
#[derive(Debug, Default)]
pub(super) struct Contacts(BTreeMap<HostName, Heard>);

#[derive(Debug)]
struct Heard {
    step: Option<Step>,
    at: Instant,
    is_lost: bool,
}

impl Contacts {
    /// Learns from what is told.
    pub(super) fn learn(&mut self, told: &Told<'_>, now: Instant) {
        match told {
            Told::Started { host } => self.hear(host, None, now),
            Told::Step { host, step, .. } => self.hear(host, Some(*step), now),
            Told::Retrying { host, .. } => {
                if let Some(heard) = self.0.get_mut(*host) {
                    heard.is_lost = true;
                }
            }
            Told::Outcome { host, .. } => {
                self.0.remove(*host);
            }
            Told::Asking { .. }
            | Told::Planned { .. }
            | Told::PlanWritten { .. }
            | Told::MayNotRestart { .. }
            | Told::Regained { .. }
            | Told::Stopping { .. }
            | Told::Note { .. }
            | Told::Waiting { .. }
            | Told::Finished { .. }
            | Told::Fleet { .. }
            | Told::Claims { .. }
            | Told::Testimony { .. }
            | Told::History(_)
            | Told::Certified { .. } => {}
        }
    }

    fn hear(&mut self, host: &HostName, step: Option<Step>, at: Instant) {
        self.0.insert(host.clone(), Heard { step, at, is_lost: false });
    }

    /// How it stands with a host; none where nothing was heard of it.
    pub(super) fn of(&self, host: &HostName, now: Instant) -> Option<Contact> {
        let heard = self.0.get(host)?;
        Some(Contact { step: heard.step, lost_for: heard.is_lost.then(|| now.saturating_duration_since(heard.at)) })
    }
}
