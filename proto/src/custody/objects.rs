//! An observation as a JSON object, and what such objects are made of: the same on the host and before the fleet.
//!
//! **Invariant:** fields are only ever added.

use std::time::Duration;

use serde_json::{Value, json};

use super::history::signal_name;
use super::words::shape;
use super::{Drop, Ended, Fact, Found, Happening, Image, Kept, Moment, Observation, Succession, Unwatched, What};

/// An observation: its number, when it was made in milliseconds since boot, who made it, and the fact.
#[must_use]
pub fn observation(observation: &Observation) -> Value {
    let fact = match &observation.fact {
        Fact::Sighting(seen) => json!({
            "fact": "sighting", "began": seen.began.0, "role": seen.role.to_string(), "pid": seen.process.pid,
            "parent": seen.parent, "start_ticks": seen.process.start_ticks, "inode": seen.lock.file.inode, "mark": seen.lock.mark, "taker": seen.lock.taker,
            "image": image(&seen.image), "image_after": image(&seen.image_after),
        }),
        Fact::Absence { began, role, process, reason } => {
            json!({"fact": "absence", "began": began.0, "role": role.to_string(), "pid": process.pid, "reason": reason})
        }
        Fact::Grant { file } => json!({"fact": "grant", "inode": file.inode}),
        Fact::Signal { process, signal } => json!({"fact": "signal", "pid": process.pid, "signal": signal}),
        Fact::Readiness { ready, detail, answered_by } => {
            json!({"fact": "readiness", "ready": ready, "detail": detail, "answered_by": answered_by})
        }
        Fact::Exit { role, process } => json!({"fact": "exit", "role": role.to_string(), "pid": process.pid}),
        Fact::Workers { began, master, workers } => json!({
            "fact": "workers", "began": began.0, "pid": master.pid, "workers": workers.iter().map(|worker| worker.pid).collect::<Vec<_>>(),
        }),
    };
    with(json!({"seq": observation.seq.0, "at_ms": fine(observation.at), "incarnation": observation.incarnation}), fact)
}

/// A fingerprint of a program image: where its stack began, and its 16 random bytes.
fn image(image: &Image) -> String {
    image.random.iter().fold(format!("{:x}:", image.start_stack), |text, byte| format!("{text}{byte:02x}"))
}

/// A proven handover: what it rests on, and who took over from whom.
#[must_use]
pub fn kept(kept: &Kept) -> Value {
    let by = match kept.by {
        Succession::Beside { old, new, overlap } => {
            json!({"old_pid": old.pid, "new_pid": new.pid, "overlap_ms": fine(overlap)})
        }
        Succession::InPlace { master, worker } | Succession::Exec { master, worker } => {
            json!({"pid": master.pid, "new_worker_pid": worker.pid})
        }
    };
    with(json!({"verdict": "kept", "basis": kept.basis.to_string(), "shape": shape(kept.by.shape())}), by)
}

/// What befell a service: when, what, and the same as a sentence; `is_last` when nothing befell it afterwards.
#[must_use]
pub fn happening(happening: &Happening, is_last: bool) -> Value {
    let (event, what) = match &happening.what {
        What::Drop(drop) => ("drop", fields_of_drop(drop, &happening.at)),
        What::Unwatched(Unwatched { from, last, found }) => (
            "unwatched",
            json!({
                "from": from.as_ref().map(moment), "at_most_ms": from.as_ref().map(|from| fine(from.until(&happening.at))),
                "last_master_pid": last.pid, "found": found.as_ref().map(|found| fields_of_found(found, &happening.at)),
            }),
        ),
    };
    let head = with(json!({"kind": event}), moment(&happening.at));
    with(with(head, what), json!({"text": happening.sentence(is_last)}))
}

fn fields_of_drop(drop: &Drop, at: &Moment) -> Value {
    let (ended, exit_code, signal) = match drop.ended {
        Some(Ended::Exited(code)) => (Some("exited"), Some(code), None),
        Some(Ended::Killed(number)) => (Some("killed"), None, Some(signal_name(number))),
        None => (None, None, None),
    };
    let held_for = drop.held_since.and_then(|since| at.at.checked_sub(since));
    json!({
        "epoch": drop.epoch, "seq": drop.seq.0, "device": drop.file.device, "inode": drop.file.inode,
        "last_master_pid": drop.last.map(|last| last.pid), "held_for_ms": held_for.map(milliseconds),
        "ended": ended, "exit_code": exit_code, "signal": signal,
        "handover": drop.handover.as_ref().map(|key| json!({"rollout": key.rollout, "attempt": key.attempt})),
        "found": drop.found.as_ref().map(|found| fields_of_found(found, at)),
    })
}

/// Who was found holding next, and how long after `since` at most.
fn fields_of_found(found: &Found, since: &Moment) -> Value {
    with(json!({"pid": found.master.pid, "within_ms": fine(since.until(&found.at))}), moment(&found.at))
}

fn moment(moment: &Moment) -> Value {
    json!({"at": moment.rfc3339(), "at_ms": fine(moment.at), "boot": moment.boot})
}

/// `value` with the fields of `more` behind its own.
#[must_use]
pub fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    value
}

/// Whole milliseconds.
#[must_use]
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with microseconds after the point.
#[must_use]
pub fn fine(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
