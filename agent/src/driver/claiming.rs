//! The claim on the service: asked for, renewed, given back, and expired when its controller has gone.
//!
//! **Invariant:** a fence is on disk, flushed, before anybody is told of it. The driver does not wait for the disk meanwhile.

use std::time::Duration;

use baton_proto::v1;
use tokio::sync::oneshot;

use super::{Driver, Input};
use crate::claim::{Attempted, Claim, Claimant, Claims, Kept, LEASE};
use crate::os::clock;
use crate::service::{Attempt, Granted, Refusal, Reply};
use crate::store::{self, Flush, Stored};

/// How many streams of one claim may be open: those before the last were lost, and their ends did not come yet.
const STREAMS_MAX: usize = 8;

/// The claims on a service, and who is to be told when the one that stands ends.
#[derive(Debug)]
pub(super) struct Claiming {
    claims: Claims,
    streams: Vec<oneshot::Sender<String>>,
}

impl Claiming {
    /// As an earlier run of the agent has left them.
    pub(super) fn of(stored: &Stored) -> Self {
        let claims = Claims::restored(kept(stored), clock::since_boot());
        if let Some(claim) = claims.kept().last.filter(|_| claims.deadline().is_some()) {
            let Claimant { rollout, operator, .. } = claim.claimant;
            tracing::info!(rollout, operator, fence = claims.fence(), "a claim of before stands for another lease");
        }
        Self { claims, streams: Vec::new() }
    }

    /// When the claim that stands ends unless it is renewed.
    pub(super) fn due(&self) -> Option<Duration> {
        self.claims.deadline()
    }

    /// Tells whoever has the claim that it has ended, and why.
    fn tell(&mut self, why: &str) {
        for stream in self.streams.drain(..) {
            // Whoever is gone meanwhile needs to be told nothing.
            let _ = stream.send(why.to_owned());
        }
    }

    /// Another stream that is to be told. Of too many the oldest is sent away.
    fn admit(&mut self) -> oneshot::Receiver<String> {
        self.streams.retain(|stream| !stream.is_closed());
        let excess = (self.streams.len() + 1).saturating_sub(STREAMS_MAX);
        self.streams.drain(..excess);
        let (stream, ended) = oneshot::channel();
        self.streams.push(stream);
        ended
    }
}

impl Driver {
    /// Opens a claim; the answer is given when it is on disk.
    pub(super) fn asked_to_claim(&mut self, claimant: Claimant, reply: Reply<Granted>) {
        let now = self.moment(clock::since_boot());
        self.expire_claim(now.at);
        let under_way = self.run.as_ref().map(|run| run.attempt.rollout.as_str());
        let Claimant { rollout, operator, .. } = claimant.clone();
        let opened = match self.claiming.claims.open(&now, claimant, under_way) {
            Ok(opened) => opened,
            // Whoever asked and is gone meanwhile needs no answer.
            Err(taken) => return drop(reply.send(Err(Refusal::Precondition(taken.to_string())))),
        };
        if opened.takes_over {
            tracing::info!(target: "audit", rollout, operator, fence = opened.fence, "a claim was taken over by another session");
            self.claiming.tell(&format!("another session of rollout {rollout} has taken the claim over"));
        }
        self.keep_claim();
        let told = self.store.write(&self.stored, Flush::First);
        let (fence, own) = (opened.fence, self.own.clone());
        tokio::spawn(async move {
            let written = told.await.unwrap_or_else(|_| Err("the writer is gone".into()));
            // The driver is gone only when the agent stops.
            let _ = own.send(Input::ClaimKept(fence, written, reply)).await;
        });
    }

    /// A claim is on disk, or cannot be written: now whoever asked is told.
    pub(super) fn claim_kept(&mut self, fence: u64, written: Result<(), String>, reply: Reply<Granted>) {
        let now = clock::since_boot();
        self.expire_claim(now);
        let answer = match written {
            Ok(()) => {
                let renewed = self.claiming.claims.renew(now, fence).map_err(|why| Refusal::NoClaim(why.to_string()));
                renewed.map(|()| Granted { fence, lease: LEASE, ended: self.claiming.admit() })
            }
            Err(why) => {
                self.claiming.claims.forgo(fence);
                self.keep_claim();
                Err(Refusal::Unwritten(why))
            }
        };
        // Whoever is gone meanwhile has the claim until it expires.
        drop(reply.send(answer));
    }

