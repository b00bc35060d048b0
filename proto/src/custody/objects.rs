//! An observation as a JSON object, and what such objects are made of: the same on the host and before the fleet.
//!
//! **Invariant:** fields are only ever added.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Fact, Kept, Observation, Succession};

/// An observation: its number, when it was made in milliseconds since boot, who made it, and the fact.
#[must_use]
pub fn observation(observation: &Observation) -> Value {
    let fact = match &observation.fact {
        Fact::Sighting(seen) => json!({
            "fact": "sighting", "began": seen.began.0, "role": seen.role.to_string(), "pid": seen.process.pid,
            "parent": seen.parent, "start_ticks": seen.process.start_ticks, "inode": seen.lock.file.inode, "mark": seen.lock.mark, "taker": seen.lock.taker,
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

/// A proven handover: what it rests on, and who took over from whom.
#[must_use]
pub fn kept(kept: &Kept) -> Value {
    let by = match kept.by {
        Succession::Beside { old, new, overlap } => {
            json!({"shape": "beside", "old_pid": old.pid, "new_pid": new.pid, "overlap_ms": fine(overlap)})
        }
        Succession::InPlace { master, worker } => json!({"shape": "in_place", "pid": master.pid, "new_worker_pid": worker.pid}),
        Succession::Exec { master, worker } => json!({"shape": "exec", "pid": master.pid, "new_worker_pid": worker.pid}),
    };
    with(json!({"verdict": "kept", "basis": kept.basis.to_string()}), by)
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
