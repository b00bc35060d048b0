//! The beginning: every host is claimed before the first is touched, so that of two rollouts one touches nothing.

use std::time::Duration;

use super::member::{Claim, State};
use super::{Action, Phase, Rollout, Stop};
use crate::inventory::HostName;
use crate::outcome::{Outcome, Refusal};

/// How long the hosts may take to grant their claims.
pub const CLAIM_DEADLINE: Duration = Duration::from_secs(15);

impl Rollout {
    pub(super) fn start(&mut self, now: Duration, stop: Option<Stop>, actions: &mut Vec<Action>) {
        self.phase = match stop {
            // An earlier run was halting when it died: what is under way is waited for, and nothing else is begun.
            Some(stop) => {
                actions.push(Action::TellStop(stop.clone()));
                Phase::Stopping(stop)
            }
            None => Phase::Claiming { deadline: now + CLAIM_DEADLINE },
        };
        for place in 0..self.hosts.len() {
            self.take_up(place, actions);
        }
    }

    /// Claims a host, and goes on with it where an earlier run has left it.
    fn take_up(&mut self, place: usize, actions: &mut Vec<Action>) {
        let is_walking = matches!(self.phase, Phase::Claiming { .. });
        let member = &self.hosts[place];
        let host = &member.host;
        let is_asked = matches!(member.state, State::InFlight { .. });
        if member.claim == Claim::Wanted && (is_walking || is_asked) {
            self.claims_unanswered += 1;
            actions.push(Action::Claim(host.clone()));
        }
        match &member.state {
            State::InFlight { .. } => actions.push(Action::Ask(host.clone(), member.attempt)),
            State::Confirming { outcome, .. } => actions.push(Action::Guard(host.clone(), outcome.clone())),
            State::Ended { outcome } if !member.is_told => actions.push(Action::TellOutcome(host.clone(), outcome.clone())),
            State::Ended { .. }
            | State::Waiting
            | State::Looking { .. }
            | State::Guarded { .. }
            | State::Redialling { .. }
            | State::LastLook { .. }
            | State::Released { .. } => {}
        }
    }

    pub(super) fn claimed(&mut self, host: &HostName) -> bool {
        let Some(place) = self.places.get(host).copied() else { return false };
        match self.hosts[place].claim {
            Claim::Unwanted => false,
            // It was lost, and stands again.
            Claim::Answered => true,
            Claim::Wanted => {
                self.answer_claim(place);
                true
            }
        }
    }

    pub(super) fn claim_refused(&mut self, host: &HostName, refusal: &Refusal, actions: &mut Vec<Action>) -> bool {
        let Some(place) = self.places.get(host).copied() else { return false };
        let was_wanted = match self.hosts[place].claim {
            Claim::Unwanted => return false,
            Claim::Answered => false,
            Claim::Wanted => true,
        };
        if was_wanted {
            self.answer_claim(place);
        }
        let is_begun = !matches!(self.phase, Phase::Claiming { .. });
        match &self.hosts[place].state {
            // Nothing was begun: whoever came first goes first, and this rollout touches nothing.
            _ if refusal.is_claimed && !is_begun => self.stop(Stop::Claimed(host.clone()), actions),
            // It would not be started any more: it stays untouched, and the next run claims it anew.
            State::Waiting if matches!(self.phase, Phase::Stopping(_)) => return was_wanted,
            State::Waiting => self.end(place, Outcome::Refused(refusal.clone()), actions),
            // What is under way has its own end, and what is done its guard.
            State::Looking { .. }
            | State::InFlight { .. }
            | State::Confirming { .. }
            | State::Guarded { .. }
            | State::Redialling { .. }
            | State::LastLook { .. }
            | State::Released { .. }
            | State::Ended { .. } => return was_wanted,
        }
        true
    }

    /// Those that have not answered in time cannot be asked for anything.
    pub(super) fn give_up_claiming(&mut self, actions: &mut Vec<Action>) {
        for place in 0..self.hosts.len() {
            if self.hosts[place].claim != Claim::Wanted {
                continue;
            }
            self.answer_claim(place);
            if matches!(self.hosts[place].state, State::Waiting) {
                let cause = format!("its agent granted no claim within {} s", CLAIM_DEADLINE.as_secs());
                self.end(place, Outcome::Refused(cause.into()), actions);
            }
        }
    }

    fn answer_claim(&mut self, place: usize) {
        self.hosts[place].claim = Claim::Answered;
        self.claims_unanswered = self.claims_unanswered.saturating_sub(1);
    }
}
