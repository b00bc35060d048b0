//! The world: virtual time, a heap of what will happen, hosts, the network between, and what befalls them.
//!
//! **Invariant:** everything follows from the scenario: the same one happens the same way every time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use baton_tests::dice::Dice;

use crate::agent::{Agent, Caller};
use crate::controller::Controller;
use crate::network::{Answer, Call};
use crate::scenario::{Deed, Scenario, Trouble, between};
use crate::trace::{Line, Seen, Trace};

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A request reaches an agent.
    Arrives { caller: Caller, host: usize, call: Call },
    /// An answer reaches a controller.
    Answers { caller: Caller, host: usize, answer: Answer },
    /// A controller tries a call again.
    Retries { caller: Caller, host: usize },
    /// A controller renews its claims.
    Renews { rollout: usize, run: u32 },
    /// A deadline of a rollout may be due.
    Ticks { rollout: usize, run: u32 },
    /// What was heard is heard again.
    Echoes { rollout: usize, run: u32, event: Box<baton::rollout::Event> },
    /// A handover comes to its end on its host.
    Ends { host: usize, rollout: usize, attempt: u32 },
    /// Something befalls a host.
    Befalls { host: usize, trouble: Trouble },
    /// A host that was cut off can be reached again.
    Mends { host: usize },
    /// An agent is there again.
    Rises { host: usize, forgets: bool },
    /// A controller's process begins to walk.
    Begins { rollout: usize, retries: bool },
    /// An operator does something.
    Does { rollout: usize, deed: Deed },
}

#[derive(Debug)]
struct Due {
    at: Duration,
    number: u64,
    happening: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// All there is.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) now: Duration,
    pub(crate) dice: Dice,
    pub(crate) agents: Vec<Agent>,
    pub(crate) controllers: Vec<Controller>,
    pub(crate) trace: Trace,
    heap: BinaryHeap<Reverse<Due>>,
    number: u64,
}

impl<'a> World<'a> {
    /// Lets a scenario happen; all that was seen of it. Ends when nothing is left to happen, or at a time that no rollout may
    /// take.
    pub(crate) fn run(scenario: &'a Scenario) -> Trace {
        let mut world = Self::new(scenario);
        let bound = scenario.bound();
        while let Some(Reverse(due)) = world.heap.pop() {
            world.now = due.at;
            if world.now > bound {
                break;
            }
            world.happen(due.happening);
        }
        world.trace
    }

    fn new(scenario: &'a Scenario) -> Self {
        let agents = scenario.epochs.iter().map(|epoch| Agent::new(*epoch)).collect();
        let controllers = scenario.walks.iter().map(|walk| Controller::new(&walk.plan)).collect();
        let dice = Dice::new(scenario.seed ^ 0x00d1_ce00);
        let (heap, trace) = (BinaryHeap::new(), Trace::default());
        let mut world = Self { scenario, now: Duration::ZERO, dice, agents, controllers, trace, heap, number: 0 };
        for (host, agent) in world.agents.iter_mut().enumerate() {
            agent.refuses = scenario.behaviour(host, 1).refuses;
        }
        for (at, host, trouble) in &scenario.troubles {
            world.at(*at, Happening::Befalls { host: *host, trouble: *trouble });
        }
        for (rollout, walk) in scenario.walks.iter().enumerate() {
            world.at(walk.begins, Happening::Begins { rollout, retries: false });
            for (at, deed) in &walk.deeds {
                world.at(walk.begins + *at, Happening::Does { rollout, deed: *deed });
            }
        }
        world
    }

    /// Something will happen at a time.
    pub(crate) fn at(&mut self, at: Duration, happening: Happening) {
        let number = self.next_number();
        self.heap.push(Reverse(Due { at, number, happening }));
    }

