//! The way forward: from the first look at the old master to the last at the new one.

use std::time::Duration;

use baton_proto::custody::{Process, Role, Verdict};
use baton_proto::span::Span;
use baton_proto::step::Step;

use super::{
    Action, Answer, Beside, Ending, Failure, Found, Heard, Intent, Outcome, Preparation, Prepared, Presence, Readiness, State,
    Whom,
};
use crate::config::RUNG;

/// How long the disk may take to write an intent.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long an old master that lives without its lock may take to be gone, before it counts as staying.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long a new master may take to find that the old one is gone, and to rename its pid file.
const PROMOTE_WITHIN: Duration = Duration::from_secs(10);

impl Beside {
    pub(super) fn looked(&mut self, now: Duration, role: Role, found: Found) -> Vec<Action> {
        let (lives, found) = match found {
            Found::Holding => (true, Ok(())),
            Found::Otherwise(cause) => (true, Err(cause)),
            Found::Gone(cause) => (false, Err(cause)),
        };
        let may_still_come = lives && self.signalled_at.is_some() && now < self.restore_until;
        // A look may be quicker than the word that the process has exited.
        if role == Role::OldMaster && !lives {
            self.old_presence = self.old_presence.max(Presence::Headless);
        }
        match (&self.state, role, found) {
            (State::Opening, Role::OldMaster, Ok(())) => {
                let (preparation, prepared) = Preparation::begin(now, &self.around);
                self.state = State::Preparing(preparation);
                self.prepared(now, prepared)
            }
            (State::Opening, Role::OldMaster, Err(cause)) => self.fail(now, Step::Open, cause),
            (State::Assuring, Role::NewMaster, Ok(())) => self.retire(),
            // Before the crash it may have been retired already: only the death of the new one forbids it now.
            (State::Assuring, Role::NewMaster, Err(_)) if self.is_resumed && lives => self.retire(),
            (State::Assuring, Role::NewMaster, Err(cause)) => self.fail(now, Step::Overlap, cause),
            (State::Closing, Role::NewMaster, Ok(())) => self.finish(Outcome::HandedOver),
            (State::Closing, Role::NewMaster, Err(cause)) => {
                let cause = format!("{cause}; {}", self.no_way_back(now));
                self.failure.get_or_insert(Failure { step: Step::Close, cause });
                self.finish(Outcome::Broken)
            }
            (State::Deciding, Role::OldMaster, Ok(())) => self.climb(now, 0),
            // It may be about to leave: then the new one must stay.
            (State::Deciding, Role::OldMaster, Err(_)) if lives => vec![Action::Deadline(Some(now + LEAVE_WITHIN))],
            (State::Deciding, Role::OldMaster, Err(_)) => self.leave_it_alone(now),
            (State::Confirming, Role::OldMaster, Ok(())) => self.finish(Outcome::RolledBack),
            (State::Confirming, Role::OldMaster, Err(_)) if may_still_come => {
                self.state = State::Restoring;
                vec![Action::Deadline(Some(self.restore_until))]
            }
            (State::Confirming, Role::OldMaster, Err(cause)) => {
                if let Some(failure) = &mut self.failure {
                    failure.cause = format!("{}; and then: {cause}", failure.cause);
                }
                self.finish(Outcome::Broken)
            }
            // The looks of Overlapping are weighed together; any other is a stray.
            _ => Vec::new(),
        }
    }

    pub(super) fn prepared(&mut self, now: Duration, prepared: Prepared) -> Vec<Action> {
        match prepared {
            Prepared::Not(actions) => actions,
            Prepared::Never(cause) => self.fail(now, Step::Prepare, cause),
            Prepared::Yes => {
                self.state = State::Arming;
                vec![Action::Persist(Intent::Signal), Action::Deadline(Some(now + WRITE_WITHIN))]
            }
        }
    }

