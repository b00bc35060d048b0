//! A rollout whose earlier runs have ended somewhere on the way: what they did is taken up, and nothing is done twice.
//!
//! **Invariant:** a host that was asked is asked for the same attempt again, which its agent joins or answers from what it keeps; for
//! another attempt only where the operator wants failed hosts to be tried again.

use super::member::{Claim, State};
use super::{GUARD_DEADLINE, Past, PastHost, Phase, Rollout, Stop};
use crate::outcome::{Outcome, Weight};
use crate::plan::Plan;

impl Rollout {
    /// A rollout of `plan` that goes on where `past` ends.
    #[must_use]
    pub fn resume(plan: &Plan, past: &Past, retry_failed: bool) -> Self {
        let mut rollout = Self::new(plan);
        rollout.waves_done = past.waves_done;
        let mut halts = None;
        for place in 0..rollout.hosts.len() {
            let member = &rollout.hosts[place];
            let Some(known) = past.hosts.get(&member.host) else { continue };
            let is_left_out = member.claim == Claim::Unwanted;
            let retries = retry_failed && !known.halts_unseen();
            let state = if is_left_out { None } else { known.state(retries, plan) };
            let member = &mut rollout.hosts[place];
            member.is_told = known.outcome.is_some();
            member.attempt = known.attempt.max(1);
            let Some(state) = state else {
                if is_left_out {
                    continue;
                }
                member.attempt = known.attempt.saturating_add(1);
                member.outcome_before = known.outcome.clone().or_else(|| known.settled.clone());
                let member = &rollout.hosts[place];
                rollout.tally.recount_available(member.zone.as_deref(), true, member.is_available());
                continue;
            };
            halts = rollout.take_over(place, state, known).or(halts);
        }
        let stop = past.stop.clone().filter(|stop| !past.is_finished && outlives_its_run(stop)).or(halts);
        rollout.phase = Phase::Planned(stop);
        rollout
    }

    /// Puts a host where an earlier run had left it. What nobody has seen yet counts as it did; why that halts, if it does.
    fn take_over(&mut self, place: usize, state: State, known: &PastHost) -> Option<Stop> {
        let outcome = state.outcome().cloned();
        let is_ended = matches!(state, State::Ended { .. });
        self.set(place, state);
        if known.is_acknowledged {
            return None;
        }
        self.tally.restarted += usize::from(self.hosts[place].state.is_proven());
        match outcome?.weight() {
            Weight::Fine => None,
            Weight::Failure => self.count_failure(place),
            Weight::Halts => is_ended.then(|| Stop::Doubt(self.hosts[place].host.clone())),
        }
    }
}

/// Whether the next run has to halt for it as well. What somebody wanted is over when somebody wants it to go on.
fn outlives_its_run(stop: &Stop) -> bool {
    match stop {
        Stop::Doubt(_) | Stop::PastBudget { .. } => true,
        Stop::Claimed(_) | Stop::Floor { .. } | Stop::StopAfter(_) | Stop::Deadline | Stop::Aborted | Stop::Interrupted => false,
    }
}

impl PastHost {
    /// Whether it has ended in a way that halts, and no run came to its end since: nobody has seen it yet.
    fn halts_unseen(&self) -> bool {
        let outcome = self.outcome.as_ref().or(self.settled.as_ref());
        !self.is_acknowledged && outcome.is_some_and(|outcome| outcome.weight() == Weight::Halts)
    }

    /// Where the host is; none where it is to be started (again).
    fn state(&self, retry_failed: bool, plan: &Plan) -> Option<State> {
        let asked_again = || State::InFlight { deadline: plan.bounds().host_deadline };
        let guarded_again = |outcome: &Outcome| State::Confirming {
            outcome: outcome.clone(),
            deadline: GUARD_DEADLINE,
            cause: "no answer".into(),
        };
        match (&self.outcome, &self.settled) {
            (None, None) => (self.attempt > 0).then(asked_again),
            // Nobody could tell: its agent can, as long as it keeps the attempt.
            (Some(Outcome::Unknown(_)), None | Some(Outcome::Unknown(_))) if self.attempt > 0 => Some(asked_again()),
            (Some(Outcome::Proven(_)), _) => self.outcome.as_ref().map(guarded_again),
            (None | Some(Outcome::Unknown(_)), Some(settled @ Outcome::Proven(_))) => Some(guarded_again(settled)),
            (Some(_), _) | (None, Some(_)) if retry_failed => None,
            (Some(outcome @ Outcome::RolledBack { .. }), _) | (None, Some(outcome @ Outcome::RolledBack { .. })) => {
                Some(guarded_again(outcome))
            }
            (Some(Outcome::Unknown(_)), Some(settled @ Outcome::RolledBack { .. })) => Some(guarded_again(settled)),
            (Some(outcome), _) | (None, Some(outcome)) => Some(State::Ended { outcome: outcome.clone() }),
        }
    }
}

#[cfg(test)]
mod tests;
