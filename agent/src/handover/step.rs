//! The steps of a handover and its ends, by name.

use std::fmt;

/// A step of a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The window is opened.
    Open,
    /// The intent is written down and the old master signalled.
    Signal,
    /// The new master is waited for.
    Appear,
    /// The new generation is probed.
    Ready,
    /// Both masters are looked at.
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

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Signal => "signal",
            Self::Appear => "appear",
            Self::Ready => "ready",
            Self::Overlap => "overlap",
            Self::Retire => "retire",
            Self::Drain => "drain",
            Self::Close => "close",
            Self::Undo => "undo",
        })
    }
}

/// The ends that a handover can come to on the host. What that proves is not decided here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The new generation is in charge.
    HandedOver,
    /// The old generation is in charge, and the new one is gone or never came.
    RolledBack,
    /// Neither.
    Broken,
}

/// How a handover ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which end it was.
    pub outcome: Outcome,
    /// The step that failed, if one did.
    pub failed_step: Option<Step>,
    /// Why; empty when nothing failed.
    pub cause: String,
}
