//! The promises of a rollout, written a second time: a world that answers at random, and laws over what was seen of it.
//!
//! The world knows nothing of the machine's states; the laws know only the trace of events and actions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;

use super::{Action, Event, Rollout, Summary};
use crate::inventory::HostName;
use crate::outcome::samples::{proven, rolled_back};
use crate::outcome::{DropSeen, Outcome};
use crate::plan::samples::plan;

type Trace = Vec<(Event, Vec<Action>)>;

fn outcome(choice: u8) -> Outcome {
    match choice % 12 {
        0 => Outcome::Refused("busy".into()),
        1 => rolled_back(),
        2 => Outcome::Dropped(DropSeen::Guarded),
        3 => Outcome::Unknown("lost".into()),
        _ => proven(),
    }
}

/// One random thing that happens next: (which host, what, how).
fn event(hosts: usize, (place, what, how): (usize, u8, u8)) -> Event {
    let host = HostName::parse(&format!("web-{}", place % hosts + 1)).unwrap();
    match what % 16 {
        0..=2 => Event::Asked(host),
        3..=7 => Event::Settled(host, outcome(how)),
        8..=11 => Event::GuardStands(host),
        12 => Event::GuardLost(host, "reset".into()),
        13 if how < 40 => Event::GuardBroken(host, Outcome::Dropped(DropSeen::Guarded)),
        14 if how < 20 => Event::Interrupted,
        13..=15 => Event::Tick,
        16.. => Event::Started,
    }
}

/// Runs a rollout through a random world; at the end, time runs until it is over.
fn run(hosts: &str, in_flight: usize, failures: usize, choices: Vec<(usize, u8, u8)>) -> Trace {
    let mut rollout = Rollout::new(&plan(hosts, in_flight, failures));
    let mut now = Duration::ZERO;
    let mut trace = Vec::new();
    let mut tell = |rollout: &mut Rollout, now, event: Event| {
        let actions = rollout.handle(now, event.clone());
        let over = actions.iter().any(|action| matches!(action, Action::Finish(_)));
        trace.push((event, actions));
        over
    };
    let mut over = tell(&mut rollout, now, Event::Started);
    for choice in choices {
        now += Duration::from_millis(u64::from(choice.2) * 20);
        over |= tell(&mut rollout, now, event(hosts.len(), choice));
    }
    for _ in 0..10 * hosts.len() {
        if over {
            break;
        }
        now = rollout.deadline_next().expect("a rollout that is not over waits for something");
        over |= tell(&mut rollout, now, Event::Tick);
    }
    assert!(over, "the rollout never ended");
    trace
}

/// What an onlooker can tell of a trace.
#[derive(Default)]
struct Onlooker {
    started: BTreeSet<HostName>,
    in_flight: BTreeSet<HostName>,
    unguarded: BTreeSet<HostName>,
    told: BTreeMap<HostName, Outcome>,
    failures: usize,
    stopped: bool,
    summary: Option<Summary>,
}

