//! The doing: connections to the agents, and the loop that performs what the rollout decides.
//!
//! **Invariant:** nothing is decided here. What to do is the plan's and the rollout's; how to show it is the report's.

mod agent;
mod backoff;
mod claim;
mod connection;
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

use std::collections::BTreeMap;

pub use agent::CallError;
pub use link::{CredentialsError, Dialler, Lay, LinkError, Own, OwnError, chain, identify};
pub use preflight::{Prepared, prepare};
pub use signals::Interrupts;

use crate::control::Controls;
use crate::inventory::{Host, HostName};
use crate::outcome::Refusal;
use crate::record::Past;
use crate::report::Report;
use crate::rollout::{Rollout, Summary};
use crate::standing::Standing;
use crate::store::{Keep, StoreError};
use crate::unknown::UnknownService;
use agent::Agent;
use claim::Title;
use preflight::{ask_all, the_one};
use survey::Answer;
use walk::{Walk, Wishes};

/// A host with its services, or why it gives no answer.
pub type Row = (Host, Result<Vec<Standing>, String>);

/// Looks at all services of `hosts`.
pub async fn status(hosts: &[Host], dialler: &Dialler, report: &mut Report) -> Vec<Row> {
    let answers = ask_all(hosts, dialler, report).await;
    let rows = hosts.iter().cloned().zip(answers);
    rows.map(|(host, answer)| (host, answer.map(|answer| answer.standings).map_err(|refusal| refusal.cause))).collect()
}

/// Looks at one service on all `hosts`.
pub async fn standings(
    hosts: &[Host],
    service: &str,
    dialler: &Dialler,
    report: &mut Report,
) -> BTreeMap<HostName, Result<Standing, Refusal>> {
    let answers = ask_all(hosts, dialler, report).await;
    let stand = |(host, answer): (&Host, Result<Answer, Refusal>)| {
        let standing = answer
            .and_then(|answer| the_one(&host.name, answer.standings, service).map_err(|unknown| unknown.to_string().into()));
        (host.name.clone(), standing)
    };
    hosts.iter().zip(answers).map(stand).collect()
}

/// In whose name a rollout is walked.
#[derive(Debug, Clone)]
pub struct Undertaking {
    /// The rollout.
    pub rollout: String,
    /// Which run of it this is: a name that no other has.
    pub session: String,
    /// What for, for whoever finds a service claimed.
    pub reason: String,
}

/// Walks over the fleet as planned; `journal` has each step before it is done.
///
/// # Errors
/// When the journal takes no more. What is in flight then is finished by its agents.
pub async fn restart<J: Keep>(
    prepared: Prepared,
    rollout: Rollout,
    undertaking: Undertaking,
    dialler: Dialler,
    wishes: (Interrupts, Option<Controls>),
    journal: &mut J,
    report: &mut Report,
) -> Result<Summary, StoreError> {
    let Prepared { plan, parties } = prepared;
    let Undertaking { rollout: id, session, reason } = undertaking;
    let title = Title { service: plan.service().to_owned(), rollout: id, session, reason };
    let (interrupts, controls) = wishes;
    Walk::new(title, rollout, parties, dialler, journal, report).run(Wishes { interrupts, controls }).await
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
