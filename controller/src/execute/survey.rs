//! The look at all chosen hosts at once, before anything is touched.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::agent::{Agent, CallError};
use super::link::Dialler;
use crate::inventory::Host;
use crate::plan::About;
use crate::standing::Standing;

/// How many hosts are asked at once: more would measure only our own queue.
const AT_ONCE_MAX: usize = 64;

/// What one host answered.
#[derive(Debug)]
pub(super) struct Surveyed {
    /// Its place among those asked.
    pub(super) place: usize,
    /// What it said, or why there is no answer.
    pub(super) answer: Result<Answer, CallError>,
}

/// What the agent of a host said.
#[derive(Debug)]
pub(super) struct Answer {
    /// The services there.
    pub(super) standings: Vec<Standing>,
    /// What it told of itself.
    pub(super) about: About,
    /// The connection.
    pub(super) agent: Agent,
}

/// Asks all `hosts` for all of their services and tells each answer as it comes.
pub(super) async fn survey(hosts: Vec<Host>, dialler: Dialler, found: mpsc::Sender<Surveyed>) {
    let mut asked = JoinSet::new();
    for (place, host) in hosts.into_iter().enumerate() {
        if asked.len() >= AT_ONCE_MAX {
            asked.join_next().await;
        }
        let (dialler, found) = (dialler.clone(), found.clone());
        asked.spawn(async move {
            let answer = ask(&host, &dialler).await;
            // Whoever asked may have gone.
            let _ = found.send(Surveyed { place, answer }).await;
        });
    }
    asked.join_all().await;
}

async fn ask(host: &Host, dialler: &Dialler) -> Result<Answer, CallError> {
    let mut agent = Agent::dial(dialler, host).await?;
    let (standings, about) = agent.introduction().await?;
    Ok(Answer { standings, about, agent })
}
