//! One host's handover: look once more, ask, follow the stream to its end, and ask again when contact is lost.
//!
//! Asking again is safe: for one rollout and attempt an agent signals at most once, and joins or repeats its answer.
//!
//! **Invariant:** nothing is asked before the loop says so, which is when its journal says that it will be.

use baton_proto::v1;
use tokio::sync::watch;

use super::agent::{Agent, CallError};
use super::backoff::Backoff;
use super::claim::Hold;
use super::link::Dialler;
use super::news::{News, Teller};
use super::{evidence, wire};
use crate::inventory::{Host, HostName};
use crate::journal::Evidence;
use crate::outcome::{Outcome, Refusal, Unproven};
use crate::standing::Standing;
use crate::text::plain;

/// How often a host is dialled that has not been asked yet; then it is refused.
const DIALS_MAX: usize = 3;

/// What is asked of one host.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) host: Host,
    pub(super) service: String,
    pub(super) release: Option<String>,
    pub(super) rollout: String,
    pub(super) attempt: u32,
    /// How the service stood when it was looked at.
    pub(super) before: Standing,
    /// Whether it may have been asked for this attempt before, by another run.
    pub(super) may_have_begun: bool,
    pub(super) agent: Option<Agent>,
    /// How it stands with the claim.
    pub(super) hold: watch::Receiver<Hold>,
}

/// How one try to follow a handover ended.
enum Followed {
    /// To its end.
    Ended(Outcome, Option<Evidence>),
    /// Contact was lost, for this reason.
    Lost(String),
    /// The agent does not know the attempt, and will not begin it: the claim does not stand.
    Unclaimed(String),
}

/// Finds the agent and looks at the service at its turn: a plan may be hours old. Tells what it sees, or that the host is refused.
pub(super) async fn look(host: Host, service: String, mut agent: Option<Agent>, dialler: Dialler, teller: Teller) {
    let mut backoff = Backoff::new();
    let mut refusal = Refusal::from("it was not dialled");
    for dial in 0..DIALS_MAX {
        if dial > 0 {
            backoff.wait().await;
        }
        match Agent::look(&dialler, &host, &service, agent.take()).await {
            Ok((standing, agent)) => {
                return teller.tell(News::Looked { host: host.name, standing: Box::new(standing), agent }).await;
            }
            Err(error) => {
                refusal = error.refusal();
                if matches!(error, CallError::Refused { .. }) {
                    break;
                }
            }
        }
    }
    teller.tell(News::Ended { host: host.name, outcome: Outcome::Refused(refusal), evidence: None, agent: None }).await;
}

/// Hands one host over and tells how it ended. The deadline is the rollout's: it abandons this task.
pub(super) async fn hand_over(order: Order, dialler: Dialler, teller: Teller) {
    let host = order.host.name.clone();
    let (outcome, evidence, agent) = pursue(order, &dialler, &teller).await;
    teller.tell(News::Ended { host, outcome, evidence, agent }).await;
}

/// Asks, and asks again, until the handover has ended or the agent refuses.
async fn pursue(order: Order, dialler: &Dialler, teller: &Teller) -> (Outcome, Option<Evidence>, Option<Agent>) {
    let Order { host, service, release, rollout, attempt, before, mut may_have_begun, agent, mut hold } = order;
    let request = |fence| v1::ReloadRequest {
        service: service.clone(),
        rollout: rollout.clone(),
        attempt,
        fence,
        release: release.clone().unwrap_or_default(),
    };
    let mut connected = agent;
    let mut backoff = Backoff::new();
    loop {
        let fence = match claimed(&mut hold).await {
            Ok(fence) => fence,
            // What was begun before is told without a claim, too.
            Err(_) if may_have_begun => 0,
            Err(refusal) => return (Outcome::Refused(refusal), None, connected),
        };
        let found = match connected.take().filter(|agent| !agent.is_gone()) {
            Some(agent) => Ok(agent),
            None => Agent::dial(dialler, &host).await,
        };
        let followed = match found {
            Ok(agent) => match follow(&host.name, &request(fence), &before, agent.clone(), may_have_begun, teller).await {
                Followed::Ended(outcome, evidence) => return (outcome, evidence, Some(agent)),
                // Always a new connection: one that broke down may look whole from here.
                lost @ (Followed::Lost(_) | Followed::Unclaimed(_)) => {
                    may_have_begun |= matches!(lost, Followed::Lost(_));
                    lost
                }
            },
            Err(error) => Followed::Lost(error.sentence()),
        };
        let cause = match followed {
            // It has no such attempt, and another has the claim by now: with our fence none will be begun any more.
            Followed::Unclaimed(cause) => match denial(&hold) {
                Some(refusal) => return (Outcome::Refused(refusal), None, None),
                None => cause,
            },
            Followed::Lost(cause) => cause,
            Followed::Ended(outcome, evidence) => return (outcome, evidence, None),
        };
        teller.tell(News::Retrying { host: host.name.clone(), cause }).await;
        backoff.wait().await;
    }
}

