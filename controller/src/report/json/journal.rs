//! The journal of rollouts as objects.

use std::time::Duration;

use baton_proto::custody::objects::{milliseconds, with};
use serde_json::{Value, json};

use super::outcome_fields;
use crate::journal::Entry;
use crate::journal::record::Record;
use crate::report::{Condition, Journal};
use crate::rollout::{Order, Past};
use crate::store::{Listed, RolloutRow, RunRow, Written};

/// Renders one thing as lines.
pub(super) fn render(journal: &Journal<'_>) -> String {
    match journal {
        Journal::Rollouts(rows) => rows.iter().map(|(row, condition)| line(&listed(row, *condition))).collect(),
        Journal::Rollout { rollout, runs, plan, condition } => {
            let head = with(rollout_fields(rollout, *condition), json!({"plan": document(plan)}));
            std::iter::once(head).chain(runs.iter().map(run)).map(|value| line(&value)).collect()
        }
        Journal::Entry(written) => line(&entry(written)),
        Journal::Hosts { past, .. } => hosts(past).iter().map(line).collect(),
        Journal::Taken { rollout, order, answer } => line(&json!({
            "event": "order_taken", "rollout": rollout, "order": order_word(*order), "answer": answer,
        })),
    }
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// The plan as JSON, or as text where it is none.
fn document(plan: &str) -> Value {
    serde_json::from_str(plan).unwrap_or_else(|_| plan.into())
}

fn listed(Listed { rollout, run: last, words }: &Listed, condition: Condition) -> Value {
    let words: Value = words.iter().map(|(word, count)| (word.replace(' ', "_"), Value::from(*count))).collect();
    let last = last.as_ref().map(run);
    with(rollout_fields(rollout, condition), json!({"outcomes": words, "last_run": last}))
}

fn rollout_fields(rollout: &RolloutRow, condition: Condition) -> Value {
    let RolloutRow { id, fleet, service, release, operator, reason, inventory, undo_of, hosts, began, aborted } = rollout;
    let (pid, exit) = match condition {
        Condition::Running { pid } => (Some(pid), None),
        Condition::Ended { exit } => (None, Some(exit)),
        Condition::Crashed | Condition::NotBegun => (None, None),
    };
    json!({
        "event": "rollout", "rollout": id, "fleet": fleet, "service": service, "release": release, "operator": operator,
        "reason": reason, "inventory": inventory, "undo_of": undo_of, "hosts": hosts, "began_unix_ms": milliseconds(*began),
        "aborted": aborted, "condition": condition.word(), "pid": pid, "exit_code": exit,
    })
}

fn run(run: &RunRow) -> Value {
    let RunRow { number, operator, pid, began, ended, exit } = run;
    let time = |at: Duration| milliseconds(at);
    json!({
        "event": "run", "run": number, "operator": operator, "pid": pid, "began_unix_ms": time(*began),
        "ended_unix_ms": ended.map(time), "exit_code": exit,
    })
}

/// The entry as it is kept, with what its evidence shows.
fn entry(written: &Written) -> Value {
    let head = json!({
        "event": "entry", "seq": written.seq, "at_unix_ms": milliseconds(written.at), "run": written.run,
    });
    let mut body = document(&Record::of(&written.entry).body);
    let outcome = match &written.entry {
        Entry::Settled { outcome, evidence, .. } => with(outcome_fields(outcome), json!({"has_testimony": evidence.is_some()})),
        Entry::Outcome { outcome, .. } => outcome_fields(outcome),
        Entry::Begun { .. }
        | Entry::Claimed(_)
        | Entry::Asked { .. }
        | Entry::Stopping(_)
        | Entry::Noted(_)
        | Entry::Ordered(_)
        | Entry::Finished { .. } => return with(head, body),
    };
    if let Some(fields) = body.as_object_mut() {
        fields.remove("outcome");
    }
    with(with(head, body), outcome)
}

fn hosts(past: &Past) -> Vec<Value> {
    let host = |(host, known): (&crate::inventory::HostName, &crate::rollout::PastHost)| {
        let head = json!({"event": "host", "host": host.as_str(), "attempt": known.attempt});
        match &known.outcome {
            Some(outcome) => with(head, outcome_fields(outcome)),
            None => with(head, json!({"outcome": if known.attempt == 0 { "untouched" } else { "in_flight" }})),
        }
    };
    past.hosts.iter().map(host).collect()
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::Pause => "pause",
        Order::Resume => "resume",
        Order::Abort => "abort",
    }
}
