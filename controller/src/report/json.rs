//! One JSON object for each thing told, on a line of its own. Fields are only ever added.

mod journal;

use baton_proto::claim::Claim;
use baton_proto::custody::objects::{kept, milliseconds, with};
use baton_proto::custody::{Basis, Protocol};
use serde_json::{Map, Value, json};

use super::course::Course;
use super::human::{Look, Next};
use super::{Told, claims, human, planned};
use crate::inventory::{Host, HostName};
use crate::outcome::Outcome;
use crate::plan::WaveKind;
use crate::rollout::{Awaited, Note, Picture, Stop, Summary};
use crate::standing::{Finding, Lingering, Standing};
use crate::text::day;

/// Renders one thing as a line.
pub(super) fn render(told: &Told<'_>, look: &Look<'_>) -> String {
    let at_ms = milliseconds(look.at);
    let value = match told {
        Told::Asking { answered, total } => json!({"event": "asking", "answered": answered, "total": total}),
        Told::Planned { plan, rollout } => planned::object(plan, *rollout),
        Told::NotUndone { host, why } => json!({"event": "not_undone", "host": host.as_str(), "cause": why.to_string()}),
        Told::PlanWritten { path } => json!({"event": "plan_written", "path": path}),
        Told::MayNotRestart { identity } => json!({"event": "may_not_restart", "identity": identity.to_string()}),
        Told::Started { host } => json!({"event": "started", "at_ms": at_ms, "host": host.as_str()}),
        Told::Step { host, step, detail } => {
            json!({"event": "step", "at_ms": at_ms, "host": host.as_str(), "step": step.to_string(), "detail": detail})
        }
        Told::Retrying { host, cause } => {
            json!({"event": "retrying", "at_ms": at_ms, "host": host.as_str(), "cause": cause})
        }
        Told::Regained { host } => json!({"event": "regained", "at_ms": at_ms, "host": host.as_str()}),
        Told::Outcome { host, outcome } => {
            with(json!({"event": "host", "at_ms": at_ms, "host": host.as_str()}), outcome_fields(outcome))
        }
        Told::Stopping { stop, awaited } => with(
            json!({"event": "stopping", "at_ms": at_ms, "cause": stop_word(stop), "host": stop_host(stop)}),
            with(awaited_fields(awaited), json!({"zone": stop_zone(stop), "text": human::because(stop)})),
        ),
        Told::Note { note } => {
            with(json!({"event": "note", "at_ms": at_ms, "rollout": look.course.rollout}), noted(*note, look.course))
        }
        Told::Waiting { awaited, picture } => {
            let hosts: Vec<&str> = awaited.hosts().map(HostName::as_str).collect();
            let told = with(json!({"event": "waiting", "at_ms": at_ms, "hosts": hosts}), awaited_fields(awaited));
            with(told, how_far(picture, look))
        }
        Told::Finished { service, rollout, summary } => finished(service, rollout, summary, look),
        Told::Fleet { rows } => return fleet(rows),
        Told::Claims { rows } => return claims::objects(rows),
        Told::Testimony { host, service, record } => {
            record.tell(host.as_str(), service, |protocol: &Protocol<'_>| protocol.object())
        }
        Told::History(chronicle) => chronicle.object(),
        Told::Journal(journal) => return journal::render(journal),
        Told::Certified { identity, fleet, files, until, cut_short } => json!({
            "event": "certificate", "fleet": fleet, "identity": identity.map(ToString::to_string),
            "certificate": files.certificate, "key": files.key,
            "valid_until": day(*until), "valid_until_s": until.as_secs(), "cut_short": cut_short,
        }),
    };
    format!("{value}\n")
}

/// A text that may not be known.
pub(super) fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn names(hosts: &[HostName]) -> Vec<&str> {
    hosts.iter().map(HostName::as_str).collect()
}

fn awaited_fields(awaited: &Awaited) -> Value {
    let Awaited { claims, in_flight, guards, last_looks, deadlines, soaking, person, is_paused } = awaited;
    let deadlines: Map<String, Value> =
        deadlines.iter().map(|(host, deadline)| (host.to_string(), milliseconds(*deadline).into())).collect();
    json!({
        "claims": names(claims), "in_flight": names(in_flight), "guards": names(guards), "last_looks": names(last_looks), "deadlines_ms": deadlines,
        "soaking_until_ms": soaking.map(|(_, until)| milliseconds(until)), "awaits_person": person.is_some(), "paused": is_paused,
    })
}

fn basis(basis: Basis) -> String {
    basis.to_string()
}

fn outcome_fields(outcome: &Outcome) -> Value {
    let text = human::outcome_text(outcome);
    let word = outcome.word().replace(' ', "_");
    let more = match outcome {
        Outcome::Proven(proof) => with(
            kept(&proof.kept),
            json!({"generation": proof.generation, "release": known(&proof.release), "lingering_pids": proof.lingering}),
        ),
        Outcome::RolledBack { step, cause, unbroken } => json!({
            "verdict": "unbroken", "basis": basis(unbroken.basis), "old_pid": unbroken.master.pid,
            "step": step.map(|step| step.to_string()), "cause": cause,
        }),
        Outcome::Unproven(_) => json!({"verdict": "unproven", "cause": text}),
        Outcome::Dropped(_) => json!({"verdict": "dropped", "cause": text}),
        Outcome::Refused(_) | Outcome::Unknown(_) => json!({"verdict": null, "cause": text}),
    };
    with(json!({"outcome": word}), more)
}

fn how_far(picture: &Picture, look: &Look<'_>) -> Value {
    let (done, total) = picture.done();
    let eta = look.eta(picture);
    json!({
        "done": done, "total": total, "wave": picture.wave, "waves": look.course.waves(),
        "eta_ms": eta.map(|eta| milliseconds(eta.left)), "eta_to": eta.map(|eta| if eta.person { "person" } else { "end" }),
    })
}

fn noted(note: Note, course: &Course) -> Value {
    match note {
        Note::WaveBegins(wave) => with(json!({"note": "wave_begins"}), wave_fields(wave, course)),
        Note::WaveEnds(wave) => with(json!({"note": "wave_ends"}), wave_fields(wave, course)),
        Note::Soaking { wave, until } => {
            with(json!({"note": "soaking", "until_ms": milliseconds(until)}), wave_fields(wave, course))
        }
        Note::AwaitingPerson { wave } => with(json!({"note": "awaiting_person"}), wave_fields(wave, course)),
        Note::Paused => json!({"note": "paused"}),
        Note::GoingOn => json!({"note": "going_on"}),
    }
}

fn wave_fields(place: usize, course: &Course) -> Value {
    let (kind, zone) = match course.wave(place).map(|wave| &wave.kind) {
        Some(WaveKind::Canaries) => (Some("canaries"), None),
        Some(WaveKind::Zone(zone)) => (Some("zone"), zone.as_deref()),
        Some(WaveKind::Rest) => (Some("rest"), None),
        None => (None, None),
    };
    json!({"wave": place, "waves": course.waves(), "kind": kind, "zone": zone})
}

fn stop_word(stop: &Stop) -> &'static str {
    match stop {
        Stop::Doubt(_) => "doubt",
        Stop::PastBudget { .. } => "past_budget",
        Stop::Claimed(_) => "claimed",
        Stop::Floor { .. } => "floor",
        Stop::StopAfter(_) => "stop_after",
        Stop::Deadline => "deadline",
        Stop::Aborted => "aborted",
        Stop::Interrupted => "interrupted",
    }
}

