//! From a seed to what will happen: the fleet, its plans, how each service behaves, and all that goes wrong.
//!
//! **Invariant:** a scenario is a value: two that are made of one seed are the same.

use std::collections::BTreeSet;
use std::time::Duration;

use baton::inventory::HostName;
use baton::plan::{Plan, Then};
use baton::rollout::Order;
use baton_tests::dice::Dice;

use crate::plans;
use crate::sample::Tale;

/// What a seed is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// All is well.
    Undisturbed,
    /// Controllers are killed, and nothing else goes wrong that would halt a rollout.
    Killed,
    /// Messages are lost, late, doubled; hosts are cut off for a while.
    Network,
    /// Services misbehave, agents lie.
    Services,
    /// Agents die, hosts are booted, counts are forgotten.
    Agents,
    /// Two operators at once.
    Rivals,
    /// Orders from another terminal, and ^C.
    Orders,
    /// All of it.
    Everything,
}

pub(crate) const KINDS: [Kind; 8] =
    [Kind::Undisturbed, Kind::Killed, Kind::Network, Kind::Services, Kind::Agents, Kind::Rivals, Kind::Orders, Kind::Everything];

/// How a service takes a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Behaviour {
    /// The agent refuses, and signals nothing.
    pub(crate) refuses: bool,
    pub(crate) takes: Duration,
    pub(crate) tale: Tale,
    /// The lock was free, the testimony conceals it, the count does not.
    pub(crate) conceals: bool,
    /// The lock is free so long after the handover has ended.
    pub(crate) drops_after: Option<Duration>,
}

/// How often messages go astray, in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chaos {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
    /// What a controller has heard it hears again.
    pub(crate) echoed: u64,
}

/// Something that befalls a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Cut(Duration),
    AgentDies(Duration),
    /// As that, and it comes back with an older count of drops.
    AgentForgets(Duration),
    Reboot(Duration),
    DropsLock,
}

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Order(Order),
    Interrupt,
    /// His controller dies.
    Kill,
}

/// One rollout of a scenario.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    pub(crate) begins: Duration,
    pub(crate) plan: Plan,
    /// The steps before which its controller is killed, counted over all of its runs.
    pub(crate) kills: BTreeSet<u64>,
    pub(crate) deeds: Vec<(Duration, Deed)>,
    /// Whether the operator resumes it once after it has halted, and whether what failed is tried again then.
    pub(crate) goes_on: Option<bool>,
}

/// All that will happen.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) hosts: usize,
    pub(crate) epochs: Vec<u64>,
    /// By host, then by attempt; the last one is of all later attempts.
    pub(crate) behaviours: Vec<Vec<Behaviour>>,
    pub(crate) chaos: Chaos,
    pub(crate) troubles: Vec<(Duration, usize, Trouble)>,
    pub(crate) walks: Vec<Walk>,
}

/// The name of a host, by its place in the fleet.
pub(crate) fn name(place: usize) -> HostName {
    HostName::parse(&format!("web-{place}")).expect("it is a name")
}

/// The place of a host, by its name.
pub(crate) fn place(host: &HostName) -> usize {
    host.as_str().strip_prefix("web-").and_then(|number| number.parse().ok()).expect("all hosts are ours")
}

/// A time between two, in milliseconds.
pub(crate) fn between(dice: &mut Dice, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + dice.below(most - least + 1))
}

impl Scenario {
    /// What will happen by this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
        let kind = KINDS[usize::try_from(seed % 8).expect("it is small")];
        let hosts = Self::size(seed, &mut dice);
        Self::of(seed, kind, hosts, &mut dice)
    }

    /// A fleet of a given size on which nothing goes wrong.
    pub(crate) fn undisturbed(seed: u64, hosts: usize) -> Self {
        Self::of(seed, Kind::Undisturbed, hosts, &mut Dice::new(seed))
    }

    /// The same, but nobody kills a controller.
    pub(crate) fn without_kills(&self) -> Self {
        let mut calm = self.clone();
        for walk in &mut calm.walks {
            walk.kills.clear();
            walk.deeds.clear();
        }
        calm
    }

    fn of(seed: u64, kind: Kind, hosts: usize, dice: &mut Dice) -> Self {
        let epochs: Vec<u64> = (0..hosts).map(|_| dice.below(4)).collect();
        let behaviours = (0..hosts).map(|_| vec![behaviour(kind, dice), behaviour(kind, dice)]).collect();
        let horizon = 2_000 * u64::try_from(hosts).expect("it is small") + 20_000;
        let troubles = troubles(kind, hosts, horizon, dice);
        let rivals = kind == Kind::Rivals || kind == Kind::Everything && dice.below(3) == 0;
        let walks = (0..if rivals { 2 } else { 1 }).map(|number| walk(kind, number, &epochs, horizon, dice)).collect();
        Self { seed, kind, hosts, epochs, behaviours, chaos: chaos(kind, dice), troubles, walks }
    }

    fn size(seed: u64, dice: &mut Dice) -> usize {
        let size = match seed {
            _ if seed % 4_999 == 1_000 => 2_000 + dice.below(8_001),
            _ if seed.is_multiple_of(499) => 100 + dice.below(900),
            _ => 10 + dice.below(if seed.is_multiple_of(3) { 51 } else { 11 }),
        };
        usize::try_from(size).expect("it is small")
    }

    /// How a host takes an attempt.
    pub(crate) fn behaviour(&self, host: usize, attempt: u32) -> Behaviour {
        let row = &self.behaviours[host];
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        row[index.min(row.len() - 1)]
    }
}

