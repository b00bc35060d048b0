//! One handover, decided: told what happened and what time it is, it answers what to do.
//!
//! There are two ways. `beside`: a new master comes beside the old one, and everything can be undone until the old one is
//! told to leave. `stationary`: the master stays, by exec or not, and replaces its workers: once it was signalled there is
//! no way back, and what it proves is the master's unbroken custody.
//!
//! Around either: the release is switched, the hook is run and the configuration checked before the signal (`preparation`); at the
//! end the release is switched back where it failed, and the other hook is run (`conclusion`).
//!
//! **Invariant:** the reload signal is asked for at most once, and never by a resumed handover.
//! **Invariant:** `Finish` is asked for once, and last.

mod beside;
mod conclusion;
mod ending;
mod ladder;
mod preparation;
mod readiness;
mod stationary;
mod vocabulary;

use std::time::Duration;

use baton_proto::custody::{Process, Shape};
use baton_proto::step::Step;

use crate::dialect::{PidFiles, Row};
use beside::Beside;
use conclusion::Conclusion;
pub use ending::{Ending, Outcome};
pub use preparation::Around;
use preparation::{Preparation, Prepared};
use stationary::Stationary;
pub use vocabulary::{Action, Answer, Errand, Event, Found, Intent, Timing, Whom};

/// A handover under way.
#[derive(Debug)]
pub struct Handover {
    way: Way,
    around: Around,
    /// Whether the release was switched, or was about to be.
    is_switched: bool,
    conclusion: Option<Conclusion>,
}

#[derive(Debug)]
enum Way {
    Beside(Beside),
    Stationary(Stationary),
}

/// What failed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    step: Step,
    cause: String,
}

impl Handover {
    /// A handover away from `old`, in the way of its dialect.
    pub fn new(timing: Timing, dialect: &Row, around: Around, old: Process) -> Self {
        let beside = || Beside::new(timing, dialect.reload, dialect.retire, around.clone(), old);
        let way = match dialect.shape {
            Shape::Beside if matches!(dialect.pid_files, PidFiles::NewBeside(_)) => Way::Beside(beside().promoted_late()),
            Shape::Beside => Way::Beside(beside()),
            Shape::InPlace | Shape::Exec => Way::Stationary(Stationary::new(timing, dialect.reload, around.clone(), old)),
        };
        Self { way, around, is_switched: false, conclusion: None }
    }

    /// The first thing to do.
    pub fn begin(&mut self) -> Vec<Action> {
        match &mut self.way {
            Way::Beside(way) => way.begin(),
            Way::Stationary(way) => way.begin(),
        }
    }

    /// Goes on with a handover in whose middle the agent died. `intent` is what was on disk; `old` and `new` say who lives;
    /// a release may have been switched if that was to be done.
    pub fn resume(&mut self, now: Duration, intent: Intent, old_lives: bool, new: Option<Process>) -> Vec<Action> {
        self.is_switched = self.around.release.is_some();
        let actions = match &mut self.way {
            Way::Beside(way) => way.resume(now, intent, old_lives, new),
            Way::Stationary(way) => way.resume(now, intent, old_lives),
        };
        self.framed(actions)
    }

    /// Ends a handover that cannot be gone on with: the release is switched back unless the old generation was about to be retired by
    /// the `intent` that was on disk, for then the new one had been ready.
    pub fn abandon(&mut self, intent: Intent, cause: String) -> Vec<Action> {
        let step = match intent {
            Intent::Prepare => Step::Prepare,
            Intent::Signal => Step::Signal,
            Intent::Retire => Step::Drain,
        };
        self.is_switched = self.around.release.is_some();
        self.framed(vec![Action::Finish(Ending { outcome: Outcome::Broken, failed_step: Some(step), cause })])
    }

    /// Whether both generations and the release are as they stay: whatever is still run afterwards holds up nobody.
    pub fn is_settled(&self) -> bool {
        self.conclusion.as_ref().is_some_and(Conclusion::is_settled)
    }

    /// The only way a handover moves. A stray event moves nothing.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        if let Some(conclusion) = &mut self.conclusion {
            return conclusion.handle(&event);
        }
        let actions = match &mut self.way {
            Way::Beside(way) => way.handle(now, event),
            Way::Stationary(way) => way.handle(now, event),
        };
        self.framed(actions)
    }

    /// The same, with the conclusion in the place of the end.
    fn framed(&mut self, mut actions: Vec<Action>) -> Vec<Action> {
        self.is_switched |= actions.iter().any(|action| matches!(action, Action::Switch(_)));
        if let Some(Action::Finish(ending)) = actions.last() {
            let (conclusion, last) = Conclusion::begin(ending.clone(), &self.around, self.is_switched);
            self.conclusion = Some(conclusion);
            actions.pop();
            actions.extend(last);
        }
        actions
    }
}

#[cfg(test)]
mod tests;