/// Waits until it is known whether the claim stands: its fence, or why it cannot be had.
async fn claimed(hold: &mut watch::Receiver<Hold>) -> Result<u64, Refusal> {
    match hold.wait_for(|hold| *hold != Hold::Sought).await.as_deref() {
        Ok(Hold::Stands { fence }) => Ok(*fence),
        Ok(Hold::Denied(refusal)) => Err(refusal.clone()),
        Ok(Hold::Sought) | Err(_) => Err("nobody keeps the claim any more".into()),
    }
}

fn denial(hold: &watch::Receiver<Hold>) -> Option<Refusal> {
    match &*hold.borrow() {
        Hold::Denied(refusal) if refusal.is_claimed => Some(refusal.clone()),
        // With nobody else's claim in between, the fence of an earlier request may still be good.
        Hold::Denied(_) | Hold::Sought | Hold::Stands { .. } => None,
    }
}

/// Asks once and follows the stream.
async fn follow(
    host: &HostName,
    request: &v1::ReloadRequest,
    before: &Standing,
    mut agent: Agent,
    may_have_begun: bool,
    teller: &Teller,
) -> Followed {
    let mut call = match agent.reload(request.clone()).await {
        Ok(call) => call,
        Err(error) => return failed(&error, may_have_begun),
    };
    let mut testimony = None;
    loop {
        let event = match call.next().await {
            Ok(Some(event)) => event.event,
            Ok(None) => return Followed::Lost("the stream ended before the handover did".into()),
            // It had let us in: whatever it says now is not said of a request that it turned away.
            Err(error) => return failed(&error, true),
        };
        match event {
            Some(v1::reload_event::Event::Progress(progress)) => {
                if let Some(step) = wire::step(progress.step) {
                    teller.tell(News::Step { host: host.clone(), step, detail: plain(&progress.detail) }).await;
                }
            }
            Some(v1::reload_event::Event::Testimony(told)) => testimony = Some(told),
            Some(v1::reload_event::Event::Ending(ending)) => {
                let Some(testimony) = testimony else {
                    return Followed::Lost("the stream ended without a testimony".into());
                };
                return judged(before, &testimony, &ending);
            }
            // Wire changes only add: it is an event that only newer agents tell.
            None => {}
        }
    }
}

/// How the handover ended, as judged from what was told, which is kept as it came.
fn judged(before: &Standing, testimony: &v1::Testimony, ending: &v1::Ending) -> Followed {
    let evidence = evidence::gather(testimony, ending);
    Followed::Ended(evidence::judge(before, &evidence), Some(evidence))
}

/// What a failed call means: a refusal ends it, and so does an agent that is busy from the start; anything else is asked again. Only the refusal of a request before which
/// there was no other says that nothing has begun.
fn failed(error: &CallError, may_have_begun: bool) -> Followed {
    let cause = error.sentence();
    match error {
        CallError::Unclaimed(_) => Followed::Unclaimed(cause),
        CallError::Refused { .. } if may_have_begun => {
            Followed::Ended(Outcome::Unknown(format!("the agent may have begun, and now it answers: {cause}")), None)
        }
        // While nothing has begun, the busy are left alone: the operator may come back, and no slot is held up meanwhile.
        CallError::Busy(_) if may_have_begun => Followed::Lost(cause),
        CallError::Refused { .. } | CallError::Busy(_) => Followed::Ended(Outcome::Refused(error.refusal()), None),
        CallError::Malformed(_) => Followed::Ended(Outcome::Unproven(Unproven::Malformed(cause)), None),
        CallError::Link(_) | CallError::Failed { .. } | CallError::Broken(_) | CallError::TimedOut(_) => Followed::Lost(cause),
    }
}
