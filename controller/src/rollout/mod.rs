//! The rollout: told what happened and what time it is, it answers what to do. It never does it.
//!
//! ```text
//!  every host:  Claim ─▶ Claimed, or refused; the walk begins when all have answered
//!
//!                         ┌────────── refused, left out ────────────┐
//!                         │                                         ▼
//!  Waiting ── Look ──▶ Looking ── refused ────────────────────────▶ Ended
//!     │                   │ Ask                                     ▲
//!     │                InFlight ── refused, unproven, … ────────────┤
//!     │                   │                                         │
//!     ▼                   └─ proven, rolled back ─▶ Confirming ─────┤ drop, other master, deadline
//!  untouched                                          │ GuardStands │
//!                                                     ▼             │
//!                                                  Guarded ─────────┤
//!                                        GuardLost │   ▲ GuardStands│
//!                                                  ▼   │            │
//!                                                Redialling ────────┤
//!                                                                   │
//!  at the end, for every guarded host:                              │
//!  Guarded ── LastLook ──▶ LastLook ── drop, other master, deadline ┘
//!                             └─ StillStands ──▶ Released
//!
//!  the walk:  planned ─▶ claiming ─▶ walking ─▶ over
//!                            └──────────┴─▶ stopping ─▶ over
//!  each wave: its hosts, as many at once as may be ─▶ all are done ─▶ it soaks, or a person looks ─▶ the next
//! ```
//!
//! A host takes a slot while it is looked at, in flight or confirming: the next starts only when the last is proven *and* guarded.
//!
//! A guard hears what its agent says; an agent that is frozen says nothing. So when nothing else is left, each guarded host is
//! looked at a last time, and whatever was said before its answer came has been heard by then.
//!
//! **Invariant:** unless the operator leaves at once, a rollout ends only when every host that is not ended was found standing
//! after all others were done.
//! **Invariant:** [`Rollout::handle`] is the only way to change a rollout, and answers every event in every state: one that
//! does not fit changes nothing and is handed back as [`Action::Ignore`].

mod awaited;
mod budget;
mod claiming;
mod event;
mod finished;
mod flight;
mod guard;
mod member;
mod past;
mod picture;
mod resume;
mod summary;
mod walking;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use awaited::Awaited;
pub use claiming::CLAIM_DEADLINE;
pub use event::{Action, Event, Note, Order};
pub use finished::{GUARD_DEADLINE, LAST_LOOK_DEADLINE, LAST_LOOKS_MAX};
pub use guard::{Finding, Guard, Seen};
pub use past::{Past, PastHost};
pub use picture::{Picture, Stage, Whereabouts};
pub use summary::{Stop, Summary};

use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::plan::{Bounds, Fate, Plan, Planned, Wave};
use budget::Tally;
use member::{Claim, Member, State};
use walking::Rest;

/// Where the walk is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Not begun; with why an earlier run was halting when it died.
    Planned(Option<Stop>),
    Claiming {
        deadline: Duration,
    },
    Walking,
    Stopping(Stop),
    Over,
}

/// One walk over a fleet.
#[derive(Debug, Clone)]
pub struct Rollout {
    hosts: Vec<Member>,
    places: BTreeMap<HostName, usize>,
    /// The hosts that have a deadline, the next first: no event costs a walk over the whole fleet.
    deadlines: BTreeSet<(Duration, usize)>,
    guarded: BTreeSet<usize>,
    tally: Tally,
    claims_unanswered: usize,
    bounds: Bounds,
    waves: Vec<Wave>,
    /// The wave whose hosts may start, and the next of them.
    wave: usize,
    next: usize,
    /// How many waves were done, with all that came after them, before this run.
    waves_done: usize,
    /// Whether a host of the wave was started in this run.
    wave_is_touched: bool,
    rest: Rest,
    is_paused: bool,
    phase: Phase,
}

