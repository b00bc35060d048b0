//! The steps of a handover, by the names that people see.

use std::fmt;

/// A step of a handover, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The window is opened.
    Open,
    /// The old master is signalled.
    Signal,
    /// The new master is waited for.
    Appear,
    /// The new generation must become ready and stay so.
    Ready,
    /// Both masters are seen holding.
    Overlap,
    /// The old generation is told to leave.
    Retire,
    /// The old generation is waited for.
    Drain,
    /// The window is closed.
    Close,
    /// A failed handover is undone.
    Undo,
    /// A step that only newer agents make, by its number on the wire.
    Unknown(i32),
}

impl Step {
    /// The step within a sentence, such as "step ready".
    #[must_use]
    pub fn phrase(self) -> String {
        match self {
            Self::Open
            | Self::Signal
            | Self::Appear
            | Self::Ready
            | Self::Overlap
            | Self::Retire
            | Self::Drain
            | Self::Close
            | Self::Undo => format!("step {self}"),
            Self::Unknown(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Open => "open",
            Self::Signal => "signal",
            Self::Appear => "appear",
            Self::Ready => "ready",
            Self::Overlap => "overlap",
            Self::Retire => "retire",
            Self::Drain => "drain",
            Self::Close => "close",
            Self::Undo => "undo",
            Self::Unknown(number) => return write!(f, "unknown step {number}"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn a_step_that_we_do_not_know_is_named_by_its_number() {
        assert_eq!((Step::Ready.to_string(), Step::Ready.phrase()), ("ready".into(), "step ready".into()));
        assert_eq!(
            (Step::Unknown(12).to_string(), Step::Unknown(12).phrase()),
            ("unknown step 12".into(), "unknown step 12".into())
        );
    }
}
