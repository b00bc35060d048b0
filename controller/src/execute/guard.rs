//! The watch on one finished host, kept until the rollout ends.
//!
//! **Invariant:** a guard gives up only when it is told to: how long a lost one may be sought is the rollout's decision.

use baton_proto::v1::WatchEvent;

use super::agent::{Agent, Call, CallError};
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
    /// Something happened to the host. The watch goes on if there is one: after a doubt, a drop may still come.
    Broken(Outcome, Option<Watched>),
    /// Contact was lost.
    Lost(String),
}

type Watched = Box<Call<WatchEvent>>;

/// Watches a host, and seeks it again when contact is lost.
pub(super) async fn stand(mut post: Post, dialler: Dialler, teller: Teller) {
    let host = post.host.name.clone();
    let mut backoff = Backoff::new();
    loop {
        match watch(&mut post, &dialler, &teller, &mut backoff).await {
            Ended::Broken(outcome, call) => {
                teller.tell(News::Event(Event::GuardBroken(host, outcome))).await;
                if let Some(call) = call {
                    await_drop(&mut post, *call, &teller).await;
                }
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
    let mut call = match begin(post, dialler).await {
        Ok(call) => call,
        Err(ended) => return ended,
    };
    loop {
        match next(post, &mut call).await {
            Ok(Finding::Stands) => {
                teller.tell(News::Event(Event::GuardStands(post.host.name.clone()))).await;
                if backoff.has_waited() {
                    teller.tell(News::Regained { host: post.host.name.clone() }).await;
                }
                *backoff = Backoff::new();
            }
            Ok(Finding::NotYet(cause)) => {
                teller.tell(News::Event(Event::GuardLost(post.host.name.clone(), cause))).await;
            }
            Ok(Finding::Broken(outcome)) => return Ended::Broken(outcome, Some(call)),
            Err(cause) => return Ended::Lost(cause),
        }
    }
}

/// What the guard makes of the next thing that it cares about; or why there is none.
async fn next(post: &mut Post, call: &mut Call<WatchEvent>) -> Result<Finding, String> {
    loop {
        let event = call.next().await.map_err(|error| error.sentence())?.ok_or("the agent ended the watch")?;
        let seen = wire::seen(event, &post.boot).map_err(|error| CallError::from(error).sentence())?;
        if let Some(seen) = seen {
            return Ok(post.guard.weigh(seen));
        }
    }
}

/// Nobody knows how the host stands. If its lock drops while it is still watched, that is told too.
async fn await_drop(post: &mut Post, mut call: Call<WatchEvent>, teller: &Teller) {
    while let Ok(finding) = next(post, &mut call).await {
        if let Finding::Broken(outcome @ Outcome::Dropped(_)) = finding {
            teller.tell(News::Event(Event::GuardBroken(post.host.name.clone(), outcome))).await;
            return;
        }
    }
}

async fn begin(post: &mut Post, dialler: &Dialler) -> Result<Watched, Ended> {
    let lost = |error: CallError| Ended::Lost(error.sentence());
    let mut agent = match post.agent.take().filter(|agent| !agent.is_gone()) {
        Some(agent) => agent,
        None => find_again(post, dialler).await?,
    };
    agent.watch(&post.service).await.map(Box::new).map_err(lost)
}

/// Dials anew. It may be another boot of the host, which a watch does not tell.
async fn find_again(post: &mut Post, dialler: &Dialler) -> Result<Agent, Ended> {
    let lost = |error: CallError| Ended::Lost(error.sentence());
    let (standing, agent) = Agent::look(dialler, &post.host, &post.service, None).await.map_err(lost)?;
    match post.guard.weigh(Seen::Standing(Box::new(standing))) {
        Finding::Stands | Finding::NotYet(_) => Ok(agent),
        Finding::Broken(outcome) => Err(Ended::Broken(outcome, None)),
    }
}

/// Looks at a host a last time, until there is an answer. The deadline is the rollout's: it abandons this task.
pub(super) async fn look_last(mut post: Post, dialler: Dialler, teller: Teller) {
    let host = post.host.name.clone();
    let mut backoff = Backoff::new();
    loop {
        let cause = match Agent::look(&dialler, &post.host, &post.service, post.agent.take()).await {
            Ok((standing, agent)) => {
                post.agent = Some(agent);
                match post.guard.weigh(Seen::Standing(Box::new(standing))) {
                    Finding::Stands => return teller.tell(News::Event(Event::StillStands(host))).await,
                    Finding::Broken(outcome) => return teller.tell(News::Event(Event::GuardBroken(host, outcome))).await,
                    Finding::NotYet(cause) => cause,
                }
            }
            Err(error) => error.sentence(),
        };
        teller.tell(News::Event(Event::GuardLost(host.clone(), cause))).await;
        backoff.wait().await;
    }
}
