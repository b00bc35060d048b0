//! The doing: connections to the agents, and the loop that performs what the rollout decides.
//!
//! **Invariant:** nothing is decided here. What to do is the plan's and the rollout's; how to show it is the report's.

mod agent;
mod backoff;
mod claim;
pub mod evidence;
mod guard;
mod handover;
mod link;
mod news;
mod preflight;
mod signals;
mod survey;
mod walk;
mod wire;

pub use agent::CallError;
pub use link::{CredentialsError, Dialler, LinkError, Own, OwnError, chain, identify};
pub use preflight::{Prepared, prepare};
pub use signals::Interrupts;

use crate::inventory::Host;
use crate::record::Past;
use crate::report::Report;
use crate::rollout::{Rollout, Summary};
use crate::standing::Standing;
use crate::unknown::UnknownService;
use agent::Agent;
use claim::Title;
use preflight::{ask_all, the_one};
use walk::Walk;

/// A host with its services, or why it gives no answer.
pub type Row = (Host, Result<Vec<Standing>, String>);

/// Looks at all services of `hosts`.
pub async fn status(hosts: &[Host], dialler: &Dialler, report: &mut Report) -> Vec<Row> {
    let answers = ask_all(hosts, dialler, report).await;
    let rows = hosts.iter().cloned().zip(answers);
    rows.map(|(host, answer)| (host, answer.map(|answer| answer.standings).map_err(|refusal| refusal.cause))).collect()
}

/// Walks over the fleet as planned, for this reason.
pub async fn restart(
    prepared: Prepared,
    id: &str,
    reason: &str,
    dialler: Dialler,
    interrupts: Interrupts,
    report: &mut Report,
) -> Summary {
    let Prepared { plan, parties } = prepared;
    let rollout = Rollout::new(&plan);
    let title =
        Title { service: plan.service().to_owned(), rollout: id.to_owned(), session: "1".into(), reason: reason.to_owned() };
    Walk::new(title, parties, dialler, report).run(rollout, interrupts).await
}

/// What the agent of `host` keeps of a service.
///
/// # Errors
/// When the agent cannot be reached, or has no such service.
pub async fn past(host: &Host, service: &str, rollout: &str, dialler: &Dialler) -> Result<Past, PastError> {
    let mut agent = Agent::dial(dialler, host).await?;
    let _standing = the_one(&host.name, agent.status("").await?, service)?;
    Ok(agent.past(service, rollout).await?)
}

/// Why nothing is known of a service's past.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The agent gave no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It has no such service.
    #[error(transparent)]
    Unknown(#[from] UnknownService),
}

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
