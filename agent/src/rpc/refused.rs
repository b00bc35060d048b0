//! Why a call was refused, and the one place where that becomes a gRPC status.

use std::time::Duration;

use baton_proto::claim::REASON_LENGTH_MAX;
use baton_proto::identity::Role;
use baton_proto::name::NotAName;
use tonic::Status;

use super::Act;
use crate::doors::Peer;
use crate::service::Refusal;

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// A field is no name.
    #[error("{0}")]
    NotAName(#[from] NotAName),
    /// Attempts count from 1.
    #[error("the attempt must be 1 or more")]
    AttemptZero,
    /// A claim has a reason of a bearable length.
    #[error("the reason has more than {REASON_LENGTH_MAX} characters")]
    LongReason,
    /// Whoever claims says so first, and once.
    #[error("{0}")]
    OutOfTurn(&'static str),
    /// Whoever opens a stream of claiming says soon what he wants.
    #[error("nothing was claimed within {} s", .0.as_secs())]
    NotOpened(Duration),
    /// Too many streams of one claim: the older ones have no use.
    #[error("the claim was opened again in other streams")]
    Replaced,
    /// No such service here.
    #[error("no service {service:?} on this host; known: {}", known.join(", "))]
    NoService { service: String, known: Vec<String> },
    /// No such attempt here.
    #[error("no attempt of rollout {rollout:?} on {service:?} is on record")]
    NoAttempt { service: String, rollout: String },
    /// The role does not allow it.
    #[error("{peer} has the role {role}, which may not {act}")]
    Role { peer: Peer, role: Role, act: Act },
    /// It is not done over the network, whoever asks.
    #[error("{peer} may not {act} from afar: that is done on the host, with `baton-agent`")]
    NotFromAfar { peer: Peer, act: Act },
    /// Another user of this host.
    #[error("uid {uid} may not use this socket: only root and uid {own}, as whom the agent runs, may")]
    Stranger { uid: u32, own: u32 },
    /// The driver said no.
    #[error("{0}")]
    Driver(#[from] Refusal),
    /// The driver said nothing: a bug of ours, or a disk that hangs.
    #[error("the driver of {service:?} did not answer within {} s", within.as_secs())]
    Silent { service: String, within: Duration },
    /// A connection came in by no door: a bug of ours.
    #[error("the caller is not known")]
    NoPeer,
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::NotAName(_) | Refused::AttemptZero | Refused::LongReason | Refused::OutOfTurn(_) | Refused::NotOpened(_) => {
                Self::invalid_argument(message)
            }
            Refused::NoService { .. } | Refused::NoAttempt { .. } => Self::not_found(message),
            Refused::Role { .. } | Refused::NotFromAfar { .. } | Refused::Stranger { .. } => Self::permission_denied(message),
            Refused::Driver(Refusal::Precondition(_)) => Self::failed_precondition(message),
            Refused::Driver(Refusal::NoClaim(_)) => Self::aborted(message),
            Refused::Driver(Refusal::TooManyStreams(_) | Refusal::Unwritten(_)) => Self::resource_exhausted(message),
            Refused::Replaced | Refused::Driver(Refusal::Stopping) => Self::unavailable(message),
            Refused::Silent { .. } | Refused::NoPeer => Self::internal(message),
        }
    }
}

/// The beginning of a text from the network, for a log: 80 characters at most, and no line break.
pub(super) fn shown(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).take(80).collect()
}
