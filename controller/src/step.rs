//! The step that an agent says it is at: one that we know, or one that only newer agents make.

use std::fmt;

use baton_proto::step;

/// A step of a handover, as an agent tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// One that we know.
    Known(step::Step),
    /// One that we do not, by its number on the wire.
    Unknown(i32),
}

impl From<step::Step> for Step {
    fn from(step: step::Step) -> Self {
        Self::Known(step)
    }
}

impl Step {
    /// The step within a sentence, such as "step ready".
    #[must_use]
    pub fn phrase(self) -> String {
        match self {
            Self::Known(step) => format!("step {step}"),
            Self::Unknown(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(step) => step.fmt(f),
            Self::Unknown(number) => write!(f, "unknown step {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use baton_proto::step;

    use super::Step;

    #[test]
    fn a_step_that_we_do_not_know_is_named_by_its_number() {
        let ready = Step::from(step::Step::Ready);
        assert_eq!((ready.to_string(), ready.phrase()), ("ready".into(), "step ready".into()));
        assert_eq!(
            (Step::Unknown(12).to_string(), Step::Unknown(12).phrase()),
            ("unknown step 12".into(), "unknown step 12".into())
        );
    }
}
