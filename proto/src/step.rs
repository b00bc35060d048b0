//! The steps of a handover, by the names that people see.
//!
//! **Invariant:** this is the only list of names; the wire has numbers.

use std::fmt;

/// A step of a handover, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The window is opened.
    Open,
    /// The release is switched, the hook and the check are run.
    Prepare,
    /// The intent is written down and the old master signalled.
    Signal,
    /// The new master is waited for.
    Appear,
    /// The new generation must become ready and stay so.
    Ready,
    /// Both masters are seen holding.
    Overlap,
    /// The old generation is told to leave.
    Retire,
    /// The old generation's processes are waited for.
    Drain,
    /// The window is closed.
    Close,
    /// A failed handover is undone.
    Undo,
}

impl Step {
    /// Its name: the verb of what is being done.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Prepare => "prepare",
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

    /// The step of that name.
    #[must_use]
    pub fn named(verb: &str) -> Option<Self> {
        let all = [
            Self::Open,
            Self::Prepare,
            Self::Signal,
            Self::Appear,
            Self::Ready,
            Self::Overlap,
            Self::Retire,
            Self::Drain,
            Self::Close,
            Self::Undo,
        ];
        all.into_iter().find(|step| step.verb() == verb)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}
