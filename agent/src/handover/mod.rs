//! One handover, decided: told what happened and what time it is, it answers what to do.
//!
//! There are two ways. `beside`: a new master comes beside the old one, and everything can be undone until the old one is
//! told to leave. `stationary`: the master stays, by exec or not, and replaces its workers: once it was signalled there is
//! no way back, and what it proves is the master's unbroken custody.
//!
//! **Invariant:** the reload signal is asked for at most once, and never by a resumed handover.

mod beside;
mod ending;
mod ladder;
mod readiness;
mod stationary;
mod vocabulary;

use std::time::Duration;

use baton_proto::custody::{Process, Shape};
use baton_proto::step::Step;

use crate::dialect::Row;
use beside::Beside;
pub use ending::{Ending, Outcome};
use stationary::Stationary;
pub use vocabulary::{Action, Answer, Event, Found, Intent, Timing, Whom};

/// A handover under way.
#[derive(Debug)]
pub struct Handover(Way);

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
    pub fn new(timing: Timing, dialect: Row, old: Process) -> Self {
        Self(match dialect.shape {
            Shape::Beside => Way::Beside(Beside::new(timing, dialect.reload, dialect.retire, old)),
            Shape::InPlace | Shape::Exec => Way::Stationary(Stationary::new(timing, dialect.reload, old)),
        })
    }

    /// The first thing to do.
    pub fn begin(&mut self) -> Vec<Action> {
        match &mut self.0 {
            Way::Beside(way) => way.begin(),
            Way::Stationary(way) => way.begin(),
        }
    }

    /// Goes on with a handover in whose middle the agent died. `intent` is what was on disk; `old` and `new` say who lives.
    pub fn resume(&mut self, now: Duration, intent: Intent, old_lives: bool, new: Option<Process>) -> Vec<Action> {
        match &mut self.0 {
            Way::Beside(way) => way.resume(now, intent, old_lives, new),
            Way::Stationary(way) => way.resume(now, old_lives),
        }
    }

    /// The only way a handover moves. A stray event moves nothing.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match &mut self.0 {
            Way::Beside(way) => way.handle(now, event),
            Way::Stationary(way) => way.handle(now, event),
        }
    }
}
