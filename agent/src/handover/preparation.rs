//! What is done between the first look at the old master and the signal: the release is switched, the hook is run, the
//! configuration is checked. The first that fails ends the handover before anything was signalled.
//!
//! ```text
//! Writing ─ Switching ─ Running(before) ─ Running(check) ─ over
//! ```
//!
//! **Invariant:** the release is switched only after that intent was written to disk, so that it is found and undone by
//! an agent that was restarted.

use std::time::Duration;

use baton_proto::span::Span;
use baton_proto::step::Step;

use super::{Action, Errand, Event, Intent};

/// How long the disk may take to write the intent.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// What a handover has around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// The release to switch to.
    pub release: Option<String>,
    /// Whether a hook is run before.
    pub has_before: bool,
    /// Whether the configuration is checked.
    pub has_check: bool,
    /// Whether a hook is run afterwards.
    pub has_after: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Writing,
    Switching,
    Running(Errand),
}

/// A preparation under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Preparation {
    around: Around,
    state: State,
}

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Prepared {
    /// This is to be done next.
    Not(Vec<Action>),
    /// All is done: the signal may be sent.
    Yes,
    /// It failed, for this reason.
    Never(String),
}

impl Preparation {
    /// Begins; all may be done at once.
    pub(super) fn begin(now: Duration, around: &Around) -> (Self, Prepared) {
        let mut preparation = Self { around: around.clone(), state: State::Writing };
        let first = match &around.release {
            Some(_) => Prepared::Not(vec![Action::Persist(Intent::Prepare), Action::Deadline(Some(now + WRITE_WITHIN))]),
            None => preparation.run(Errand::Before),
        };
        (preparation, first)
    }

    /// The only way it moves. What is not awaited moves nothing.
    pub(super) fn handle(&mut self, event: &Event) -> Prepared {
        match (self.state, event) {
            (State::Writing, Event::Persisted(Ok(()))) => {
                self.state = State::Switching;
                let release = self.around.release.clone().unwrap_or_default();
                Prepared::Not(vec![Action::Deadline(None), Action::Switch(release)])
            }
            (State::Writing, Event::Expired) => {
                Prepared::Never(format!("the intent was not written to disk within {}", Span(WRITE_WITHIN)))
            }
            (State::Switching, Event::Switched(Ok(told))) => {
                let told = Action::Tell(Step::Prepare, told.clone());
                self.run(Errand::Before).after(told)
            }
            (State::Writing, Event::Persisted(Err(cause))) | (State::Switching, Event::Switched(Err(cause))) => {
                Prepared::Never(cause.clone())
            }
            (State::Running(awaited), Event::Ran(errand, Ok(told))) if awaited == *errand => {
                let told = Action::Tell(Step::Prepare, format!("{errand}: {told}"));
                match errand {
                    Errand::Before => self.run(Errand::Check).after(told),
                    Errand::Check | Errand::After => Prepared::Yes.after(told),
                }
            }
            (State::Running(awaited), Event::Ran(errand, Err(cause))) if awaited == *errand => {
                Prepared::Never(format!("{errand}: {cause}"))
            }
            (State::Writing | State::Switching | State::Running(_), _) => Prepared::Not(Vec::new()),
        }
    }

    /// Runs this errand, or the first after it that there is.
    fn run(&mut self, errand: Errand) -> Prepared {
        let next = match errand {
            Errand::Before if self.around.has_before => Errand::Before,
            Errand::Before | Errand::Check if self.around.has_check => Errand::Check,
            Errand::Before | Errand::Check | Errand::After => return Prepared::Yes,
        };
        self.state = State::Running(next);
        Prepared::Not(vec![Action::Deadline(None), Action::Tell(Step::Prepare, format!("running {next}")), Action::Run(next)])
    }
}

impl Prepared {
    /// The same, with something told before it.
    fn after(self, told: Action) -> Self {
        match self {
            Self::Not(actions) => Self::Not([vec![told], actions].concat()),
            // What was told last is the step of the signal's.
            Self::Yes | Self::Never(_) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Around, Preparation, Prepared};
    use crate::handover::{Action, Errand, Event, Intent};

    const NOW: Duration = Duration::from_secs(100);

    fn all() -> Around {
        Around { release: Some("v2".into()), has_before: true, has_check: true, has_after: true }
    }

    fn actions(prepared: Prepared) -> Vec<Action> {
        match prepared {
            Prepared::Not(actions) => actions.into_iter().filter(|action| !is_told(action)).collect(),
            other @ (Prepared::Yes | Prepared::Never(_)) => panic!("{other:?}"),
        }
    }

    fn is_told(action: &Action) -> bool {
        matches!(action, Action::Tell(..) | Action::Deadline(_))
    }

    #[test]
    fn where_there_is_nothing_to_prepare_nothing_is_done() {
        let around = Around { has_after: true, ..Around::default() };
        assert_eq!(Preparation::begin(NOW, &around).1, Prepared::Yes);
    }

    #[test]
    fn the_release_is_switched_after_that_was_written_down_then_the_hook_is_run_and_then_the_check() {
        let (mut preparation, first) = Preparation::begin(NOW, &all());
        assert_eq!(actions(first), [Action::Persist(Intent::Prepare)]);
        assert_eq!(actions(preparation.handle(&Event::Persisted(Ok(())))), [Action::Switch("v2".into())]);
        assert_eq!(actions(preparation.handle(&Event::Switched(Ok("v2".into())))), [Action::Run(Errand::Before)]);
        assert_eq!(actions(preparation.handle(&Event::Ran(Errand::Before, Ok(String::new())))), [Action::Run(Errand::Check)]);
        assert_eq!(preparation.handle(&Event::Ran(Errand::Check, Ok(String::new()))), Prepared::Yes);
    }

    #[test]
    fn the_first_that_fails_ends_it() {
        let failed = |events: &[Event]| {
            let (mut preparation, _) = Preparation::begin(NOW, &all());
            let (last, before) = events.split_last().expect("an event");
            for event in before {
                assert!(matches!(preparation.handle(event), Prepared::Not(_)), "{event:?}");
            }
            match preparation.handle(last) {
                Prepared::Never(cause) => cause,
                other @ (Prepared::Not(_) | Prepared::Yes) => panic!("{other:?}"),
            }
        };
        let (written, switched) = (Event::Persisted(Ok(())), Event::Switched(Ok("v2".into())));
        let ran = Event::Ran(Errand::Before, Ok("fine".into()));
        let bad = |errand| Event::Ran(errand, Err("it ended with exit code 1".into()));
        assert_eq!(failed(&[Event::Persisted(Err("the disk is full".into()))]), "the disk is full");
        assert_eq!(failed(&[Event::Expired]), "the intent was not written to disk within 10 s");
        assert_eq!(failed(&[written.clone(), Event::Switched(Err("no such release".into()))]), "no such release");
        let hook = [written.clone(), switched.clone(), bad(Errand::Before)];
        assert_eq!(failed(&hook), "the hook before: it ended with exit code 1");
        assert_eq!(failed(&[written, switched, ran, bad(Errand::Check)]), "the check: it ended with exit code 1");
    }

    #[test]
    fn what_is_not_awaited_moves_nothing() {
        let (mut preparation, _) = Preparation::begin(NOW, &all());
        let before = preparation.clone();
        for stray in [Event::Ran(Errand::Before, Ok(String::new())), Event::Switched(Ok(String::new())), Event::Restored] {
            assert_eq!(preparation.handle(&stray), Prepared::Not(Vec::new()));
        }
        assert_eq!(preparation, before);
    }
}
