//! A reload, followed to its end, over an agent that may be restarted in the middle.
//!
//! Asking again with the same rollout and attempt joins the handover under way or returns its result: the agent never
//! signals twice for one attempt. So contact that is lost is sought again, a few times.

use std::io::Write;
use std::time::Duration;

use baton_proto::custody::Testimony;
use baton_proto::v1;
use baton_proto::v1::agent_client::AgentClient;
use baton_proto::v1::reload_event::Event as Told;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{LocalError, is_refusal, is_usage, within};
use crate::os::clock;
use crate::outcome::{Outcome, conclude};
use crate::report::{Event, Report};

/// Longer than the agent gives its driver, so that it is the agent that says so.
const ACCEPT_WITHIN: Duration = Duration::from_secs(15);

/// How long nothing may be shown.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// A service manager has the agent back within seconds.
const CALLS_MAX: u32 = 15;
const CALL_EVERY: Duration = Duration::from_secs(1);

/// Why a stream did not come to its ending.
enum Broken {
    Lost(Status),
    Refused(Status),
    Malformed(LocalError),
}

/// The outcome, and who lingers of the old generation.
pub(super) async fn to_the_end(
    agent: &mut AgentClient<Channel>,
    request: &v1::ReloadRequest,
    began: Duration,
    report: &mut Report<impl Write, impl Write>,
) -> Result<(Outcome, Vec<u32>), LocalError> {
    let mut reason = String::new();
    for call in 1..=CALLS_MAX {
        match once(agent, request, began, report).await {
            Ok(ended) => return Ok(ended),
            // The first call was for nothing. A later one that is refused says nothing of what the first has begun.
            Err(Broken::Refused(status)) if call == 1 && is_usage(&status) => return Err(status.into()),
            Err(Broken::Refused(status)) if call == 1 => {
                return Ok((Outcome::Refused(status.message().to_owned()), Vec::new()));
            }
            Err(Broken::Refused(status)) => return Ok((Outcome::Unknown(status.message().to_owned()), Vec::new())),
            Err(Broken::Malformed(error)) => return Err(error),
            Err(Broken::Lost(status)) => status.message().clone_into(&mut reason),
        }
        if call < CALLS_MAX {
            report.show(&Event::Lost { reason: &reason, after: clock::since_boot().saturating_sub(began) });
            sleep(CALL_EVERY).await;
        }
    }
    Ok((Outcome::Unknown(reason), Vec::new()))
}

async fn once(
    agent: &mut AgentClient<Channel>,
    request: &v1::ReloadRequest,
    began: Duration,
    report: &mut Report<impl Write, impl Write>,
) -> Result<(Outcome, Vec<u32>), Broken> {
    let broken = |status: Status| if is_refusal(&status) { Broken::Refused(status) } else { Broken::Lost(status) };
    let mut events = within(ACCEPT_WITHIN, agent.reload(request.clone())).await.map_err(broken)?;
    let mut step = "open";
    let mut testimony = None;
    loop {
        let event = next(&mut events, |after| report.show(&Event::Waiting { step, after }), began).await.map_err(Broken::Lost)?;
        match event {
            Told::Progress(progress) => {
                step = progress.step().verb();
                let after = Duration::from_nanos(progress.at_ns).saturating_sub(began);
                report.show(&Event::Step { progress: &progress, after });
            }
            Told::Testimony(told) => {
                testimony = Some(Testimony::try_from(told).map_err(|error| Broken::Malformed(error.into()))?);
            }
            Told::Ending(ending) => {
                let outcome = match &testimony {
                    Some(testimony) => conclude(testimony, &ending),
                    None => Outcome::Unproven { doubt: "the agent gave no testimony".to_owned(), failed: None },
                };
                return Ok((outcome, ending.lingering_pids));
            }
        }
    }
}

/// The next event. While there is none, `waiting` is told from time to time; the agent's own deadlines end the wait.
async fn next(
    events: &mut Streaming<v1::ReloadEvent>,
    mut waiting: impl FnMut(Duration),
    began: Duration,
) -> Result<Told, Status> {
    loop {
        match timeout(SILENCE_MAX, events.message()).await {
            Ok(Ok(Some(v1::ReloadEvent { event: Some(event) }))) => return Ok(event),
            // An event that a newer agent knows and we do not.
            Ok(Ok(Some(v1::ReloadEvent { event: None }))) => {}
            Ok(Ok(None)) => return Err(Status::unavailable("the stream ended without an ending")),
            Ok(Err(status)) => return Err(status),
            Err(_) => waiting(clock::since_boot().saturating_sub(began)),
        }
    }
}
