//! One history: what happened on a host, what an agent says of it, and what is true of it.

use baton_proto::custody::{Basis, Fact, Role, Seq, Shape, Testimony};

use crate::dice::Dice;
use crate::happening::Blind;
use crate::program::{self, bend};
use crate::story::{Done, Story};
use crate::witness::{Agent, Care, Death};
use crate::world::World;

/// What no testimony can show: the verdict takes somebody's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    /// The server's: it unlocked its own descriptor and locked it again.
    Relocked,
    /// The server's: without a mark, one process closed and opened again under one image.
    ReopenedUnmarked,
    /// The kernel's: a pid was given out twice within one clock tick, and a bystander passed on the marked lock.
    PidTwiceInATick,
    /// The dialect's: a process with an image of its own was named as a master and is none.
    Misnamed,
    /// The server's: the master forked a worker after the listing, and not because it was told to.
    RespawnedOnly,
}

/// How a history is meant to end, if nothing is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It is `Kept`.
    Kept,
    /// It is unbroken.
    Unbroken,
    /// Nothing is promised.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) seed: u64,
    /// What kind of history it is.
    pub(crate) kind: String,
    pub(crate) promise: Promise,
    pub(crate) story: Story,
    pub(crate) testimony: Testimony,
    states: Vec<usize>,
    lapses: Vec<(usize, Blind)>,
    handed_over: bool,
    misnamed: bool,
}

/// Whether what a verdict claims is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    So,
    /// It is not, and no testimony could have shown it.
    Beyond(Limit),
    /// It is not.
    Not,
}

