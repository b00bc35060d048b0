//! A host at its turn: it is looked at once more, asked, and ends somehow.

use std::time::Duration;

use super::member::State;
use super::{Action, GUARD_DEADLINE, Phase, Rollout};
use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::standing::Standing;

impl Rollout {
    /// Gives the host in this place a slot.
    pub(super) fn launch(&mut self, now: Duration, place: usize, actions: &mut Vec<Action>) {
        self.set(place, State::Looking { deadline: now + self.bounds.host_deadline });
        actions.push(Action::Look(self.hosts[place].host.clone()));
    }

    /// A plan may be hours old: what speaks against a handover by now is found here.
    pub(super) fn looked(&mut self, now: Duration, host: &HostName, standing: &Standing, actions: &mut Vec<Action>) -> bool {
        let Some(place) = self.places.get(host).copied() else { return false };
        let State::Looking { deadline } = self.hosts[place].state else { return false };
        if matches!(self.phase, Phase::Stopping(_)) {
            // It was not asked yet, and nothing new starts.
            self.set(place, State::Waiting);
        } else if let Some(objection) = standing.objection() {
            self.settle(now, place, &Outcome::Refused(objection.into()), actions);
        } else {
            self.set(place, State::InFlight { deadline });
            actions.push(Action::Ask(host.clone(), self.hosts[place].attempt));
        }
        true
    }

    pub(super) fn settled(&mut self, now: Duration, host: &HostName, outcome: &Outcome, actions: &mut Vec<Action>) -> bool {
        let fits = |state: &State| match state {
            State::InFlight { .. } => true,
            // Nothing but a refusal can come of a host that was not asked.
            State::Looking { .. } => matches!(outcome, Outcome::Refused(_)),
            State::Waiting
            | State::Confirming { .. }
            | State::Guarded { .. }
            | State::Redialling { .. }
            | State::LastLook { .. }
            | State::Released { .. }
            | State::Ended { .. } => false,
        };
        let Some(place) = self.place_if(host, fits) else { return false };
        self.settle(now, place, outcome, actions);
        true
    }

    fn settle(&mut self, now: Duration, place: usize, outcome: &Outcome, actions: &mut Vec<Action>) {
        let host = self.hosts[place].host.clone();
        actions.push(Action::TellOutcome(host.clone(), outcome.clone()));
        match outcome {
            Outcome::Proven(_) | Outcome::RolledBack { .. } => {
                actions.push(Action::Guard(host, outcome.clone()));
                let deadline = now + GUARD_DEADLINE;
                self.set(place, State::Confirming { outcome: outcome.clone(), deadline, cause: "no answer".into() });
            }
            Outcome::Refused(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_) => {
                self.set(place, State::Ended { outcome: outcome.clone() });
            }
        }
        self.tally.restarted += usize::from(matches!(outcome, Outcome::Proven(_)));
        self.weigh(place, outcome.weight(), actions);
    }
}
