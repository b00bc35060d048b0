//! How hold ends: its only table of exit codes.
//!
//! **Invariant:** `--help` and the RUNBOOK show this table; a test holds the three together.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was told to stop, and nobody holds the lock any more.
    Stopped,
    /// Something failed in hold itself, or around it: the server may be alive, and another hold adopts it.
    Failed,
    /// The command line is wrong.
    Usage,
    /// Every holder is gone, and nobody had told hold to stop.
    Died,
    /// The command ended and nobody ever held the lock.
    NeverHeld,
    /// Nobody held the lock within the deadline; the command was stopped.
    TooLate,
    /// Something is still there after the last resort of stopping.
    StillThere,
    /// The command was found but cannot be executed.
    NotExecutable,
    /// The command was not found.
    NotFound,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Stopped,
        Self::Failed,
        Self::Usage,
        Self::Died,
        Self::NeverHeld,
        Self::TooLate,
        Self::StillThere,
        Self::NotExecutable,
        Self::NotFound,
    ];

    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Died => 3,
            Self::NeverHeld => 4,
            Self::TooLate => 5,
            Self::StillThere => 6,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
        }
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Stopped => "stopped, as told",
            Self::Failed => "hold itself failed; the server may be alive, and the next hold adopts it",
            Self::Usage => "the command line is wrong",
            Self::Died => "the service died: every holder is gone, and nobody had told hold to stop",
            Self::NeverHeld => "the command ended, and nobody ever held the lock",
            Self::TooLate => "nobody held the lock within --first-holder-within; the command was stopped",
            Self::StillThere => "told to stop, but something is still there after SIGKILL",
            Self::NotExecutable => "the command cannot be executed",
            Self::NotFound => "the command was not found",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table, for `--help`.
pub(super) fn table() -> String {
    Exit::ALL.iter().fold("Exit codes:\n".to_owned(), |mut text, exit| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
        text
    })
}
