//! Why a run came to nothing, which exit code that is, and what to do about it.

use std::io;
use std::path::PathBuf;

use baton_proto::document::Mistakes;
use baton_proto::identity::Identity;

use crate::execute::{CallError, CredentialsError};
use crate::inventory::SelectorError;
use crate::outcome::Exit;
use crate::pki::PkiError;
use crate::plan::{Difference, DocumentError, Objection};
use crate::unknown::UnknownService;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no inventory.
    #[error("no inventory was found: neither ./fleet.toml nor ~/.config/baton/fleet.toml is there")]
    NoInventory,
    /// The inventory cannot be read.
    #[error("cannot read the inventory {}", path.display())]
    Inventory {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The inventory has mistakes.
    #[error("{} has mistakes", path.display())]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// All of them.
        source: Mistakes,
    },
    /// The inventory is no file that anybody wrote.
    #[error("{} is longer than {max} bytes: it is no inventory", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How many bytes are read.
        max: u64,
    },
    /// The selector chooses nothing.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The service's name is no name.
    #[error(transparent)]
    Name(#[from] baton_proto::name::NotAName),
    /// There is no such host.
    #[error("the fleet has no host {0:?}")]
    NoHost(String),
    /// The operator's certificate cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Who may only look wants to restart.
    #[error("{0} may look, and may not restart")]
    MayNotRestart(Identity),
    /// The certificates cannot be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The agent gave no answer.
    #[error("cannot ask {host}")]
    Call {
        /// The host.
        host: String,
        /// Why not.
        source: CallError,
    },
    /// No chosen host knows the service.
    #[error(transparent)]
    UnknownService(#[from] UnknownService),
    /// No handover is on record, and nothing else that befell the service.
    #[error("{host} has no handover of {service} on record")]
    NoRecord {
        /// The host.
        host: String,
        /// The service.
        service: String,
    },
    /// The plan must not be carried out.
    #[error("{}", all(.0))]
    Objections(Vec<Objection>),
    /// The fleet is not as it was when the plan was shown.
    #[error("the fleet has changed since the plan was made, and nothing was touched:\n{}", lines(.differences))]
    Changed {
        /// What has.
        differences: Vec<Difference>,
        /// Whether another rollout has a claim by now.
        claimed: bool,
    },
    /// A plan cannot be read.
    #[error("cannot read the plan {}", path.display())]
    ReadPlan {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The plan is nothing that `baton plan` wrote.
    #[error("{} is longer than {max} bytes: it is no plan", path.display())]
    PlanTooLong {
        /// The file.
        path: PathBuf,
        /// How many bytes are read.
        max: u64,
    },
    /// The file has no plan in it.
    #[error("{} is no plan", path.display())]
    NoPlan {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: DocumentError,
    },
    /// A plan cannot be written down.
    #[error("cannot write the plan {}", path.display())]
    WritePlan {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This machine does not let us.
    #[error("cannot {doing}")]
    Machine {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl RunError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoInventory
            | Self::Inventory { .. }
            | Self::Mistakes { .. }
            | Self::TooLong { .. }
            | Self::Selector(_)
            | Self::Name(_)
            | Self::NoHost(_)
            | Self::Credentials(_)
            | Self::MayNotRestart(_)
            | Self::UnknownService(_)
            | Self::ReadPlan { .. }
            | Self::PlanTooLong { .. }
            | Self::NoPlan { .. }
            | Self::WritePlan { .. }
            | Self::Changed { claimed: false, .. }
            | Self::Pki(_) => Exit::Usage,
            Self::Objections(objections) if objections.iter().all(|objection| objection.exit() != Exit::Claimed) => Exit::Usage,
            Self::Objections(_) | Self::Changed { claimed: true, .. } => Exit::Claimed,
            Self::Call { .. } | Self::NoRecord { .. } => Exit::Failed,
            Self::Machine { .. } => Exit::Fault,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoInventory => Some("--config FILE or BATON_CONFIG says where it lies".into()),
            Self::Selector(SelectorError::Empty) => Some("leave it out to mean every host".into()),
            Self::Selector(_) | Self::NoHost(_) => Some("`baton status` shows every host of the fleet".into()),
            Self::UnknownService(_) => Some("`baton status` shows the services of every host".into()),
            Self::Pki(error) => error.hint(),
            Self::Call { source, .. } => source.hint().map(str::to_owned),
            Self::Credentials(error) => Some(error.hint()),
            Self::MayNotRestart(_) => Some("`baton pki issue operator NAME` makes a certificate that may reload".into()),
            Self::Objections(objections) => objections.first().map(Objection::hint),
            Self::Changed { .. } => Some("`baton plan` shows what would be done now, and `--out FILE` writes it down".into()),
            Self::NoPlan { .. } | Self::PlanTooLong { .. } => Some("`baton plan SERVICE --out FILE` writes one".into()),
            Self::Inventory { .. }
            | Self::Mistakes { .. }
            | Self::TooLong { .. }
            | Self::ReadPlan { .. }
            | Self::WritePlan { .. }
            | Self::Name(_)
            | Self::NoRecord { .. }
            | Self::Machine { .. } => None,
        }
    }
}

/// How many reasons are spelt out.
const LINES_MAX: usize = 10;

/// One objection as a sentence, several as a list.
fn all(objections: &[Objection]) -> String {
    match objections {
        [objection] => format!("{objection}; nothing was touched"),
        [] | [_, ..] => format!("the plan must not be carried out, and nothing was touched:\n{}", lines(objections)),
    }
}

/// A line for each, as far as that can be read.
fn lines<T: ToString>(all: &[T]) -> String {
    let mut lines: Vec<String> = all.iter().take(LINES_MAX).map(|one| format!("  {}", one.to_string())).collect();
    let more = all.len().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines.join("\n")
}
