//! The stream of claiming: opened first, then renewed, released at the end; refused or ended in so many words.
//!
//! **Invariant:** one request is answered before the next is read, so nobody piles up work here. The end of a stream alone ends no
//! claim: its lease does.

use std::sync::Arc;
use std::time::Duration;

use baton_proto::claim::REASON_LENGTH_MAX;
use baton_proto::v1::claim_reply::Reply;
use baton_proto::v1::claim_request::Request;
use baton_proto::{name, v1, wire};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::refused::{Refused, shown};
use super::{Services, answered};
use crate::claim::{Claimant, reason};
use crate::service::{Granted, Refusal, Service};

/// How soon whoever opens a stream says what he claims.
const OPENED_WITHIN: Duration = Duration::from_secs(10);

/// Replies that may wait to be sent.
const REPLIES_MAX: usize = 2;

/// A caller who may claim.
#[derive(Debug)]
pub(super) struct Claimer {
    pub(super) services: Arc<Services>,
    /// By his certificate.
    pub(super) operator: String,
    /// For the audit log.
    pub(super) who: String,
    pub(super) stopping: watch::Receiver<bool>,
}

/// A claim that was granted, to one service.
struct Claimed {
    service: Service,
    rollout: String,
    fence: u64,
    ended: oneshot::Receiver<String>,
}

/// What comes next in a stream.
enum Next {
    Asked(Request),
    /// The caller says no more.
    Silence,
    Ended(String),
    /// The session has opened the claim again, in other streams.
    Replaced,
    Stopping,
}

type Replies = mpsc::Sender<Result<v1::ClaimReply, Status>>;

impl Claimer {
    /// Answers what is asked, until the stream or the claim ends.
    pub(super) fn converse(self, requests: Streaming<v1::ClaimRequest>) -> ReceiverStream<Result<v1::ClaimReply, Status>> {
        let (replies, stream) = mpsc::channel(REPLIES_MAX);
        tokio::spawn(async move {
            if let Err(refused) = self.serve(requests, &replies).await {
                // Whoever is gone meanwhile needs to be told nothing.
                let _ = replies.send(Err(refused.into())).await;
            }
        });
        ReceiverStream::new(stream)
    }

    async fn serve(mut self, mut requests: Streaming<v1::ClaimRequest>, replies: &Replies) -> Result<(), Refused> {
        let first = timeout(OPENED_WITHIN, asked(&mut requests)).await.map_err(|_| Refused::NotOpened(OPENED_WITHIN))?;
        let mut claimed = match first {
            Some(Request::Open(open)) => self.open(open, replies).await?,
            Some(Request::Renew(_) | Request::Release(_)) => {
                return Err(Refused::OutOfTurn("a claim is opened before it is renewed or released"));
            }
            None => return Ok(()),
        };
        loop {
            match self.next(&mut requests, &mut claimed).await {
                Next::Asked(Request::Renew(_)) => {
                    answered(&claimed.service, claimed.service.renew(claimed.fence)).await?;
                    say(replies, Reply::Renewed(v1::ClaimRenewed {})).await;
                }
                Next::Asked(Request::Release(_)) => return self.release(&claimed).await,
                Next::Asked(Request::Open(_)) => return Err(Refused::OutOfTurn("a claim is opened once in a stream")),
                Next::Silence => return Ok(()),
                Next::Ended(why) => return Err(Refusal::NoClaim(why).into()),
                Next::Replaced => return Err(Refused::Replaced),
                Next::Stopping => return Err(Refusal::Stopping.into()),
            }
        }
    }

    async fn next(&mut self, requests: &mut Streaming<v1::ClaimRequest>, claimed: &mut Claimed) -> Next {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => Next::Stopping,
            ended = &mut claimed.ended => ended.map_or(Next::Replaced, Next::Ended),
            request = asked(requests) => request.map_or(Next::Silence, Next::Asked),
        }
    }

    async fn open(&self, open: v1::ClaimOpen, replies: &Replies) -> Result<Claimed, Refused> {
        let (service, rollout, session) = (shown(&open.service), shown(&open.rollout), shown(&open.session));
        let (who, why) = (&self.who, shown(&open.reason));
        let opened = self.opened(open).await;
        match &opened {
            Ok((claimed, lease)) => {
                let fence = claimed.fence;
                tracing::info!(target: "audit", who, service, rollout, session, fence, why, "a claim was granted");
                say(replies, Reply::Granted(v1::ClaimGranted { fence, lease_ns: wire::nanoseconds(*lease) })).await;
            }
            Err(reason) => tracing::info!(target: "audit", who, service, rollout, session, %reason, "a claim was refused"),
        }
        Ok(opened?.0)
    }

    async fn opened(&self, open: v1::ClaimOpen) -> Result<(Claimed, Duration), Refused> {
        let v1::ClaimOpen { service, rollout, session, reason: why } = open;
        let service = self.services.named(&service)?.clone();
        name::check("rollout", &rollout)?;
        name::check("session", &session)?;
        if why.chars().count() > REASON_LENGTH_MAX {
            return Err(Refused::LongReason);
        }
        let claimant = Claimant { rollout: rollout.clone(), session, operator: self.operator.clone(), reason: reason(&why) };
        let Granted { fence, lease, ended } = answered(&service, service.claim(claimant)).await?;
        Ok((Claimed { service, rollout, fence, ended }, lease))
    }

    async fn release(&self, claimed: &Claimed) -> Result<(), Refused> {
        let Claimed { service, rollout, fence, .. } = claimed;
        answered(service, service.release(*fence)).await?;
        tracing::info!(target: "audit", who = self.who, service = service.name(), rollout, fence, "a claim was released");
        Ok(())
    }
}

/// The next request; none when the caller says no more, in whatever way.
async fn asked(requests: &mut Streaming<v1::ClaimRequest>) -> Option<Request> {
    loop {
        match requests.message().await {
            Ok(Some(v1::ClaimRequest { request: Some(request) })) => return Some(request),
            // A request that a newer controller knows and we do not.
            Ok(Some(v1::ClaimRequest { request: None })) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Says something; whoever is gone does not hear it.
async fn say(replies: &Replies, reply: Reply) {
    let _ = replies.send(Ok(v1::ClaimReply { reply: Some(reply) })).await;
}
