//! One host of a rollout, and where it is.

use std::time::Duration;

use crate::inventory::HostName;
use crate::outcome::Outcome;

/// One host of a rollout.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) host: HostName,
    pub(super) zone: Option<String>,
    /// The attempt that it is or would be asked for.
    pub(super) attempt: u32,
    pub(super) claim: Claim,
    pub(super) state: State,
    /// Whether how it ended was told by an earlier run.
    pub(super) is_told: bool,
    /// How it had ended before it was to be tried again.
    pub(super) outcome_before: Option<Outcome>,
}

impl Member {
    /// Whether the service there can be counted on: not where it had failed, before it was tried again.
    pub(super) fn is_available(&self) -> bool {
        let is_sound = match &self.outcome_before {
            None | Some(Outcome::Proven(_) | Outcome::RolledBack { .. }) => true,
            Some(Outcome::Refused(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_)) => false,
        };
        self.state.is_available() && (is_sound || !matches!(self.state, State::Waiting))
    }
}

/// How it stands with the claim on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// None is wanted: the host is left out.
    Unwanted,
    /// It is wanted, and there is no answer yet.
    Wanted,
    /// There was an answer.
    Answered,
}

/// Where a host is.
#[derive(Debug, Clone)]
pub(super) enum State {
    Waiting,
    Looking { deadline: Duration },
    InFlight { deadline: Duration },
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
            Self::Looking { deadline }
            | Self::InFlight { deadline }
            | Self::Confirming { deadline, .. }
            | Self::Redialling { deadline, .. }
            | Self::LastLook { deadline, .. } => Some(*deadline),
            Self::Waiting | Self::Guarded { .. } | Self::Released { .. } | Self::Ended { .. } => None,
        }
    }

    pub(super) fn takes_slot(&self) -> bool {
        match self {
            Self::Looking { .. } | Self::InFlight { .. } | Self::Confirming { .. } => true,
            Self::Waiting
            | Self::Guarded { .. }
            | Self::Redialling { .. }
            | Self::LastLook { .. }
            | Self::Released { .. }
            | Self::Ended { .. } => false,
        }
    }

    /// Whether the service there can be counted on.
    pub(super) fn is_available(&self) -> bool {
        match self {
            Self::Waiting | Self::Guarded { .. } | Self::LastLook { .. } | Self::Released { .. } => true,
            Self::Looking { .. }
            | Self::InFlight { .. }
            | Self::Confirming { .. }
            | Self::Redialling { .. }
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
            Self::Waiting | Self::Looking { .. } | Self::InFlight { .. } | Self::Ended { .. } => false,
        }
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Waiting | Self::Looking { .. } | Self::InFlight { .. } => None,
            Self::Confirming { outcome, .. }
            | Self::Guarded { outcome }
            | Self::Redialling { outcome, .. }
            | Self::LastLook { outcome, .. }
            | Self::Released { outcome }
            | Self::Ended { outcome } => Some(outcome),
        }
    }

    /// Whether the service was restarted there, and is proven to have been.
    pub(super) fn is_proven(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Proven(_)))
    }
}
