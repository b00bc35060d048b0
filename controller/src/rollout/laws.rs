//! The promises of a rollout, written a second time: a world that answers at random, and laws over what was seen of it.
//!
//! The world knows nothing of the machine's states; the laws know only the trace of events and actions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;

use super::{Action, Event, LAST_LOOKS_MAX, Order, Rollout, Summary};
use crate::inventory::HostName;
use crate::outcome::samples::{proven, rolled_back};
use crate::outcome::{DropSeen, Outcome};
use crate::plan::samples::plan;
use crate::standing::samples::healthy;

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
    match what % 22 {
        0..=2 => Event::Looked(host, Box::new(healthy())),
        3..=7 => Event::Settled(host, outcome(how)),
        8..=11 => Event::GuardStands(host),
        12 => Event::GuardLost(host, "reset".into()),
        13 if how < 40 => Event::GuardBroken(host, Outcome::Dropped(DropSeen::Guarded)),
        14 if how < 20 => Event::Interrupted,
        13..=15 => Event::Tick,
        16 => Event::StillStands(host),
        17 if how < 10 => Event::ClaimRefused(host, "lost".into()),
        17 | 18 => Event::Claimed(host),
        19 if how < 90 => Event::Ordered(Order::Pause),
        19 | 20 => Event::Ordered(Order::Resume),
        21 if how < 10 => Event::Ordered(Order::Abort),
        21.. => Event::Started,
    }
}

/// One random thing that goes wrong; half of them are drops.
fn trouble(hosts: usize, choice: (usize, u8, u8)) -> Event {
    let (place, what, _) = choice;
    match what % 2 {
        0 => event(hosts, (place, 13, 0)),
        1.. => event(hosts, choice),
    }
}

/// A rollout that is told things, and all that was told and answered.
struct Walk {
    rollout: Rollout,
    now: Duration,
    trace: Trace,
    over: bool,
}

impl Walk {
    fn begin(hosts: &str, in_flight: usize, failures: usize) -> Self {
        let rollout = Rollout::new(&plan(hosts, in_flight, failures));
        let mut walk = Self { rollout, now: Duration::ZERO, trace: Vec::new(), over: false };
        walk.tell(Event::Started);
        walk
    }

    fn tell(&mut self, event: Event) {
        let actions = self.rollout.handle(self.now, event.clone());
        self.over |= actions.iter().any(|action| matches!(action, Action::Finish(_)));
        self.trace.push((event, actions));
    }

    /// Time runs until it is over, and whoever has paused it resumes it.
    fn end(mut self, hosts: usize) -> Trace {
        if !self.over {
            self.tell(Event::Ordered(Order::Resume));
        }
        for _ in 0..10 * hosts {
            if self.over {
                break;
            }
            self.now = self.rollout.deadline_next().expect("a rollout that is not over waits for something");
            self.tell(Event::Tick);
        }
        assert!(self.over, "the rollout never ended");
        self.trace
    }
}

/// Runs a rollout through a random world.
fn run(hosts: &str, in_flight: usize, failures: usize, choices: Vec<(usize, u8, u8)>) -> Trace {
    let mut walk = Walk::begin(hosts, in_flight, failures);
    for choice in choices {
        walk.now += Duration::from_millis(u64::from(choice.2) * 20);
        walk.tell(event(hosts.len(), choice));
    }
    walk.end(hosts.len())
}

/// What a world in which all goes well says to an action.
fn good_answer(action: &Action) -> Option<Event> {
    match action {
        Action::Claim(host) => Some(Event::Claimed(host.clone())),
        Action::Look(host) => Some(Event::Looked(host.clone(), Box::new(healthy()))),
        Action::Ask(host, _) => Some(Event::Settled(host.clone(), proven())),
        Action::Guard(host, _) => Some(Event::GuardStands(host.clone())),
        Action::LastLook(host, _) => Some(Event::StillStands(host.clone())),
        Action::Abandon(_)
        | Action::TellOutcome(..)
        | Action::TellStop(_)
        | Action::Tell(_)
        | Action::Finish(_)
        | Action::Ignore(_) => None,
    }
}

