//! What `baton claims` shows: who holds what, since when and why. A service that nobody has claimed has no line.
//!
//! **Invariant:** a host that gives no answer is shown, for it may be claimed as well as not.

use baton_proto::claim::Claim;
use baton_proto::custody::objects::with;
use baton_proto::span::Span;
use serde_json::{Value, json};

use crate::inventory::Host;
use crate::report::columns::aligned;
use crate::standing::Standing;

const HEAD: [&str; 7] = ["HOST", "SERVICE", "ROLLOUT", "OPERATOR", "SINCE", "ENDS IN", "REASON"];

type Row = (Host, Result<Vec<Standing>, String>);

/// The claims that stand, with their services.
fn claims(standings: &[Standing]) -> impl Iterator<Item = (&Standing, &Claim)> {
    standings.iter().filter_map(|standing| Some((standing, standing.claim.as_ref()?)))
}

/// A table for people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut cells = vec![HEAD.map(str::to_owned)];
    for (host, answer) in rows {
        match answer {
            Ok(standings) => cells.extend(claims(standings).map(|(standing, claim)| row(host, standing, claim))),
            Err(cause) => cells.push(silent(host, cause)),
        }
    }
    if cells.len() == 1 {
        return format!(
            "nothing is claimed on {}\n",
            if rows.len() == 1 { "1 host".into() } else { format!("{} hosts", rows.len()) }
        );
    }
    aligned(&cells).collect()
}

fn row(host: &Host, standing: &Standing, claim: &Claim) -> [String; HEAD.len()] {
    let Claim { rollout, operator, reason, age, lease_left, .. } = claim;
    [
        host.name.to_string(),
        standing.service.clone(),
        rollout.clone(),
        operator.clone(),
        Span(*age).to_string(),
        Span(*lease_left).to_string(),
        reason.clone(),
    ]
}

fn silent(host: &Host, cause: &str) -> [String; HEAD.len()] {
    let dash = || "-".to_owned();
    [host.name.to_string(), dash(), "?".to_owned(), dash(), dash(), dash(), cause.to_owned()]
}

/// One JSON object a line.
pub(super) fn objects(rows: &[Row]) -> String {
    let mut lines = String::new();
    for (host, answer) in rows {
        let mut push = |value: Value| {
            let head = json!({"event": "claim", "host": host.name.as_str(), "address": host.address});
            lines.push_str(&with(head, value).to_string());
            lines.push('\n');
        };
        match answer {
            Ok(standings) => claims(standings).for_each(|(standing, claim)| {
                push(with(json!({"reachable": true, "service": standing.service}), claim.object()));
            }),
            Err(cause) => push(json!({"reachable": false, "trouble": cause})),
        }
    }
    lines
}
