//! The claim on one host: opened, renewed while the rollout lives, opened again when contact is lost, and given back at the end.
//!
//! **Invariant:** a claim is never taken back from whoever has it by now: it is opened again only where it ended for want of contact.

use std::time::Duration;

use baton_proto::v1::claim_request::Request;
use baton_proto::v1::{self, claim_reply};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::agent::{Agent, Call, CallError};
use super::backoff::Backoff;
use super::link::Dialler;
use super::news::{News, Teller};
use crate::inventory::Host;
use crate::outcome::Refusal;
use crate::rollout::Event;

/// How often a host is dialled whose claim never stood; then it is refused.
const DIALS_MAX: usize = 3;

/// How long an agent may take to take a claim back.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// A lease is renewed so many times before it would end.
const RENEWALS_IN_A_LEASE: u32 = 3;

/// What is claimed, for whom, and why.
#[derive(Debug, Clone)]
pub(super) struct Title {
    pub(super) service: String,
    pub(super) rollout: String,
    pub(super) session: String,
    pub(super) reason: String,
}

/// How it stands with a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hold {
    /// It is sought, for the first time or again.
    Sought,
    /// It stands.
    Stands { fence: u64 },
    /// It cannot be had.
    Denied(Refusal),
}

/// A claim that is kept by a task of its own.
#[derive(Debug)]
pub(super) struct Keeper {
    hold: watch::Receiver<Hold>,
    release: mpsc::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Keeper {
    /// Begins to claim `host`, over an `agent` that is connected already if there is one.
    pub(super) fn start(host: Host, title: Title, agent: Option<Agent>, dialler: Dialler, teller: Teller) -> Self {
        let (told, hold) = watch::channel(Hold::Sought);
        let (release, released) = mpsc::channel(1);
        let claimant = Claimant { host, title, dialler, teller, told, released, dials_left: DIALS_MAX };
        Self { hold, release, task: tokio::spawn(claimant.keep(agent)) }
    }

    /// How it stands with it, from now on.
    pub(super) fn hold(&self) -> watch::Receiver<Hold> {
        self.hold.clone()
    }

    /// Gives it back; whoever cannot be reached frees it by himself.
    pub(super) async fn release(mut self) {
        // It is full when it is on its way already, and closed when the task has ended.
        let _ = self.release.try_send(());
        if timeout(RELEASE_WITHIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

struct Claimant {
    host: Host,
    title: Title,
    dialler: Dialler,
    teller: Teller,
    told: watch::Sender<Hold>,
    released: mpsc::Receiver<()>,
    dials_left: usize,
}

/// Why a claim does not stand any more.
enum Ended {
    /// Nobody wants it any more.
    Released,
    /// Contact was lost.
    Lost(CallError),
}

impl Claimant {
    async fn keep(mut self, mut agent: Option<Agent>) {
        let mut backoff = Backoff::new();
        loop {
            let ended = match self.open(agent.take()).await {
                Ok(open) => {
                    backoff = Backoff::new();
                    self.renew(open).await
                }
                Err(error) => Ended::Lost(error),
            };
            match ended {
                Ended::Released => return,
                // It has lapsed, or somebody has it.
                Ended::Lost(CallError::Unclaimed(cause)) => {
                    if let Some(refusal) = self.taken_over(cause).await {
                        return self.deny(refusal).await;
                    }
                }
                Ended::Lost(error) if self.is_final(&error) => return self.deny(refusal(&error)).await,
                Ended::Lost(error) => {
                    tracing::info!(host = %self.host.name, error = error.sentence(), "the claim is sought again");
                }
            }
            self.told.send_replace(Hold::Sought);
            tokio::select! {
                biased;
                _ = self.released.recv() => return self.give_back().await,
                () = backoff.wait() => {}
            }
        }
    }

    /// Whether there is no use in asking again. One that never stood is asked for a few times only.
    fn is_final(&mut self, error: &CallError) -> bool {
        self.dials_left = self.dials_left.saturating_sub(1);
        matches!(error, CallError::Refused { .. }) || self.dials_left == 0
    }

    /// The stream is broken, and the claim may stand for the rest of its lease: it is opened once more to be given back.
    async fn give_back(&mut self) {
        if let Ok(open) = self.open(None).await {
            open.release().await;
        }
    }

    /// Why the claim is not to be taken back, where another run of the same rollout has it by now.
    async fn taken_over(&mut self, cause: String) -> Option<Refusal> {
        let looked = Agent::look(&self.dialler, &self.host, &self.title.service, None).await;
        let (standing, _) = looked.ok()?;
        standing.claim.map(|_| Refusal { is_claimed: true, ..cause.into() })
    }

    async fn deny(&self, refusal: Refusal) {
        self.told.send_replace(Hold::Denied(refusal.clone()));
        self.teller.tell(News::Event(Event::ClaimRefused(self.host.name.clone(), refusal))).await;
    }

    async fn open(&mut self, agent: Option<Agent>) -> Result<Open, CallError> {
        let mut agent = match agent.filter(|agent| !agent.is_gone()) {
            Some(agent) => agent,
            None => Agent::dial(&self.dialler, &self.host).await?,
        };
        let Title { service, rollout, session, reason } = self.title.clone();
        let (requests, call, granted) = agent.claim(v1::ClaimOpen { service, rollout, session, reason }).await?;
        self.dials_left = usize::MAX;
        self.told.send_replace(Hold::Stands { fence: granted.fence });
        self.teller.tell(News::Event(Event::Claimed(self.host.name.clone()))).await;
        Ok(Open { requests, call, lease: Duration::from_nanos(granted.lease_ns) })
    }

    /// Renews until that is not wanted any more, or not confirmed.
    async fn renew(&mut self, open: Open) -> Ended {
        let Open { requests, mut call, lease } = open;
        let pause = lease / RENEWALS_IN_A_LEASE;
        let mut confirmed = Instant::now();
        let mut due = confirmed + pause;
        loop {
            tokio::select! {
                biased;
                _ = self.released.recv() => {
                    Open { requests, call, lease }.release().await;
                    return Ended::Released;
                }
                reply = call.next() => match reply {
                    Ok(Some(reply)) if matches!(reply.reply, Some(claim_reply::Reply::Renewed(_))) => confirmed = Instant::now(),
                    Ok(Some(_)) => {}
                    Ok(None) => return Ended::Lost(CallError::Broken("the agent ended the claim's stream".into())),
                    Err(error) => return Ended::Lost(error),
                },
                () = sleep_until(due) => {
                    if confirmed.elapsed() >= lease {
                        return Ended::Lost(CallError::TimedOut(lease));
                    }
                    if requests.try_send(request(Request::Renew(v1::ClaimRenew {}))).is_err() {
                        return Ended::Lost(CallError::Broken("the claim's renewals do not get through".into()));
                    }
                    due += pause;
                }
            }
        }
    }
}

/// The refusal that it is; a claim that is refused for what stands in its way is another's.
fn refusal(error: &CallError) -> Refusal {
    let is_claimed = matches!(error, CallError::Refused { is_precondition: true, .. });
    Refusal { is_claimed, ..error.refusal() }
}

/// The stream of a claim that stands.
struct Open {
    requests: mpsc::Sender<v1::ClaimRequest>,
    call: Call<v1::ClaimReply>,
    lease: Duration,
}

impl Open {
    async fn release(mut self) {
        let _ = self.requests.try_send(request(Request::Release(v1::ClaimRelease {})));
        drop(self.requests);
        // The agent ends the stream when it has let go.
        while let Ok(Some(_)) = self.call.next().await {}
    }
}

fn request(request: Request) -> v1::ClaimRequest {
    v1::ClaimRequest { request: Some(request) }
}