/// Runs a rollout through a world in which all goes well, but for what is thrown in; answers come in any order.
fn run_well(hosts: &str, in_flight: usize, order: &[usize], thrown_in: &[(usize, Event)]) -> Trace {
    let mut walk = Walk::begin(hosts, in_flight, 0);
    let mut heard = 0;
    let mut answers: Vec<Event> = Vec::new();
    for moment in 0.. {
        for (_, event) in thrown_in.iter().filter(|(at, _)| *at == moment) {
            walk.tell(event.clone());
        }
        answers.extend(walk.trace[heard..].iter().flat_map(|(_, actions)| actions).filter_map(good_answer));
        heard = walk.trace.len();
        if answers.is_empty() {
            break;
        }
        let next = order[moment % order.len()] % answers.len();
        walk.tell(answers.swap_remove(next));
    }
    walk.end(hosts.len())
}

/// What an onlooker can tell of a trace.
#[derive(Default)]
struct Onlooker {
    claims: BTreeSet<HostName>,
    asked: BTreeSet<HostName>,
    started: BTreeSet<HostName>,
    in_flight: BTreeSet<HostName>,
    unguarded: BTreeSet<HostName>,
    lost: BTreeSet<HostName>,
    looked_at: BTreeSet<HostName>,
    still_standing: BTreeSet<HostName>,
    left_at_once: bool,
    told: BTreeMap<HostName, Outcome>,
    failures: usize,
    stopped: bool,
    summary: Option<Summary>,
}

impl Onlooker {
    fn let_go(&mut self, host: &HostName) {
        self.in_flight.remove(host);
        self.unguarded.remove(host);
        self.lost.remove(host);
        self.looked_at.remove(host);
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::GuardStands(host) => {
                self.unguarded.remove(host);
                self.lost.remove(host);
            }
            Event::GuardLost(host, _) if !self.unguarded.contains(host) && !self.looked_at.contains(host) => {
                self.lost.insert(host.clone());
            }
            Event::StillStands(host) => {
                self.looked_at.remove(host);
                self.still_standing.insert(host.clone());
            }
            // It was looked at, and is not asked any more: nothing new starts.
            Event::Looked(host, _) if self.stopped && !self.asked.contains(host) => {
                self.in_flight.remove(host);
            }
            // The first interrupt drains; whatever comes once nothing new starts leaves.
            Event::Interrupted => self.left_at_once = self.stopped,
            Event::Started
            | Event::Claimed(_)
            | Event::ClaimRefused(..)
            | Event::Looked(..)
            | Event::Ordered(_)
            | Event::Settled(..)
            | Event::GuardLost(..)
            | Event::GuardBroken(..)
            | Event::Tick => {}
        }
    }

    /// A drop on a host that ends well is news until the very end.
    fn turned_away(&self, event: &Event) -> Result<(), TestCaseError> {
        if let Event::GuardBroken(host, Outcome::Dropped(_)) = event {
            let stands = self.told.get(host).is_some_and(stands);
            prop_assert!(!stands || self.summary.is_some(), "nobody heard that {host} dropped");
        }
        Ok(())
    }

    /// A last look is a last one: nothing else is open, nothing starts after it, and each host has one.
    fn look_last(&mut self, host: &HostName) -> Result<(), TestCaseError> {
        let open = self.in_flight.len() + self.unguarded.len() + self.lost.len();
        prop_assert_eq!(open, 0, "{} is looked at a last time while something is open", host);
        prop_assert!(self.looked_at.insert(host.clone()) && !self.still_standing.contains(host), "{host} has two last looks");
        prop_assert!(self.looked_at.len() <= LAST_LOOKS_MAX, "too many last looks at once");
        let outcome = self.told.get(host);
        prop_assert!(outcome.is_some_and(stands), "{host} is looked at a last time, and ended as {outcome:?}");
        Ok(())
    }

    /// Every host that ends well was found standing after all others were done, unless the operator left at once.
    fn finish(&mut self, summary: &Summary) -> Result<(), TestCaseError> {
        let waited_for = self.in_flight.len() + self.unguarded.len() + self.lost.len() + self.looked_at.len();
        prop_assert_eq!(waited_for, 0, "it ended while something was open");
        for (host, outcome) in &summary.hosts {
            let seen = self.still_standing.contains(host) || self.left_at_once;
            prop_assert!(seen || !outcome.as_ref().is_some_and(stands), "{host} was not looked at a last time");
        }
        self.summary = Some(summary.clone());
        Ok(())
    }

    fn look(&mut self, event: &Event, action: &Action, in_flight_max: usize, failures_max: usize) -> Result<(), TestCaseError> {
        prop_assert!(self.summary.is_none() || matches!(action, Action::Ignore(_)), "{action:?} after the end");
        match action {
            Action::Claim(host) => prop_assert!(self.claims.insert(host.clone()), "{host} is claimed twice"),
            Action::Ask(host, attempt) => {
                prop_assert_eq!(*attempt, 1);
                prop_assert!(self.in_flight.contains(host) && self.asked.insert(host.clone()), "{host} is asked out of turn");
            }
            Action::Look(host) => {
                prop_assert!(!self.stopped, "{host} started after a halt");
                prop_assert!(self.claims.contains(host), "{host} started and was never claimed");
                let last_looks = self.looked_at.len() + self.still_standing.len();
                prop_assert_eq!(last_looks, 0, "{} started after a last look", host);
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
                self.let_go(host);
                let first = self.told.insert(host.clone(), outcome.clone()).is_none();
                let failed = matches!(outcome, Outcome::Refused(_) | Outcome::RolledBack { .. });
                let left_out = !self.claims.contains(host);
                self.failures += usize::from(first && failed && !left_out);
            }
            Action::TellStop(_) => self.stopped = true,
            Action::Tell(_) => {}
            Action::Abandon(host) => self.let_go(host),
            Action::LastLook(host, _) => self.look_last(host)?,
            Action::Finish(summary) => self.finish(summary)?,
            Action::Ignore(ignored) => prop_assert_eq!(ignored, event),
        }
        let halting =
            |outcome: &Outcome| !matches!(outcome, Outcome::Proven(_) | Outcome::Refused(_) | Outcome::RolledBack { .. });
        let must_stop = self.told.values().any(halting) || self.failures > failures_max;
        prop_assert!(!(must_stop && matches!(action, Action::Look(_))), "{action:?} in spite of a halt");
        Ok(())
    }
}

