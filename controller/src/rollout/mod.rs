//! The rollout: told what happened and what time it is, it answers what to do. It never does it.
//!
//! ```text
//!                         ┌────────── refused by the plan ──────────┐
//!                         │                                         ▼
//!  Waiting ── Reload ──▶ InFlight ── refused, unproven, … ───────▶ Ended
//!     │                   │                                         ▲
//!     │                   └─ proven, rolled back ─▶ Confirming ─────┤ drop, other master, deadline
//!     ▼                                               │ GuardStands │
//!  untouched                                          ▼             │
//!                                                  Guarded ─────────┤
//!                                        GuardLost │   ▲ GuardStands│
//!                                                  ▼   │            │
//!                                                Redialling ────────┤
//!                                                                   │
//!  at the end, for every guarded host:                              │
//!  Guarded ── LastLook ──▶ LastLook ── drop, other master, deadline ┘
//!                             └─ StillStands ──▶ Released
//! ```
//!
//! A host takes a slot while it is in flight or confirming: the next starts only when the last is proven *and* guarded.
//! The walk itself goes from walking to stopping (halted, or interrupted) to over; nothing starts once it is stopping.
//!
//! A guard hears what its agent says; an agent that is frozen says nothing. So when nothing else is left, each guarded host is
//! looked at a last time, and whatever was said before its answer came has been heard by then.
//!
//! **Invariant:** unless the operator leaves at once, a rollout ends only when every host that is not ended was found standing
//! after all others were done.
//! **Invariant:** [`Rollout::handle`] is the only way to change a rollout, and answers every event in every state: one that
//! does not fit changes nothing and is handed back as [`Action::Ignore`].

mod awaited;
mod event;
mod finished;
mod guard;
mod state;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use awaited::Awaited;
pub use event::{Action, Event};
pub use finished::{GUARD_DEADLINE, LAST_LOOK_DEADLINE, LAST_LOOKS_MAX};
pub use guard::{Finding, Guard, Seen};
pub use summary::{Stop, Summary};

use crate::inventory::HostName;
use crate::outcome::{Outcome, Weight};
use crate::plan::{Fate, Plan};
use state::State;

/// Where the walk is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Planned,
    Walking,
    Stopping(Stop),
    Over,
}

/// One walk over a fleet.
#[derive(Debug, Clone)]
pub struct Rollout {
    hosts: Vec<(HostName, State)>,
    places: BTreeMap<HostName, usize>,
    /// The hosts that have a deadline; kept apart so that no event costs a walk over the whole fleet.
    pending: BTreeSet<usize>,
    guarded: BTreeSet<usize>,
    last_looks: usize,
    next: usize,
    slots_taken: usize,
    failures: usize,
    in_flight_max: usize,
    failures_max: usize,
    host_deadline: Duration,
    phase: Phase,
}