    /// Something will happen after a while.
    pub(crate) fn after(&mut self, after: Duration, happening: Happening) {
        self.at(self.now + after, happening);
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(crate) fn see(&mut self, seen: Seen) {
        self.trace.0.push(Line { at: self.now, seen });
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { caller, host, call } => self.arrive(caller, host, &call),
            Happening::Answers { caller, host, answer } => self.answer(caller, host, answer),
            Happening::Retries { caller, host } => self.retry(caller, host),
            Happening::Renews { rollout, run } => self.renew(rollout, run),
            Happening::Ticks { rollout, run } => self.tick(rollout, run),
            Happening::Echoes { rollout, run, event } => self.echo(rollout, run, *event),
            Happening::Ends { host, rollout, attempt } => self.end_handover(host, rollout, attempt),
            Happening::Befalls { host, trouble } => self.befall(host, trouble),
            Happening::Mends { host } => {
                self.agents[host].is_cut = false;
                self.see(Seen::Trouble { host, what: "can be reached again" });
            }
            Happening::Rises { host, forgets } => self.rise(host, forgets),
            Happening::Begins { rollout, retries } => self.begin(rollout, retries),
            Happening::Does { rollout, deed } => self.deed(rollout, deed),
        }
    }

    fn befall(&mut self, host: usize, trouble: Trouble) {
        match trouble {
            Trouble::Cut(lasts) => {
                self.see(Seen::Trouble { host, what: "is cut off" });
                self.agents[host].is_cut = true;
                self.break_calls(host, 12_000);
                self.after(lasts, Happening::Mends { host });
            }
            Trouble::AgentDies(lasts) => self.agent_dies(host, lasts, "its agent dies", false),
            Trouble::AgentForgets(lasts) => self.agent_dies(host, lasts, "its agent dies, and will forget", true),
            Trouble::Reboot(lasts) => {
                self.agent_dies(host, lasts, "is booted", false);
                self.agents[host].reboot();
            }
            Trouble::DropsLock => self.drop_lock(host),
        }
    }

    fn agent_dies(&mut self, host: usize, lasts: Duration, what: &'static str, forgets: bool) {
        if !self.agents[host].is_up {
            return;
        }
        self.see(Seen::Trouble { host, what });
        self.agents[host].die();
        self.break_calls(host, 50);
        self.after(lasts, Happening::Rises { host, forgets });
    }

    fn rise(&mut self, host: usize, forgets: bool) {
        self.see(Seen::Trouble { host, what: "its agent is there again" });
        if forgets {
            self.agents[host].forget();
        }
        self.agents[host].rise(self.now);
    }

    /// Nobody holds the lock for a moment, outside of any handover.
    fn drop_lock(&mut self, host: usize) {
        if self.agents[host].underway.is_some() {
            return;
        }
        self.see(Seen::LockFree { host });
        self.agents[host].drop_lock();
        for caller in self.agents[host].watchers.clone() {
            self.reply(caller, host, Answer::Dropped);
        }
    }

    fn end_handover(&mut self, host: usize, rollout: usize, attempt: u32) {
        let is_same = self.agents[host].underway.is_some_and(|now| (now.rollout, now.attempt) == (rollout, attempt));
        if !is_same {
            return;
        }
        let Some((underway, account)) = self.agents[host].end() else { return };
        self.see(Seen::Over { rollout, host, attempt });
        if underway.conceals || underway.tale == crate::sample::Tale::Dropped {
            self.see(Seen::LockFree { host });
        }
        for caller in std::mem::take(&mut self.agents[host].listeners) {
            self.reply(caller, host, Answer::Ended(Box::new(account.clone())));
        }
        if let Some(after) = self.scenario.behaviour(host, attempt).drops_after {
            self.after(after, Happening::Befalls { host, trouble: Trouble::DropsLock });
        }
    }

    /// A time between two, in milliseconds, as chance has it.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> Duration {
        between(&mut self.dice, least, most)
    }

    /// Whether something happens that does so often in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.dice.below(1_000) < per_mille
    }
}