    pub(super) fn asked_to_renew(&mut self, fence: u64, reply: Reply<()>) {
        let now = clock::since_boot();
        self.expire_claim(now);
        let renewed = self.claiming.claims.renew(now, fence);
        drop(reply.send(renewed.map_err(|why| Refusal::NoClaim(why.to_string()))));
    }

    pub(super) fn asked_to_release(&mut self, fence: u64, reply: Reply<()>) {
        let now = clock::since_boot();
        self.expire_claim(now);
        let released = self.claiming.claims.release(now, fence);
        if released.is_ok() {
            self.claiming.tell("the claim was released");
            self.write_claim();
        }
        drop(reply.send(released.map_err(|why| Refusal::NoClaim(why.to_string()))));
    }

    /// Ends the claim if it was not renewed in time.
    pub(super) fn expire_claim(&mut self, now: Duration) {
        let fence = self.claiming.claims.fence();
        let Some(Claim { claimant: Claimant { rollout, operator, .. }, .. }) = self.claiming.claims.expire(now) else { return };
        tracing::info!(target: "audit", rollout, operator, fence, "a claim has expired");
        let why = format!("the claim of rollout {rollout} has ended: it was not renewed for {} s", LEASE.as_secs());
        self.claiming.tell(&why);
        self.write_claim();
    }

    /// A reload begins only for the rollout that has the claim, and only as an attempt that is above all of its earlier ones.
    pub(super) fn is_claimed_for(&mut self, attempt: &Attempt) -> Result<(), Refusal> {
        let now = self.moment(clock::since_boot());
        self.expire_claim(now.at);
        let Attempt { rollout, number, fence, .. } = attempt;
        // Whoever has no claim is told that nothing was begun: that must not be said of one that was here.
        if let Some(highest) = self.claiming.claims.surpasses(rollout, *number) {
            return Err(Refusal::Precondition(format!(
                "attempt {number} of rollout {rollout} was here already, or is older than one that was: the next is {}",
                highest.saturating_add(1)
            )));
        }
        let admitted = self.claiming.claims.admit(&now, rollout, *fence);
        admitted.map_err(|why| Refusal::NoClaim(why.to_string()))
    }

    /// Notes that an attempt begins: it is on disk with the next write, which comes before the signal.
    pub(super) fn note_attempt(&mut self, rollout: &str, number: u32) {
        self.claiming.claims.note_attempt(rollout, number);
        self.keep_claim();
    }

    /// The claim that stands, as it is told.
    pub(super) fn claim_told(&self) -> Option<v1::Claim> {
        let claim = self.claiming.claims.told(&self.moment(clock::since_boot()))?;
        Some((&claim).into())
    }

    /// Begins to write that a claim has ended. Nobody waits: an agent that dies before it is written takes it for one that stands.
    fn write_claim(&mut self) {
        self.keep_claim();
        drop(self.store.write(&self.stored, Flush::Later));
    }

    /// Puts the claim where the next write takes it.
    fn keep_claim(&mut self) {
        let Kept { fence, last, stands, attempted } = self.claiming.claims.kept();
        self.stored.fence = fence;
        self.stored.claim = last.map(|Claim { claimant, since }| store::Claim {
            rollout: claimant.rollout,
            session: claimant.session,
            operator: claimant.operator,
            reason: claimant.reason,
            since: Some((&since).into()),
            stands,
        });
        let attempted = attempted.into_iter();
        self.stored.attempted = attempted.map(|Attempted { rollout, number }| store::Attempted { rollout, number }).collect();
    }
}

/// What is kept on disk.
fn kept(stored: &Stored) -> Kept {
    let last = stored.claim.clone().map(|claim| Claim {
        claimant: Claimant { rollout: claim.rollout, session: claim.session, operator: claim.operator, reason: claim.reason },
        since: claim.since.unwrap_or_default().into(),
    });
    let attempted = stored.attempted.iter().cloned();
    Kept {
        fence: stored.fence,
        last,
        stands: stored.claim.as_ref().is_some_and(|claim| claim.stands),
        attempted: attempted.map(|store::Attempted { rollout, number }| Attempted { rollout, number }).collect(),
    }
}
