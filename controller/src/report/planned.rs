//! A plan as a JSON object: all of it.

use baton_proto::custody::objects::{milliseconds, with};
use serde_json::{Map, Value, json};

use super::json::known;
use crate::inventory::HostName;
use crate::plan::{Fate, Objection, Plan, Planned, Then, Warning, Wave, WaveKind};

/// The object.
pub(super) fn object(plan: &Plan, rollout: Option<&str>) -> Value {
    let (bounds, estimate) = (plan.bounds(), plan.estimate());
    let zones: Map<String, Value> = bounds
        .zones
        .iter()
        .map(|(zone, zone_bounds)| {
            let object = json!({"max_failures": zone_bounds.failures_max, "min_available": zone_bounds.available_min});
            (zone.clone(), object)
        })
        .collect();
    json!({
        "event": "plan", "rollout": rollout, "service": plan.service(), "release": plan.release(),
        "max_in_flight": plan.in_flight_max(), "max_failures": plan.failures_max(),
        "host_deadline_ms": milliseconds(plan.host_deadline()),
        "cut_short": plan.cut_short().map(|(host, _)| host.as_str()).collect::<Vec<_>>(),
        "hosts": plan.hosts().iter().map(host).collect::<Vec<_>>(),
        "waves": plan.waves().iter().map(|wave| self::wave(plan, wave)).collect::<Vec<_>>(),
        "min_available": bounds.available_min, "zones": zones, "stop_after": bounds.stop_after,
        "deadline_ms": bounds.deadline.map(milliseconds), "leave_out_broken": plan.choices().limits.leave_out_broken,
        "asked": asked(plan),
        "estimate": {
            "usual_ms": estimate.usual.map(milliseconds), "longest_ms": milliseconds(estimate.longest),
            "persons": estimate.persons,
        },
        "warnings": plan.warnings().iter().map(warning).collect::<Vec<_>>(),
        "objections": plan.objections().iter().map(objection).collect::<Vec<_>>(),
        "exit_code": plan.exit().code(),
    })
}

/// The limits as they were asked for, before they were counted out.
fn asked(plan: &Plan) -> Value {
    let limits = plan.choices().limits;
    json!({
        "max_in_flight": limits.max_in_flight.to_string(), "max_failures": limits.max_failures.to_string(),
        "max_failures_per_zone": limits.max_failures_per_zone.map(|share| share.to_string()),
        "min_available": limits.min_available.to_string(), "min_available_per_zone": limits.min_available_per_zone.to_string(),
        "canary": limits.canaries, "soak_ms": limits.soak.map(milliseconds), "by_zone": limits.by_zone,
    })
}

fn host(planned: &Planned) -> Value {
    let fate = match &planned.fate {
        Fate::Restart(standing) => json!({
            "generation": standing.generation, "pid": standing.master.map(|master| master.pid), "epoch": standing.epoch,
            "release": known(&standing.release),
        }),
        Fate::LeaveOut(refusal) | Fate::Refuse(refusal) => json!({"cause": refusal.cause, "hint": refusal.hint}),
    };
    let head = with(json!({"host": planned.host.as_str(), "fate": planned.fate.word()}), fate);
    with(head, json!({"zone": planned.zone, "address": planned.address, "to_release": planned.release}))
}

fn wave(plan: &Plan, wave: &Wave) -> Value {
    let (kind, zone) = match &wave.kind {
        WaveKind::Canaries => ("canaries", None),
        WaveKind::Zone(zone) => ("zone", zone.as_deref()),
        WaveKind::Rest => ("rest", None),
    };
    let (then, soak) = match wave.then {
        Then::GoOn => ("go_on", None),
        Then::Soak(soak) => ("soak", Some(milliseconds(soak))),
        Then::Person => ("person", None),
    };
    let hosts: Vec<&str> = plan.hosts()[wave.hosts.clone()].iter().map(|planned| planned.host.as_str()).collect();
    json!({"wave": kind, "zone": zone, "hosts": hosts, "then": then, "soak_ms": soak})
}

fn warning(warning: &Warning) -> Value {
    let hosts: Vec<&str> = warning.hosts().iter().map(HostName::as_str).collect();
    json!({"warning": warning.word(), "sentence": warning.to_string(), "hint": warning.hint(), "hosts": hosts})
}

fn objection(objection: &Objection) -> Value {
    json!({
        "objection": objection.word(), "host": objection.host().map(HostName::as_str),
        "sentence": objection.to_string(), "hint": objection.hint(), "exit_code": objection.exit().code(),
    })
}
