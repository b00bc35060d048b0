//! A handover in place: the master stays, and replaces its workers, by exec or not.
//!
//! ```text
//! Opening ─ Preparing ─ Arming ─ Signalling ─ Readying ─ Draining ─ Closing ─ Over
//!    └──────────┴─────────┴──────────┴─────────── failed ─┴─ Confirming ─ Over
//! ```
//!
//! Once the master was signalled nothing of ours can undo it. A failure is *rolled back* when it is seen that nothing was
//! replaced: the master runs the image that it ran, and every worker of before is there. Else it is *broken*.
//!
//! **Invariant:** one signal to the master is asked for, at most once, and never by a resumed handover.
//! **Invariant:** the workers of before, and nobody else, are hurried, and only when new ones were ready.

use std::time::Duration;

use baton_proto::custody::{Process, Role};
use baton_proto::span::Span;
use baton_proto::step::Step;

use super::ladder::Rung;
use super::readiness::{Heard, Readiness};
use super::{Action, Answer, Around, Ending, Event, Failure, Found, Intent, Outcome, Preparation, Prepared, Timing, Whom};
use crate::config::RUNG;
use crate::dialect::Signal;

/// How long the disk may take to write the intent.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Opening,
    Preparing(Preparation),
    Arming,
    Signalling,
    Readying(Readiness),
    Draining,
    Closing,
    Confirming,
    Over,
}

/// Such a handover under way.
#[derive(Debug)]
pub(super) struct Stationary {
    timing: Timing,
    reload: Signal,
    around: Around,
    master: Process,
    state: State,
    /// Every worker of before is gone.
    is_drained: bool,
    /// When the reload signal was sent, where that is known.
    signalled_at: Option<Duration>,
    /// How the workers of before are made to leave.
    rung: Rung,
    failure: Option<Failure>,
}

impl Stationary {
    pub(super) fn new(timing: Timing, reload: Signal, around: Around, master: Process) -> Self {
        Self {
            timing,
            reload,
            around,
            master,
            state: State::Opening,
            is_drained: false,
            signalled_at: None,
            rung: Rung::Asked,
            failure: None,
        }
    }

    pub(super) fn begin(&mut self) -> Vec<Action> {
        vec![Action::Tell(Step::Open, format!("looking at the master {}", self.master)), Action::Look(Role::OldMaster)]
    }

    /// Whether the signal was sent is not known; it is not sent again.
    pub(super) fn resume(&mut self, now: Duration, intent: Intent, master_lives: bool) -> Vec<Action> {
        if intent == Intent::Prepare {
            return self.fail(Step::Prepare, "the agent was restarted before the signal".into());
        }
        if !master_lives {
            return self.fail(Step::Ready, "the agent was restarted and found the master gone".into());
        }
        let looked = vec![Action::Look(Role::OldMaster)];
        [looked, self.await_ready(now, "the agent was restarted; waiting for a new worker to be ready")].concat()
    }

