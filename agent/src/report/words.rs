//! Events as lines for a person.

use std::time::Duration;

use baton_proto::claim::Claim;
use baton_proto::custody::{MARK_MIN, words};
use baton_proto::span::Span;
use baton_proto::{finding, v1};

use super::{Conclusion, Event, custody_word};
use crate::outcome::Outcome;

/// An event in words: one line, or a few.
pub(super) fn of(event: &Event<'_>) -> String {
    // Names of processes and answers of probes are in there: none of them may drive the terminal.
    lines(event).chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn lines(event: &Event<'_>) -> String {
    match event {
        Event::Status { service, now, claim } => status(service, *now, *claim),
        Event::Step { progress, after } => timed("Step", *after, &format!("{}: {}", progress.step().verb(), progress.detail)),
        Event::Waiting { step: name, after } => timed("Waiting", *after, &format!("for the step {name} to end")),
        Event::Lost { reason, after } => timed("Retrying", *after, &format!("contact with the agent was lost: {reason}")),
        Event::Stopped { service, how } => format!("{service}: {how}"),
        Event::Testimony(protocol) => protocol.text(),
        Event::History(chronicle) => chronicle.text(),
        Event::Concluded(conclusion) => concluded(conclusion),
        Event::NoRecord { service } => format!("no handover of {service} is on record"),
    }
}

/// A verb in a gutter, then when and what, as `baton` does it.
fn timed(verb: &str, after: Duration, text: &str) -> String {
    format!("{verb:>12} [{:>6.1}s]   {text}", after.as_secs_f64())
}

fn status(service: &v1::ServiceStatus, now: Duration, claim: Option<&Claim>) -> String {
    let custody = custody_word(service.custody());
    let mut parts = Vec::new();
    if let Some(master) = &service.master {
        parts.push(format!("master {}{}", master.pid, since(service.held_since_ns, now)));
    }
    parts.push(format!("generation {}", service.generation));
    if !service.release.is_empty() {
        parts.push(format!("release {}", service.release));
    }
    parts.push(format!("epoch {}", service.epoch));
    if service.master.is_some() {
        parts.push(if service.mark < MARK_MIN { "not marked" } else { "marked" }.to_owned());
    }
    match service.holders {
        0 => {}
        1 => parts.push("1 holder".to_owned()),
        holders => parts.push(format!("{holders} holders")),
    }
    if service.step() != v1::Step::Unspecified {
        parts.push(format!("in a handover at the step {}", service.step().verb()));
    }
    parts.extend(service.supervision.as_ref().map(|supervision| supervised(supervision, now)));
    let mut text = format!("{:<16} {:<8} {:<9} {}", service.service, custody, service.dialect, parts.join(", "));
    let is_told = |finding: &&v1::Finding| finding.sentence == service.trouble;
    let findings = service.findings.iter().filter(|finding| !is_told(finding)).map(|finding| &finding.sentence);
    let troubles = Some(&service.trouble).into_iter().filter(|trouble| !trouble.is_empty());
    let claimed = claim.map(|claim| format!("{}; {}", claim.sentence(), how_long(claim)));
    for line in troubles.chain(findings).chain(&claimed) {
        text.push_str("\n    ");
        text.push_str(line);
    }
    for holder in &service.census {
        text.push_str("\n    ");
        text.push_str(&census_line(holder));
    }
    text
}

fn how_long(claim: &Claim) -> String {
    format!("unless it is renewed it ends in {}", Span(claim.lease_left))
}

/// What becomes of a service that the agent starts.
fn supervised(supervision: &v1::Supervision, now: Duration) -> String {
    let again = match supervision.starts {
        0 | 1 => String::new(),
        starts => format!(" (start {starts})"),
    };
    match supervision.state() {
        v1::SupervisionState::Running => format!("run by hold {}{again}", supervision.hold.unwrap_or_default().pid),
        v1::SupervisionState::Waiting => {
            let left = Duration::from_nanos(supervision.next_start_ns).saturating_sub(now);
            format!("started again in {}{again}", Span(left))
        }
        v1::SupervisionState::GivenUp => format!("given up{again}"),
        v1::SupervisionState::Stopping => "being stopped on purpose".to_owned(),
        v1::SupervisionState::Stopped => "stopped on purpose".to_owned(),
        v1::SupervisionState::Unspecified => "started by the agent".to_owned(),
    }
}

/// One holder: its pid, as what it holds, what it runs, and which lock it has.
fn census_line(holder: &v1::Holder) -> String {
    let pid = holder.process.unwrap_or_default().pid;
    let role = finding::role(holder.role);
    let mark = if holder.mark < MARK_MIN { "no mark".to_owned() } else { format!("mark {:#x}", holder.mark) };
    format!("{pid:<8} {role:<24} {:<16} {mark}, taker {}", holder.command, holder.taker)
}

fn since(held_since_ns: u64, now: Duration) -> String {
    if held_since_ns == 0 {
        return String::new();
    }
    format!(" for {}", Span(now.saturating_sub(Duration::from_nanos(held_since_ns))))
}

fn concluded(conclusion: &Conclusion<'_>) -> String {
    let Conclusion { service, outcome, after, lingering_pids, .. } = conclusion;
    let (verb, what) = match outcome {
        Outcome::Proven(kept) => ("Kept", kept.to_string()),
        Outcome::Refused(reason) => ("Refused", format!("{reason}; nothing was touched")),
        Outcome::RolledBack { step, cause, unbroken } => ("RolledBack", format!("at step {step}: {cause}; {unbroken}")),
        Outcome::Unproven { doubt, failed: None } => ("Unproven", doubt.clone()),
        Outcome::Unproven { doubt, failed: Some(failed) } => ("Unproven", format!("{doubt}; {failed}")),
        Outcome::Dropped { at } => ("Dropped", format!("the lock was free at #{} of the handover", at.0)),
        Outcome::Unknown(reason) => ("Unknown", format!("contact was lost and the handover may go on: {reason}")),
    };
    timed(verb, *after, &format!("{service}   {what}{}", words::left(lingering_pids)))
}
