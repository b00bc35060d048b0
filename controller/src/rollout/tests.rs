use std::time::Duration;

use super::{Action, Event, GUARD_DEADLINE, LAST_LOOK_DEADLINE, LAST_LOOKS_MAX, Note, Order, Rollout, Stop, Summary};
use crate::inventory::HostName;
use crate::outcome::samples::{proven, rolled_back};
use crate::outcome::{DropSeen, Exit, Outcome, Refusal};
use crate::plan::samples::{HOST_DEADLINE, builder, plan};
use crate::standing::samples::healthy;

fn host(number: usize) -> HostName {
    HostName::parse(&format!("web-{number}")).unwrap()
}

/// A rollout that is told a story, and remembers what it answered.
struct Story {
    rollout: Rollout,
    now: Duration,
    summary: Option<Summary>,
    /// Whether hosts do not answer when they are looked at a last time.
    frozen: bool,
    /// Whether hosts answer at their turn.
    looks: bool,
}

impl Story {
    fn begin(hosts: &str, in_flight: usize, failures: usize) -> (Self, Vec<Action>) {
        let mut story = Self::of(Rollout::new(&plan(hosts, in_flight, failures)));
        let actions = story.tell(Event::Started);
        (story, actions)
    }

    fn of(rollout: Rollout) -> Self {
        Self { rollout, now: Duration::ZERO, summary: None, frozen: false, looks: true }
    }

    /// Tells something, and what a healthy fleet answers to it: claims are granted, and looks find nothing amiss.
    fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = self.rollout.handle(self.now, event);
        for action in actions.clone() {
            let answer = match action {
                Action::Finish(summary) => {
                    self.summary = Some(summary);
                    None
                }
                Action::Claim(host) => Some(Event::Claimed(host)),
                Action::Look(host) if self.looks => Some(Event::Looked(host, Box::new(healthy()))),
                Action::LastLook(host, _) if !self.frozen => Some(Event::StillStands(host)),
                Action::Look(_)
                | Action::LastLook(..)
                | Action::Ask(..)
                | Action::Guard(..)
                | Action::Abandon(_)
                | Action::TellOutcome(..)
                | Action::TellStop(_)
                | Action::Tell(_)
                | Action::Ignore(_) => None,
            };
            actions.extend(answer.map(|event| self.tell(event)).unwrap_or_default());
        }
        actions
    }

    /// The host is handed over and its guard stands.
    fn prove(&mut self, number: usize) -> Vec<Action> {
        self.tell(Event::Settled(host(number), proven()));
        self.tell(Event::GuardStands(host(number)))
    }

    fn exit(&self) -> Option<Exit> {
        self.summary.as_ref().map(Summary::exit)
    }

    fn untouched(&self) -> Vec<String> {
        self.summary.as_ref().map(|summary| summary.untouched().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

fn last_looks(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::LastLook(..))).count()
}

/// The hosts that are asked for their handovers.
fn asked(actions: &[Action]) -> Vec<String> {
    let asked = |action: &Action| if let Action::Ask(host, _) = action { Some(host.to_string()) } else { None };
    actions.iter().filter_map(asked).collect()
}

#[test]
fn an_undisturbed_rollout_walks_in_order_and_proves_every_host() {
    let (mut story, begun) = Story::begin("+++", 1, 0);
    assert_eq!(asked(&begun), ["web-1"]);
    assert_eq!(asked(&story.prove(1)), ["web-2"]);
    assert_eq!(asked(&story.prove(2)), ["web-3"]);
    story.prove(3);
    assert_eq!(story.exit(), Some(Exit::Proven));
}

#[test]
fn the_next_starts_only_when_the_last_is_proven_and_guarded() {
    let (mut story, _) = Story::begin("++", 1, 0);
    assert_eq!(asked(&story.tell(Event::Settled(host(1), proven()))), [""; 0]);
    assert_eq!(asked(&story.tell(Event::GuardStands(host(1)))), ["web-2"]);
}