    pub(super) fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        if let State::Preparing(preparation) = &mut self.state
            && event != Event::Exited(Role::OldMaster)
        {
            let prepared = preparation.handle(&event);
            return self.prepared(now, prepared);
        }
        match event {
            Event::Looked(Role::OldMaster, found) => self.looked(now, found),
            Event::Persisted(written) => self.persisted(written),
            Event::Signalled(sent) => self.signalled(now, sent),
            Event::Exited(Role::OldMaster) => self.exited(),
            Event::Emptied(Role::OldMaster) => self.emptied(),
            Event::Probed(answer) => self.probed(now, answer),
            Event::Verified(found) => self.verified(now, found),
            Event::Expired => self.expired(now),
            // There is no other master, and what was seen of a worker is for the judge.
            Event::Looked(Role::NewMaster | Role::Master | Role::Worker, _)
            | Event::Exited(Role::NewMaster | Role::Master | Role::Worker)
            | Event::Emptied(Role::NewMaster | Role::Master | Role::Worker)
            | Event::Appeared(_)
            | Event::Restored
            | Event::Promoted
            | Event::Weighed(_)
            | Event::Switched(_)
            | Event::Ran(..) => Vec::new(),
        }
    }

    fn looked(&mut self, now: Duration, found: Found) -> Vec<Action> {
        let found = match found {
            Found::Holding => Ok(()),
            Found::Otherwise(cause) | Found::Gone(cause) => Err(cause),
        };
        match (&self.state, found) {
            (State::Opening, Ok(())) => {
                let (preparation, prepared) = Preparation::begin(now, &self.around);
                self.state = State::Preparing(preparation);
                self.prepared(now, prepared)
            }
            (State::Opening, Err(cause)) => self.fail(Step::Open, cause),
            (State::Closing, Ok(())) if self.failure.is_some() => self.finish(Outcome::Broken),
            (State::Closing, Ok(())) => self.finish(Outcome::HandedOver),
            (State::Closing, Err(cause)) => {
                let cause = format!("{cause}; {}", self.no_way_back(now));
                self.failure = Some(Failure { step: Step::Close, cause });
                self.finish(Outcome::Broken)
            }
            (State::Confirming, Ok(())) => self.finish(Outcome::RolledBack),
            (State::Confirming, Err(cause)) => {
                let no_way_back = self.no_way_back(now);
                if let Some(failure) = &mut self.failure {
                    failure.cause = format!("{}; it cannot be undone: {cause}; {no_way_back}", failure.cause);
                }
                self.finish(Outcome::Broken)
            }
            (
                State::Preparing(_) | State::Arming | State::Signalling | State::Readying(_) | State::Draining | State::Over,
                Ok(()) | Err(_),
            ) => Vec::new(),
        }
    }

    fn prepared(&mut self, now: Duration, prepared: Prepared) -> Vec<Action> {
        match prepared {
            Prepared::Not(actions) => actions,
            Prepared::Never(cause) => self.fail(Step::Prepare, cause),
            Prepared::Yes => {
                self.state = State::Arming;
                vec![Action::List, Action::Persist(Intent::Signal), Action::Deadline(Some(now + WRITE_WITHIN))]
            }
        }
    }

    fn persisted(&mut self, written: Result<(), String>) -> Vec<Action> {
        // It may come after the disk was no longer waited for, or the master is gone meanwhile.
        let State::Arming = self.state else { return Vec::new() };
        match written {
            Ok(()) => {
                self.state = State::Signalling;
                vec![
                    Action::Tell(Step::Signal, format!("{} to the master {}", self.reload, self.master)),
                    Action::Signal(Role::OldMaster, Whom::Master, self.reload),
                ]
            }
            Err(cause) => self.fail(Step::Signal, cause),
        }
    }

    fn signalled(&mut self, now: Duration, sent: Result<(), String>) -> Vec<Action> {
        let State::Signalling = self.state else { return Vec::new() };
        match sent {
            Ok(()) => {
                self.signalled_at = Some(now);
                self.await_ready(now, "waiting for a new worker to be ready")
            }
            Err(cause) => self.fail(Step::Signal, cause),
        }
    }

    fn await_ready(&mut self, now: Duration, told: &str) -> Vec<Action> {
        let deadline = now + self.timing.ready_within;
        self.state = State::Readying(Readiness::until(deadline));
        vec![Action::Tell(Step::Ready, told.into()), Action::Deadline(Some(deadline)), Action::Probe(Duration::ZERO)]
    }

    fn probed(&mut self, now: Duration, answer: Answer) -> Vec<Action> {
        let State::Readying(readiness) = &mut self.state else { return Vec::new() };
        match readiness.hear(now, self.timing.settle, answer) {
            Heard::Ready(detail) => [vec![Action::Tell(Step::Ready, detail)], self.drain(now)].concat(),
            Heard::First(told, again) => [again, vec![told]].concat(),
            Heard::Again(again) => again,
            Heard::Never(cause) => self.fail(Step::Ready, cause),
        }
    }

    /// Some worker that was made late may run another release than those that were asked.
    fn verified(&mut self, now: Duration, found: Result<(), String>) -> Vec<Action> {
        if let (State::Closing, Err(cause)) = (&self.state, found) {
            let cause = format!("{cause}; {}", self.no_way_back(now));
            self.failure = Some(Failure { step: Step::Close, cause });
        }
        Vec::new()
    }

    fn drain(&mut self, now: Duration) -> Vec<Action> {
        if self.is_drained {
            return self.close();
        }
        self.state = State::Draining;
        let told = Action::Tell(Step::Drain, "waiting for the workers of before to finish their requests".into());
        vec![told, Action::Deadline(Some(now + self.timing.drain_within))]
    }

    fn emptied(&mut self) -> Vec<Action> {
        self.is_drained = true;
        let State::Draining = self.state else { return Vec::new() };
        [vec![Action::Tell(Step::Drain, "every worker of before is gone".into())], self.close()].concat()
    }

    fn close(&mut self) -> Vec<Action> {
        self.state = State::Closing;
        vec![
            Action::Deadline(None),
            Action::Tell(Step::Close, "looking at a new worker and at the master once more".into()),
            Action::Verify,
            Action::Look(Role::Worker),
            Action::Look(Role::OldMaster),
        ]
    }

    fn exited(&mut self) -> Vec<Action> {
        let cause = |when| format!("the master {} exited {when}; its reason is in the server's own log", self.master);
        match &self.state {
            State::Opening | State::Preparing(_) | State::Arming | State::Signalling => {
                self.fail(Step::Signal, cause("before it was signalled"))
            }
            State::Readying(_) => self.fail(Step::Ready, cause("before a new worker was ready")),
            State::Draining => self.fail(Step::Drain, cause("before the workers of before were gone")),
            State::Closing | State::Confirming | State::Over => Vec::new(),
        }
    }

    fn expired(&mut self, now: Duration) -> Vec<Action> {
        match &self.state {
            State::Arming => self.fail(Step::Signal, format!("the intent was not written to disk within {}", Span(WRITE_WITHIN))),
            State::Readying(Readiness { last, .. }) => {
                let cause = format!("no new worker was ready within {}: {last}", Span(self.timing.ready_within));
                self.fail(Step::Ready, cause)
            }
            State::Draining => self.hurry(now),
            State::Opening | State::Preparing(_) | State::Signalling | State::Closing | State::Confirming | State::Over => {
                Vec::new()
            }
        }
    }

    /// The time of the workers of before is over, on this rung of the ladder.
    fn hurry(&mut self, now: Duration) -> Vec<Action> {
        let waited = self.rung.waited(self.timing.drain_within);
        let Some((rung, signal)) = self.rung.next(self.timing.drain_then) else {
            let told = Action::Tell(Step::Drain, format!("the workers of before are not gone within {waited}: they linger"));
            return [vec![told], self.close()].concat();
        };
        self.rung = rung;
        vec![
            Action::Tell(
                Step::Drain,
                format!("the workers of before are not gone within {waited}: {signal} to those that are left"),
            ),
            Action::Signal(Role::OldMaster, Whom::Workers, signal),
            Action::Deadline(Some(now + RUNG)),
        ]
    }

    /// What was done that nothing undoes, as the end of a sentence.
    fn no_way_back(&self, now: Duration) -> String {
        let Self { master, reload, .. } = self;
        match self.signalled_at {
            Some(at) => {
                let before = Span(now.saturating_sub(at));
                format!("there is no way back: {reload} went to the master {master} {before} before")
            }
            // It failed before, or the agent was restarted meanwhile.
            None => format!("{reload} was not sent by this run of the agent"),
        }
    }

    /// Something failed: was anything replaced?
    fn fail(&mut self, step: Step, cause: String) -> Vec<Action> {
        let told = Action::Tell(Step::Undo, format!("{step} failed: {cause}"));
        self.failure = Some(Failure { step, cause });
        self.state = State::Confirming;
        vec![told, Action::Deadline(None), Action::Confirm]
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<Action> {
        self.state = State::Over;
        let (step, cause) = self.failure.take().map(|failure| (failure.step, failure.cause)).unzip();
        vec![Action::Deadline(None), Action::Finish(Ending { outcome, failed_step: step, cause: cause.unwrap_or_default() })]
    }
}

#[cfg(test)]
mod tests;
