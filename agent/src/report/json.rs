//! Events as JSON: one object a line. Times are nanoseconds since boot, as on the wire, or milliseconds where named so.

use std::time::Duration;

use baton_proto::custody::{Fact, Observation, Role};
use baton_proto::v1;
use baton_proto::wire::nanoseconds;
use serde_json::{Value, json};

use super::{Conclusion, Event, custody_word};
use crate::outcome::Outcome;

/// An event as one line of JSON.
pub(super) fn of(event: &Event<'_>) -> String {
    let value = match event {
        Event::Status { service, now } => status(service, *now),
        Event::Step { progress, .. } => {
            json!({ "event": "step", "step": progress.step().verb(), "detail": progress.detail, "at_ns": progress.at_ns })
        }
        Event::Waiting { step, after } => {
            json!({ "event": "waiting", "step": step, "after_ms": milliseconds(*after) })
        }
        Event::Lost { reason } => json!({ "event": "lost", "reason": reason }),
        Event::Record(record) => {
            let v1::Record { rollout, attempt, fence, .. } = record;
            json!({ "event": "record", "rollout": rollout, "attempt": attempt, "fence": fence })
        }
        Event::Observation { observation, .. } => self::observation(observation),
        Event::Concluded(conclusion) => concluded(conclusion),
        Event::NoRecord { service } => json!({ "event": "no-record", "service": service }),
    };
    value.to_string()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn status(service: &v1::ServiceStatus, now: Duration) -> Value {
    let custody = custody_word(service.custody());
    let step = (service.step() != v1::Step::Unspecified).then(|| service.step().verb());
    json!({
        "event": "status",
        "service": service.service,
        "dialect": service.dialect,
        "custody": custody,
        "trouble": service.trouble,
        "generation": service.generation,
        "master": service.master.as_ref().map(|master| master.pid),
        "epoch": service.epoch,
        "held_since_ns": service.held_since_ns,
        "now_ns": nanoseconds(now),
        "lock_path": service.lock_path,
        "device": service.lock.as_ref().map(|lock| lock.device),
        "inode": service.lock.as_ref().map(|lock| lock.inode),
        "mark": service.mark,
        "step": step,
        "fence": service.fence,
    })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::OldMaster => "old-master",
        Role::NewMaster => "new-master",
        Role::Worker => "worker",
    }
}

fn observation(observation: &Observation) -> Value {
    let head = json!({
        "event": "observation", "seq": observation.seq.0, "at_ns": nanoseconds(observation.at),
        "incarnation": observation.incarnation,
    });
    let fact = match &observation.fact {
        Fact::Sighting(seen) => json!({
            "fact": "sighting", "began_seq": seen.began.0, "role": role(seen.role), "pid": seen.process.pid,
            "start_ticks": seen.process.start_ticks, "device": seen.lock.file.device, "inode": seen.lock.file.inode,
            "mark": seen.lock.mark, "taker": seen.lock.taker,
        }),
        Fact::Absence { began, role: whose, process, reason } => json!({
            "fact": "absence", "began_seq": began.0, "role": role(*whose), "pid": process.pid,
            "start_ticks": process.start_ticks, "reason": reason,
        }),
        Fact::Grant { file } => json!({ "fact": "grant", "device": file.device, "inode": file.inode }),
        Fact::Signal { process, signal } => {
            json!({ "fact": "signal", "pid": process.pid, "start_ticks": process.start_ticks, "signal": signal })
        }
        Fact::Readiness { ready, detail, answered_by } => {
            json!({ "fact": "readiness", "ready": ready, "detail": detail, "answered_by": answered_by })
        }
        Fact::Exit { role: whose, process } => {
            json!({ "fact": "exit", "role": role(*whose), "pid": process.pid, "start_ticks": process.start_ticks })
        }
    };
    with(head, fact)
}

/// `value` with the fields of `more` behind its own.
fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    value
}

fn concluded(conclusion: &Conclusion<'_>) -> Value {
    let Conclusion { service, rollout, attempt, after, outcome, lingering_pids } = conclusion;
    let head = json!({
        "event": "outcome", "service": service, "rollout": rollout, "attempt": attempt, "after_ms": milliseconds(*after),
        "outcome": outcome.word(), "exit_code": outcome.exit() as u8,
    });
    let more = match outcome {
        Outcome::Proven(kept) => json!({
            "old": kept.old.pid, "new": kept.new.pid,
            "overlap_ms": milliseconds(kept.overlap), "basis": kept.basis.to_string(),
        }),
        Outcome::Refused(reason) | Outcome::Unknown(reason) => json!({ "reason": reason }),
        Outcome::RolledBack { step, cause, unbroken } => json!({
            "step": step, "cause": cause, "master": unbroken.master.pid, "basis": unbroken.basis.to_string(),
        }),
        Outcome::Unproven { doubt, failed } => json!({ "doubt": doubt, "failed": failed }),
        Outcome::Dropped { at } => json!({ "dropped_at_seq": at.0 }),
    };
    with(with(head, more), json!({ "lingering_pids": lingering_pids }))
}
