//! A claim on a service of one host: opened before it is asked for a handover, renewed in the background, given back at the end.
//!
//! **Invariant:** a claim whose connection breaks is opened again by the same session; one that is lost is not sought again. What is
//! not given back expires by itself.

use std::time::Duration;

use baton_proto::v1;
use baton_proto::v1::claim_reply::Reply;
use baton_proto::v1::claim_request::Request;
use baton_proto::wire::Malformed;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::agent::{Agent, Call, CallError};
use super::link::Dialler;
use crate::inventory::Host;

/// Well within the lease of an agent, which is 10 s.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// An agent writes a claim to disk before it grants it.
const GRANT_DEADLINE: Duration = Duration::from_secs(15);

/// How long the end of a claim is waited for.
const RELEASE_DEADLINE: Duration = Duration::from_secs(2);

/// How long after a stream has broken the claim is opened again.
const OPEN_EVERY: Duration = Duration::from_millis(200);

/// Requests that may wait to be sent.
const REQUESTS_MAX: usize = 2;

/// A claim that is kept in the background; dropped, it is renewed no longer.
#[derive(Debug)]
pub(super) struct Claim {
    /// The fence to reload with.
    pub(super) fence: u64,
    release: oneshot::Sender<()>,
    keeping: JoinSet<()>,
}

impl Claim {
    /// Opens a claim over a connection that is there.
    pub(super) async fn open(agent: Agent, host: &Host, dialler: &Dialler, open: v1::ClaimOpen) -> Result<Self, CallError> {
        let (fence, stream) = Stream::open(agent, open.clone()).await?;
        let (release, released) = oneshot::channel();
        let mut keeping = JoinSet::new();
        keeping.spawn(keep(host.clone(), dialler.clone(), open, stream, released));
        Ok(Self { fence, release, keeping })
    }

    /// Gives it back.
    pub(super) async fn release(mut self) {
        // If it is lost already, there is nothing to give back.
        let _ = self.release.send(());
        let _ = timeout(RELEASE_DEADLINE, self.keeping.join_next()).await;
    }
}

/// One stream of claiming.
struct Stream {
    requests: mpsc::Sender<v1::ClaimRequest>,
    replies: Call<v1::ClaimReply>,
}

impl Stream {
    async fn open(mut agent: Agent, open: v1::ClaimOpen) -> Result<(u64, Self), CallError> {
        let (requests, sent) = mpsc::channel(REQUESTS_MAX);
        // It has room for more than one.
        let _ = requests.try_send(v1::ClaimRequest { request: Some(Request::Open(open)) });
        let granted = async {
            let mut replies = agent.claim(sent).await?;
            match replies.next().await?.and_then(|reply| reply.reply) {
                Some(Reply::Granted(granted)) => Ok((granted.fence, Self { requests, replies })),
                Some(Reply::Renewed(_)) | None => Err(CallError::Malformed(Malformed::Missing("grant"))),
            }
        };
        timeout(GRANT_DEADLINE, granted).await.map_err(|_| CallError::TimedOut(GRANT_DEADLINE))?
    }

    async fn say(&self, request: Request) {
        // A stream that is broken is noticed where its replies are read.
        let _ = self.requests.send(v1::ClaimRequest { request: Some(request) }).await;
    }

    /// Gives the claim back; whether the agent has heard it.
    async fn release(&mut self) -> bool {
        self.say(Request::Release(v1::ClaimRelease {})).await;
        // The agent ends the stream when that is done.
        loop {
            match self.replies.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Renews the claim until it is to be released, which is true, or its stream breaks.
    async fn renew(&mut self, released: &mut oneshot::Receiver<()>) -> bool {
        loop {
            tokio::select! {
                _ = &mut *released => return true,
                reply = self.replies.next() => if !matches!(reply, Ok(Some(_))) { return false },
                () = sleep(RENEW_EVERY) => self.say(Request::Renew(v1::ClaimRenew {})).await,
            }
        }
    }
}

/// Renews the claim until it is to be released, and then sees to it that the agent knows: also one that was lost in the meantime.
async fn keep(host: Host, dialler: Dialler, open: v1::ClaimOpen, mut stream: Stream, mut released: oneshot::Receiver<()>) {
    let mut is_over = false;
    loop {
        is_over = is_over || stream.renew(&mut released).await;
        if is_over && stream.release().await {
            return;
        }
        stream = loop {
            tokio::select! {
                _ = &mut released, if !is_over => is_over = true,
                () = sleep(OPEN_EVERY) => {}
            }
            match reopen(&host, &dialler, &open).await {
                Ok(stream) => break stream,
                Err(CallError::Refused { .. }) => return,
                Err(error) => {
                    tracing::debug!(host = %host.name, error = error.sentence(), "a claim cannot be opened again yet");
                }
            }
        };
    }
}

/// Opens the claim over a new connection.
async fn reopen(host: &Host, dialler: &Dialler, open: &v1::ClaimOpen) -> Result<Stream, CallError> {
    let agent = Agent::dial(dialler, host).await?;
    Ok(Stream::open(agent, open.clone()).await?.1)
}
