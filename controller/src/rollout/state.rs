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
    LastLook { outcome: Outcome, deadline: Duration, cause: String },
    Released { outcome: Outcome },
    Ended { outcome: Outcome },
}

impl State {
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::InFlight { deadline, .. }
            | Self::Confirming { deadline, .. }
            | Self::Redialling { deadline, .. }
            | Self::LastLook { deadline, .. } => Some(*deadline),
            Self::Waiting | Self::Guarded { .. } | Self::Released { .. } | Self::Ended { .. } => None,
        }
    }

    pub(super) fn takes_slot(&self) -> bool {
        match self {
            Self::InFlight { .. } | Self::Confirming { .. } => true,
            Self::Waiting
            | Self::Guarded { .. }
            | Self::Redialling { .. }
            | Self::LastLook { .. }
            | Self::Released { .. }
            | Self::Ended { .. } => false,
        }
    }

    /// Whether its guard can break with this outcome.
    pub(super) fn breaks_with(&self, broken: &Outcome) -> bool {
        match self {
            Self::Confirming { .. }
            | Self::Guarded { .. }
            | Self::Redialling { .. }
            | Self::LastLook { .. }
            | Self::Released { .. } => true,
            // A drop that is seen after all outweighs that nobody knew.
            Self::Ended { outcome: Outcome::Unknown(_) } => matches!(broken, Outcome::Dropped(_)),
            Self::Waiting | Self::InFlight { .. } | Self::Ended { .. } => false,
        }
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Waiting | Self::InFlight { .. } => None,
            Self::Confirming { outcome, .. }
            | Self::Guarded { outcome }
            | Self::Redialling { outcome, .. }
            | Self::LastLook { outcome, .. }
            | Self::Released { outcome }
            | Self::Ended { outcome } => Some(outcome),
        }
    }
}