impl Onlooker {
    fn look(&mut self, event: &Event, action: &Action, in_flight_max: usize, failures_max: usize) -> Result<(), TestCaseError> {
        prop_assert!(self.summary.is_none() || matches!(action, Action::Ignore(_)), "{action:?} after the end");
        match action {
            Action::Reload(host) => {
                prop_assert!(!self.stopped, "{host} started after a halt");
                prop_assert!(self.started.insert(host.clone()), "{host} started twice");
                prop_assert!(!self.told.contains_key(host), "{host} started though it was refused");
                self.in_flight.insert(host.clone());
                let slots = self.in_flight.len() + self.unguarded.len();
                prop_assert!(slots <= in_flight_max, "{slots} in flight, {in_flight_max} allowed");
            }
            Action::Guard(host, _) => {
                prop_assert!(self.started.contains(host), "{host} is guarded and was never started");
                self.unguarded.insert(host.clone());
            }
            Action::TellOutcome(host, outcome) => {
                self.in_flight.remove(host);
                self.unguarded.remove(host);
                let first = self.told.insert(host.clone(), outcome.clone()).is_none();
                let failed = matches!(outcome, Outcome::Refused(_) | Outcome::RolledBack { .. });
                self.failures += usize::from(first && failed);
            }
            Action::TellStop(_) => self.stopped = true,
            Action::Abandon(host) => {
                self.in_flight.remove(host);
                self.unguarded.remove(host);
            }
            Action::Finish(summary) => self.summary = Some(summary.clone()),
            Action::Ignore(ignored) => prop_assert_eq!(ignored, event),
        }
        let halting =
            |outcome: &Outcome| !matches!(outcome, Outcome::Proven(_) | Outcome::Refused(_) | Outcome::RolledBack { .. });
        let must_stop = self.told.values().any(halting) || self.failures > failures_max;
        prop_assert!(!(must_stop && matches!(action, Action::Reload(_))), "{action:?} in spite of a halt");
        Ok(())
    }
}

fn check(trace: &Trace, hosts: usize, in_flight_max: usize, failures_max: usize) -> Result<(), TestCaseError> {
    let mut onlooker = Onlooker::default();
    for (event, actions) in trace {
        if let Event::GuardStands(host) = event
            && !actions.contains(&Action::Ignore(event.clone()))
        {
            onlooker.unguarded.remove(host);
        }
        for action in actions {
            onlooker.look(event, action, in_flight_max, failures_max)?;
        }
    }
    let summary = onlooker.summary.expect("it ended");
    prop_assert_eq!(summary.hosts.len(), hosts);
    for (host, outcome) in &summary.hosts {
        prop_assert_eq!(outcome.as_ref(), onlooker.told.get(host), "{}: the last outcome told is the one that counts", host);
        let touched = onlooker.started.contains(host);
        prop_assert!(outcome.is_some() || !touched || asked_never(trace, host), "{} was asked and has no outcome", host);
    }
    Ok(())
}

fn asked_never(trace: &Trace, host: &HostName) -> bool {
    let asked = |(event, actions): &(Event, Vec<Action>)| {
        *event == Event::Asked(host.clone()) && !actions.contains(&Action::Ignore(event.clone()))
    };
    !trace.iter().any(asked)
}

fn fleet() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 1..9).prop_map(|hosts| hosts.iter().map(|host| if *host < 25 { 'x' } else { '+' }).collect())
}

proptest! {
    #[test]
    fn whatever_happens_the_laws_hold(
        hosts in fleet(),
        in_flight in 1_usize..4,
        failures in 0_usize..3,
        choices in vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..120),
    ) {
        let trace = run(&hosts, in_flight, failures, choices);
        check(&trace, hosts.len(), in_flight, failures)?;
    }

    #[test]
    fn an_undisturbed_rollout_ends_with_all_proven(count in 1_usize..30, in_flight in 1_usize..6) {
        let mut rollout = Rollout::new(&plan(&"+".repeat(count), in_flight, 0));
        let mut todo = rollout.handle(Duration::ZERO, Event::Started);
        let mut summary = None;
        while let Some(action) = todo.pop() {
            let event = match action {
                Action::Reload(host) => Event::Settled(host, proven()),
                Action::Guard(host, _) => Event::GuardStands(host),
                Action::Finish(finished) => { summary = Some(finished); continue }
                Action::TellOutcome(..) => continue,
                Action::Abandon(_) | Action::TellStop(_) | Action::Ignore(_) => panic!("{action:?}"),
            };
            todo.extend(rollout.handle(Duration::ZERO, event));
        }
        let summary = summary.expect("it ended");
        prop_assert!(summary.hosts.iter().all(|(_, outcome)| matches!(outcome, Some(Outcome::Proven(_)))));
        prop_assert_eq!(summary.hosts.len(), count);
    }
}
