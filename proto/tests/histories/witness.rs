//! How an agent looks at the host, and what it writes down.
//!
//! A look has three steps, with anything in between; the lock line is true at one instant of the second and arrives up to
//! a millisecond later. The agent may die between two steps: what it had not written is lost, its waiter's grants too, and
//! another run goes on from the last number that was written.
//!
//! **Invariant:** the witness writes what /proc shows, never what the world knows.

use std::time::Duration;

use baton_proto::custody::{Fact, FileIdentity, Observation, Process, Role, Seq, Shape, Sighting, Testimony, Witness};

use crate::program::{Step, Whom};
use crate::story::Story;
use crate::world::{Life, Micros, Part, Standing, World};

/// How well the agent looks.
#[expect(clippy::struct_excessive_bools, reason = "each is a coin that the seed throws")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Care {
    /// It writes a sighting although the image changed meanwhile.
    pub(crate) keeps_torn_looks: bool,
    /// It takes the lock on whatever file lies at the path now.
    pub(crate) follows_path: bool,
    /// It may be stopped for long within a look.
    pub(crate) dawdles: bool,
    /// It asks only at the beginning of a look whether the process is a corpse.
    pub(crate) asks_once: bool,
}

/// How the agent dies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death {
    /// Before this step of its program.
    pub(crate) before: usize,
    /// How many lines are lost.
    pub(crate) lines_lost: usize,
    /// Never those about a signal, which are on disk before it is sent.
    pub(crate) writes_intents: bool,
    pub(crate) downtime: Micros,
    pub(crate) reboots: bool,
}

/// What the agent saw, and where in the history its numbers lie.
#[derive(Debug)]
pub(crate) struct Agent<'a> {
    pub(crate) world: World,
    pub(crate) story: &'a Story,
    care: Care,
    lines: Vec<(usize, Observation)>,
    opened: u64,
    next: u64,
    /// The state of the host at each number.
    pub(crate) states: Vec<usize>,
    incarnation: String,
    pub(crate) successors: Vec<Witness>,
    pinned: Option<usize>,
    step: usize,
    /// A process that is no master was looked at as one.
    pub(crate) misnamed: bool,
}

impl<'a> Agent<'a> {
    pub(crate) fn new(mut world: World, story: &'a Story, care: Care) -> Self {
        story.set(&mut world);
        world.watch();
        world.grants.clear();
        world.window = world.path;
        let next = 1 + world.dice.below(3);
        Self {
            pinned: world.playing(Part::Old),
            world,
            story,
            care,
            lines: Vec::with_capacity(16),
            opened: next,
            next,
            states: Vec::with_capacity(32),
            incarnation: "run 1".to_owned(),
            successors: Vec::new(),
            step: 0,
            misnamed: false,
        }
    }

    pub(crate) fn run(&mut self, program: &[Step], mut deaths: Vec<Death>) {
        self.story.opened(&mut self.world);
        while self.step < program.len() {
            if let Some(death) = deaths.pop_if(|death| death.before <= self.step) {
                self.die(death);
            } else {
                self.idle();
                self.perform(&program[self.step]);
                self.step += 1;
            }
        }
    }

    pub(crate) fn testimony(&self, shape: Shape) -> Testimony {
        Testimony {
            service: "web".to_owned(),
            boot: "boot 1".to_owned(),
            incarnation: "run 1".to_owned(),
            shape,
            successors: self.successors.clone(),
            file: self.world.window,
            opened: Seq(self.opened),
            closed: Seq(self.next - 1),
            observations: self.lines.iter().map(|(_, line)| line.clone()).collect(),
            truncated: false,
        }
    }