#[test]
fn it_is_told_for_what_each_host_is_waited_for() {
    let (mut story, _) = Story::begin("+++", 2, 0);
    story.frozen = true;
    story.tell(Event::Settled(host(1), rolled_back()));
    let awaited = |rollout: &Rollout| {
        let awaited = rollout.awaited();
        assert!(awaited.hosts().all(|host| awaited.deadlines.contains_key(host)), "each has a deadline: {awaited:?}");
        (awaited.in_flight, awaited.guards, awaited.last_looks)
    };
    assert_eq!(awaited(&story.rollout), (vec![host(2)], vec![host(1)], vec![]));
    story.tell(Event::GuardStands(host(1)));
    assert_eq!(awaited(&story.rollout), (vec![host(2)], vec![], vec![]));
    story.prove(2);
    assert_eq!(awaited(&story.rollout), (vec![], vec![], vec![host(1), host(2)]));
    story.tell(Event::StillStands(host(1)));
    story.tell(Event::StillStands(host(2)));
    assert!(story.rollout.awaited().is_empty());
}

#[test]
fn a_host_that_drops_its_lock_halts_the_rollout() {
    let (mut story, begun) = Story::begin("++++", 2, 4);
    assert_eq!(asked(&begun), ["web-1", "web-2"]);
    let actions = story.tell(Event::Settled(host(1), Outcome::Dropped(DropSeen::Guarded)));
    assert!(actions.contains(&Action::TellStop(Stop::Doubt(host(1)))));
    assert_eq!(asked(&actions), [""; 0]);
    assert_eq!(story.exit(), None, "web-2 is in flight and must be waited for");
    story.prove(2);
    assert_eq!(story.exit(), Some(Exit::Dropped));
    assert_eq!(story.untouched(), ["web-3", "web-4"]);
}

#[test]
fn a_late_drop_on_a_finished_host_halts_and_outweighs_its_proof() {
    let (mut story, _) = Story::begin("+++", 1, 0);
    story.prove(1);
    story.tell(Event::GuardBroken(host(1), Outcome::Dropped(DropSeen::Guarded)));
    story.prove(2);
    assert_eq!(story.exit(), Some(Exit::Dropped));
    assert_eq!(story.untouched(), ["web-3"]);
}

#[test]
fn a_lost_guard_is_waited_for_and_then_unknown() {
    let (mut story, _) = Story::begin("++", 1, 0);
    story.prove(1);
    story.tell(Event::GuardLost(host(1), "connection reset".into()));
    story.prove(2);
    assert_eq!(story.exit(), None, "a lost guard keeps the rollout open");
    assert_eq!(story.rollout.deadline_next(), Some(GUARD_DEADLINE));
    story.now = GUARD_DEADLINE;
    story.tell(Event::Tick);
    assert_eq!(story.exit(), Some(Exit::Unproven));
}

#[test]
fn a_guard_that_is_found_again_is_as_good_as_before() {
    let (mut story, _) = Story::begin("++", 1, 0);
    story.prove(1);
    story.tell(Event::GuardLost(host(1), "connection reset".into()));
    story.tell(Event::GuardStands(host(1)));
    story.prove(2);
    assert_eq!(story.exit(), Some(Exit::Proven));
}

#[test]
fn every_guarded_host_is_looked_at_a_last_time_when_all_is_done() {
    let (mut story, _) = Story::begin("+++", 1, 1);
    story.frozen = true;
    assert_eq!(last_looks(&story.prove(1)), 0);
    story.tell(Event::Settled(host(2), rolled_back()));
    assert_eq!(last_looks(&story.tell(Event::GuardStands(host(2)))), 0);
    assert_eq!(last_looks(&story.prove(3)), 3);
    for number in [3, 1, 2] {
        assert_eq!(story.exit(), None);
        story.tell(Event::StillStands(host(number)));
    }
    assert_eq!(story.exit(), Some(Exit::Failed), "one was rolled back within the budget");
}

#[test]
fn news_that_waits_behind_the_last_guard_still_counts() {
    let (mut story, _) = Story::begin("++", 1, 0);
    story.frozen = true;
    story.prove(1);
    story.prove(2);
    story.tell(Event::GuardBroken(host(1), Outcome::Dropped(DropSeen::Guarded)));
    story.tell(Event::StillStands(host(2)));
    assert_eq!(story.exit(), Some(Exit::Dropped));
}

#[test]
fn a_host_that_answered_its_last_look_can_still_drop() {
    let (mut story, _) = Story::begin("++", 1, 0);
    story.frozen = true;
    story.prove(1);
    story.prove(2);
    story.tell(Event::StillStands(host(1)));
    story.tell(Event::GuardBroken(host(1), Outcome::Dropped(DropSeen::Guarded)));
    story.tell(Event::StillStands(host(2)));
    assert_eq!(story.exit(), Some(Exit::Dropped));
}

