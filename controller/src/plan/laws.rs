//! What is true of every plan, written a second time.

use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;

use super::samples::{Builder, builder};
use super::{Circumstances, Clock, Fate, Plan, Planned, Releases, Then, WaveKind, differences};
use crate::inventory::{HostName, Share};
use crate::standing::{Finding, Lingering};
use crate::step::Step;

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![(1..30_usize).prop_map(Share::Count), (0..=100_usize).prop_map(Share::Percent)]
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::from_millis(u64::MAX)),
        any::<u64>().prop_map(Duration::from_nanos),
        (0..90_000_u64).prop_map(Duration::from_secs)
    ]
}

fn text() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\{}0-9]{0,12}"
}

fn releases() -> impl Strategy<Value = Releases> {
    let host = (1..20_usize).prop_map(|number| HostName::parse(&format!("web-{number}")).unwrap());
    prop_oneof![
        Just(Releases::Current),
        "v[0-9]{1,3}".prop_map(Releases::One),
        btree_map(host, "v[0-9]{1,3}", 0..5).prop_map(Releases::Each),
    ]
}

/// What is said of all hosts.
fn limited() -> impl Strategy<Value = Builder> {
    let hosts = "[+xfco]{0,20}".prop_flat_map(|hosts| (Just(hosts.clone()), vec("[abc-]", hosts.len())));
    let shares = (share(), share(), option::of(share()), share(), share());
    let course = (0..12_usize, option::of(time()), any::<bool>(), option::of(1..9_usize), any::<bool>());
    let times = (option::of(time()), option::of(time()), time(), option::of(time()), option::of(time()));
    (hosts, shares, course, times, releases()).prop_map(|((hosts, zones), shares, course, times, releases)| {
        let circumstances = Circumstances { now: times.2, own_certificate_ends: times.3, usual: times.4 };
        builder(&hosts).zones(&zones.join(" ")).releases(releases).circumstances(circumstances).limits(|limits| {
            limits.max_in_flight = shares.0;
            limits.max_failures = shares.1;
            limits.max_failures_per_zone = shares.2;
            limits.min_available = shares.3;
            limits.min_available_per_zone = shares.4;
            limits.canaries = course.0;
            limits.soak = course.1.filter(|soak| !soak.is_zero());
            limits.by_zone = course.2;
            limits.stop_after = course.3;
            limits.leave_out_broken = course.4;
            limits.host_deadline = times.0;
            limits.deadline = times.1;
        })
    })
}

/// A plan in which everything may be said of a host that can be.
fn plan() -> impl Strategy<Value = Plan> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<i32>());
    (limited(), text(), numbers, option::of(time()), option::of(time())).prop_map(|(builder, text, numbers, age, ends)| {
        let mut plan = builder.plan();
        let Plan { hosts, .. } = &mut plan;
        if let Some(planned) = hosts.first_mut() {
            planned.certificate_ends = ends;
            planned.clock = age.map(Clock::Behind);
            if let Fate::Restart(standing) = &mut planned.fate {
                standing.trouble = text.clone();
                standing.release = text.clone();
                standing.epoch = numbers.0;
                standing.fence = numbers.1;
                standing.held_for = age.map(|age| age.min(Duration::from_nanos(u64::MAX)));
                standing.step = Some(Step::Unknown(i32::MAX));
                standing.master = None;
                standing.findings =
                    vec![Finding { kind: "helper".into(), sentence: text.clone(), pids: vec![numbers.2], refuses: false }];
                standing.lingering =
                    vec![Lingering { generation: numbers.0, lingers_for: standing.held_for, pids: vec![1, numbers.2] }];
            }
        }
        plan
    })
}

fn names(hosts: &[Planned]) -> Vec<&str> {
    hosts.iter().map(|planned| planned.host.as_str()).collect()
}

