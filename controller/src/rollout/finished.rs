//! What becomes of a host that is done: it is guarded, looked at a last time, and released.
//!
//! **Invariant:** a host leaves its guard by an event about it, its own deadline, or an operator who leaves at once; never
//! because the walk goes on.

use std::time::Duration;

use super::member::State;
use super::{Action, Phase, Rollout};
use crate::inventory::HostName;
use crate::outcome::Outcome;

/// How long a guard may take to stand, or to be found again once it is lost.
pub const GUARD_DEADLINE: Duration = Duration::from_secs(10);

/// How long a host may take to answer when it is looked at a last time.
pub const LAST_LOOK_DEADLINE: Duration = Duration::from_secs(5);

/// How many hosts are looked at a last time at once: more would measure only our own queue.
pub const LAST_LOOKS_MAX: usize = 64;

impl Rollout {
    pub(super) fn guard_stands(&mut self, host: &HostName) -> bool {
        let sought = |state: &State| matches!(state, State::Confirming { .. } | State::Redialling { .. });
        let Some(place) = self.place_if(host, sought) else { return false };
        let Some(outcome) = self.hosts[place].state.outcome().cloned() else { return false };
        self.set(place, State::Guarded { outcome });
        true
    }

    pub(super) fn guard_lost(&mut self, now: Duration, host: &HostName, why: &str) -> bool {
        let Some(place) = self.places.get(host).copied() else { return false };
        match &mut self.hosts[place].state {
            State::Confirming { cause, .. } | State::Redialling { cause, .. } | State::LastLook { cause, .. } => {
                why.clone_into(cause);
            }
            State::Guarded { outcome } => {
                let (outcome, cause) = (outcome.clone(), why.to_owned());
                self.set(place, State::Redialling { outcome, deadline: now + GUARD_DEADLINE, cause });
            }
            State::Waiting | State::Looking { .. } | State::InFlight { .. } | State::Released { .. } | State::Ended { .. } => {
                return false;
            }
        }
        true
    }

    pub(super) fn guard_broken(&mut self, host: &HostName, outcome: &Outcome, actions: &mut Vec<Action>) -> bool {
        let Some(place) = self.place_if(host, |state| state.breaks_with(outcome)) else { return false };
        self.end(place, outcome.clone(), actions);
        true
    }

    pub(super) fn still_stands(&mut self, host: &HostName) -> bool {
        let Some(place) = self.place_if(host, |state| matches!(state, State::LastLook { .. })) else { return false };
        self.release(place);
        true
    }

    /// Nobody looks at the host any more.
    pub(super) fn release(&mut self, place: usize) {
        if let Some(outcome) = self.hosts[place].state.outcome().cloned() {
            self.set(place, State::Released { outcome });
        }
    }

    /// Only guarded hosts are left: looks at each a last time, and then it is over.
    pub(super) fn conclude(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while self.tally.last_looks < LAST_LOOKS_MAX
            && let Some(place) = self.guarded.pop_first()
        {
            let member = &self.hosts[place];
            let Some(outcome) = member.state.outcome().cloned() else { continue };
            actions.push(Action::LastLook(member.host.clone(), outcome.clone()));
            let deadline = now + LAST_LOOK_DEADLINE;
            self.set(place, State::LastLook { outcome, deadline, cause: "no answer".into() });
        }
        if self.deadlines.is_empty() {
            actions.push(Action::Finish(self.summary()));
            self.phase = Phase::Over;
        }
    }
}