    pub(super) fn persisted(&mut self, now: Duration, written: Result<(), String>) -> Vec<Action> {
        match (&self.state, written) {
            (State::Arming, Ok(())) => {
                self.state = State::Signalling;
                vec![
                    Action::Tell(Step::Signal, format!("{} to the old master {}", self.reload, self.old)),
                    Action::Signal(Role::OldMaster, Whom::Master, self.reload),
                ]
            }
            (State::Arming, Err(cause)) => self.fail(now, Step::Signal, cause),
            (State::Committing, Ok(())) => self.look_once_more(),
            (State::Committing, Err(cause)) => self.fail(now, Step::Retire, cause),
            _ => Vec::new(),
        }
    }

    pub(super) fn signalled(&mut self, now: Duration, sent: Result<(), String>) -> Vec<Action> {
        match (&self.state, sent) {
            (State::Signalling, Ok(())) => {
                self.state = State::Appearing;
                self.signalled_at = Some(now);
                let deadline = now + self.timing.ready_within;
                vec![Action::Tell(Step::Appear, "waiting for the new master".into()), Action::Deadline(Some(deadline))]
            }
            (State::Signalling, Err(cause)) => self.fail(now, Step::Signal, cause),
            // A signal to one who is gone already has done its work.
            (State::Retiring, Ok(()) | Err(_)) => {
                self.retired_at = Some(now);
                self.drain(now)
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn appeared(&mut self, now: Duration, process: Process) -> Vec<Action> {
        let in_time = self.state == State::Appearing;
        // After the failure it has to go.
        let too_late = self.state == State::Restoring && self.new.is_none();
        if in_time || too_late {
            self.new = Some(process);
        }
        match (in_time, too_late) {
            (true, _) => self.await_ready(now),
            (false, true) => self.decide(),
            (false, false) => Vec::new(),
        }
    }

    pub(super) fn await_ready(&mut self, now: Duration) -> Vec<Action> {
        let deadline = self.signalled_at.unwrap_or(now) + self.timing.ready_within;
        self.state = State::Readying(Readiness::until(deadline));
        let new = self.new.map(|new| new.to_string()).unwrap_or_default();
        vec![
            Action::Tell(Step::Ready, format!("waiting for the new master {new} to be ready")),
            Action::Deadline(Some(deadline)),
            Action::Probe(Duration::ZERO),
        ]
    }

    pub(super) fn probed(&mut self, now: Duration, answer: Answer) -> Vec<Action> {
        let State::Readying(readiness) = &mut self.state else { return Vec::new() };
        match readiness.hear(now, self.timing.settle, answer) {
            Heard::Ready(detail) => self.witness(now, detail),
            // From here on both are seen to hold: the overlap is as long as it can be shown to be.
            Heard::First(told, again) => [again, vec![Action::Look(Role::NewMaster), told]].concat(),
            Heard::Again(again) => again,
            Heard::Never(cause) => self.fail(now, Step::Ready, cause),
        }
    }

    /// The new generation is ready: are both seen to hold at once?
    pub(super) fn witness(&mut self, now: Duration, detail: String) -> Vec<Action> {
        let told = Action::Tell(Step::Ready, detail);
        // It was told to leave before the crash, and has not done so.
        if self.is_resumed && self.old_presence == Presence::Headless {
            return [vec![told], self.drain(now)].concat();
        }
        if self.old_presence > Presence::Lives {
            return [vec![told], self.promote(now)].concat();
        }
        self.state = State::Overlapping;
        vec![
            told,
            Action::Deadline(None),
            Action::Look(Role::NewMaster),
            Action::Look(Role::OldMaster),
            Action::Look(Role::NewMaster),
            Action::Weigh,
        ]
    }

    pub(super) fn weighed(&mut self, now: Duration, verdict: &Verdict) -> Vec<Action> {
        let State::Overlapping = self.state else { return Vec::new() };
        let cause = match verdict {
            Verdict::Kept(kept) => {
                self.state = State::Committing;
                let told = format!("{} and {} both hold the lock ({})", kept.after(), kept.before(), kept.basis);
                let deadline = Action::Deadline(Some(now + WRITE_WITHIN));
                return vec![Action::Tell(Step::Overlap, told), Action::Persist(Intent::Retire), deadline];
            }
            Verdict::Dropped { at } => format!("the lock was free at #{}", at.0),
            Verdict::Unproven(doubt) => doubt.to_string(),
        };
        self.fail(now, Step::Overlap, cause)
    }

    /// It was written down that the old generation may go; is the new one still there?
    pub(super) fn look_once_more(&mut self) -> Vec<Action> {
        self.state = State::Assuring;
        vec![Action::Look(Role::NewMaster)]
    }

    pub(super) fn retire(&mut self) -> Vec<Action> {
        self.state = State::Retiring;
        vec![
            Action::Tell(Step::Retire, format!("{} to the old master {}", self.retire, self.old)),
            Action::Signal(Role::OldMaster, Whom::Master, self.retire),
        ]
    }

    fn drain(&mut self, now: Duration) -> Vec<Action> {
        self.state = State::Draining;
        vec![
            Action::Tell(Step::Drain, "waiting for the old generation to finish its requests".into()),
            Action::Deadline(Some(now + self.timing.drain_within)),
        ]
    }

    /// The old generation is gone: does the pid file name the new master, where that comes so late?
    pub(super) fn promote(&mut self, now: Duration) -> Vec<Action> {
        // A dead one renames nothing, and an old one that stays is a reason not to.
        if !self.is_promoted_late || self.new_presence > Presence::Lives || self.old_presence == Presence::Lives {
            return self.close();
        }
        self.state = State::Promoting;
        let told = Action::Tell(Step::Close, "waiting for the new master to take over the pid file".into());
        vec![told, Action::Deadline(Some(now + PROMOTE_WITHIN)), Action::Promotion]
    }

    pub(super) fn promoted(&mut self) -> Vec<Action> {
        if self.state == State::Promoting { self.close() } else { Vec::new() }
    }

    pub(super) fn close(&mut self) -> Vec<Action> {
        self.state = State::Closing;
        vec![
            Action::Deadline(None),
            Action::Tell(Step::Close, "looking at the new master once more".into()),
            Action::Look(Role::NewMaster),
        ]
    }

    pub(super) fn old_exited(&mut self, now: Duration) -> Vec<Action> {
        self.old_presence = self.old_presence.max(Presence::Headless);
        match self.state {
            State::Opening | State::Preparing(_) | State::Arming | State::Signalling => {
                self.fail(now, Step::Signal, "the old master exited before it was signalled".into())
            }
            State::Appearing => vec![Action::Tell(Step::Appear, "the old master left by itself".into())],
            State::Readying(_) => vec![Action::Tell(Step::Ready, "the old master left by itself".into())],
            State::Restoring => self.confirm(),
            State::Deciding => self.leave_it_alone(now),
            State::Overlapping
            | State::Committing
            | State::Assuring
            | State::Retiring
            | State::Draining
            | State::Promoting
            | State::Closing
            | State::Stopping { .. }
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    pub(super) fn old_emptied(&mut self, now: Duration) -> Vec<Action> {
        self.old_presence = Presence::Gone;
        let State::Draining = self.state else { return Vec::new() };
        let told = Action::Tell(Step::Drain, "every process of the old generation is gone".into());
        [vec![told], self.promote(now)].concat()
    }

    pub(super) fn new_exited(&mut self, now: Duration) -> Vec<Action> {
        self.new_presence = self.new_presence.max(Presence::Headless);
        let new = self.new.map(|new| new.to_string()).unwrap_or_default();
        match &self.state {
            State::Readying(Readiness { since: None, last, .. }) => {
                let cause =
                    format!("the new master {new} exited before it was ready ({last}); its reason is in the server's own log");
                self.fail(now, Step::Ready, cause)
            }
            State::Readying(Readiness { since: Some(since), .. }) => {
                let lived = now.saturating_sub(*since);
                let cause =
                    format!("the new master {new} exited {lived:.1?} after it was ready; its reason is in the server's own log");
                self.fail(now, Step::Ready, cause)
            }
            State::Overlapping | State::Committing | State::Assuring => {
                self.fail(now, Step::Overlap, format!("the new master {new} exited before the old one was told to leave"))
            }
            // It renames nothing any more.
            State::Promoting => self.close(),
            State::Opening
            | State::Preparing(_)
            | State::Arming
            | State::Signalling
            | State::Appearing
            | State::Retiring
            | State::Draining
            | State::Closing
            | State::Deciding
            | State::Stopping { .. }
            | State::Restoring
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    pub(super) fn expired(&mut self, now: Duration) -> Vec<Action> {
        let within = self.timing.ready_within;
        match &self.state {
            State::Appearing => self.fail(now, Step::Appear, format!("no new master appeared within {}", Span(within))),
            State::Readying(Readiness { last, .. }) => {
                let cause = format!("the new generation was not ready within {}: {last}", Span(within));
                self.fail(now, Step::Ready, cause)
            }
            State::Draining => self.hurry(now),
            State::Promoting => {
                let told = format!("the pid file does not name the new master within {}", Span(PROMOTE_WITHIN));
                [vec![Action::Tell(Step::Close, told)], self.close()].concat()
            }
            State::Stopping { rung } => {
                let next = rung + 1;
                self.climb(now, next)
            }
            State::Restoring => self.confirm(),
            State::Arming | State::Committing => {
                let step = if self.state == State::Arming { Step::Signal } else { Step::Retire };
                self.fail(now, step, format!("the intent was not written to disk within {}", Span(WRITE_WITHIN)))
            }
            State::Deciding => self.decide_late(now),
            State::Opening
            | State::Preparing(_)
            | State::Signalling
            | State::Overlapping
            | State::Assuring
            | State::Retiring
            | State::Closing
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    /// The time of the old generation is over, on this rung of the ladder.
    fn hurry(&mut self, now: Duration) -> Vec<Action> {
        let waited = self.rung.waited(self.timing.drain_within);
        let Some((rung, signal)) = self.rung.next(self.timing.drain_then) else {
            let told = Action::Tell(Step::Drain, format!("the old generation is not gone within {waited}: it lingers"));
            return [vec![told], self.promote(now)].concat();
        };
        self.rung = rung;
        vec![
            Action::Tell(Step::Drain, format!("the old generation is not gone within {waited}: {signal} to what is left of it")),
            Action::Signal(Role::OldMaster, Whom::All, signal),
            Action::Deadline(Some(now + RUNG)),
        ]
    }

    /// That nothing is undone once the old generation was told to leave, or had left, as the end of a sentence.
    fn no_way_back(&self, now: Duration) -> String {
        let old = self.old;
        let done = match self.retired_at {
            Some(at) => {
                format!("the old master {old} was told to leave by {} {} before", self.retire, Span(now.saturating_sub(at)))
            }
            None => format!("the old master {old} had left by itself"),
        };
        let left = if self.old_presence == Presence::Gone {
            "its generation is gone"
        } else {
            "what is left of its generation is not in charge"
        };
        format!("there is no way back: {done}, and {left}")
    }

    pub(super) fn finish(&mut self, outcome: Outcome) -> Vec<Action> {
        self.state = State::Over;
        let (step, cause) = self.failure.take().map(|failure| (failure.step, failure.cause)).unzip();
        let ending = Ending { outcome, failed_step: step, cause: cause.unwrap_or_default() };
        vec![Action::Deadline(None), Action::Finish(ending)]
    }
}
