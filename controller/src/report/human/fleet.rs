//! The table of `baton status`: below each service, a line for whatever else is amiss.

use baton_proto::claim::Claim;
use baton_proto::span::Span;

use crate::inventory::Host;
use crate::report::columns::aligned;
use crate::standing::Standing;

const HEAD: [&str; 8] = ["HOST", "SERVICE", "LOCK", "GENERATION", "MASTER", "EPOCH", "SINCE", "TROUBLE"];

/// One line for each service of each host, and one for each host that gives no answer.
pub(super) fn table(rows: &[(Host, Result<Vec<Standing>, String>)]) -> String {
    let mut cells = vec![HEAD.map(str::to_owned)];
    let mut below = vec![Vec::new()];
    for (host, answer) in rows {
        match answer {
            Ok(standings) if standings.is_empty() => cells.push(silent(host, "the agent has no services")),
            Ok(standings) => {
                cells.extend(standings.iter().map(|standing| row(host, standing)));
                below.resize(cells.len() - standings.len(), Vec::new());
                below.extend(standings.iter().map(findings));
            }
            Err(cause) => cells.push(silent(host, cause)),
        }
    }
    below.resize(cells.len(), Vec::new());
    aligned(&cells).zip(below).flat_map(|(row, below)| std::iter::once(row).chain(below)).collect()
}

/// The findings that are not told as the service's trouble, and whose it is.
fn findings(standing: &Standing) -> Vec<String> {
    let others = standing.findings.iter().filter(|finding| finding.sentence != standing.trouble);
    let others = others.map(|finding| finding.sentence.clone());
    others.chain(standing.claim.as_ref().map(Claim::sentence)).map(|line| format!("    {line}\n")).collect()
}

fn row(host: &Host, standing: &Standing) -> [String; HEAD.len()] {
    let trouble = match (standing.step, standing.trouble.as_str()) {
        (None, trouble) => trouble.to_owned(),
        (Some(step), "") => format!("handover under way: {step}"),
        (Some(step), trouble) => format!("handover under way: {step}; {trouble}"),
    };
    [
        host.name.to_string(),
        standing.service.clone(),
        standing.custody.word().to_owned(),
        standing.named_generation(),
        standing.master.map_or_else(|| "-".to_owned(), |master| master.to_string()),
        standing.epoch.to_string(),
        standing.held_for.map_or_else(|| "-".to_owned(), |held| Span(held).to_string()),
        trouble,
    ]
}

fn silent(host: &Host, cause: &str) -> [String; HEAD.len()] {
    let dash = || "-".to_owned();
    [host.name.to_string(), dash(), "?".to_owned(), dash(), dash(), dash(), dash(), cause.to_owned()]
}
