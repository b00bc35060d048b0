//! The order of the hosts and their waves: canaries, then zone after zone or all the rest.
//!
//! **Invariant:** the waves have every host exactly once, in the order of the plan, and none is empty.
//! **Invariant:** hosts that are in this order already stay where they are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::{Limits, Planned, Then, Wave, WaveKind};

/// Puts the hosts in the order in which they go. The canaries are the first so many that are not left out.
pub(super) fn order(hosts: Vec<Planned>, limits: &Limits) -> Vec<Planned> {
    let canaries = canaries_end(&hosts, limits);
    let mut zones: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for planned in &hosts {
        let next = zones.len();
        zones.entry(planned.zone.clone()).or_insert(next);
    }
    let mut ordered = hosts;
    if limits.by_zone {
        let rest = ordered.get_mut(canaries..).unwrap_or_default();
        rest.sort_by_key(|planned| zones.get(&planned.zone).copied());
    }
    ordered
}

/// The waves of hosts that are in their order.
pub(super) fn cut(hosts: &[Planned], limits: &Limits) -> Vec<Wave> {
    let canaries = canaries_end(hosts, limits);
    let mut kinds: Vec<(WaveKind, Range<usize>)> = Vec::new();
    if canaries > 0 {
        kinds.push((WaveKind::Canaries, 0..canaries));
    }
    let mut begin = canaries;
    while begin < hosts.len() {
        let (kind, end) = if limits.by_zone { zone_wave(hosts, begin) } else { (WaveKind::Rest, hosts.len()) };
        kinds.push((kind, begin..end));
        begin = end;
    }
    then(hosts, limits, kinds)
}

fn zone_wave(hosts: &[Planned], begin: usize) -> (WaveKind, usize) {
    let zone = &hosts[begin].zone;
    let length = hosts[begin..].iter().take_while(|planned| planned.zone == *zone).count();
    (WaveKind::Zone(zone.clone()), begin + length)
}

/// The place after the last canary: so many hosts that are not left out are before it, or all hosts are.
fn canaries_end(hosts: &[Planned], limits: &Limits) -> usize {
    if limits.canaries == 0 {
        return 0;
    }
    let mut going = hosts.iter().enumerate().filter(|(_, planned)| !planned.is_left_out());
    going.nth(limits.canaries - 1).map_or(hosts.len(), |(place, _)| place + 1)
}

/// Says what comes after each wave. Where nothing is restarted nothing is waited for.
fn then(hosts: &[Planned], limits: &Limits, kinds: Vec<(WaveKind, Range<usize>)>) -> Vec<Wave> {
    let goes = |range: &Range<usize>| hosts[range.clone()].iter().any(|planned| !planned.is_left_out());
    let last = kinds.iter().rposition(|(_, range)| goes(range));
    let first_zone = kinds.iter().position(|(kind, range)| matches!(kind, WaveKind::Zone(_)) && goes(range));
    let waves = kinds.into_iter().enumerate().map(|(place, (kind, range))| {
        let is_last = last == Some(place);
        let then = match (&kind, limits.soak) {
            _ if !goes(&range) => Then::GoOn,
            (WaveKind::Zone(_), Some(soak)) if first_zone == Some(place) && !is_last => Then::Soak(twice(soak)),
            (_, Some(soak)) => Then::Soak(soak),
            (WaveKind::Canaries, None) if !is_last => Then::Person,
            (WaveKind::Canaries | WaveKind::Zone(_) | WaveKind::Rest, None) => Then::GoOn,
        };
        Wave { kind, hosts: range, then }
    });
    waves.collect()
}

/// Whatever is wrong with a release is to be found in the first zone.
fn twice(soak: Duration) -> Duration {
    soak.saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use crate::plan::samples::builder;
    use crate::plan::{Plan, Then, WaveKind};

    /// The waves, such as `canaries 1 2 soak 30`.
    fn told(plan: &Plan) -> String {
        let wave = |wave: &crate::plan::Wave| {
            let kind = match &wave.kind {
                WaveKind::Canaries => "canaries".to_owned(),
                WaveKind::Zone(zone) => zone.clone().unwrap_or_else(|| "-".to_owned()),
                WaveKind::Rest => "rest".to_owned(),
            };
            let hosts: String =
                plan.hosts()[wave.hosts.clone()].iter().map(|planned| planned.host.as_str().replace("web-", " ")).collect();
            let then = match wave.then {
                Then::GoOn => String::new(),
                Then::Soak(soak) => format!(" soak {}", soak.as_secs()),
                Then::Person => " person".to_owned(),
            };
            format!("{kind}{hosts}{then}")
        };
        plan.waves().iter().map(wave).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn without_wishes_all_hosts_are_one_wave() {
        assert_eq!(told(&builder("+++").plan()), "rest 1 2 3");
        assert_eq!(told(&builder("+++").soak(30).plan()), "rest 1 2 3 soak 30");
        assert_eq!(told(&builder("").plan()), "");
    }

    #[test]
    fn canaries_go_first_and_then_it_soaks_or_a_person_looks() {
        assert_eq!(told(&builder("++++").canaries(2).plan()), "canaries 1 2 person; rest 3 4");
        assert_eq!(told(&builder("++++").canaries(1).soak(30).plan()), "canaries 1 soak 30; rest 2 3 4 soak 30");
    }

    #[test]
    fn canaries_after_which_nothing_comes_await_nobody() {
        assert_eq!(told(&builder("++").canaries(2).plan()), "canaries 1 2");
        assert_eq!(told(&builder("++").canaries(9).plan()), "canaries 1 2");
        assert_eq!(told(&builder("+xx").canaries(1).leave_out().plan()), "canaries 1; rest 2 3");
    }

    #[test]
    fn a_canary_that_is_left_out_is_none() {
        assert_eq!(told(&builder("x+++").canaries(1).leave_out().plan()), "canaries 1 2 person; rest 3 4");
        assert_eq!(told(&builder("xx").canaries(1).leave_out().plan()), "canaries 1 2");
    }

    #[test]
    fn zones_go_in_the_order_in_which_they_come_and_the_first_soaks_twice_as_long() {
        let zones = builder("+++++").zones("b a - a b").by_zone();
        assert_eq!(told(&zones.clone().plan()), "b 1 5; a 2 4; - 3");
        assert_eq!(told(&zones.clone().soak(30).plan()), "b 1 5 soak 60; a 2 4 soak 30; - 3 soak 30");
        assert_eq!(told(&zones.canaries(1).soak(30).plan()), "canaries 1 soak 30; b 5 soak 60; a 2 4 soak 30; - 3 soak 30");
        assert_eq!(told(&builder("++").zones("a a").by_zone().soak(30).plan()), "a 1 2 soak 30");
    }

    #[test]
    fn a_zone_in_which_nothing_is_restarted_is_not_waited_for() {
        let plan = builder("x+x+").zones("a b a c").by_zone().soak(30).leave_out().plan();
        assert_eq!(told(&plan), "a 1 3; b 2 soak 60; c 4 soak 30");
    }
}
