//! Events as lines for a person.

use std::time::Duration;

use baton_proto::custody::{Fact, Observation};
use baton_proto::span::Span;
use baton_proto::v1;

use super::{Conclusion, Event, custody_word};
use crate::outcome::Outcome;

/// An event in words: one line, or a few.
pub(super) fn of(event: &Event<'_>) -> String {
    // Names of processes and answers of probes are in there: none of them may drive the terminal.
    lines(event).chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn lines(event: &Event<'_>) -> String {
    match event {
        Event::Status { service, now } => status(service, *now),
        Event::Step { progress, after } => step(progress.step().verb(), *after, &progress.detail),
        Event::Waiting { step: name, after } => step("waiting", *after, &format!("for the step {name} to end")),
        Event::Lost { reason, .. } => format!("{:>11} contact with the agent: {reason}; asking again", "Lost"),
        Event::Record(record) => {
            format!("rollout {}, attempt {}, fence {}", record.rollout, record.attempt, record.fence)
        }
        Event::Observation { observation, after } => {
            format!("{:>8} {:>+9.3} s  {}", format!("#{}", observation.seq.0), after.as_secs_f64(), fact(observation))
        }
        Event::Concluded(conclusion) => concluded(conclusion),
        Event::NoRecord { service } => format!("no handover of {service} is on record"),
    }
}

fn step(name: &str, after: Duration, text: &str) -> String {
    format!("{:>11} [{:>6.1}s]  {text}", capitalised(name), after.as_secs_f64())
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn status(service: &v1::ServiceStatus, now: Duration) -> String {
    let custody = custody_word(service.custody());
    let mut parts = Vec::new();
    if let Some(master) = &service.master {
        parts.push(format!("master {}{}", master.pid, since(service.held_since_ns, now)));
    }
    parts.push(format!("generation {}", service.generation));
    parts.push(format!("epoch {}", service.epoch));
    if service.master.is_some() {
        parts.push(if service.mark == 0 { "not marked" } else { "marked" }.to_owned());
    }
    if service.step() != v1::Step::Unspecified {
        parts.push(format!("in a handover at the step {}", service.step().verb()));
    }
    let mut text = format!("{:<16} {:<8} {:<9} {}", service.service, custody, service.dialect, parts.join(", "));
    if !service.trouble.is_empty() {
        text.push_str("\n    ");
        text.push_str(&service.trouble);
    }
    text
}

fn since(held_since_ns: u64, now: Duration) -> String {
    if held_since_ns == 0 {
        return String::new();
    }
    format!(" for {}", Span(now.saturating_sub(Duration::from_nanos(held_since_ns))))
}

fn fact(observation: &Observation) -> String {
    match &observation.fact {
        Fact::Sighting(seen) => {
            let mark = if seen.lock.mark == 0 { "no mark".to_owned() } else { format!("mark {}", seen.lock.mark) };
            let (inode, taker) = (seen.lock.file.inode, seen.lock.taker);
            let (role, process, began) = (seen.role, seen.process, seen.began.0);
            format!("{role} {process} holds the lock (inode {inode}, {mark}, taken by {taker}); looked at from #{began} on")
        }
        Fact::Absence { began, role, process, reason } => {
            format!("{role} {process} was not seen holding: {reason}; looked at from #{} on", began.0)
        }
        Fact::Grant { file } => format!("the lock was free: nobody held inode {}", file.inode),
        Fact::Signal { process, signal } => format!("{signal} was sent to {process}"),
        Fact::Readiness { ready, detail, answered_by } => {
            let ready = if *ready { "ready" } else { "not ready" };
            let by = answered_by.map(|pid| format!(", answered by {pid}")).unwrap_or_default();
            format!("{ready}: {detail}{by}")
        }
        Fact::Exit { role, process } => format!("{role} {process} exited"),
    }
}

fn concluded(conclusion: &Conclusion<'_>) -> String {
    let Conclusion { service, outcome, after, lingering_pids, .. } = conclusion;
    let (word, what) = match outcome {
        Outcome::Proven(kept) => {
            let (old, new, overlap, basis) = (kept.old, kept.new, kept.overlap.as_millis(), kept.basis);
            ("kept", format!("{old} -> {new}   overlap {overlap} ms, {basis}"))
        }
        Outcome::Refused(reason) => ("refused", format!("{reason}; nothing was done")),
        Outcome::RolledBack { step, cause, unbroken } => {
            let (master, basis) = (unbroken.master, unbroken.basis);
            ("undone", format!("{step}: {cause}; {master} is still in charge and never let go, {basis}"))
        }
        Outcome::Unproven { doubt, failed: None } => ("unproven", doubt.clone()),
        Outcome::Unproven { doubt, failed: Some(failed) } => ("unproven", format!("{doubt}; {failed}")),
        Outcome::Dropped { at } => ("dropped", format!("nobody held the lock at #{}", at.0)),
        Outcome::Unknown(reason) => ("unknown", format!("contact was lost and the handover may go on: {reason}")),
    };
    let mut text = step(word, *after, &format!("{service}   {what}"));
    if !lingering_pids.is_empty() {
        let pids: Vec<String> = lingering_pids.iter().map(ToString::to_string).collect();
        text.push_str("\n                       still there of the old generation: ");
        text.push_str(&pids.join(", "));
    }
    text
}
