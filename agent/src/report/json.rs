//! Events as JSON: one object a line, in the words of `baton --output json`. Fields are only ever added.
//!
//! Times named `at_ms` count from the beginning of what was asked for; those of observations are the host's own, since its boot.

use std::time::Duration;

use baton_proto::claim::Claim;
use baton_proto::custody::objects::{kept, milliseconds, with};
use baton_proto::{finding, v1};
use serde_json::{Value, json};

use super::{Conclusion, Event, custody_word};
use crate::outcome::Outcome;

/// An event as one line of JSON.
pub(super) fn of(event: &Event<'_>) -> String {
    let value = match event {
        Event::Status { service, now, claim } => status(service, *now, *claim),
        Event::Step { progress, after } => {
            let step = progress.step().verb();
            json!({ "event": "step", "at_ms": milliseconds(*after), "step": step, "detail": progress.detail })
        }
        Event::Waiting { step, after } => json!({ "event": "waiting", "at_ms": milliseconds(*after), "step": step }),
        Event::Lost { reason, after } => json!({ "event": "retrying", "at_ms": milliseconds(*after), "cause": reason }),
        Event::Stopped { service, how } => json!({ "event": "stopped", "service": service, "how": how }),
        Event::Testimony(protocol) => protocol.object(),
        Event::History(chronicle) => chronicle.object(),
        Event::Concluded(conclusion) => concluded(conclusion),
        Event::NoRecord { service } => json!({ "event": "no_record", "service": service }),
    };
    value.to_string()
}

fn status(service: &v1::ServiceStatus, now: Duration, claim: Option<&Claim>) -> Value {
    let held_for = |since| milliseconds(now.saturating_sub(Duration::from_nanos(since)));
    json!({
        "event": "status", "service": service.service, "dialect": service.dialect,
        "lock": custody_word(service.custody()), "generation": service.generation, "release": (!service.release.is_empty()).then_some(&service.release),
        "master_pid": service.master.as_ref().map(|master| master.pid), "epoch": service.epoch,
        "held_for_ms": (service.held_since_ns != 0).then(|| held_for(service.held_since_ns)),
        "step": (service.step() != v1::Step::Unspecified).then(|| service.step().verb()),
        "fence": service.fence, "trouble": service.trouble,
        "lock_path": service.lock_path, "device": service.lock.as_ref().map(|lock| lock.device),
        "inode": service.lock.as_ref().map(|lock| lock.inode), "mark": service.mark, "holders": service.holders,
        "findings": service.findings.iter().map(finding::object).collect::<Vec<_>>(),
        "census": service.census.iter().map(finding::holder).collect::<Vec<_>>(),
        "lingering": service.lingering.iter().map(|left| finding::lingering(left, now)).collect::<Vec<_>>(),
        "supervision": service.supervision.as_ref().map(|supervision| supervised(supervision, now)),
        "claim": claim.map(Claim::object),
    })
}

/// What becomes of a service that the agent starts.
fn supervised(supervision: &v1::Supervision, now: Duration) -> Value {
    let state = match supervision.state() {
        v1::SupervisionState::Running => "running",
        v1::SupervisionState::Waiting => "waiting",
        v1::SupervisionState::GivenUp => "given_up",
        v1::SupervisionState::Stopping => "stopping",
        v1::SupervisionState::Stopped => "stopped",
        v1::SupervisionState::Unspecified => "unknown",
    };
    let (since, next) = (supervision.running_since_ns, supervision.next_start_ns);
    json!({
        "state": state, "hold_pid": supervision.hold.map(|hold| hold.pid),
        "running_for_ms": (since != 0).then(|| milliseconds(now.saturating_sub(Duration::from_nanos(since)))),
        "next_start_in_ms": (next != 0).then(|| milliseconds(Duration::from_nanos(next).saturating_sub(now))),
        "starts": supervision.starts, "last_end": supervision.last_end,
    })
}

fn concluded(conclusion: &Conclusion<'_>) -> Value {
    let Conclusion { service, rollout, attempt, after, outcome, lingering_pids } = conclusion;
    let head = json!({
        "event": "outcome", "at_ms": milliseconds(*after), "service": service, "rollout": rollout, "attempt": attempt,
        "outcome": outcome.word().replace(' ', "_"), "exit_code": outcome.exit() as u8,
    });
    let more = match outcome {
        Outcome::Proven(proof) => kept(proof),
        Outcome::RolledBack { step, cause, unbroken } => json!({
            "verdict": "unbroken", "basis": unbroken.basis.to_string(), "old_pid": unbroken.master.pid,
            "step": step, "cause": cause,
        }),
        Outcome::Unproven { doubt, failed } => json!({ "verdict": "unproven", "doubt": doubt, "cause": failed }),
        Outcome::Dropped { at } => json!({ "verdict": "dropped", "at": at.0 }),
        Outcome::Refused(reason) | Outcome::Unknown(reason) => json!({ "verdict": null, "cause": reason }),
    };
    with(with(head, more), json!({ "lingering_pids": lingering_pids }))
}
