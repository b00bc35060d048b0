//! Twenty agents in network namespaces, and a controller that is killed at seeded points while links are down, packets are lost,
//! relays are deaf and agents die: `resume` ends where an undisturbed run ends, and each service is signalled exactly once.
//!
//! `BATON_PARTITIONS` says how many points there are to be, `BATON_SEED` which is the first of their seeds.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use baton_tests::dice::Dice;
use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::net::{Relay, Way};
use baton_tests::recorded::{Lived, go_on, is_as_undisturbed, nothing_is_claimed, rollouts};
use baton_tests::server::Kind;
use baton_tests::steps::Steps;
use baton_tests::wait;
use serde_json::Value;

const HOSTS: usize = 20;
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(20), settle: Duration::from_millis(50), drain_within: Duration::from_secs(20) };
const WALK: [&str; 2] = ["--max-in-flight", "4"];
const RUN_WITHIN: Duration = Duration::from_mins(2);
const POINTS: u64 = 10;
/// How much is told between the troubles and the death of the controller.
const BEFORE_DEATH: u64 = 12;
const TROUBLES_MAX: u64 = 4;
const LOST_PERCENT: u8 = 15;
const DELAY: Duration = Duration::from_millis(200);

/// What befalls a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Parted,
    Lossy,
    Deaf(Way),
    Slow,
    Cut,
    /// Its agent is killed and started again. Not while it hands over: that may rightly end otherwise.
    AgentKilled,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::Parted,
    Trouble::Lossy,
    Trouble::Deaf(Way::ToAgent),
    Trouble::Deaf(Way::ToController),
    Trouble::Slow,
    Trouble::Cut,
    Trouble::AgentKilled,
];

/// What was done to a rollout.
struct Story {
    seed: u64,
    killed_after: u64,
    troubles: Vec<(usize, Trouble)>,
    heals_first: bool,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, killed_after, troubles, heals_first } = self;
        write!(f, "BATON_SEED={seed}: {troubles:?}, killed after {killed_after} events, healed first: {heals_first}")
    }
}

/// Which hosts are in flight, by what is told.
#[derive(Debug, Default)]
struct InFlight(BTreeSet<usize>);

impl InFlight {
    fn hear(&mut self, event: &Value) {
        let number = event["host"].as_str().and_then(|host| host.strip_prefix("web-")?.parse::<usize>().ok());
        let Some(number) = number else { return };
        if event["event"] == "started" {
            self.0.insert(number - 1);
        } else if event["event"] == "host" {
            self.0.remove(&(number - 1));
        }
    }
}

fn fleet() -> Fleet {
    Fleet::of(HOSTS).server(Kind::Patient).timing(TIMING).log("info").in_namespaces().relayed().start()
}

fn begin(fleet: &Fleet) -> Steps {
    Steps::begin_with(fleet, &[&["restart", SERVICE, "--yes"], &WALK[..]].concat())
}

/// How many things are told of a walk that nobody disturbs.
fn undisturbed(fleet: &Fleet) -> u64 {
    let before = Lived::of(fleet);
    let mut steps = begin(fleet);
    let mut told = 0;
    while steps.next_event().is_some() {
        told += 1;
    }
    let (text, code) = steps.finish();
    assert_eq!(code, 0, "{text}");
    before.is_followed_by_one_handover_of_each(&Lived::of(fleet), "undisturbed");
    told
}

fn befall(fleet: &mut Fleet, host: usize, trouble: Trouble) {
    match trouble {
        Trouble::Parted => fleet.network().part(host),
        Trouble::Lossy => fleet.network().lose(host, LOST_PERCENT),
        Trouble::Deaf(way) => fleet.relays[host].hold(way),
        Trouble::Slow => fleet.relays[host].delay(DELAY),
        Trouble::Cut => fleet.relays[host].cut(),
        Trouble::AgentKilled => {
            fleet.hosts[host].agent.kill();
            fleet.hosts[host].agent.start_again();
        }
    }
}

fn heal(fleet: &Fleet) {
    fleet.network().mend();
    fleet.relays.iter().for_each(Relay::go_on);
}

/// The host that a trouble befalls: mostly one in flight, but an agent dies where nothing is under way.
fn victim(dice: &mut Dice, in_flight: &InFlight, trouble: Trouble) -> usize {
    let is_apart = trouble == Trouble::AgentKilled;
    let candidates: Vec<usize> = (0..HOSTS).filter(|host| in_flight.0.contains(host) != is_apart).collect();
    if candidates.is_empty() { 0 } else { dice.pick(&candidates) }
}

/// A walk until its controller is killed.
fn walk_and_kill(fleet: &mut Fleet, dice: &mut Dice, seed: u64, told_undisturbed: u64) -> Story {
    let killed_after = 1 + dice.below(told_undisturbed);
    let mut due: Vec<u64> =
        (0..=dice.below(TROUBLES_MAX)).map(|_| killed_after.saturating_sub(dice.below(BEFORE_DEATH))).collect();
    due.sort_unstable();
    let mut story = Story { seed, killed_after, troubles: Vec::new(), heals_first: dice.below(2) == 0 };
    let (mut steps, mut in_flight) = (begin(fleet), InFlight::default());
    for told in 0..killed_after {
        while due.first().is_some_and(|at| *at <= told) {
            due.remove(0);
            let trouble = dice.pick(&TROUBLES);
            let host = victim(dice, &in_flight, trouble);
            befall(fleet, host, trouble);
            story.troubles.push((host, trouble));
        }
        let Some(event) = steps.next_event() else { break };
        in_flight.hear(&event);
    }
    steps.kill();
    story
}

/// One walk that is killed among troubles, and resumed before they are over or after.
fn is_resumed(fleet: &mut Fleet, seed: u64, told_undisturbed: u64) {
    let (known, before) = (rollouts(fleet), Lived::of(fleet));
    let mut dice = Dice::new(seed);
    let story = walk_and_kill(fleet, &mut dice, seed, told_undisturbed);
    // What never began is refused while a host is not reached.
    let never_began = rollouts(fleet) == known;
    if story.heals_first || never_began {
        heal(fleet);
    }
    let resumed = go_on(fleet, &known, &WALK);
    wait::until(
        "something to be told",
        RUN_WITHIN,
        || if resumed.text().is_empty() { Err("silence".to_owned()) } else { Ok(()) },
    );
    heal(fleet);
    is_as_undisturbed(&resumed.finish(RUN_WITHIN), &story.to_string());
    before.is_followed_by_one_handover_of_each(&Lived::of(fleet), &story.to_string());
    nothing_is_claimed(fleet, &story.to_string());
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().expect("a number");
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[test]
fn a_controller_killed_among_partitions_loss_and_dead_agents_is_resumed_to_where_nobody_would_have_disturbed_it() {
    let (first, points) = (variable("BATON_SEED").unwrap_or(1), variable("BATON_PARTITIONS").unwrap_or(POINTS));
    let mut fleet = fleet();
    let told = undisturbed(&fleet);
    for seed in first..first + points {
        is_resumed(&mut fleet, seed, told);
    }
}
