//! Outcomes as sentences.

use baton_proto::custody::words::left;

use super::names;
use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::rollout::Awaited;
use crate::text::plain;

/// What is told of a host that has ended so.
pub(in crate::report) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Proven(proof) => format!("{}{}", proof.kept, left(&proof.lingering)),
        Outcome::Refused(refusal) => refusal.cause.clone(),
        Outcome::Unknown(cause) => cause.clone(),
        Outcome::RolledBack { step, cause, unbroken } => {
            let step = step.map(|step| format!("at {}: ", step.phrase())).unwrap_or_default();
            format!("{step}{cause}; {unbroken}")
        }
        Outcome::Unproven(unproven) => plain(&unproven.to_string()),
        Outcome::Dropped(drop) => drop.to_string(),
    }
}

/// What is waited for: "for web-3, and for the guard of web-1 to stand".
pub(super) fn awaited(awaited: &Awaited) -> String {
    let Awaited { claims, in_flight, guards, last_looks, deadlines: _, soaking: _, person: _, is_paused: _ } = awaited;
    let parts = [
        (claims, format!("for the claim on {}", names(claims))),
        (in_flight, format!("for {}", names(in_flight))),
        (guards, format!("for the guard of {} to stand", names(guards))),
        (last_looks, format!("for the last look at {}", names(last_looks))),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|(hosts, _)| !hosts.is_empty()).map(|(_, part)| part).collect();
    if parts.is_empty() { "for nothing".to_owned() } else { parts.join(", and ") }
}

/// The error and the hint that a run ends with because of this host.
pub(super) fn complaint(host: &HostName, service: &str, outcome: &Outcome) -> (String, String) {
    let testimony = format!("`baton testimony {host} {service}` shows what its agent saw");
    match outcome {
        Outcome::Proven(_) => (format!("{host} is proven"), testimony),
        Outcome::Refused(refusal) => (
            format!("{host} was refused and not touched: {}", refusal.cause),
            refusal.hint.clone().unwrap_or_else(|| format!("`baton status {host}` shows how it stands")),
        ),
        Outcome::RolledBack { step, cause, .. } => {
            let step = step.map(|step| format!(" at {}", step.phrase())).unwrap_or_default();
            (format!("{host} was rolled back{step}: {cause}"), format!("its old generation serves; {testimony}"))
        }
        Outcome::Unproven(unproven) => (format!("nothing is proven of {host}: {}", plain(&unproven.to_string())), testimony),
        Outcome::Dropped(drop) => (format!("{host} dropped its lock: {drop}"), testimony),
        Outcome::Unknown(cause) => (
            format!("nobody knows how {host} stands: {cause}"),
            format!("`baton status {host}` shows it; what is under way there its agent finishes alone"),
        ),
    }
}
