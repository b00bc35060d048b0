//! Where a host is.

use std::time::Duration;

use crate::outcome::Outcome;

/// Where a host is.
#[derive(Debug, Clone)]
pub(super) enum State {
    Waiting,
    InFlight { deadline: Duration, asked: bool },
    Confirming { outcome: Outcome, deadline: Duration, cause: String },
    Guarded { outcome: Outcome },
    Redialling { outcome: Outcome, deadline: Duration, cause: String },
    Ended { outcome: Outcome },
}

impl State {
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::InFlight { deadline, .. } | Self::Confirming { deadline, .. } | Self::Redialling { deadline, .. } => {
                Some(*deadline)
            }
            Self::Waiting | Self::Guarded { .. } | Self::Ended { .. } => None,
        }
    }

    pub(super) fn takes_slot(&self) -> bool {
        match self {
            Self::InFlight { .. } | Self::Confirming { .. } => true,
            Self::Waiting | Self::Guarded { .. } | Self::Redialling { .. } | Self::Ended { .. } => false,
        }
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Waiting | Self::InFlight { .. } => None,
            Self::Confirming { outcome, .. }
            | Self::Guarded { outcome }
            | Self::Redialling { outcome, .. }
            | Self::Ended { outcome } => Some(outcome),
        }
    }
}
