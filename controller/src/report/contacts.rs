//! What was last heard of each host that was started, for lines that say what is waited for; and how long hosts usually take.
//!
//! **Invariant:** times are since the walk began; this module never reads the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Told;
use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::step::Step;

/// How it stands with a host that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contact<'a> {
    /// The step that it was last heard to be in.
    pub(super) step: Option<Step>,
    /// What was seen of that step.
    pub(super) detail: &'a str,
    /// For how long nothing was heard of it, where contact is lost.
    pub(super) lost_for: Option<Duration>,
    /// How long ago it was started.
    pub(super) elapsed: Duration,
}

/// What was last heard of the hosts, and how long they took.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    hosts: BTreeMap<HostName, Heard>,
    /// How many handovers are done, and how long all of them took together.
    done: u32,
    took: Duration,
}

#[derive(Debug)]
struct Heard {
    begun: Duration,
    step: Option<Step>,
    detail: String,
    at: Duration,
    is_lost: bool,
    has_ended: bool,
}

impl Contacts {
    /// Learns from what is told.
    pub(super) fn learn(&mut self, told: &Told<'_>, at: Duration) {
        match told {
            Told::Started { host } => {
                let heard = Heard { begun: at, step: None, detail: String::new(), at, is_lost: false, has_ended: false };
                self.hosts.insert((*host).clone(), heard);
            }
            Told::Step { host, step, detail } => self.step(host, *step, detail, at),
            Told::Retrying { host, .. } => {
                if let Some(heard) = self.hosts.get_mut(*host) {
                    heard.is_lost = true;
                }
            }
            Told::Regained { host } => {
                if let Some(heard) = self.hosts.get_mut(*host) {
                    (heard.is_lost, heard.at) = (false, at);
                }
            }
            Told::Outcome { host, outcome } => self.end(host, outcome, at),
            Told::Asking { .. }
            | Told::Planned { .. }
            | Told::PlanWritten { .. }
            | Told::NotUndone { .. }
            | Told::MayNotRestart { .. }
            | Told::Stopping { .. }
            | Told::Note { .. }
            | Told::Waiting { .. }
            | Told::Finished { .. }
            | Told::Fleet { .. }
            | Told::Claims { .. }
            | Told::Testimony { .. }
            | Told::History(_)
            | Told::Journal(_)
            | Told::Certified { .. } => {}
        }
    }

    /// A host that an earlier run has asked is heard of without having been started in this one.
    fn step(&mut self, host: &HostName, step: Step, detail: &str, at: Duration) {
        let begun = self.hosts.get(host).map_or(at, |heard| heard.begun);
        let heard = Heard { begun, step: Some(step), detail: detail.to_owned(), at, is_lost: false, has_ended: false };
        self.hosts.insert(host.clone(), heard);
    }

    fn end(&mut self, host: &HostName, outcome: &Outcome, at: Duration) {
        let Some(heard) = self.hosts.get_mut(host).filter(|heard| !heard.has_ended) else { return };
        (heard.has_ended, heard.is_lost, heard.at) = (true, false, at);
        match outcome {
            Outcome::Proven(_) | Outcome::RolledBack { .. } => {
                self.done += 1;
                self.took += at.saturating_sub(heard.begun);
            }
            // How long these took says nothing of the others.
            Outcome::Refused(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_) => {}
        }
    }

    /// How it stands with a host; none where nothing was heard of it.
    pub(super) fn of(&self, host: &HostName, at: Duration) -> Option<Contact<'_>> {
        let heard = self.hosts.get(host)?;
        Some(Contact {
            step: heard.step,
            detail: &heard.detail,
            lost_for: heard.is_lost.then(|| at.saturating_sub(heard.at)),
            elapsed: at.saturating_sub(heard.begun),
        })
    }

    /// How long a host took so far, on an average; none before one is done.
    pub(super) fn usual(&self) -> Option<Duration> {
        self.took.checked_div(self.done)
    }
}
