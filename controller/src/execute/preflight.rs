//! Every chosen host is asked before anything is touched, and a plan is made of the answers.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::agent::Agent;
use super::link::Dialler;
use super::news::NEWS_MAX;
use super::survey::{Answer, Surveyed, survey};
use super::walk::Party;
use crate::inventory::{Host, HostName};
use crate::outcome::{Outcome, Refusal};
use crate::plan::{Choices, Circumstances, Looked, Plan, Planned};
use crate::report::{Report, Told};
use crate::rollout::{Past, PastHost};
use crate::standing::Standing;
use crate::unknown::UnknownService;

/// A plan, with the connections that were made for it.
#[derive(Debug)]
pub struct Prepared {
    pub(super) plan: Plan,
    pub(super) parties: Vec<Party>,
}

impl Prepared {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A plan that earlier runs have walked so far, on these `hosts`. Nobody is asked: what has become of the fleet since is found out on
    /// the way.
    #[must_use]
    pub fn again(plan: Plan, hosts: Vec<Host>, past: &Past) -> Self {
        let mut hosts: BTreeMap<HostName, Host> = hosts.into_iter().map(|host| (host.name.clone(), host)).collect();
        let party = |planned: &Planned| {
            let planned_as = planned.standing()?;
            let known = past.hosts.get(&planned.host);
            let attempt = known.map_or(0, |known| known.attempt);
            Some(Party {
                host: hosts.remove(&planned.host)?,
                release: planned.release.clone(),
                before: Some(known.and_then(|known| known.before.as_ref()).unwrap_or(planned_as).clone()),
                attempt,
                may_have_begun: attempt > 0 && known.is_some_and(|known| !is_told(known)),
                agent: None,
            })
        };
        let parties = plan.hosts().iter().filter_map(party).collect();
        Self { plan, parties }
    }
}

/// Whether its agent has told how the last attempt ended. That nobody knew was told by nobody.
fn is_told(known: &PastHost) -> bool {
    match &known.settled {
        None | Some(Outcome::Unknown(_)) => false,
        Some(
            Outcome::Proven(_) | Outcome::Refused(_) | Outcome::RolledBack { .. } | Outcome::Unproven(_) | Outcome::Dropped(_),
        ) => true,
    }
}

/// Looks at the service on all `hosts` and plans what was chosen. Touches nothing.
///
/// # Errors
/// When no host knows the service.
pub async fn prepare(
    choices: Choices,
    hosts: &[Host],
    circumstances: Circumstances,
    dialler: &Dialler,
    report: &mut Report,
) -> Result<Prepared, UnknownService> {
    let service = choices.service.clone();
    let answers = ask_all(hosts, dialler, report).await;
    let told = answers.iter().map(|answer| answer.as_ref().ok().map(|answer| answer.standings.as_slice()));
    UnknownService::check(&service, told)?;
    let mut agents = BTreeMap::new();
    let mut looked = Vec::with_capacity(hosts.len());
    for (host, answer) in hosts.iter().zip(answers) {
        let (standing, about) = match answer {
            Ok(Answer { standings, about, agent }) => {
                agents.insert(host.name.clone(), (host, agent));
                let standing = the_one(&host.name, standings, &service);
                (standing.map_err(|unknown| unknown.to_string().into()), Some(about))
            }
            Err(refusal) => (Err(refusal), None),
        };
        let zone = host.zone().map(str::to_owned);
        looked.push(Looked { host: host.name.clone(), address: host.address.clone(), zone, standing, about });
    }
    let plan = Plan::new(choices, looked, circumstances);
    let parties = parties(&plan, agents);
    Ok(Prepared { plan, parties })
}

/// The hosts that are restarted, with the connections to them.
fn parties(plan: &Plan, mut agents: BTreeMap<HostName, (&Host, Agent)>) -> Vec<Party> {
    let party = |planned: &Planned| {
        let before = planned.standing()?.clone();
        let (host, agent) = agents.remove(&planned.host)?;
        Some(Party {
            host: host.clone(),
            release: planned.release.clone(),
            before: Some(before),
            attempt: 0,
            may_have_begun: false,
            agent: Some(agent),
        })
    };
    plan.hosts().iter().filter_map(party).collect()
}

/// The service among those of a host.
pub(super) fn the_one(host: &HostName, mut standings: Vec<Standing>, service: &str) -> Result<Standing, UnknownService> {
    match standings.iter().position(|standing| standing.service == service) {
        Some(place) => Ok(standings.swap_remove(place)),
        None => Err(UnknownService::on(host, service, &standings)),
    }
}

/// Asks all hosts at once; the answers are in the order of the hosts.
pub(super) async fn ask_all(hosts: &[Host], dialler: &Dialler, report: &mut Report) -> Vec<Result<Answer, Refusal>> {
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
mod tests {
    use std::collections::BTreeMap;

    use super::Prepared;
    use crate::inventory::{Host, HostName};
    use crate::outcome::samples::proven;
    use crate::outcome::{Outcome, Refusal};
    use crate::plan::samples::plan;
    use crate::rollout::{Past, PastHost};
    use crate::standing::samples::healthy;

    /// Whether the host of a rollout that is walked on may have begun, by how its attempt was settled and how it has ended.
    fn check(attempt: u32, settled: Option<Outcome>, outcome: Option<Outcome>, expected: bool) {
        let name = HostName::parse("web-1").unwrap();
        let known = PastHost { attempt, before: Some(healthy()), settled, outcome, is_acknowledged: true };
        let past = Past { hosts: [(name.clone(), known)].into(), is_finished: true, runs: 1, ..Past::default() };
        let host = Host { name, address: "web-1.internal:7646".into(), labels: BTreeMap::new() };
        let prepared = Prepared::again(plan("+", 1, 0), vec![host], &past);
        let [party] = prepared.parties.as_slice() else { panic!("{prepared:?}") };
        assert_eq!(party.may_have_begun, expected);
    }

    #[test]
    fn a_host_of_which_nobody_could_tell_may_have_begun() {
        let unknown = || Some(Outcome::Unknown("the agent may have begun".into()));
        check(0, None, None, false);
        check(1, None, None, true);
        check(1, None, unknown(), true);
        check(1, unknown(), unknown(), true);
        check(1, Some(proven()), unknown(), false);
        check(1, Some(Outcome::Refused(Refusal::from("busy"))), None, false);
    }
}
