//! The way back: what failed before the old generation was told to leave is undone, if the old one is still there.

use std::time::Duration;

use baton_proto::custody::Role;
use baton_proto::step::Step;

use super::{Action, Beside, Failure, Outcome, Presence, State, Whom};
use crate::dialect::Signal;

/// How long a stopped new generation may take to finish its requests, if the drain's deadline is not sooner.
const STOP_GRACE_MAX: Duration = Duration::from_secs(10);
/// How long a process may take to go after SIGTERM, and after SIGKILL.
const STOP_RUNG: Duration = Duration::from_secs(5);
/// How long the old master may take to put its pid file back. If a new master may still come, it is waited for longer.
const RESTORE_WITHIN: Duration = Duration::from_secs(10);

impl Beside {
    pub(super) fn restored(&mut self, now: Duration) -> Vec<Action> {
        self.restored = true;
        match self.state {
            State::Appearing => {
                let cause = "the new master exited while it booted; its reason is in the server's own log";
                self.fail(now, Step::Appear, cause.into())
            }
            State::Restoring => self.confirm(),
            State::Opening
            | State::Preparing(_)
            | State::Arming
            | State::Signalling
            | State::Readying(_)
            | State::Overlapping
            | State::Committing
            | State::Assuring
            | State::Retiring
            | State::Draining
            | State::Promoting
            | State::Closing
            | State::Deciding
            | State::Stopping { .. }
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    /// Something failed before the old generation was told to leave: back to it, if it is still there.
    pub(super) fn fail(&mut self, now: Duration, step: Step, cause: String) -> Vec<Action> {
        let told = Action::Tell(Step::Undo, format!("{step} failed: {cause}"));
        self.failure = Some(Failure { step, cause });
        let next = if self.old_presence > Presence::Lives {
            self.leave_it_alone(now)
        } else if self.new.is_some() {
            self.decide()
        } else {
            self.restore(now)
        };
        [vec![told], next].concat()
    }

    /// The new generation is to be stopped, if the old master lives.
    pub(super) fn decide(&mut self) -> Vec<Action> {
        self.state = State::Deciding;
        vec![Action::Deadline(None), Action::Look(Role::OldMaster)]
    }

    /// The old master lives on without its lock, or has left meanwhile.
    pub(super) fn decide_late(&mut self, now: Duration) -> Vec<Action> {
        if self.old_presence > Presence::Lives {
            return self.leave_it_alone(now);
        }
        if !self.new_was_ready() {
            return self.climb(now, 0);
        }
        if let Some(failure) = &mut self.failure {
            let why = "both generations are left running: the old one does not hold its lock, and the new one is ready";
            failure.cause = format!("{}; {why}", failure.cause);
        }
        self.finish(Outcome::Broken)
    }

    fn new_was_ready(&self) -> bool {
        let failed_late = self.failure.as_ref().is_some_and(|failure| failure.step == Step::Overlap);
        failed_late && self.new_presence == Presence::Lives
    }

    /// There is no old generation to return to: the new one, whatever its state, is all there is.
    pub(super) fn leave_it_alone(&mut self, now: Duration) -> Vec<Action> {
        if self.new_was_ready() {
            self.failure = None;
            return self.promote(now);
        }
        self.finish(Outcome::Broken)
    }

    /// The ladder on which a failed new generation goes: asked to finish its requests, then to leave, then made to.
    pub(super) fn climb(&mut self, now: Duration, rung: usize) -> Vec<Action> {
        if self.new_presence == Presence::Gone {
            return self.restore(now);
        }
        // The old one may have left meanwhile: then this is all that serves.
        if self.old_presence > Presence::Lives {
            return self.leave_it_alone(now);
        }
        self.state = State::Stopping { rung };
        let signal = |whom, signal| Action::Signal(Role::NewMaster, whom, signal);
        match rung {
            0 => {
                let deadline = Action::Deadline(Some(now + self.timing.drain_within.min(STOP_GRACE_MAX)));
                // With its master gone, what is left of the generation finishes by itself.
                if self.new_presence > Presence::Lives {
                    vec![deadline]
                } else {
                    vec![signal(Whom::Master, self.retire), deadline]
                }
            }
            1 => vec![signal(Whom::All, Signal::Term), Action::Deadline(Some(now + STOP_RUNG))],
            2 => vec![signal(Whom::All, Signal::Kill), Action::Deadline(Some(now + STOP_RUNG))],
            _ => {
                if let Some(failure) = &mut self.failure {
                    failure.cause = format!("{}; and the new generation outlived SIGKILL", failure.cause);
                }
                self.finish(Outcome::Broken)
            }
        }
    }

    /// The new one is gone: the old one takes its pid file back by itself, if it was ever signalled.
    pub(super) fn restore(&mut self, now: Duration) -> Vec<Action> {
        if self.restored || self.signalled_at.is_none() {
            return self.confirm();
        }
        self.state = State::Restoring;
        // One that was never seen may come as late as it was allowed to; one that was seen and is gone will not.
        self.restore_until = if self.new.is_none() { now + self.timing.ready_within } else { now };
        vec![Action::Deadline(Some(now + RESTORE_WITHIN))]
    }

    pub(super) fn confirm(&mut self) -> Vec<Action> {
        self.state = State::Confirming;
        vec![Action::Deadline(None), Action::Confirm]
    }

    pub(super) fn new_emptied(&mut self, now: Duration) -> Vec<Action> {
        self.new_presence = Presence::Gone;
        let State::Stopping { .. } = self.state else { return Vec::new() };
        self.restore(now)
    }
}
