//! The watch on one finished host, kept until the rollout ends.
//!
//! **Invariant:** a guard gives up only when it is told to: how long a lost one may be sought is the rollout's decision.

use super::agent::{Agent, CallError};
use super::backoff::Backoff;
use super::link::Dialler;
use super::news::{News, Teller};
use super::wire;
use crate::inventory::Host;
use crate::outcome::Outcome;
use crate::rollout::{Event, Finding, Guard, Seen};

/// What is to be guarded.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) host: Host,
    pub(super) service: String,
    pub(super) boot: String,
    pub(super) guard: Guard,
    pub(super) agent: Option<Agent>,
}

/// Why a watch ended.
enum Ended {
    /// Something happened to the host.
    Broken(Outcome),
    /// Contact was lost.
    Lost(String),
}

/// Watches a host, and seeks it again when contact is lost.
pub(super) async fn stand(mut post: Post, dialler: Dialler, teller: Teller) {
    let host = post.host.name.clone();
    let mut backoff = Backoff::new();
    loop {
        match watch(&mut post, &dialler, &teller, &mut backoff).await {
            Ended::Broken(outcome) => {
                teller.tell(News::Event(Event::GuardBroken(host, outcome))).await;
                return;
            }
            Ended::Lost(cause) => {
                teller.tell(News::Event(Event::GuardLost(host.clone(), cause.clone()))).await;
                teller.tell(News::Retrying { host: host.clone(), cause }).await;
            }
        }
        backoff.wait().await;
    }
}

/// One watch, from contact to its end.
async fn watch(post: &mut Post, dialler: &Dialler, teller: &Teller, backoff: &mut Backoff) -> Ended {
    match begin(post, dialler).await {
        Ok(mut call) => loop {
            let seen = match call.next().await {
                Ok(Some(event)) => wire::seen(event, &post.boot),
                Ok(None) => return Ended::Lost("the agent ended the watch".into()),
                Err(error) => return Ended::Lost(error.sentence()),
            };
            match seen {
                Ok(None) => {}
                Ok(Some(seen)) => match post.guard.weigh(seen) {
                    Finding::Stands => {
                        teller.tell(News::Event(Event::GuardStands(post.host.name.clone()))).await;
                        if backoff.has_waited() {
                            teller.tell(News::Regained { host: post.host.name.clone() }).await;
                        }
                        *backoff = Backoff::new();
                    }
                    Finding::NotYet(cause) => {
                        teller.tell(News::Event(Event::GuardLost(post.host.name.clone(), cause))).await;
                    }
                    Finding::Broken(outcome) => return Ended::Broken(outcome),
                },
                Err(error) => return Ended::Lost(CallError::from(error).sentence()),
            }
        },
        Err(ended) => ended,
    }
}

async fn begin(post: &mut Post, dialler: &Dialler) -> Result<super::agent::Call<baton_proto::v1::WatchEvent>, Ended> {
    let lost = |error: CallError| Ended::Lost(error.sentence());
    let mut agent = match post.agent.take().filter(|agent| !agent.is_gone()) {
        Some(agent) => agent,
        None => find_again(post, dialler).await?,
    };
    agent.watch(&post.service).await.map_err(lost)
}

/// Dials anew. It may be another boot of the host, which a watch does not tell.
async fn find_again(post: &mut Post, dialler: &Dialler) -> Result<Agent, Ended> {
    let lost = |error: CallError| Ended::Lost(error.sentence());
    let mut agent = Agent::dial(dialler, &post.host).await.map_err(lost)?;
    let standing = agent.standing(&post.service).await.map_err(lost)?;
    match post.guard.weigh(Seen::Standing(standing)) {
        Finding::Stands | Finding::NotYet(_) => Ok(agent),
        Finding::Broken(outcome) => Err(Ended::Broken(outcome)),
    }
}