#[test]
fn a_frozen_agent_is_unknown_at_its_last_look() {
    let (mut story, _) = Story::begin("++", 1, 0);
    story.frozen = true;
    story.prove(1);
    story.prove(2);
    story.tell(Event::StillStands(host(1)));
    story.tell(Event::GuardLost(host(2), "no answer within 5 s".into()));
    story.now = LAST_LOOK_DEADLINE;
    let actions = story.tell(Event::Tick);
    assert!(actions.contains(&Action::Abandon(host(2))));
    let unknown = Outcome::Unknown("it could not be looked at a last time: no answer within 5 s".into());
    assert!(actions.contains(&Action::TellOutcome(host(2), unknown)));
    assert_eq!(story.exit(), Some(Exit::Unproven));
}

#[test]
fn last_looks_are_taken_so_many_at_once() {
    let count = LAST_LOOKS_MAX + 2;
    let (mut story, _) = Story::begin(&"+".repeat(count), count, 0);
    story.frozen = true;
    let looked: usize = (1..=count).map(|number| last_looks(&story.prove(number))).sum();
    assert_eq!(looked, LAST_LOOKS_MAX);
    assert_eq!(last_looks(&story.tell(Event::StillStands(host(1)))), 1);
    story.tell(Event::GuardLost(host(count), "connection reset".into()));
    assert_eq!(last_looks(&story.tell(Event::StillStands(host(2)))), 0, "a lost guard is waited for first");
    assert_eq!(last_looks(&story.tell(Event::GuardStands(host(count)))), 1);
}

#[test]
fn a_host_that_nobody_knew_of_and_that_dropped_has_dropped() {
    let (mut story, _) = Story::begin("++", 1, 0);
    story.prove(1);
    story.tell(Event::GuardBroken(host(1), Outcome::Unknown("its master is gone".into())));
    story.tell(Event::GuardBroken(host(1), Outcome::Dropped(DropSeen::Guarded)));
    let late = Event::GuardBroken(host(1), Outcome::Unknown("its master is gone".into()));
    assert_eq!(story.tell(late.clone()), [Action::Ignore(late)]);
    story.prove(2);
    assert_eq!(story.exit(), Some(Exit::Dropped));
}

#[test]
fn the_budget_tolerates_so_many_failures_and_the_next_halts() {
    let (mut story, _) = Story::begin("++++", 1, 1);
    story.tell(Event::Settled(host(1), rolled_back()));
    assert_eq!(asked(&story.tell(Event::GuardStands(host(1)))), ["web-2"]);
    let actions = story.tell(Event::Settled(host(2), Outcome::Refused("busy".into())));
    assert!(actions.contains(&Action::TellStop(Stop::PastBudget { host: host(2), max: 1, zone: None })));
    assert_eq!(story.exit(), Some(Exit::Failed));
    assert_eq!(story.untouched(), ["web-3", "web-4"]);
}

#[test]
fn hosts_that_are_left_out_are_told_and_count_against_no_budget() {
    let (mut story, actions) = Story::begin("x++", 1, 0);
    assert!(actions.contains(&Action::TellOutcome(host(1), Outcome::Refused("connection refused".into()))));
    assert_eq!(asked(&actions), ["web-2"]);
    story.prove(2);
    story.prove(3);
    assert_eq!(story.exit(), Some(Exit::Failed), "not all are proven");
}

#[test]
fn a_host_past_its_deadline_is_unknown_once_it_was_asked() {
    for (answers, exit) in [(true, Exit::Unproven), (false, Exit::Failed)] {
        let mut story = Story::of(Rollout::new(&plan("+", 1, 0)));
        story.looks = answers;
        story.tell(Event::Started);
        story.now = HOST_DEADLINE;
        let actions = story.tell(Event::Tick);
        assert!(actions.contains(&Action::Abandon(host(1))));
        assert_eq!(story.exit(), Some(exit));
    }
}

#[test]
fn an_interrupt_drains_and_a_second_one_lets_go() {
    let (mut story, _) = Story::begin("+++", 1, 0);
    assert_eq!(story.tell(Event::Interrupted), [Action::TellStop(Stop::Interrupted)]);
    let mut drained = Story { rollout: story.rollout.clone(), now: story.now, summary: None, frozen: false, looks: true };
    drained.prove(1);
    assert_eq!(drained.exit(), Some(Exit::Interrupted));
    assert_eq!(drained.untouched(), ["web-2", "web-3"]);
    story.tell(Event::Interrupted);
    assert_eq!(story.exit(), Some(Exit::Unproven), "nobody knows how web-1 ends");
}

