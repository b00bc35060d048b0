//! One host's handover: look once more, ask, follow the stream to its end, and ask again when contact is lost.
//!
//! Asking again is safe: for one rollout and attempt an agent signals at most once, and joins or repeats its answer.
//!
//! **Invariant:** [`Event::Asked`] is told before the request is sent, so whoever has not heard it knows that nothing was.

use baton_proto::v1;

use super::agent::{Agent, CallError};
use super::backoff::Backoff;
use super::claim::Claim;
use super::link::Dialler;
use super::news::{Contact, News, Teller};
use super::wire;
use crate::inventory::{Host, HostName};
use crate::outcome::{Account, Outcome, Refusal, Unproven, settle};
use crate::rollout::Event;
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
    pub(super) contact: Contact,
}

/// How one try to follow a handover ended.
enum Followed {
    /// To its end.
    Ended(Outcome),
    /// Contact was lost, for this reason.
    Lost(String),
}

/// Hands one host over and tells how it ended. The deadline is the rollout's: it abandons this task.
pub(super) async fn hand_over(order: Order, dialler: Dialler, teller: Teller) {
    let Order { host, service, release, rollout, contact } = order;
    let open = v1::ClaimOpen {
        service: service.clone(),
        rollout: rollout.clone(),
        session: rollout.clone(),
        reason: release.as_ref().map_or_else(|| "restart".to_owned(), |release| format!("restart to release {release}")),
    };
    let mut request =
        v1::ReloadRequest { service: service.clone(), rollout, attempt: 1, fence: 0, release: release.unwrap_or_default() };
    let (outcome, contact) = match look_again(&host, &service, contact, &dialler).await {
        Ok((before, agent)) => match Claim::open(agent.clone(), &host, &dialler, open).await {
            Ok(claim) => {
                request.fence = claim.fence;
                let (outcome, agent) = pursue(&host, &request, &before, agent, &dialler, &teller).await;
                claim.release().await;
                (outcome, Contact { before, agent: Some(agent) })
            }
            Err(error) => (Outcome::Refused(error.refusal()), Contact { before, agent: Some(agent) }),
        },
        Err((refusal, contact)) => (Outcome::Refused(refusal), contact),
    };
    teller.tell(News::Ended { host: host.name, outcome, contact: Box::new(contact) }).await;
}

/// Finds the agent and looks at the service at its turn: a plan may be hours old.
async fn look_again(
    host: &Host,
    service: &str,
    contact: Contact,
    dialler: &Dialler,
) -> Result<(Standing, Agent), (Refusal, Contact)> {
    let Contact { before, mut agent } = contact;
    let mut backoff = Backoff::new();
    let mut refusal = Refusal::from("it was not dialled");
    for dial in 0..DIALS_MAX {
        if dial > 0 {
            backoff.wait().await;
        }
        match Agent::look(dialler, host, service, agent.take()).await {
            Ok((standing, agent)) => match standing.objection() {
                None => return Ok((standing, agent)),
                Some(objection) => return Err((objection.into(), Contact { before, agent: Some(agent) })),
            },
            Err(error @ CallError::Refused { .. }) => return Err((error.refusal(), Contact { before, agent: None })),
            Err(error) => refusal = error.refusal(),
        }
    }
    Err((refusal, Contact { before, agent: None }))
}

/// Asks, and asks again, until the handover has ended or the agent refuses.
async fn pursue(
    host: &Host,
    request: &v1::ReloadRequest,
    before: &Standing,
    first: Agent,
    dialler: &Dialler,
    teller: &Teller,
) -> (Outcome, Agent) {
    let mut connected = Ok(first);
    // From the first request that was not refused: it may have arrived, even if nothing was heard since.
    let mut may_have_begun = false;
    let mut backoff = Backoff::new();
    teller.tell(News::Event(Event::Asked(host.name.clone()))).await;
    loop {
        let cause = match connected {
            Ok(agent) => match follow(&host.name, request, before, agent.clone(), may_have_begun, teller).await {
                Followed::Ended(outcome) => return (outcome, agent),
                Followed::Lost(cause) => {
                    may_have_begun = true;
                    cause
                }
            },
            Err(error) => CallError::sentence(&error),
        };
        teller.tell(News::Retrying { host: host.name.clone(), cause }).await;
        backoff.wait().await;
        // Always a new connection: one that broke down may look whole from here.
        connected = Agent::dial(dialler, host).await;
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
                let account = wire::account(testimony, ending);
                return Followed::Ended(account.map_or_else(
                    |error| Outcome::Unproven(Unproven::Malformed(error.to_string())),
                    |account: Account| settle(before, account),
                ));
            }
            // Wire changes only add: it is an event that only newer agents tell.
            None => {}
        }
    }
}

/// What a failed call means: a refusal ends it, and so does an agent that is busy from the start; anything else is asked again. Only the refusal of a request before which
/// there was no other says that nothing has begun.
fn failed(error: &CallError, may_have_begun: bool) -> Followed {
    let cause = error.sentence();
    match error {
        CallError::Refused { .. } if may_have_begun => {
            Followed::Ended(Outcome::Unknown(format!("the agent may have begun, and now it answers: {cause}")))
        }
        // While nothing has begun, the busy are left alone: the operator may come back, and no slot is held up meanwhile.
        CallError::Busy(_) if may_have_begun => Followed::Lost(cause),
        CallError::Refused { .. } | CallError::Busy(_) => Followed::Ended(Outcome::Refused(error.refusal())),
        CallError::Malformed(_) => Followed::Ended(Outcome::Unproven(Unproven::Malformed(cause))),
        CallError::Link(_) | CallError::Failed { .. } | CallError::Broken(_) | CallError::TimedOut(_) => Followed::Lost(cause),
    }
}
