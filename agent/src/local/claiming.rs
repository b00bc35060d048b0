//! The claim of a local reload: opened, kept for as long as the reload is followed, and given back.
//!
//! **Invariant:** a claim whose stream breaks is opened again by the same session, which has the same fence as long as nobody came in
//! between; a claim that is lost is not sought again.

use std::time::Duration;

use baton_proto::v1;
use baton_proto::v1::agent_client::AgentClient;
use baton_proto::v1::claim_reply::Reply;
use baton_proto::v1::claim_request::Request;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{is_refusal, within};

/// Well within the lease of an agent.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// The agent writes a claim to disk before it grants it.
const GRANT_WITHIN: Duration = Duration::from_secs(15);

/// A claim that is not given back in time expires by itself.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// How long after a stream has broken the claim is opened again.
const OPEN_EVERY: Duration = Duration::from_millis(200);

/// Requests that may wait to be sent.
const REQUESTS_MAX: usize = 2;

/// A claim that is kept in the background.
#[derive(Debug)]
pub(super) struct Claim {
    /// The fence to reload with.
    pub(super) fence: u64,
    release: oneshot::Sender<()>,
    keeping: JoinHandle<()>,
}

impl Claim {
    /// Opens a claim.
    pub(super) async fn open(agent: AgentClient<Channel>, open: v1::ClaimOpen) -> Result<Self, Status> {
        let (fence, stream) = Stream::open(agent.clone(), open.clone()).await?;
        let (release, released) = oneshot::channel();
        let keeping = tokio::spawn(keep(agent, open, stream, released));
        Ok(Self { fence, release, keeping })
    }

    /// Gives it back.
    pub(super) async fn release(self) {
        // If it is lost already, there is nothing to give back.
        let _ = self.release.send(());
        let _ = timeout(RELEASE_WITHIN, self.keeping).await;
    }
}

/// One stream of claiming.
struct Stream {
    requests: mpsc::Sender<v1::ClaimRequest>,
    replies: Streaming<v1::ClaimReply>,
}

impl Stream {
    async fn open(mut agent: AgentClient<Channel>, open: v1::ClaimOpen) -> Result<(u64, Self), Status> {
        let (requests, sent) = mpsc::channel(REQUESTS_MAX);
        // It has room for more than one.
        let _ = requests.try_send(v1::ClaimRequest { request: Some(Request::Open(open)) });
        let mut replies = within(GRANT_WITHIN, agent.claim(ReceiverStream::new(sent))).await?;
        let late = || Status::deadline_exceeded("the claim was not granted in time");
        let reply = timeout(GRANT_WITHIN, replies.message()).await.map_err(|_| late())??;
        match reply.and_then(|reply| reply.reply) {
            Some(Reply::Granted(granted)) => Ok((granted.fence, Self { requests, replies })),
            Some(Reply::Renewed(_)) | None => Err(Status::internal("the agent neither grants nor refuses the claim")),
        }
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
            match self.replies.message().await {
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
                reply = self.replies.message() => if !matches!(reply, Ok(Some(_))) { return false },
                () = sleep(RENEW_EVERY) => self.say(Request::Renew(v1::ClaimRenew {})).await,
            }
        }
    }
}

/// Renews the claim until it is to be released, and then sees to it that the agent knows: also one that was lost in the meantime.
async fn keep(agent: AgentClient<Channel>, open: v1::ClaimOpen, mut stream: Stream, mut released: oneshot::Receiver<()>) {
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
            match Stream::open(agent.clone(), open.clone()).await {
                Ok((_, stream)) => break stream,
                Err(status) if is_refusal(&status) => return,
                Err(_) => {}
            }
        };
    }
}
