//! From a seed to what will happen.
//!
//! **Invariant:** a scenario is a value: two that are made of one seed are the same.

use std::time::Duration;

use baton::inventory::HostName;
use baton_tests::dice::Dice;

use crate::account::Tale;
use crate::ledger::LastWrite;
use crate::relay::Way;

/// What a seed is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All is well.
    Undisturbed,
    /// Connections are cut, refused and slow.
    Cuts,
    /// Hosts are cut off for a while, one way or the other.
    Silence,
    /// Controllers die.
    Crashes,
    /// All of these.
    Connections,
    /// Agents die and come back.
    Agents,
    /// Services misbehave.
    Services,
    /// Two operators at once.
    Rivals,
    /// All of it.
    Everything,
}

const KINDS: [Kind; 9] = [
    Kind::Undisturbed,
    Kind::Cuts,
    Kind::Silence,
    Kind::Crashes,
    Kind::Connections,
    Kind::Agents,
    Kind::Services,
    Kind::Rivals,
    Kind::Everything,
];

impl Kind {
    /// Whether nothing goes wrong but connections and controllers.
    pub(crate) fn is_mended(self) -> bool {
        match self {
            Self::Undisturbed | Self::Cuts | Self::Silence | Self::Crashes | Self::Connections => true,
            Self::Agents | Self::Services | Self::Rivals | Self::Everything => false,
        }
    }

    fn has(self, part: Self) -> bool {
        let of_connections = matches!(part, Self::Cuts | Self::Silence | Self::Crashes);
        self == part || self == Self::Everything || self == Self::Connections && of_connections
    }
}

/// How new connections are, in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Roughness {
    /// How many are refused.
    pub(crate) refused: u64,
    /// How many are cut after some bytes.
    pub(crate) cut: u64,
    /// How long a chunk takes at most.
    pub(crate) delay_max: Duration,
}

/// Something that befalls a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Cut,
    Refuses(Duration),
    Silent(Way, Duration),
    AgentDies(Duration),
}

/// How a service takes a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behaviour {
    pub(crate) takes: Duration,
    pub(crate) tale: Tale,
    /// The lock is free so long after the handover has ended.
    pub(crate) drops_after: Option<Duration>,
}

/// What becomes of the controllers of one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) begins: Duration,
    /// When its controller dies.
    pub(crate) kills: Vec<Duration>,
    pub(crate) last_writes: Vec<LastWrite>,
    /// How long nobody walks it after that.
    pub(crate) absent: Duration,
    /// When its operator presses ^C.
    pub(crate) interrupt: Option<Duration>,
}

/// All that will happen.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) in_flight_max: usize,
    pub(crate) failures_max: usize,
    pub(crate) soak: Option<Duration>,
    pub(crate) behaviours: Vec<Behaviour>,
    pub(crate) roughness: Roughness,
    pub(crate) troubles: Vec<(Duration, usize, Trouble)>,
    pub(crate) fates: Vec<Fate>,
    /// When the network is well for good.
    pub(crate) calm_at: Duration,
}

/// The name of a host, by its place in the fleet.
pub(crate) fn name(place: usize) -> String {
    format!("web-{place}")
}

/// The place of a host, by its name.
pub(crate) fn place(host: &HostName) -> usize {
    host.as_str().strip_prefix("web-").and_then(|number| number.parse().ok()).expect("all hosts are ours")
}

fn between(dice: &mut Dice, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + dice.below(most - least + 1))
}

fn small(dice: &mut Dice, least: u64, most: u64) -> usize {
    usize::try_from(least + dice.below(most - least + 1)).expect("it is small")
}