fn behaviour(kind: Kind, dice: &mut Dice) -> Behaviour {
    let takes = between(dice, 300, 4_000);
    let well = Behaviour { refuses: false, takes, tale: Tale::HandedOver, conceals: false, drops_after: None };
    let (failures, faults) = match kind {
        Kind::Undisturbed => (0, 0),
        Kind::Killed | Kind::Network | Kind::Orders | Kind::Rivals => (20, 0),
        Kind::Services => (60, 30),
        Kind::Agents => (20, 5),
        Kind::Everything => (40, 10),
    };
    let fate = dice.below(1_000);
    if fate < failures {
        return match dice.below(3) {
            0 => Behaviour { refuses: true, ..well },
            1 | 2.. => Behaviour { tale: Tale::Undone, ..well },
        };
    }
    if fate >= failures + faults {
        return well;
    }
    match dice.below(6) {
        0 => Behaviour { tale: Tale::Dropped, ..well },
        1 => Behaviour { tale: Tale::Unsound, ..well },
        2 => Behaviour { tale: Tale::Broken, ..well },
        3 => Behaviour { conceals: true, ..well },
        4 => Behaviour { takes: Duration::from_mins(20), tale: Tale::Undone, ..well },
        5.. => Behaviour { drops_after: Some(between(dice, 10, 20_000)), ..well },
    }
}

fn chaos(kind: Kind, dice: &mut Dice) -> Chaos {
    match kind {
        Kind::Network | Kind::Everything => {
            Chaos { lost: dice.below(60), doubled: dice.below(100), late: dice.below(100), echoed: dice.below(100) }
        }
        Kind::Undisturbed | Kind::Killed | Kind::Services | Kind::Agents | Kind::Rivals | Kind::Orders => Chaos::default(),
    }
}

fn troubles(kind: Kind, hosts: usize, horizon: u64, dice: &mut Dice) -> Vec<(Duration, usize, Trouble)> {
    let count = match kind {
        Kind::Undisturbed | Kind::Killed | Kind::Orders | Kind::Rivals => 0,
        Kind::Services => dice.below(2),
        Kind::Network | Kind::Agents | Kind::Everything => 1 + dice.below(4),
    };
    let mut one = || {
        let trouble = match (kind, dice.below(10)) {
            (Kind::Network, _) | (Kind::Everything, 0..=3) => Trouble::Cut(between(dice, 500, 25_000)),
            (Kind::Services, _) | (_, 9) => Trouble::DropsLock,
            (_, 8) => Trouble::Reboot(between(dice, 5_000, 30_000)),
            (_, 7) => Trouble::AgentForgets(between(dice, 100, 5_000)),
            (_, _) => Trouble::AgentDies(between(dice, 100, if kind == Kind::Agents { 8_000 } else { 20_000 })),
        };
        let host = usize::try_from(dice.below(u64::try_from(hosts).expect("it is small"))).expect("it is small");
        (between(dice, 0, horizon), host, trouble)
    };
    (0..count).map(|_| one()).collect()
}

fn walk(kind: Kind, number: usize, epochs: &[u64], horizon: u64, dice: &mut Dice) -> Walk {
    let begins = if number == 0 { Duration::ZERO } else { between(dice, 0, horizon / 2) };
    let is_killed = match kind {
        Kind::Killed => true,
        Kind::Rivals | Kind::Orders | Kind::Everything => dice.below(3) == 0,
        Kind::Undisturbed | Kind::Network | Kind::Services | Kind::Agents => dice.below(8) == 0 && kind != Kind::Undisturbed,
    };
    let steps = 30 * u64::try_from(epochs.len()).expect("it is small");
    let kills = if is_killed { (0..=dice.below(4)).map(|_| dice.below(steps)).collect() } else { BTreeSet::new() };
    let plan = plans::plan(kind, number, epochs, dice);
    Walk { begins, plan, kills, deeds: deeds(kind, horizon, dice), goes_on: (dice.below(3) == 0).then(|| dice.below(2) == 0) }
}

fn deeds(kind: Kind, horizon: u64, dice: &mut Dice) -> Vec<(Duration, Deed)> {
    let count = match kind {
        Kind::Orders => 1 + dice.below(4),
        Kind::Everything => dice.below(3),
        Kind::Killed => dice.below(2),
        Kind::Undisturbed | Kind::Network | Kind::Services | Kind::Agents | Kind::Rivals => 0,
    };
    let mut one = || {
        let deed = match (kind, dice.below(10)) {
            (Kind::Killed, _) => Deed::Kill,
            (_, 0..=4) => Deed::Order(Order::Pause),
            (_, 5 | 6) => Deed::Order(Order::Resume),
            (_, 7) => Deed::Order(Order::Abort),
            (_, _) => Deed::Interrupt,
        };
        (between(dice, 0, horizon), deed)
    };
    (0..count).map(|_| one()).collect()
}

impl Scenario {
    /// When all of it must be over: what every host may take, one after the other, for every time that somebody begins anew.
    pub(crate) fn bound(&self) -> Duration {
        let of_walk = |walk: &Walk| {
            let bounds = walk.plan.bounds();
            let host = bounds.host_deadline + Duration::from_mins(1);
            let hosts = host * u32::try_from(walk.plan.hosts().len()).expect("it is small");
            let rests: Duration = walk.plan.waves().iter().map(|wave| rest(wave.then)).sum();
            let runs = u32::try_from(walk.kills.len() + walk.deeds.len()).expect("it is small") + 3;
            walk.begins + (hosts + rests + Duration::from_mins(3)) * runs
        };
        self.walks.iter().map(of_walk).sum()
    }
}

fn rest(then: Then) -> Duration {
    match then {
        Then::GoOn => Duration::ZERO,
        Then::Soak(soak) => soak,
        Then::Person => Duration::from_mins(1),
    }
}
