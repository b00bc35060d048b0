//! What is amiss about a lock, and who holds it, in the words that both programs use.
//!
//! **Invariant:** a word is only ever added; a number that only newer agents know has one, too.

use std::time::Duration;

use serde_json::{Value, json};

use crate::custody::objects::milliseconds;
use crate::v1;

/// The kind of a finding in one word, such as `foreign_holder`.
#[must_use]
pub fn kind(value: i32) -> String {
    v1::FindingKind::try_from(value).map_or_else(|_| unknown(value), |kind| word(kind.as_str_name(), "FINDING_KIND_"))
}

/// The role of a holder in words, such as `other master`.
#[must_use]
pub fn role(value: i32) -> String {
    let role = v1::HolderRole::try_from(value).map(|role| word(role.as_str_name(), "HOLDER_ROLE_"));
    role.map_or_else(|_| unknown(value), |word| word.replace('_', " "))
}

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

fn unknown(value: i32) -> String {
    format!("unknown_{value}")
}

/// A finding as JSON.
#[must_use]
pub fn object(finding: &v1::Finding) -> Value {
    let v1::Finding { sentence, pids, refuses, .. } = finding;
    json!({"kind": kind(finding.kind), "sentence": sentence, "pids": pids, "refuses": refuses})
}

/// What is left of a generation as JSON, at the moment `now` of the host's clock since boot.
#[must_use]
pub fn lingering(left: &v1::Lingering, now: Duration) -> Value {
    let lingers_for = now.saturating_sub(Duration::from_nanos(left.since_ns));
    let pids: Vec<u32> = left.processes.iter().map(|process| process.pid).collect();
    json!({"generation": left.generation, "lingers_for_ms": milliseconds(lingers_for), "pids": pids})
}

/// A holder as JSON.
#[must_use]
pub fn holder(holder: &v1::Holder) -> Value {
    let v1::Holder { process, command, parent, mark, taker, .. } = holder;
    json!({
        "pid": process.as_ref().map(|process| process.pid), "role": role(holder.role), "command": command, "parent": parent,
        "mark": mark, "taker": taker,
    })
}

#[cfg(test)]
mod tests {
    use super::{kind, role};
    use crate::v1;

    #[test]
    fn kinds_and_roles_have_words() {
        assert_eq!(kind(v1::FindingKind::ForeignHolder.into()), "foreign_holder");
        assert_eq!(role(v1::HolderRole::OtherMaster.into()), "other master");
        assert_eq!((kind(77).as_str(), role(-1).as_str()), ("unknown_77", "unknown_-1"));
    }
}