impl Rollout {
    /// A rollout of `plan` that has not begun. Hosts that the plan leaves out have ended already.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let hosts: Vec<Member> = plan.hosts().iter().map(Member::waiting).collect();
        let mut rollout = Self {
            places: hosts.iter().enumerate().map(|(place, member)| (member.host.clone(), place)).collect(),
            tally: Tally::of(&hosts),
            hosts,
            deadlines: BTreeSet::new(),
            guarded: BTreeSet::new(),
            claims_unanswered: 0,
            bounds: plan.bounds().clone(),
            waves: plan.waves().to_vec(),
            wave: 0,
            next: 0,
            waves_done: 0,
            wave_is_touched: false,
            rest: Rest::None,
            is_paused: false,
            phase: Phase::Planned(None),
        };
        for (place, planned) in plan.hosts().iter().enumerate() {
            if let Fate::LeaveOut(refusal) | Fate::Refuse(refusal) = &planned.fate {
                rollout.set(place, State::Ended { outcome: Outcome::Refused(refusal.clone()) });
            }
        }
        rollout
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
        let host = self.deadlines.first().map(|(deadline, _)| *deadline);
        let walk = match self.phase {
            Phase::Claiming { deadline } => [Some(deadline), self.bounds.deadline],
            Phase::Walking => [self.soaks_until(), self.bounds.deadline],
            Phase::Planned(_) | Phase::Stopping(_) | Phase::Over => [None, None],
        };
        walk.into_iter().flatten().chain(host).min()
    }

    /// Takes in an event; whether it fitted.
    fn take(&mut self, now: Duration, event: &Event, actions: &mut Vec<Action>) -> bool {
        match (&self.phase, event) {
            (Phase::Planned(stop), Event::Started) => self.start(now, stop.clone(), actions),
            (Phase::Planned(_) | Phase::Over, _)
            | (Phase::Claiming { .. } | Phase::Walking | Phase::Stopping(_), Event::Started) => return false,
            (Phase::Claiming { .. } | Phase::Walking, Event::Interrupted) => self.stop(Stop::Interrupted, actions),
            (Phase::Stopping(_), Event::Interrupted) => self.abandon_all(actions),
            (Phase::Claiming { .. } | Phase::Walking | Phase::Stopping(_), event) => return self.hear(now, event, actions),
        }
        true
    }

    /// Takes in an event in the middle of the walk; whether it fitted.
    fn hear(&mut self, now: Duration, event: &Event, actions: &mut Vec<Action>) -> bool {
        match event {
            Event::Claimed(host) => self.claimed(host),
            Event::ClaimRefused(host, refusal) => self.claim_refused(host, refusal, actions),
            Event::Looked(host, standing) => self.looked(now, host, standing, actions),
            Event::Settled(host, outcome) => self.settled(now, host, outcome, actions),
            Event::GuardStands(host) => self.guard_stands(host),
            Event::GuardLost(host, cause) => self.guard_lost(now, host, cause),
            Event::GuardBroken(host, outcome) => self.guard_broken(host, outcome, actions),
            Event::StillStands(host) => self.still_stands(host),
            Event::Ordered(order) => self.ordered(*order, actions),
            Event::Tick => {
                self.expire(now, actions);
                true
            }
            Event::Started | Event::Interrupted => false,
        }
    }

    /// Ends whatever has a deadline that has passed.
    fn expire(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some((_, place)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            let Some(outcome) = self.expired(place) else { return };
            actions.push(Action::Abandon(self.hosts[place].host.clone()));
            self.end(place, outcome, actions);
        }
        if matches!(self.phase, Phase::Claiming { deadline } if deadline <= now) {
            self.give_up_claiming(actions);
        }
        if self.bounds.deadline.is_some_and(|deadline| deadline <= now) {
            self.stop(Stop::Deadline, actions);
        }
    }

    /// How a host ends whose deadline has passed.
    fn expired(&self, place: usize) -> Option<Outcome> {
        match &self.hosts[place].state {
            State::Looking { .. } => Some(Outcome::Refused("its deadline passed before it could be asked".into())),
            State::InFlight { .. } => Some(Outcome::Unknown("its deadline passed before the handover ended".into())),
            State::Confirming { cause, .. } => Some(Outcome::Unknown(format!("no guard could be set up: {cause}"))),
            State::Redialling { cause, .. } => Some(Outcome::Unknown(format!("its guard was lost: {cause}"))),
            State::LastLook { cause, .. } => Some(Outcome::Unknown(format!("it could not be looked at a last time: {cause}"))),
            State::Waiting | State::Guarded { .. } | State::Released { .. } | State::Ended { .. } => None,
        }
    }

    /// Lets go of everything at once. What was never asked is untouched, what is guarded stood until now; of the rest nothing
    /// is known.
    fn abandon_all(&mut self, actions: &mut Vec<Action>) {
        for (_, place) in self.deadlines.clone() {
            actions.push(Action::Abandon(self.hosts[place].host.clone()));
            match &self.hosts[place].state {
                State::Looking { .. } => self.set(place, State::Waiting),
                State::InFlight { .. } => {
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
        let weight = outcome.weight();
        actions.push(Action::TellOutcome(self.hosts[place].host.clone(), outcome.clone()));
        self.set(place, State::Ended { outcome });
        self.weigh(place, weight, actions);
    }

    fn stop(&mut self, stop: Stop, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Claiming { .. } | Phase::Walking => {
                actions.push(Action::TellStop(stop.clone()));
                self.phase = Phase::Stopping(stop);
            }
            Phase::Planned(_) | Phase::Stopping(_) | Phase::Over => {}
        }
    }

    /// Starts what may start, and finishes when nothing is left.
    fn proceed(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Claiming { .. }) && self.claims_unanswered == 0 {
            self.phase = Phase::Walking;
            self.begin_wave(actions);
        }
        if self.phase == Phase::Walking {
            self.walk(now, actions);
        }
        let nothing_to_start = match self.phase {
            Phase::Planned(_) | Phase::Claiming { .. } => false,
            Phase::Walking => self.wave == self.waves.len(),
            Phase::Stopping(_) | Phase::Over => true,
        };
        if nothing_to_start && self.deadlines.len() == self.tally.last_looks {
            self.conclude(now, actions);
        }
    }

    fn summary(&self) -> Summary {
        let stop = match &self.phase {
            Phase::Stopping(stop) => Some(stop.clone()),
            Phase::Planned(_) | Phase::Claiming { .. } | Phase::Walking | Phase::Over => None,
        };
        let ended = |member: &Member| (member.host.clone(), member.state.outcome().or(member.outcome_before.as_ref()).cloned());
        Summary { hosts: self.hosts.iter().map(ended).collect(), stop }
    }

    fn place_if(&self, host: &HostName, fits: impl FnOnce(&State) -> bool) -> Option<usize> {
        self.places.get(host).copied().filter(|place| fits(&self.hosts[*place].state))
    }

    /// The only place where a host's state changes: keeps the counts in step with it.
    fn set(&mut self, place: usize, state: State) {
        let member = &mut self.hosts[place];
        let was_available = member.is_available();
        let before = std::mem::replace(&mut member.state, state);
        let now = &member.state;
        self.tally.recount(&before, now);
        self.tally.recount_available(member.zone.as_deref(), was_available, member.is_available());
        if let Some(deadline) = before.deadline() {
            self.deadlines.remove(&(deadline, place));
        }
        if let Some(deadline) = now.deadline() {
            self.deadlines.insert((deadline, place));
        }
        if matches!(now, State::Guarded { .. }) {
            self.guarded.insert(place);
        } else {
            self.guarded.remove(&place);
        }
    }
}

impl Member {
    fn waiting(planned: &Planned) -> Self {
        let claim = match planned.fate {
            Fate::Restart(_) => Claim::Wanted,
            Fate::LeaveOut(_) | Fate::Refuse(_) => Claim::Unwanted,
        };
        Self {
            host: planned.host.clone(),
            zone: planned.zone.clone(),
            attempt: 1,
            claim,
            state: State::Waiting,
            is_told: false,
            outcome_before: None,
        }
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