fn stop_host(stop: &Stop) -> Option<&str> {
    match stop {
        Stop::Doubt(host) | Stop::PastBudget { host, .. } | Stop::Claimed(host) | Stop::Floor { host, .. } => Some(host.as_str()),
        Stop::StopAfter(_) | Stop::Deadline | Stop::Aborted | Stop::Interrupted => None,
    }
}

fn stop_zone(stop: &Stop) -> Option<&str> {
    match stop {
        Stop::PastBudget { zone, .. } | Stop::Floor { zone, .. } => zone.as_deref(),
        Stop::Doubt(_) | Stop::Claimed(_) | Stop::StopAfter(_) | Stop::Deadline | Stop::Aborted | Stop::Interrupted => None,
    }
}

fn finished(service: &str, rollout: &str, summary: &Summary, look: &Look<'_>) -> Value {
    let next = Next::after(rollout, summary, look.course);
    let mut hosts: Map<String, Value> = Map::new();
    for (host, outcome) in &summary.hosts {
        let word = outcome.as_ref().map_or_else(|| "untouched".to_owned(), |outcome| outcome.word().replace(' ', "_"));
        if let Value::Array(names) = hosts.entry(word).or_insert_with(|| json!([])) {
            names.push(host.as_str().into());
        }
    }
    json!({
        "event": "summary", "at_ms": milliseconds(look.at), "service": service, "rollout": rollout,
        "exit_code": summary.exit().code(), "stopped": summary.stop.as_ref().map(stop_word),
        "total": summary.hosts.len(), "hosts": hosts, "remaining_command": next.resume, "retry_command": next.retry, "undo_command": next.undo,
    })
}

fn fleet(rows: &[(Host, Result<Vec<Standing>, String>)]) -> String {
    let mut lines = String::new();
    for (host, answer) in rows {
        let mut push = |value: Value| {
            lines.push_str(
                &with(json!({"event": "status", "host": host.name.as_str(), "address": host.address}), value).to_string(),
            );
            lines.push('\n');
        };
        match answer {
            Ok(standings) => standings.iter().for_each(|standing| push(standing_fields(standing))),
            Err(cause) => push(json!({"reachable": false, "trouble": cause})),
        }
    }
    lines
}

fn standing_fields(standing: &Standing) -> Value {
    json!({
        "reachable": true, "service": standing.service, "dialect": standing.dialect,
        "lock": standing.custody.word(), "generation": standing.generation, "release": known(&standing.release),
        "master_pid": standing.master.map(|master| master.pid), "epoch": standing.epoch,
        "held_for_ms": standing.held_for.map(milliseconds), "step": standing.step.map(|step| step.to_string()),
        "fence": standing.fence, "trouble": standing.trouble, "holders": standing.holders,
        "findings": standing.findings.iter().map(finding).collect::<Vec<_>>(),
        "lingering": standing.lingering.iter().map(lingering).collect::<Vec<_>>(),
        "claim": standing.claim.as_ref().map(Claim::object),
    })
}

fn lingering(left: &Lingering) -> Value {
    json!({"generation": left.generation, "lingers_for_ms": left.lingers_for.map(milliseconds), "pids": left.pids})
}

fn finding(found: &Finding) -> Value {
    json!({"kind": found.kind, "sentence": found.sentence, "pids": found.pids, "refuses": found.refuses})
}
