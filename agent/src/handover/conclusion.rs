//! What is done when a handover has come to its end: the release is switched back where it failed, and the hook is run.
//!
//! **Invariant:** a release is switched back unless its own generation is in charge: whoever starts the server next, after
//! a failure, starts what is known to work.

use baton_proto::step::Step;

use super::{Action, Around, Ending, Errand, Event, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SwitchingBack,
    Running,
    Over,
}

/// The conclusion of a handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    ending: Ending,
    has_after: bool,
    state: State,
}

impl Conclusion {
    /// Begins; nothing may be left to do but to finish.
    pub(super) fn begin(ending: Ending, around: &Around, is_switched: bool) -> (Self, Vec<Action>) {
        let mut conclusion = Self { ending, has_after: around.has_after, state: State::SwitchingBack };
        let actions = if is_switched && !conclusion.new_is_in_charge() { vec![Action::SwitchBack] } else { conclusion.run() };
        (conclusion, actions)
    }

    /// Whether the new generation was ready and the old one was told to leave.
    fn new_is_in_charge(&self) -> bool {
        let is_late = matches!(self.ending.failed_step, Some(Step::Drain | Step::Close));
        self.ending.outcome == Outcome::HandedOver || self.ending.outcome == Outcome::Broken && is_late
    }

    /// The only way it moves. What is not awaited moves nothing.
    pub(super) fn handle(&mut self, event: &Event) -> Vec<Action> {
        match (self.state, event) {
            (State::SwitchingBack, Event::Switched(Ok(told))) => {
                [vec![Action::Tell(Step::Undo, told.clone())], self.run()].concat()
            }
            (State::SwitchingBack, Event::Switched(Err(cause))) => {
                let told = Action::Tell(Step::Undo, cause.clone());
                self.ending.outcome = Outcome::Broken;
                self.ending.cause = format!("{}; and {cause}", self.ending.cause);
                [vec![told], self.run()].concat()
            }
            (State::Running, Event::Ran(Errand::After, result)) => {
                let told = match result {
                    Ok(told) => format!("{}: {told}", Errand::After),
                    Err(cause) => format!("{} failed, which changes nothing: {cause}", Errand::After),
                };
                [vec![Action::Tell(Step::Close, told)], self.finish()].concat()
            }
            (State::SwitchingBack | State::Running | State::Over, _) => Vec::new(),
        }
    }

    /// Whether nothing is left to be done but to run the hook.
    pub(super) fn is_settled(&self) -> bool {
        match self.state {
            State::SwitchingBack => false,
            State::Running | State::Over => true,
        }
    }

    fn finish(&mut self) -> Vec<Action> {
        self.state = State::Over;
        vec![Action::Finish(self.ending.clone())]
    }

    fn run(&mut self) -> Vec<Action> {
        if !self.has_after {
            return self.finish();
        }
        self.state = State::Running;
        vec![Action::Tell(Step::Close, format!("running {}", Errand::After)), Action::RunAfter(self.ending.outcome)]
    }
}

#[cfg(test)]
mod tests {
    use baton_proto::step::Step;

    use super::Conclusion;
    use crate::handover::{Action, Around, Ending, Errand, Event, Outcome};

    fn ending(outcome: Outcome, failed_step: Option<Step>) -> Ending {
        Ending { outcome, failed_step, cause: "it did not boot".into() }
    }

    #[test]
    fn a_release_is_switched_back_unless_its_generation_is_in_charge() {
        let around = Around::default();
        for (outcome, step, back) in [
            (Outcome::HandedOver, None, false),
            (Outcome::RolledBack, Some(Step::Ready), true),
            (Outcome::RolledBack, Some(Step::Prepare), true),
            (Outcome::Broken, Some(Step::Ready), true),
            (Outcome::Broken, Some(Step::Overlap), true),
            (Outcome::Broken, Some(Step::Drain), false),
            (Outcome::Broken, Some(Step::Close), false),
        ] {
            let ending = ending(outcome, step);
            let wanted = if back { Action::SwitchBack } else { Action::Finish(ending.clone()) };
            assert_eq!(Conclusion::begin(ending.clone(), &around, true).1, [wanted], "{outcome:?} {step:?}");
            assert_eq!(Conclusion::begin(ending.clone(), &around, false).1, [Action::Finish(ending)]);
        }
    }

    #[test]
    fn a_release_that_cannot_be_switched_back_leaves_a_broken_handover() {
        let (mut conclusion, _) = Conclusion::begin(ending(Outcome::RolledBack, Some(Step::Ready)), &Around::default(), true);
        assert!(!conclusion.is_settled());
        let actions = conclusion.handle(&Event::Switched(Err("the link was changed meanwhile".into())));
        let Some(Action::Finish(ending)) = actions.last() else { panic!("{actions:?}") };
        assert_eq!(ending.outcome, Outcome::Broken);
        assert_eq!(ending.cause, "it did not boot; and the link was changed meanwhile");
    }

    #[test]
    fn the_hook_after_is_run_last_and_changes_nothing() {
        let around = Around { has_after: true, ..Around::default() };
        let told = ending(Outcome::HandedOver, None);
        let (mut conclusion, actions) = Conclusion::begin(told.clone(), &around, true);
        assert_eq!(actions.last(), Some(&Action::RunAfter(Outcome::HandedOver)));
        assert!(conclusion.is_settled());
        assert_eq!(conclusion.handle(&Event::Ran(Errand::Before, Ok(String::new()))), []);
        let actions = conclusion.handle(&Event::Ran(Errand::After, Err("it ended with exit code 1".into())));
        assert_eq!(actions.last(), Some(&Action::Finish(told)));
    }
}