proptest! {
    #[test]
    fn the_waves_have_every_host_once_and_none_is_empty(builder in limited()) {
        let plan = builder.clone().plan();
        let mut end = 0;
        for wave in plan.waves() {
            prop_assert_eq!(wave.hosts.start, end);
            prop_assert!(!wave.hosts.is_empty());
            end = wave.hosts.end;
        }
        prop_assert_eq!(end, plan.hosts().len());
        let mut planned = names(plan.hosts());
        planned.sort_unstable();
        let shown = builder.limits(|limits| (limits.by_zone, limits.canaries) = (false, 0)).plan();
        let mut chosen = names(shown.hosts());
        chosen.sort_unstable();
        prop_assert_eq!(planned, chosen);
    }

    #[test]
    fn the_canaries_are_the_first_hosts_that_are_not_left_out(builder in limited()) {
        let plan = builder.clone().plan();
        let chosen = builder.limits(|limits| (limits.by_zone, limits.canaries) = (false, 0)).plan();
        let going = |planned: &&Planned| !planned.is_left_out();
        let first: Vec<&str> =
            chosen.hosts().iter().filter(going).take(plan.choices().limits.canaries).map(|planned| planned.host.as_str()).collect();
        let canaries: Vec<&str> = match plan.waves().first() {
            Some(wave) if wave.kind == WaveKind::Canaries => {
                plan.hosts()[wave.hosts.clone()].iter().filter(going).map(|planned| planned.host.as_str()).collect()
            }
            Some(_) | None => Vec::new(),
        };
        prop_assert_eq!(canaries, first);
    }

    #[test]
    fn a_rollout_that_soaks_ends_with_a_soak_and_only_canaries_await_a_person(builder in limited()) {
        let plan = builder.plan();
        let limits = plan.choices().limits;
        let goes = |wave: &&super::Wave| plan.hosts()[wave.hosts.clone()].iter().any(|planned| !planned.is_left_out());
        let last = plan.waves().iter().rfind(goes);
        if let (Some(soak), Some(last)) = (limits.soak, last) {
            prop_assert_eq!(last.then, Then::Soak(soak));
        }
        for wave in plan.waves().iter().filter(|wave| wave.then == Then::Person) {
            prop_assert_eq!(&wave.kind, &WaveKind::Canaries);
            prop_assert!(limits.soak.is_none());
        }
    }

    #[test]
    fn limits_are_rounded_to_the_safe_side(builder in limited()) {
        let plan = builder.plan();
        let (limits, bounds, hosts) = (plan.choices().limits, plan.bounds(), plan.hosts().len());
        prop_assert!(bounds.in_flight_max >= 1);
        let parts = |count: usize| count * 100;
        if let Share::Percent(percent) = limits.max_in_flight {
            prop_assert!(bounds.in_flight_max == 1 || parts(bounds.in_flight_max) <= percent * hosts);
        }
        if let Share::Percent(percent) = limits.max_failures {
            prop_assert!(parts(bounds.failures_max) <= percent * hosts && parts(bounds.failures_max + 1) > percent * hosts);
        }
        if let Share::Percent(percent) = limits.min_available {
            prop_assert!(parts(bounds.available_min) >= percent * hosts);
            prop_assert!(bounds.available_min == 0 || parts(bounds.available_min - 1) < percent * hosts);
        }
        for (zone, counted) in &bounds.zones {
            let there = plan.hosts().iter().filter(|planned| planned.zone.as_ref() == Some(zone)).count();
            if let Share::Percent(percent) = limits.min_available_per_zone {
                prop_assert!(parts(counted.available_min) >= percent * there);
            }
        }
    }

    #[test]
    fn without_an_objection_one_host_can_always_fly(builder in limited()) {
        let plan = builder.plan();
        if plan.objections().is_empty() {
            let restarted = |zone: Option<&String>| {
                let there = plan.hosts().iter().filter(|planned| zone.is_none() || planned.zone.as_ref() == zone);
                there.filter(|planned| matches!(planned.fate, Fate::Restart(_))).count()
            };
            prop_assert!(restarted(None) >= 1);
            prop_assert!(restarted(None) > plan.bounds().available_min || plan.bounds().available_min == 0);
            for (zone, bounds) in &plan.bounds().zones {
                prop_assert!(bounds.available_min == 0 || restarted(Some(zone)) > bounds.available_min);
            }
            prop_assert!(plan.hosts().iter().all(|planned| !matches!(planned.fate, Fate::Refuse(_))));
        }
    }

    #[test]
    fn a_plan_is_never_estimated_shorter_than_its_soaks_and_one_host(builder in limited()) {
        let plan = builder.limits(|limits| limits.stop_after = None).plan();
        let soaks = plan.waves().iter().fold(Duration::ZERO, |soaks, wave| match wave.then {
            Then::Soak(soak) => soaks.saturating_add(soak),
            Then::GoOn | Then::Person => soaks,
        });
        let estimate = plan.estimate();
        prop_assert!(estimate.longest >= soaks);
        prop_assert!(estimate.usual.is_none_or(|usual| usual >= soaks));
    }

    #[test]
    fn a_document_says_all_of_a_plan(plan in plan()) {
        let read = Plan::from_document(&plan.to_document());
        prop_assert_eq!(read.as_ref(), Ok(&plan));
        prop_assert!(differences(&plan, &plan).is_empty());
    }

    #[test]
    fn whatever_is_broken_in_a_document_is_an_error_and_no_panic(plan in plan(), cut in any::<Index>(), byte in any::<u8>()) {
        let document = plan.to_document();
        let mut bytes = document.clone().into_bytes();
        let place = cut.index(bytes.len());
        bytes[place] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _read = Plan::from_document(&text);
        }
        // Without its last newline it is whole still.
        let end = (0..place).rev().find(|end| document.is_char_boundary(*end)).unwrap_or_default();
        prop_assert!(Plan::from_document(&document[..end]).is_err());
    }
}
