//! Why an order could not be given or taken.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{ANSWER_DEADLINE, PATH_MAX};

/// Why an order could not be given or taken.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No socket can have this path.
    #[error("the path {} has {length} bytes, and the path of a socket may have {PATH_MAX}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// How long it is.
        length: usize,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody listens there.
    #[error("nobody takes orders on {}", path.display())]
    Nobody {
        /// Where.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The rollout did not take it.
    #[error("the rollout did not take the order: {0}")]
    Refused(String),
    /// The connection broke, or what came is no answer.
    #[error("the rollout's answer cannot be read: {0}")]
    Unreadable(String),
    /// No answer came.
    #[error("the rollout gave no answer within {} s; it may have taken the order", .0.as_secs())]
    TimedOut(Duration),
}

impl ControlError {
    /// No answer came in time.
    pub(super) fn timed_out() -> Self {
        Self::TimedOut(ANSWER_DEADLINE)
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PathTooLong { .. } => Some("--state DIR or BATON_STATE: a directory with a shorter path".into()),
            Self::TimedOut(_) => Some("`baton history` shows whether it still runs".into()),
            Self::Listen { .. } | Self::Nobody { .. } | Self::Refused(_) | Self::Unreadable(_) => None,
        }
    }
}
