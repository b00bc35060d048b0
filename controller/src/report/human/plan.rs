//! A plan for people: briefly before a restart, in full where it is only looked at.
//!
//! **Invariant:** however many hosts there are, the text stays readable: names beyond a bound are counted.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_proto::span::Span;

use super::{Colour, Look, count, line};
use crate::inventory::{HostName, Share};
use crate::plan::{Estimate, Fate, Plan, Planned, Then, Wave, WaveKind, ZoneBounds};
use crate::text::listed;

/// How many hosts have a line of their own; more are told as ranges.
const LINES_MAX: usize = 60;

/// How many zones are spelt out in one line.
const ZONES_MAX: usize = 10;

/// A plan that is about to be carried out.
pub(super) fn briefly(plan: &Plan, rollout: &str, look: &Look) -> String {
    let restarted: Vec<&Planned> = plan.hosts().iter().filter(|planned| planned.is_restarted()).collect();
    let mut text = line("Plan", Colour::Plain, look, &format!("{}; rollout {rollout}", headline(plan)));
    if !restarted.is_empty() {
        let order = listed(restarted.iter().map(|planned| planned.host.as_str()));
        text.push_str(&line("Order", Colour::Plain, look, &format!("{order}{}", others(plan))));
    }
    if is_told_in_waves(plan) {
        let waves: Vec<String> = plan.waves().iter().map(|wave| format!("{}{}", kind(plan, wave), then(wave))).collect();
        let shown = waves.iter().take(ZONES_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
        let more = waves.len().saturating_sub(ZONES_MAX);
        let rest = if more == 0 { String::new() } else { format!("; {more} more") };
        text.push_str(&line("Waves", Colour::Plain, look, &format!("{shown}{rest}")));
    }
    text.push_str(&warnings(plan, look));
    text
}

/// A plan that is looked at.
pub(super) fn in_full(plan: &Plan, look: &Look) -> String {
    let mut text = line("Plan", Colour::Plain, look, &headline(plan));
    for limit in limits(plan) {
        text.push_str(&line("Limit", Colour::Plain, look, &limit));
    }
    let is_long = plan.hosts().len() > LINES_MAX;
    for (place, wave) in plan.waves().iter().enumerate() {
        if is_told_in_waves(plan) {
            let what = format!("{} of {}: {}{}", place + 1, plan.waves().len(), kind(plan, wave), then(wave));
            text.push_str(&line("Wave", Colour::Plain, look, &what));
        }
        let hosts = &plan.hosts()[wave.hosts.clone()];
        if is_long {
            text.push_str(&ranges_of(hosts, look));
        } else {
            text.extend(hosts.iter().map(|planned| host(planned, look)));
        }
    }
    if is_long {
        text.push_str(&not_restarted(plan, look));
    }
    if plan.hosts().iter().any(Planned::is_restarted) {
        text.push_str(&line("Estimate", Colour::Plain, look, &estimate(plan.estimate())));
    }
    text.push_str(&warnings(plan, look));
    text.push_str(&objections(plan, look));
    text
}

/// What to do about what speaks against a plan: once for each kind of thing.
pub(super) fn hints(plan: &Plan) -> String {
    let objections = plan.objections().into_iter().map(|objection| (objection.word(), objection.hint()));
    let warnings = plan.warnings().into_iter().map(|warning| (warning.word(), warning.hint()));
    let (mut told, mut text) = (BTreeSet::new(), String::new());
    for (_, hint) in objections.chain(warnings).filter(|(word, _)| told.insert(*word)) {
        text.extend(["hint: ", hint.as_str(), "\n"]);
    }
    text
}

fn headline(plan: &Plan) -> String {
    let budget = match plan.failures_max() {
        0 => "halts on the first failure or doubt".to_owned(),
        max => format!("tolerates {}; halts on the next, or on any doubt", count(max, "failure")),
    };
    let release = plan.release().map_or_else(String::new, |release| format!(" to release {release}"));
    format!("{}{release} on {}, {} at once; {budget}", plan.service(), count(plan.hosts().len(), "host"), plan.in_flight_max())
}

/// How many hosts are not restarted.
fn others(plan: &Plan) -> String {
    let left_out = plan.hosts().iter().filter(|planned| planned.is_left_out()).count();
    match (left_out, plan.refused().count() - left_out) {
        (0, 0) => String::new(),
        (left_out, 0) => format!("; {left_out} left out"),
        (0, refused) => format!("; {refused} refused"),
        (left_out, refused) => format!("; {left_out} left out, {refused} refused"),
    }
}

/// Whether there is more to tell of the waves than that all hosts are one.
fn is_told_in_waves(plan: &Plan) -> bool {
    !matches!(plan.waves(), [] | [Wave { kind: WaveKind::Rest, then: Then::GoOn, .. }])
}

fn kind(plan: &Plan, wave: &Wave) -> String {
    let hosts = count(wave.hosts.len(), "host");
    match &wave.kind {
        WaveKind::Canaries if wave.hosts.len() == 1 => format!("the canary {}", plan.hosts()[wave.hosts.start].host),
        WaveKind::Canaries => format!("{} canaries", wave.hosts.len()),
        WaveKind::Zone(Some(zone)) => format!("zone {zone}, {hosts}"),
        WaveKind::Zone(None) => format!("no zone, {hosts}"),
        WaveKind::Rest if wave.hosts.start == 0 => format!("all {hosts}"),
        WaveKind::Rest => format!("the other {hosts}"),
    }
}

fn then(wave: &Wave) -> String {
    match wave.then {
        Then::GoOn => String::new(),
        Then::Soak(soak) => format!(", then a soak of {}", Span(soak)),
        Then::Person => ", then a person says when to go on".to_owned(),
    }
}

/// What of the limits is worth a line: how it was rounded, and what is not in the headline.
fn limits(plan: &Plan) -> Vec<String> {
    let (limits, bounds, hosts) = (plan.choices().limits, plan.bounds(), plan.hosts().len());
    let of_all = count(hosts, "host");
    let rounded = |share: Share, side: &str, what: String| match share {
        Share::Percent(_) => format!("{share} of {of_all}, rounded {side}: {what}"),
        Share::Count(_) => what,
    };
    let mut lines = Vec::new();
    if let share @ Share::Percent(_) = limits.max_in_flight {
        let least = if share.of(hosts) == 0 { ", the least that there can be" } else { "" };
        lines.push(rounded(share, "down", format!("{} at once{least}", bounds.in_flight_max)));
    }
    if let share @ Share::Percent(_) = limits.max_failures {
        lines.push(rounded(share, "down", format!("{} tolerated", count(bounds.failures_max, "failure"))));
    }
    if limits.min_available != Share::Count(0) {
        lines.push(rounded(limits.min_available, "up", format!("{} stay available", bounds.available_min)));
    }
    lines.extend(zone_limits(plan));
    lines.extend(bounds.stop_after.map(|after| format!("stops after {}", count(after, "host"))));
    lines.extend(limits.host_deadline.map(|deadline| format!("a host may take {}", Span(deadline))));
    lines.extend(bounds.deadline.map(|deadline| format!("nothing new starts after {}", Span(deadline))));
    lines
}

fn zone_limits(plan: &Plan) -> Vec<String> {
    let (limits, bounds) = (plan.choices().limits, plan.bounds());
    let rounded = |share: Share, side: &str| match share {
        Share::Percent(_) => format!("{share} of each zone, rounded {side}: "),
        Share::Count(_) => String::new(),
    };
    let spelt = |number: fn(&ZoneBounds) -> usize| {
        let zones: Vec<String> = bounds.zones.iter().map(|(zone, bounds)| format!("{} in zone {zone}", number(bounds))).collect();
        listed(zones.iter().map(String::as_str))
    };
    let floor = Some(limits.min_available_per_zone).filter(|share| *share != Share::Count(0));
    let budget = limits.max_failures_per_zone;
    [
        budget.map(|share| format!("{}failures tolerated: {}", rounded(share, "down"), spelt(|bounds| bounds.failures_max))),
        floor.map(|share| format!("{}these stay available: {}", rounded(share, "up"), spelt(|bounds| bounds.available_min))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn host(planned: &Planned, look: &Look) -> String {
    let (host, width) = (&planned.host, look.host_width);
    let (verb, colour, what) = match &planned.fate {
        Fate::Restart(standing) => {
            let master = standing.master.map_or_else(String::new, |master| format!(", master {master}"));
            ("Restart", Colour::Green, format!("generation {}{master}", standing.named_generation()))
        }
        Fate::LeaveOut(refusal) => ("Leave out", Colour::Yellow, refusal.cause.clone()),
        Fate::Refuse(refusal) => ("Refuse", Colour::Yellow, refusal.cause.clone()),
    };
    line(verb, colour, look, &format!("{host:<width$}   {what}"))
}

/// The hosts of a wave that are restarted, as ranges.
fn ranges_of(hosts: &[Planned], look: &Look) -> String {
    let names: Vec<&HostName> = hosts.iter().filter(|planned| planned.is_restarted()).map(|planned| &planned.host).collect();
    if names.is_empty() { String::new() } else { line("Restart", Colour::Green, look, &ranges(&names)) }
}

/// Of many hosts those that are not restarted have a line each, as far as that can be read.
fn not_restarted(plan: &Plan, look: &Look) -> String {
    let hosts: Vec<&Planned> = plan.hosts().iter().filter(|planned| !planned.is_restarted()).collect();
    let mut text: String = hosts.iter().take(LINES_MAX).map(|planned| host(planned, look)).collect();
    let more = hosts.len().saturating_sub(LINES_MAX);
    if more > 0 {
        text.push_str(&line("Leave out", Colour::Yellow, look, &format!("{more} more")));
    }
    text
}

/// Names in their order, those that are numbered one after the other as a range: "web-1 to web-40 and db-1".
fn ranges(names: &[&HostName]) -> String {
    let mut runs: Vec<&[&HostName]> = Vec::new();
    let mut begin = 0;
    for end in 1..=names.len() {
        if names.get(end).is_none_or(|next| !follows(names[end - 1].as_str(), next.as_str())) {
            runs.push(&names[begin..end]);
            begin = end;
        }
    }
    let spelt: Vec<String> = runs.iter().map(|run| range(run)).collect();
    format!("{} ({})", listed(spelt.iter().map(String::as_str)), count(names.len(), "host"))
}

fn range(run: &[&HostName]) -> String {
    match run {
        [first, .., last] => format!("{first} to {last}"),
        [] | [_] => run.first().map(ToString::to_string).unwrap_or_default(),
    }
}

/// Whether `next` is `name` with the next number at its end.
fn follows(name: &str, next: &str) -> bool {
    let split = |name: &str| {
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (prefix, number) = name.split_at(name.len() - digits);
        Some((prefix.to_owned(), number.parse::<u64>().ok()?))
    };
    split(name).zip(split(next)).is_some_and(|((one, number), (other, next))| one == other && number.checked_add(1) == Some(next))
}

fn estimate(estimate: Estimate) -> String {
    let longest = format!("at most {}", whole(estimate.longest));
    let usual = estimate.usual.map_or_else(String::new, |usual| format!("usually {}, ", whole(usual)));
    let persons = match estimate.persons {
        0 => String::new(),
        1 => ", and as long as a person is waited for".to_owned(),
        times => format!(", and as long as a person is waited for, {times} times"),
    };
    format!("{usual}{longest}{persons}")
}

/// An estimate is not told in milliseconds.
fn whole(duration: Duration) -> Span {
    Span(Duration::from_secs(duration.as_secs().max(1)))
}

fn warnings(plan: &Plan, look: &Look) -> String {
    plan.warnings().iter().map(|warning| line("Warning", Colour::Yellow, look, &warning.to_string())).collect()
}

/// Why nothing would be touched. What is wrong with a host has been told of it.
fn objections(plan: &Plan, look: &Look) -> String {
    let objections = plan.objections();
    let mut text = String::new();
    for objection in objections.iter().filter(|objection| objection.host().is_none()) {
        text.push_str(&line("Objection", Colour::Red, look, &objection.to_string()));
    }
    match objections.iter().filter(|objection| objection.host().is_some()).count() {
        0 => {}
        1 => text.push_str(&line("Objection", Colour::Red, look, "a host is refused, and is not left out")),
        refused => {
            text.push_str(&line("Objection", Colour::Red, look, &format!("{refused} hosts are refused, and not left out")));
        }
    }
    if !objections.is_empty() {
        text.push_str(&line("Halt", Colour::Red, look, "nothing would be touched"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::ranges;
    use crate::inventory::HostName;

    #[test]
    fn names_with_one_number_after_the_other_are_a_range() {
        let told = |names: &str| {
            let names: Vec<HostName> = names.split(' ').map(|name| HostName::parse(name).unwrap()).collect();
            ranges(&names.iter().collect::<Vec<_>>())
        };
        assert_eq!(told("web-1"), "web-1 (1 host)");
        assert_eq!(told("web-1 web-2"), "web-1 to web-2 (2 hosts)");
        assert_eq!(told("web-08 web-09 web-10 db-11 web-12 a b"), "web-08 to web-10, db-11, web-12, a and b (7 hosts)");
        let many: Vec<String> = (0..40).map(|number| format!("web-{}", number * 2)).collect();
        assert!(told(&many.join(" ")).ends_with("web-18 and 30 more (40 hosts)"));
    }
}