impl Rollout {
    /// A rollout of `plan` that has not begun. Hosts that the plan refuses have ended already.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let state = |fate: &Fate| match fate {
            Fate::Restart(_) => State::Waiting,
            Fate::LeaveOut(refusal) | Fate::Refuse(refusal) => State::Ended { outcome: Outcome::Refused(refusal.clone()) },
        };
        let hosts: Vec<_> = plan.hosts().iter().map(|planned| (planned.host.clone(), state(&planned.fate))).collect();
        Self {
            places: hosts.iter().enumerate().map(|(place, (host, _))| (host.clone(), place)).collect(),
            hosts,
            pending: BTreeSet::new(),
            guarded: BTreeSet::new(),
            last_looks: 0,
            next: 0,
            slots_taken: 0,
            failures: 0,
            in_flight_max: plan.in_flight_max(),
            failures_max: plan.failures_max(),
            host_deadline: plan.host_deadline(),
            phase: Phase::Planned,
        }
    }

    /// The only way a rollout moves.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.take(now, &event, &mut actions) {
            self.proceed(now, &mut actions);
        } else {
            actions.push(Action::Ignore(event));
        }
        actions
    }

    /// When a [`Event::Tick`] is due.
    #[must_use]
    pub fn deadline_next(&self) -> Option<Duration> {
        self.pending.iter().filter_map(|place| self.hosts[*place].1.deadline()).min()
    }

    /// Takes in an event; whether it fitted.
    fn take(&mut self, now: Duration, event: &Event, actions: &mut Vec<Action>) -> bool {
        match (&self.phase, event) {
            (Phase::Planned, Event::Started) => self.start(actions),
            (Phase::Planned | Phase::Over, _) | (Phase::Walking | Phase::Stopping(_), Event::Started) => return false,
            (Phase::Walking, Event::Interrupted) => self.stop(Stop::Interrupted, actions),
            (Phase::Stopping(_), Event::Interrupted) => self.abandon_all(actions),
            (Phase::Walking | Phase::Stopping(_), Event::Tick) => self.expire(now, actions),
            (Phase::Walking | Phase::Stopping(_), Event::Asked(host)) => return self.asked(host),
            (Phase::Walking | Phase::Stopping(_), Event::Settled(host, outcome)) => {
                return self.settled(now, host, outcome, actions);
            }
            (Phase::Walking | Phase::Stopping(_), Event::GuardStands(host)) => return self.guard_stands(host),
            (Phase::Walking | Phase::Stopping(_), Event::GuardLost(host, cause)) => return self.guard_lost(now, host, cause),
            (Phase::Walking | Phase::Stopping(_), Event::GuardBroken(host, outcome)) => {
                return self.guard_broken(host, outcome, actions);
            }
            (Phase::Walking | Phase::Stopping(_), Event::StillStands(host)) => return self.still_stands(host),
        }
        true
    }

    fn start(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Walking;
        let refused: Vec<_> = self
            .hosts
            .iter()
            .filter_map(|(host, state)| state.outcome().map(|outcome| (host.clone(), outcome.clone())))
            .collect();
        for (host, outcome) in refused {
            actions.push(Action::TellOutcome(host.clone(), outcome.clone()));
            self.weigh(&host, outcome.weight(), actions);
        }
    }

    fn asked(&mut self, host: &HostName) -> bool {
        let Some(place) = self.places.get(host) else { return false };
        match &mut self.hosts[*place].1 {
            State::InFlight { asked, .. } => {
                *asked = true;
                true
            }
            State::Waiting
            | State::Confirming { .. }
            | State::Guarded { .. }
            | State::Redialling { .. }
            | State::LastLook { .. }
            | State::Released { .. }
            | State::Ended { .. } => false,
        }
    }

    fn settled(&mut self, now: Duration, host: &HostName, outcome: &Outcome, actions: &mut Vec<Action>) -> bool {
        let Some(place) = self.place_if(host, |state| matches!(state, State::InFlight { .. })) else { return false };
        actions.push(Action::TellOutcome(host.clone(), outcome.clone()));
        match outcome {
            Outcome::Proven(_) | Outcome::RolledBack { .. } => {
                actions.push(Action::Guard(host.clone(), outcome.clone()));
                let deadline = now + GUARD_DEADLINE;
                self.set(place, State::Confirming { outcome: outcome.clone(), deadline, cause: "no answer".into() });
            }
            Outcome::Refused(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_) => {
                self.set(place, State::Ended { outcome: outcome.clone() });
            }
        }
        self.weigh(host, outcome.weight(), actions);
        true
    }

    /// Ends every host whose deadline has passed.
    fn expire(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let due = |place: &usize| self.hosts[*place].1.deadline().is_some_and(|deadline| deadline <= now);
        let due: Vec<usize> = self.pending.iter().copied().filter(due).collect();
        for place in due {
            let outcome = match &self.hosts[place].1 {
                State::InFlight { asked: true, .. } => Outcome::Unknown("its deadline passed before the handover ended".into()),
                State::InFlight { asked: false, .. } => Outcome::Refused("its deadline passed before it could be asked".into()),
                State::Confirming { cause, .. } => Outcome::Unknown(format!("no guard could be set up: {cause}")),
                State::Redialling { cause, .. } => Outcome::Unknown(format!("its guard was lost: {cause}")),
                State::LastLook { cause, .. } => Outcome::Unknown(format!("it could not be looked at a last time: {cause}")),
                State::Waiting | State::Guarded { .. } | State::Released { .. } | State::Ended { .. } => continue,
            };
            actions.push(Action::Abandon(self.hosts[place].0.clone()));
            self.end(place, outcome, actions);
        }
    }

    /// Lets go of everything at once. What was never asked is untouched, what is guarded stood until now; of the rest nothing
    /// is known.
    fn abandon_all(&mut self, actions: &mut Vec<Action>) {
        for place in self.pending.clone() {
            actions.push(Action::Abandon(self.hosts[place].0.clone()));
            match &self.hosts[place].1 {
                State::InFlight { asked: false, .. } => self.set(place, State::Waiting),
                State::InFlight { asked: true, .. } => {
                    self.end(place, Outcome::Unknown("left in flight; its agent finishes on its own".into()), actions);
                }
                State::Confirming { .. } | State::Redialling { .. } => {
                    self.end(place, Outcome::Unknown("left before its guard stood".into()), actions);
                }
                State::LastLook { .. } => self.release(place),
                State::Waiting | State::Guarded { .. } | State::Released { .. } | State::Ended { .. } => {}
            }
        }
        for place in self.guarded.clone() {
            self.release(place);
        }
    }

    fn end(&mut self, place: usize, outcome: Outcome, actions: &mut Vec<Action>) {
        let (host, weight) = (self.hosts[place].0.clone(), outcome.weight());
        actions.push(Action::TellOutcome(host.clone(), outcome.clone()));
        self.set(place, State::Ended { outcome });
        self.weigh(&host, weight, actions);
    }

    /// Halts where an outcome of this weight demands it.
    fn weigh(&mut self, host: &HostName, weight: Weight, actions: &mut Vec<Action>) {
        match weight {
            Weight::Fine => {}
            Weight::Failure => {
                self.failures += 1;
                if self.failures > self.failures_max {
                    self.stop(Stop::PastBudget { host: host.clone(), max: self.failures_max }, actions);
                }
            }
            Weight::Halts => self.stop(Stop::Doubt(host.clone()), actions),
        }
    }

    fn stop(&mut self, stop: Stop, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Walking => {
                actions.push(Action::TellStop(stop.clone()));
                self.phase = Phase::Stopping(stop);
            }
            Phase::Planned | Phase::Stopping(_) | Phase::Over => {}
        }
    }

    /// Starts what may start, and finishes when nothing is left.
    fn proceed(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while self.phase == Phase::Walking && self.slots_taken < self.in_flight_max && self.next < self.hosts.len() {
            let place = self.next;
            self.next += 1;
            if matches!(self.hosts[place].1, State::Waiting) {
                self.set(place, State::InFlight { deadline: now + self.host_deadline, asked: false });
                actions.push(Action::Reload(self.hosts[place].0.clone()));
            }
        }
        let nothing_to_start = self.phase != Phase::Walking || self.next == self.hosts.len();
        if nothing_to_start && self.pending.len() == self.last_looks {
            self.conclude(now, actions);
        }
    }

    fn summary(&self) -> Summary {
        let stop = match &self.phase {
            Phase::Stopping(stop) => Some(stop.clone()),
            Phase::Planned | Phase::Walking | Phase::Over => None,
        };
        Summary { hosts: self.hosts.iter().map(|(host, state)| (host.clone(), state.outcome().cloned())).collect(), stop }
    }

    fn place_if(&self, host: &HostName, fits: impl FnOnce(&State) -> bool) -> Option<usize> {
        self.places.get(host).copied().filter(|place| fits(&self.hosts[*place].1))
    }

    /// The only place where a host's state changes: keeps the counts in step with it.
    fn set(&mut self, place: usize, state: State) {
        let before = std::mem::replace(&mut self.hosts[place].1, state);
        let now = &self.hosts[place].1;
        let recount = |count: usize, counts: fn(&State) -> bool| count + usize::from(counts(now)) - usize::from(counts(&before));
        self.slots_taken = recount(self.slots_taken, State::takes_slot);
        self.last_looks = recount(self.last_looks, |state| matches!(state, State::LastLook { .. }));
        keep(&mut self.pending, place, now.deadline().is_some());
        keep(&mut self.guarded, place, matches!(now, State::Guarded { .. }));
    }
}

fn keep(places: &mut BTreeSet<usize>, place: usize, keeps: bool) {
    if keeps {
        places.insert(place);
    } else {
        places.remove(&place);
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
