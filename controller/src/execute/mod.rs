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
mod signals;
mod survey;
mod walk;
mod wire;

use tokio::sync::mpsc;

pub use agent::CallError;
pub use link::{CredentialsError, Dialler, LinkError, OwnError, chain, identify};
pub use signals::Interrupts;

use crate::control::Controls;
use crate::inventory::{Host, HostName};
use crate::outcome::Refusal;
use crate::plan::{Fate, Limits, Looked, Plan};
use crate::record::Past;
use crate::report::{Report, Told};
use crate::rollout::{Rollout, Summary};
use crate::standing::Standing;
use crate::store::{Keep, StoreError};
use crate::unknown::UnknownService;
use agent::Agent;
use claim::Title;
use news::NEWS_MAX;
use survey::{Surveyed, survey};
use walk::{Party, Walk, Wishes};

/// A host with its services, or why it gives no answer.
pub type Row = (Host, Result<Vec<Standing>, String>);

/// Looks at all services of `hosts`.
pub async fn status(hosts: &[Host], dialler: &Dialler, report: &mut Report) -> Vec<Row> {
    let answers = ask_all(hosts, dialler, report).await;
    let rows = hosts.iter().cloned().zip(answers);
    rows.map(|(host, answer)| (host, answer.map(|(standings, _)| standings).map_err(|refusal| refusal.cause))).collect()
}

/// A plan, with the connections that were made for it.
#[derive(Debug)]
pub struct Prepared {
    plan: Plan,
    parties: Vec<Party>,
}

impl Prepared {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Looks at `service` on all `hosts` and plans its restart. Touches nothing.
///
/// # Errors
/// When no host knows the service.
pub async fn prepare(
    service: &str,
    release: Option<&str>,
    hosts: &[Host],
    limits: Limits,
    dialler: &Dialler,
    report: &mut Report,
) -> Result<Prepared, UnknownService> {
    let answers = ask_all(hosts, dialler, report).await;
    UnknownService::check(service, answers.iter().map(|answer| answer.as_ref().ok().map(|(told, _)| told.as_slice())))?;
    let mut agents = Vec::with_capacity(hosts.len());
    let mut looked = Vec::with_capacity(hosts.len());
    for (host, answer) in hosts.iter().zip(answers) {
        let (standing, agent) = match answer {
            Ok((standings, agent)) => {
                let standing = the_one(&host.name, standings, service);
                (standing.map_err(|unknown| unknown.to_string().into()), Some(agent))
            }
            Err(refusal) => (Err(refusal), None),
        };
        looked.push(Looked { host: host.name.clone(), standing });
        agents.push(agent);
    }
    let plan = Plan::new(service, release, looked, limits);
    let party = |((host, agent), planned): ((&Host, Option<Agent>), &crate::plan::Planned)| match &planned.fate {
        Fate::Restart(standing) => Some(Party {
            host: host.clone(),
            release: planned.release.clone(),
            before: Some((**standing).clone()),
            attempt: 0,
            may_have_begun: false,
            agent,
        }),
        Fate::LeaveOut(_) | Fate::Refuse(_) => None,
    };
    let parties = hosts.iter().zip(agents).zip(plan.hosts()).filter_map(party).collect();
    Ok(Prepared { plan, parties })
}

fn the_one(host: &HostName, mut standings: Vec<Standing>, service: &str) -> Result<Standing, UnknownService> {
    match standings.iter().position(|standing| standing.service == service) {
        Some(place) => Ok(standings.swap_remove(place)),
        None => Err(UnknownService::on(host, service, &standings)),
    }
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
    Walk::new(title, parties, dialler, journal, report).run(rollout, Wishes { interrupts, controls }).await
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

/// Asks all hosts at once; the answers are in the order of the hosts.
async fn ask_all(hosts: &[Host], dialler: &Dialler, report: &mut Report) -> Vec<Result<(Vec<Standing>, Agent), Refusal>> {
    let mut answers: Vec<_> = hosts.iter().map(|_| Err(Refusal::from("it was not asked"))).collect();
    let (found, mut answered) = mpsc::channel(NEWS_MAX);
    let asking = tokio::spawn(survey(hosts.to_vec(), dialler.clone(), found));
    let mut count = 0;
    loop {
        tokio::select! {
            biased;
            surveyed = answered.recv() => match surveyed {
                Some(Surveyed { place, answer }) => {
                    count += 1;
                    answers[place] = answer.map_err(|error| error.refusal());
                }
                None => break,
            },
            () = tokio::time::sleep(report.silence_left()) => {
                report.tell(&Told::Asking { answered: count, total: hosts.len() });
            }
        }
    }
    asking.abort();
    answers
}

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