impl Scenario {
    /// What will happen by this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x717e5);
        let kind = KINDS[usize::try_from(seed % 9).expect("it is small")];
        let hosts = small(&mut dice, 2, 7);
        Self::of(seed, kind, hosts, &mut dice)
    }

    /// A fleet of a given size on which nothing goes wrong.
    pub(crate) fn undisturbed(hosts: usize, in_flight_max: usize) -> Self {
        Self { in_flight_max, soak: None, ..Self::of(1, Kind::Undisturbed, hosts, &mut Dice::new(1)) }
    }

    fn of(seed: u64, kind: Kind, hosts: usize, dice: &mut Dice) -> Self {
        let in_flight_max = small(dice, 1, 3);
        let behaviours: Vec<Behaviour> = (0..hosts).map(|_| behaviour(kind, dice)).collect();
        let calm_at = Duration::from_secs(20 + 4 * u64::try_from(hosts).expect("it is small"));
        let horizon = u64::try_from(calm_at.as_millis()).expect("it is small") - 2_000;
        let rivals = kind == Kind::Rivals || kind == Kind::Everything && dice.below(3) == 0;
        Self {
            seed,
            kind,
            in_flight_max,
            failures_max: if kind.is_mended() { 0 } else { small(dice, 0, 2) },
            soak: (dice.below(4) == 0).then(|| between(dice, 500, 8_000)),
            behaviours,
            roughness: roughness(kind, dice),
            troubles: troubles(kind, hosts, horizon, dice),
            fates: (0..if rivals { 2 } else { 1 }).map(|number| fate(kind, number, horizon, dice)).collect(),
            calm_at,
        }
    }

    pub(crate) fn hosts(&self) -> usize {
        self.behaviours.len()
    }
}

fn behaviour(kind: Kind, dice: &mut Dice) -> Behaviour {
    let takes = between(dice, 200, 6_000);
    let tale = if dice.below(5) == 0 { Tale::Unmarked } else { Tale::HandedOver };
    let well = Behaviour { takes, tale, drops_after: None };
    if !kind.has(Kind::Services) || dice.below(4) > 0 {
        return well;
    }
    match dice.below(5) {
        0 => Behaviour { tale: Tale::Dropped, ..well },
        1 => Behaviour { tale: Tale::Relocked, ..well },
        2 | 3 => Behaviour { tale: Tale::Undone, ..well },
        4.. => Behaviour { drops_after: Some(between(dice, 10, 15_000)), ..well },
    }
}

fn roughness(kind: Kind, dice: &mut Dice) -> Roughness {
    if !kind.has(Kind::Cuts) {
        let delay_max = Duration::from_millis(if dice.below(2) == 0 { 0 } else { 40 });
        return Roughness { refused: 0, cut: 0, delay_max };
    }
    Roughness { refused: dice.below(300), cut: dice.below(700), delay_max: between(dice, 0, 400) }
}

fn troubles(kind: Kind, hosts: usize, horizon: u64, dice: &mut Dice) -> Vec<(Duration, usize, Trouble)> {
    let mut troubles = Vec::new();
    let mut add = |count: u64, dice: &mut Dice, make: fn(&mut Dice) -> Trouble| {
        for _ in 0..count {
            let host = small(dice, 0, u64::try_from(hosts - 1).expect("it is small"));
            troubles.push((between(dice, 0, horizon), host, make(dice)));
        }
    };
    if kind.has(Kind::Cuts) {
        let count = 1 + dice.below(8);
        add(count, dice, |dice| match dice.below(3) {
            0 => Trouble::Refuses(between(dice, 100, 12_000)),
            1.. => Trouble::Cut,
        });
    }
    if kind.has(Kind::Silence) {
        let count = 1 + dice.below(6);
        add(count, dice, |dice| {
            let way = if dice.below(2) == 0 { Way::ToAgent } else { Way::ToController };
            Trouble::Silent(way, between(dice, 200, 25_000))
        });
    }
    if kind.has(Kind::Agents) {
        let count = 1 + dice.below(4);
        add(count, dice, |dice| Trouble::AgentDies(between(dice, 50, 12_000)));
    }
    troubles.sort_by_key(|(at, host, _)| (*at, *host));
    troubles
}

fn fate(kind: Kind, number: usize, horizon: u64, dice: &mut Dice) -> Fate {
    let begins = if number == 0 { Duration::ZERO } else { between(dice, 0, horizon / 2) };
    let dies = kind.has(Kind::Crashes) || kind == Kind::Rivals && dice.below(2) == 0;
    let count = if dies { 1 + dice.below(3) } else { 0 };
    let mut kills: Vec<Duration> = (0..count).map(|_| between(dice, 0, horizon)).collect();
    kills.sort();
    let writes = if dies { dice.below(3) } else { 0 };
    let last_writes = (0..writes).map(|_| LastWrite { number: dice.below(30), is_kept: dice.below(2) == 0 }).collect();
    let interrupts = kind.has(Kind::Crashes) && dice.below(5) == 0;
    let interrupt = interrupts.then(|| between(dice, 0, horizon));
    Fate { begins, kills, last_writes, absent: between(dice, 0, 15_000), interrupt }
}