    fn die(&mut self, death: Death) {
        let mut kept = self.lines.len().saturating_sub(death.lines_lost).max(1).min(self.lines.len());
        let is_intent = |(_, line): &(usize, Observation)| matches!(line.fact, Fact::Signal { .. });
        let after_intent = self.lines.iter().rposition(is_intent).map_or(0, |place| place + 1);
        if death.writes_intents {
            kept = kept.max(after_intent);
        }
        // A run reads what was written before it: that is not lost again.
        if let Some(last) = self.successors.last() {
            kept = kept.max(self.lines.iter().filter(|(_, line)| line.seq < last.from).count());
        }
        if let Some((step, _)) = self.lines.get(kept) {
            self.step = *step;
        }
        self.lines.truncate(kept);
        self.next = self.lines.last().map_or(self.next, |(_, line)| line.seq.0 + 1);
        self.world.unwatch();
        self.world.advance(death.downtime);
        if death.reboots {
            self.world.reboot();
            self.story.set(&mut self.world);
        }
        self.world.watch();
        // A run that wrote nothing is told by nobody.
        self.successors.pop_if(|last| last.from == Seq(self.next) && last.boot == "boot 1");
        self.incarnation = format!("run {}", self.successors.len() + 2);
        let boot = if death.reboots { "boot 2" } else { "boot 1" };
        let from = Seq(self.next);
        self.successors.push(Witness { incarnation: self.incarnation.clone(), boot: boot.to_owned(), from });
    }

    fn idle(&mut self) {
        let pause = self.world.dice.stretch();
        self.world.advance(pause);
    }

    fn perform(&mut self, step: &Step) {
        match step {
            Step::Look(role, whom) => self.look(*role, *whom, &[]),
            Step::During(role, whom, inner) => self.look(*role, *whom, inner),
            Step::List => self.list(),
            Step::Signal => self.signal("USR2", Whom::Pinned, Story::signalled),
            Step::Retire => self.signal("QUIT", Whom::Pinned, Story::retired),
            Step::Abort => self.signal("QUIT", Whom::Successor, Story::aborted),
            Step::Ready => {
                self.write(Fact::Readiness { ready: true, detail: String::new(), answered_by: None });
            }
            Step::AwaitSuccessor => self.wait(|agent| {
                let image = agent.pinned.map(|old| agent.world.tasks[old].image);
                agent.is_held_by(Whom::Successor, |world, task| Some(world.tasks[task].image) != image)
            }),
            Step::AwaitWorker => self.wait(|agent| {
                let master = agent.pinned.map(|old| (agent.world.tasks[old].identity.pid, agent.world.tasks[old].image));
                agent.is_held_by(Whom::FreshWorker, |world, task| {
                    Some((world.tasks[task].parent, world.tasks[task].image)) == master
                })
            }),
            Step::AwaitExit(role, whom) => {
                self.wait(|agent| agent.resolve(*whom).is_none_or(|task| agent.world.tasks[task].life == Life::Gone));
                self.exit(*role, *whom);
            }
            Step::Exit(role, whom) => self.exit(*role, *whom),
        }
    }

    fn wait(&mut self, until: impl Fn(&Self) -> bool) {
        for _ in 0..60 {
            if until(self) {
                return;
            }
            self.world.advance(150_000);
        }
    }

    fn is_held_by(&self, whom: Whom, is_wanted: impl Fn(&World, usize) -> bool) -> bool {
        self.resolve(whom).is_some_and(|task| {
            let is_alive = self.world.tasks[task].life == Life::Alive;
            is_alive && self.world.lock_line(task, self.world.window).is_some() && is_wanted(&self.world, task)
        })
    }

    fn resolve(&self, whom: Whom) -> Option<usize> {
        let part = match whom {
            Whom::Pinned => return self.pinned.and_then(|pinned| self.world.known_as(self.world.tasks[pinned].identity)),
            Whom::Current => Part::Old,
            Whom::Successor => {
                let restarted = self.world.playing(Part::Old).filter(|old| Some(*old) != self.pinned);
                return self.world.playing(Part::New).or(restarted);
            }
            Whom::Rival => Part::Rival,
            Whom::FreshWorker => Part::FreshWorker,
            Whom::OldWorker => Part::OldWorker,
            Whom::Helper => Part::Helper,
        };
        self.world.playing(part)
    }