#[test]
fn a_second_interrupt_before_a_host_was_asked_leaves_it_untouched() {
    let mut story = Story::of(Rollout::new(&plan("++", 1, 0)));
    story.looks = false;
    story.tell(Event::Started);
    story.tell(Event::Interrupted);
    story.tell(Event::Interrupted);
    assert_eq!(story.exit(), Some(Exit::Interrupted));
    assert_eq!(story.untouched(), ["web-1", "web-2"]);
}

#[test]
fn a_second_interrupt_waits_for_no_last_look() {
    let (mut story, _) = Story::begin("+++", 1, 0);
    story.frozen = true;
    story.prove(1);
    story.tell(Event::Interrupted);
    story.tell(Event::Settled(host(2), proven()));
    assert_eq!(last_looks(&story.tell(Event::GuardStands(host(2)))), 2);
    story.tell(Event::Interrupted);
    assert_eq!(story.exit(), Some(Exit::Interrupted));
    assert_eq!(story.untouched(), ["web-3"]);
}

#[test]
fn events_that_do_not_fit_move_nothing_and_are_handed_back() {
    let (mut story, _) = Story::begin("++", 1, 0);
    let strays = [
        Event::Started,
        Event::Looked(host(2), Box::new(healthy())),
        Event::Settled(host(2), proven()),
        Event::Settled(host(9), proven()),
        Event::GuardStands(host(1)),
        Event::GuardLost(host(1), String::new()),
        Event::GuardBroken(host(1), proven()),
        Event::StillStands(host(1)),
        Event::ClaimRefused(host(9), "late".into()),
        Event::Ordered(Order::Resume),
    ];
    for stray in strays {
        assert_eq!(story.tell(stray.clone()), [Action::Ignore(stray)]);
    }
    story.prove(1);
    let repeated = Event::Settled(host(1), Outcome::Refused("late".into()));
    assert_eq!(story.tell(repeated.clone()), [Action::Ignore(repeated)]);
    assert_eq!(story.tell(Event::StillStands(host(1))), [Action::Ignore(Event::StillStands(host(1)))]);
    story.prove(2);
    assert_eq!(story.tell(Event::Tick), [Action::Ignore(Event::Tick)]);
}

/// A rollout whose claims are answered by hand.
fn claiming(plan: &crate::plan::Plan) -> Story {
    let mut story = Story::of(Rollout::new(plan));
    story.rollout.handle(story.now, Event::Started);
    story
}

#[test]
fn a_claim_that_is_refused_once_nothing_new_starts_leaves_its_host_untouched() {
    let mut story = claiming(&plan("+++", 2, 0));
    story.looks = false;
    (1..=3).for_each(|number| drop(story.tell(Event::Claimed(host(number)))));
    story.tell(Event::Interrupted);
    let taken = Refusal { is_claimed: true, ..Refusal::from("the claim of rollout r-9 stands") };
    story.tell(Event::ClaimRefused(host(3), taken));
    story.tell(Event::Looked(host(1), Box::new(healthy())));
    story.tell(Event::Looked(host(2), Box::new(healthy())));
    assert_eq!(story.exit(), Some(Exit::Interrupted));
    assert_eq!(story.untouched(), ["web-1", "web-2", "web-3"]);
}

#[test]
fn after_canaries_that_all_failed_a_person_is_waited_for_all_the_same() {
    let plan = builder("+++").canaries(1).failures(1).plan();
    let mut story = Story::of(Rollout::new(&plan));
    story.tell(Event::Started);
    let actions = story.tell(Event::Settled(host(1), Outcome::Refused("busy".into())));
    assert!(actions.contains(&Action::Tell(Note::AwaitingPerson { wave: 0 })), "{actions:?}");
    assert_eq!(asked(&actions), [""; 0]);
    assert_eq!(asked(&story.tell(Event::Ordered(Order::Resume))), ["web-2"]);
}

#[test]
fn a_rollout_that_halts_can_be_aborted_for_good() {
    let (mut story, _) = Story::begin("++", 1, 0);
    story.tell(Event::Interrupted);
    let abort = Event::Ordered(Order::Abort);
    assert_eq!(story.tell(abort.clone()), [], "it is taken, and changes nothing of how this run ends");
    story.prove(1);
    assert_eq!(story.exit(), Some(Exit::Interrupted));
    assert_eq!(story.tell(abort.clone()), [Action::Ignore(abort)]);
}
