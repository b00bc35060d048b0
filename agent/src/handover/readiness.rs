//! Until when the new generation must be ready, for how long it must stay so, and when to ask it next.

use std::time::Duration;

use baton_proto::span::Span;
use baton_proto::step::Step;

use super::{Action, Answer};

/// Half of the first pause between two probes; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause between two probes.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// What is known of the readiness of a new generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Readiness {
    deadline: Duration,
    /// Since when it has been ready.
    pub(super) since: Option<Duration>,
    pause: Duration,
    /// What it answered last that was not wanted; while it has answered nothing, what is known instead.
    pub(super) last: String,
    has_answered: bool,
}

/// What comes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is ready, and has been for long enough.
    Ready(String),
    /// It is ready for the first time: something to tell, and what to do.
    First(Action, Vec<Action>),
    /// Nothing yet: what to do.
    Again(Vec<Action>),
    /// It never will be: why.
    Never(String),
}

impl Readiness {
    pub(super) fn until(deadline: Duration) -> Self {
        Self { deadline, since: None, pause: PAUSE_MIN, last: "it has not answered yet".to_owned(), has_answered: false }
    }

    /// Takes in the answer to a probe.
    pub(super) fn hear(&mut self, now: Duration, settle: Duration, answer: Answer) -> Heard {
        match answer {
            Answer::Ready(detail) => {
                let is_first = self.since.is_none();
                let since = *self.since.get_or_insert(now);
                if now >= since + settle {
                    return Heard::Ready(detail);
                }
                let left = (since + settle).saturating_sub(now);
                let again = vec![Action::Deadline(Some(self.deadline + settle)), Action::Probe(left.min(PAUSE_MAX))];
                if is_first {
                    Heard::First(Action::Tell(Step::Ready, format!("{detail}; it must stay so for {}", Span(settle))), again)
                } else {
                    Heard::Again(again)
                }
            }
            Answer::Failing(cause) => {
                self.since = None;
                self.has_answered = true;
                self.last = cause;
                Heard::Again(vec![Action::Deadline(Some(self.deadline)), self.ask_later()])
            }
            Answer::Stale(cause) => Heard::Never(cause),
            Answer::Elsewhere(cause) => {
                if !self.has_answered {
                    self.last = cause;
                }
                Heard::Again(vec![self.ask_later()])
            }
        }
    }

    fn ask_later(&mut self) -> Action {
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Action::Probe(self.pause)
    }
}
