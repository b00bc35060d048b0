//! How a service that the agent started has ended, and what that means for the next start.

use std::fmt;

use crate::hold::Exit;

/// How the `hold` of a service ended, or that none could be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It told by its exit code.
    Told(Exit),
    /// With a code that no `hold` has.
    Code(i32),
    /// By the signal with this number: nobody of the server need know.
    Killed(i32),
    /// Nobody saw how: it was an earlier run of the agent that had begun it.
    Unseen,
    /// It could not be run, for a reason that may pass.
    NotRun(String),
    /// It cannot be run before the configuration or the host is mended.
    Impossible(String),
}

impl End {
    /// Whether another start would end alike.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Told(Exit::Usage | Exit::NotExecutable | Exit::NotFound) | Self::Impossible(_) => true,
            Self::Told(Exit::Stopped | Exit::Failed | Exit::Died | Exit::NeverHeld | Exit::TooLate | Exit::StillThere)
            | Self::Code(_)
            | Self::Killed(_)
            | Self::Unseen
            | Self::NotRun(_) => false,
        }
    }

    /// Whether the command ran, so that what it said may tell more.
    pub fn has_run(&self) -> bool {
        match self {
            Self::Told(Exit::Died | Exit::NeverHeld | Exit::TooLate) => true,
            Self::Told(Exit::Stopped | Exit::Failed | Exit::Usage | Exit::StillThere | Exit::NotExecutable | Exit::NotFound)
            | Self::Code(_)
            | Self::Killed(_)
            | Self::Unseen
            | Self::NotRun(_)
            | Self::Impossible(_) => false,
        }
    }

    /// Whether nothing of the server is left, as far as is known.
    pub(super) fn leaves_nobody(&self) -> bool {
        match self {
            Self::Told(Exit::Failed | Exit::StillThere)
            | Self::Code(_)
            | Self::Killed(_)
            | Self::NotRun(_)
            | Self::Impossible(_) => false,
            Self::Told(
                Exit::Stopped | Exit::Usage | Exit::Died | Exit::NeverHeld | Exit::TooLate | Exit::NotExecutable | Exit::NotFound,
            )
            | Self::Unseen => true,
        }
    }
}

impl From<i32> for End {
    fn from(code: i32) -> Self {
        Exit::ALL.into_iter().find(|exit| i32::from(exit.code()) == code).map_or(Self::Code(code), Self::Told)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(exit) => f.write_str(exit.meaning()),
            Self::Code(code) => write!(f, "hold ended with the exit code {code}"),
            Self::Killed(number) => {
                write!(f, "hold was ended by signal {number}; the server may be alive, and the next hold adopts it")
            }
            Self::Unseen => f.write_str("hold ended, and how is not known: an earlier run of the agent had started it"),
            Self::NotRun(why) | Self::Impossible(why) => f.write_str(why),
        }
    }
}