    fn look(&mut self, role: Role, whom: Whom, inner: &[Step]) {
        let Some(task) = self.resolve(whom) else { return };
        let began = self.number();
        let before = self.world.tasks[task].clone();
        self.pause();
        let lock_first = self.world.dice.one_in(2);
        let meanwhile = |agent: &mut Self| {
            for step in inner {
                agent.perform(step);
            }
            agent.pause();
        };
        if !lock_first {
            meanwhile(self);
        }
        let mut line = None;
        for file in self.files().into_iter().flatten() {
            line = line.or_else(|| self.world.lock_line(task, file).cloned());
        }
        let delivery = self.world.dice.below(1_000);
        self.world.advance(delivery);
        if lock_first {
            meanwhile(self);
        }
        let after = self.world.tasks[task].clone();
        let is_alive = before.life == Life::Alive && (after.life == Life::Alive || self.care.asks_once);
        let is_torn = before.image != after.image && !self.care.keeps_torn_looks;
        let fact = match line.filter(|_| is_alive && !is_torn) {
            Some(line) => {
                let first_image = self.pinned.map(|pinned| self.world.tasks[pinned].image);
                let is_of_its_own = Some(before.image) != first_image;
                self.misnamed |= role != Role::Worker && before.standing != Standing::Master && is_of_its_own;
                Fact::Sighting(Sighting {
                    began,
                    role,
                    process: before.identity,
                    parent: before.parent,
                    image: before.image,
                    image_after: after.image,
                    lock: baton_proto::custody::Lock { file: line.file, mark: line.mark, taker: line.taker },
                })
            }
            None => Fact::Absence { began, role, process: before.identity, reason: String::new() },
        };
        self.write(fact);
    }

    fn files(&self) -> [Option<FileIdentity>; 2] {
        [self.world.watched, Some(self.world.path).filter(|_| self.care.follows_path)]
    }

    fn pause(&mut self) {
        let pause = if self.care.dawdles { self.world.dice.stretch() } else { self.world.dice.below(50) };
        self.world.advance(pause);
    }

    fn list(&mut self) {
        let Some(task) = self.pinned else { return };
        let began = self.number();
        self.pause();
        let master = self.world.tasks[task].identity;
        let workers: Vec<Process> = self.world.children(master.pid).map(|child| child.identity).collect();
        self.pause();
        self.write(Fact::Workers { began, master, workers });
    }

    fn signal(&mut self, signal: &str, whom: Whom, then: fn(&Story, &mut World)) {
        let Some(task) = self.resolve(whom) else { return };
        let process = self.world.tasks[task].identity;
        self.write(Fact::Signal { process, signal: signal.to_owned() });
        if self.world.tasks[task].life == Life::Alive {
            then(self.story, &mut self.world);
        }
    }

    fn exit(&mut self, role: Role, whom: Whom) {
        let Some(task) = self.resolve(whom) else { return };
        if self.world.tasks[task].life == Life::Gone {
            let process = self.world.tasks[task].identity;
            self.write(Fact::Exit { role, process });
        }
    }

    fn write(&mut self, fact: Fact) {
        let seq = self.number();
        self.line(seq, fact);
    }

    fn line(&mut self, seq: Seq, fact: Fact) {
        let at = Duration::from_micros(self.world.now);
        self.lines.push((self.step, Observation { seq, at, incarnation: self.incarnation.clone(), fact }));
    }

    /// The next number; the waiter's grants take theirs first.
    fn number(&mut self) -> Seq {
        for file in std::mem::take(&mut self.world.grants) {
            let seq = self.take_number();
            self.line(seq, Fact::Grant { file });
        }
        self.take_number()
    }

    fn take_number(&mut self) -> Seq {
        let number = usize::try_from(self.next).expect("few numbers");
        self.states.resize(number, 0);
        self.states.push(self.world.state);
        self.next += 1;
        Seq(self.next - 1)
    }
}
