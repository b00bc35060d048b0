//! Entries for tests.

use std::time::Duration;

use proptest::prelude::*;

use super::{Entry, Evidence};
use crate::inventory::HostName;
use crate::outcome::samples::{proven, rolled_back};
use crate::outcome::{DropSeen, Outcome, Refusal, Unproven};
use crate::rollout::{Note, Order, Stop};
use crate::standing::samples::healthy;
use crate::standing::{Custody, Finding, Lingering, Standing};
use crate::step::Step;
use baton_proto::custody::{Process, Seq};
use baton_proto::step;

pub(crate) fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

pub(crate) fn asked(name: &str, attempt: u32) -> Entry {
    Entry::Asked { host: host(name), attempt, before: Box::new(healthy()) }
}

pub(crate) fn settled(name: &str, attempt: u32, outcome: Outcome) -> Entry {
    Entry::Settled { host: host(name), attempt, outcome, evidence: None }
}

pub(crate) fn begun(run: u32) -> Entry {
    Entry::Begun { run, operator: "ada".into(), retry_failed: false }
}

fn hosts() -> impl Strategy<Value = HostName> {
    (0..9_u8).prop_map(|number| host(&format!("web-{number}")))
}

fn durations() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just(step::Step::Open), Just(step::Step::Ready), Just(step::Step::Undo)].prop_map(Step::Known),
        any::<i32>().prop_map(Step::Unknown),
    ]
}

fn standings() -> impl Strategy<Value = Standing> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>());
    let optional = (proptest::option::of(durations()), proptest::option::of(steps()), proptest::option::of(any::<(u32, u64)>()));
    let custody = prop_oneof![Just(Custody::Held), Just(Custody::Orphaned), Just(Custody::Free)];
    (numbers, optional, custody, ".*", ".*", proptest::collection::vec(any::<u32>(), 0..3), any::<bool>()).prop_map(
        |((generation, epoch, fence, holders), (held_for, step, master), custody, trouble, release, pids, refuses)| Standing {
            generation,
            epoch,
            fence,
            holders,
            held_for,
            step,
            custody,
            master: master.map(|(pid, start_ticks)| Process { pid, start_ticks }),
            findings: vec![Finding { kind: "helper".into(), sentence: trouble.clone(), pids: pids.clone(), refuses }],
            lingering: vec![Lingering { generation, lingers_for: held_for, pids }],
            trouble,
            release,
            ..healthy()
        },
    )
}

/// Outcomes that are read back as they were written, without any evidence.
fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (".*", any::<bool>())
            .prop_map(|(cause, is_claimed): (String, bool)| Outcome::Refused(Refusal { is_claimed, ..cause.into() })),
        ".*".prop_map(|cause| Outcome::Unproven(Unproven::Recorded(cause))),
        ".*".prop_map(Outcome::Unknown),
        any::<u64>().prop_map(|at| Outcome::Dropped(DropSeen::InWindow(Seq(at)))),
        Just(Outcome::Dropped(DropSeen::Guarded)),
        any::<(u64, u64)>().prop_map(|(before, after)| Outcome::Dropped(DropSeen::Counted { before, after })),
    ]
}

fn zones() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(".*")
}

fn stops() -> impl Strategy<Value = Stop> {
    prop_oneof![
        hosts().prop_map(Stop::Doubt),
        (hosts(), any::<usize>(), zones()).prop_map(|(host, max, zone)| Stop::PastBudget { host, max, zone }),
        hosts().prop_map(Stop::Claimed),
        (hosts(), any::<usize>(), zones()).prop_map(|(host, min, zone)| Stop::Floor { host, min, zone }),
        any::<usize>().prop_map(Stop::StopAfter),
        prop_oneof![Just(Stop::Deadline), Just(Stop::Aborted), Just(Stop::Interrupted)],
    ]
}

fn notes() -> impl Strategy<Value = Note> {
    prop_oneof![
        any::<usize>().prop_map(Note::WaveBegins),
        (any::<usize>(), durations()).prop_map(|(wave, until)| Note::Soaking { wave, until }),
        any::<usize>().prop_map(|wave| Note::AwaitingPerson { wave }),
        any::<usize>().prop_map(Note::WaveEnds),
        Just(Note::Paused),
        Just(Note::GoingOn),
    ]
}

/// Any entry that stands for itself. Of what was judged there is what a judge finds who always finds the same.
pub(crate) fn entries() -> impl Strategy<Value = Entry> {
    let evidence = any::<(Vec<u8>, Vec<u8>)>().prop_map(|(testimony, ending)| Evidence { testimony, ending });
    let judged = prop_oneof![Just(proven()), Just(rolled_back())];
    prop_oneof![
        (any::<u32>(), ".*", any::<bool>()).prop_map(|(run, operator, retry_failed)| Entry::Begun {
            run,
            operator,
            retry_failed
        }),
        hosts().prop_map(Entry::Claimed),
        (hosts(), any::<u32>(), standings()).prop_map(|(host, attempt, before)| Entry::Asked {
            host,
            attempt,
            before: Box::new(before)
        }),
        (hosts(), any::<u32>(), outcomes()).prop_map(|(host, attempt, outcome)| Entry::Settled {
            host,
            attempt,
            outcome,
            evidence: None
        }),
        (hosts(), any::<u32>(), judged, evidence).prop_map(|(host, attempt, outcome, evidence)| Entry::Settled {
            host,
            attempt,
            outcome,
            evidence: Some(evidence)
        }),
        (hosts(), outcomes()).prop_map(|(host, outcome)| Entry::Outcome { host, outcome }),
        stops().prop_map(Entry::Stopping),
        notes().prop_map(Entry::Noted),
        prop_oneof![Just(Order::Pause), Just(Order::Resume), Just(Order::Abort)].prop_map(Entry::Ordered),
        any::<u8>().prop_map(|exit| Entry::Finished { exit }),
    ]
}