fn check(trace: &Trace, hosts: usize, in_flight_max: usize, failures_max: usize) -> Result<(), TestCaseError> {
    let mut onlooker = Onlooker::default();
    for (event, actions) in trace {
        if actions.contains(&Action::Ignore(event.clone())) {
            onlooker.turned_away(event)?;
        } else {
            onlooker.hear(event);
        }
        for action in actions {
            onlooker.look(event, action, in_flight_max, failures_max)?;
        }
    }
    let summary = onlooker.summary.expect("it ended");
    prop_assert_eq!(summary.hosts.len(), hosts);
    for (host, outcome) in &summary.hosts {
        prop_assert_eq!(outcome.as_ref(), onlooker.told.get(host), "{}: the last outcome told is the one that counts", host);
        prop_assert!(outcome.is_some() || !onlooker.asked.contains(host), "{} was asked and has no outcome", host);
    }
    Ok(())
}

/// Whether a host that ended so is guarded from then on.
fn stands(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Proven(_) | Outcome::RolledBack { .. })
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
    fn the_laws_hold_too_where_all_goes_well_but_for_some_events(
        count in 1_usize..9,
        in_flight in 1_usize..4,
        order in vec(any::<usize>(), 1..9),
        thrown_in in vec((0_usize..40, (any::<usize>(), any::<u8>(), any::<u8>())), 0..4),
    ) {
        let thrown_in: Vec<_> = thrown_in.into_iter().map(|(moment, choice)| (moment, trouble(count, choice))).collect();
        let trace = run_well(&"+".repeat(count), in_flight, &order, &thrown_in);
        check(&trace, count, in_flight, 0)?;
    }

    #[test]
    fn an_undisturbed_rollout_ends_with_all_proven(
        count in 1_usize..30,
        in_flight in 1_usize..6,
        order in vec(any::<usize>(), 1..9),
    ) {
        let trace = run_well(&"+".repeat(count), in_flight, &order, &[]);
        let Some((_, actions)) = trace.last() else { panic!("nothing happened") };
        let Some(Action::Finish(summary)) = actions.last() else { panic!("{actions:?}") };
        prop_assert!(summary.hosts.iter().all(|(_, outcome)| matches!(outcome, Some(Outcome::Proven(_)))));
        prop_assert_eq!(summary.hosts.len(), count);
    }
}
