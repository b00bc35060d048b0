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
}

impl Step {
    /// The step's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Signal => "signal",
            Self::Appear => "appear",
            Self::Ready => "ready",
            Self::Overlap => "overlap",
            Self::Retire => "retire",
            Self::Drain => "drain",
            Self::Close => "close",
            Self::Undo => "undo",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