impl History {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let shape = dice.pick(&[Shape::Beside, Shape::InPlace, Shape::Exec]);
        if dice.below(100) < 45 { Self::honest(seed, shape, &mut dice) } else { Self::faulty(seed, shape, &mut dice) }
    }

    /// A server and an agent without fault; the agent may be restarted.
    fn honest(seed: u64, shape: Shape, dice: &mut Dice) -> Self {
        let undone = dice.one_in(5);
        let mut story = Story::honest(shape, dice);
        if undone && shape != Shape::Beside {
            // A master that stays takes nothing back: it has refused.
            story.done = Done::Nothing;
        }
        let program = program::honest(shape, undone);
        let care = Care { keeps_torn_looks: false, follows_path: false, dawdles: dice.one_in(4), asks_once: false };
        let restarts = dice.below(2) * (1 + dice.below(2));
        let deaths = deaths(restarts, program.len(), dice, false);
        let what = if undone { "undone" } else { "as asked" };
        let with = if restarts == 0 { "" } else { ", agent restarted" };
        let mut agent = Agent::new(World::new(dice.clone()), &story, care);
        agent.run(&program, deaths);
        let promise = if undone { Promise::Unbroken } else { Promise::Kept };
        Self::told(seed, format!("honest {shape:?}: {what}{with}"), promise, shape, agent)
    }

    /// Something is wrong with the server, with the agent, or with both.
    fn faulty(seed: u64, shape: Shape, dice: &mut Dice) -> Self {
        let mut story = if dice.one_in(6) { Story::honest(shape, dice) } else { Story::faulty(shape, dice) };
        let mut program = program::honest(shape, dice.one_in(6));
        let astray = dice.one_in(2);
        if astray {
            match dice.below(6) {
                0 if shape == Shape::Beside => {
                    story = Story::just_missed(dice);
                    program::entangle(&mut program);
                }
                1 => program::mistake(&mut program, dice),
                2 => program::census(&mut program, dice),
                _ => bend(&mut program, shape, dice),
            }
        }
        let care = Care {
            keeps_torn_looks: dice.one_in(4),
            follows_path: dice.one_in(2),
            dawdles: dice.one_in(2),
            asks_once: dice.one_in(2),
        };
        let restarts = dice.below(4).saturating_sub(1);
        let deaths = deaths(restarts, program.len(), dice, true);
        let kind = format!("{}{}", story.name(), if astray { ", agent astray" } else { "" });
        let mut agent = Agent::new(World::new(dice.clone()), &story, care);
        agent.run(&program, deaths);
        Self::told(seed, kind, Promise::Nothing, shape, agent)
    }

    fn told(seed: u64, kind: String, promise: Promise, shape: Shape, agent: Agent<'_>) -> Self {
        let testimony = agent.testimony(shape);
        let Agent { world, story, states, misnamed, .. } = agent;
        let story = story.clone();
        Self { seed, kind, promise, story, testimony, states, lapses: world.lapses, handed_over: world.handed_over, misnamed }
    }

    /// Whether a generation held throughout, and whether there was a handover.
    pub(crate) fn is_kept(&self, basis: Basis) -> Truth {
        let held = self.is_held(&[Role::OldMaster, Role::NewMaster, Role::Master], basis);
        if held != Truth::So || self.handed_over {
            held
        } else if self.testimony.shape == Shape::InPlace {
            Truth::Beyond(Limit::RespawnedOnly)
        } else {
            Truth::Not
        }
    }

    /// Whether the old generation held throughout.
    pub(crate) fn is_unbroken(&self, basis: Basis) -> Truth {
        self.is_held(&[Role::OldMaster, Role::Master], basis)
    }

    /// Whether there was a moment in the window at which no master held.
    pub(crate) fn has_lapse(&self) -> bool {
        self.lapses(self.testimony.opened, self.testimony.closed).next().is_some()
    }

    fn is_held(&self, roles: &[Role], basis: Basis) -> Truth {
        let sightings = self.testimony.observations.iter().filter_map(|line| match &line.fact {
            Fact::Sighting(sighting) if roles.contains(&sighting.role) => Some((line.seq, sighting.began)),
            Fact::Sighting(_)
            | Fact::Absence { .. }
            | Fact::Grant { .. }
            | Fact::Signal { .. }
            | Fact::Readiness { .. }
            | Fact::Exit { .. }
            | Fact::Workers { .. } => None,
        });
        let (Some(from), Some(until)) = (sightings.clone().map(|(seq, _)| seq).min(), sightings.map(|(_, began)| began).max())
        else {
            return Truth::Not;
        };
        let limits = self.lapses(from, until).map(|blind| match blind {
            Blind::Relocked => Some(Limit::Relocked),
            Blind::Reopened if basis == Basis::Contract => Some(Limit::ReopenedUnmarked),
            Blind::SameTick if self.testimony.shape == Shape::Exec => Some(Limit::PidTwiceInATick),
            Blind::No | Blind::Reopened | Blind::SameTick => None,
        });
        let limits: Option<Vec<Limit>> = limits.collect();
        match limits {
            _ if self.misnamed => Truth::Beyond(Limit::Misnamed),
            None => Truth::Not,
            Some(limits) => limits.first().map_or(Truth::So, |limit| Truth::Beyond(*limit)),
        }
    }

    /// Every state between two numbers in which no master held.
    pub(crate) fn lapses(&self, from: Seq, until: Seq) -> impl Iterator<Item = Blind> {
        let state = |number: Seq| usize::try_from(number.0).ok().and_then(|number| self.states.get(number)).copied();
        let (from, until) = (state(from).unwrap_or(0), state(until).unwrap_or(0));
        self.lapses.iter().filter(move |(state, _)| (from..=until).contains(state)).map(|(_, blind)| *blind)
    }
}

/// When the agent dies, the last death first. A fault may take what should have been on disk, and the host too.
fn deaths(count: u64, steps: usize, dice: &mut Dice, faulty: bool) -> Vec<Death> {
    let mut deaths: Vec<Death> = (0..count)
        .map(|_| Death {
            before: 1 + dice.index(steps.max(2) - 1),
            lines_lost: dice.index(3),
            writes_intents: !faulty || dice.one_in(2),
            downtime: dice.stretch() * 3,
            reboots: faulty && dice.one_in(12),
        })
        .collect();
    deaths.sort_by_key(|death| std::cmp::Reverse(death.before));
    deaths
}
