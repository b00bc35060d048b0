//! What the server does: one handover as it should be, or with something that goes wrong.

use baton_proto::custody::Shape;

use crate::dice::Dice;
use crate::happening::{Blind, Happening, Namesake};
use crate::world::{Micros, Part, Standing, World};

/// What the server does when it is told to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// What was asked.
    AsAsked,
    /// A handover, of another shape.
    Otherwise(Shape),
    /// Nothing.
    Nothing,
    /// A worker dies and the master forks another; no handover.
    Respawn,
    /// The new master never takes the lock.
    NeverLocks,
    /// Two new masters.
    Twice,
}

/// How many of them there are, each shape counted.
pub(crate) const DEEDS: usize = 8;

/// How a master comes to hold nothing, and how somebody comes to hold again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It dies, and nobody starts it again.
    Dies,
    /// It lives on without a lock.
    LetsGo,
    /// LOCK_UN and LOCK_SH on its own descriptor.
    Relocks,
    /// It closes and opens again.
    Reopens,
    /// It execs without the lock and takes it again.
    ExecRetakes,
    /// It dies, and a wrapper that keeps the inherited lock starts another.
    WrapperRestarts,
    /// The same, and the new process gets the old one's pid.
    WrapperSamePid,
    /// The same, within one clock tick.
    WrapperSameTick,
    /// It dies, and an init that holds nothing starts another.
    InitRestarts,
    /// The same, and the new process gets the old one's pid.
    InitSamePid,
    /// It dies while the file at the path is exchanged, and its successor locks the other file.
    FileReplaced,
    /// The same, and the other file has the inode number of the first.
    InodeReused,
}

pub(crate) const WAYS: [Way; 12] = [
    Way::Dies,
    Way::LetsGo,
    Way::Relocks,
    Way::Reopens,
    Way::ExecRetakes,
    Way::WrapperRestarts,
    Way::WrapperSamePid,
    Way::WrapperSameTick,
    Way::InitRestarts,
    Way::InitSamePid,
    Way::FileReplaced,
    Way::InodeReused,
];

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lapse {
    pub(crate) way: Way,
    /// Before the signal, or after it.
    pub(crate) early: bool,
    /// How long after the opening or the signal.
    delay: Micros,
    /// How long nobody holds.
    pub(crate) gap: Micros,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a coin that the seed throws")]
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) asked: Shape,
    pub(crate) done: Done,
    pub(crate) lapse: Option<Lapse>,
    /// The lock passes on by inheritance; else each master opens the file itself.
    inherits: bool,
    pub(crate) marked: bool,
    /// A helper of the application holds the lock too, for as long as the story runs.
    helper: bool,
    /// The helper has called exec.
    helper_execs: bool,
    /// The first worker shares the lock; else it has closed it.
    worker_holds: bool,
    /// The first worker dies with its master; else it is left an orphan.
    worker_follows: bool,
    boot: [Micros; 3],
    drain: Micros,
    corpse: Micros,
}

impl Story {
    /// An honest story of this shape.
    pub(crate) fn honest(asked: Shape, dice: &mut Dice) -> Self {
        Self {
            asked,
            done: Done::AsAsked,
            lapse: None,
            inherits: dice.one_in(2),
            marked: asked == Shape::Exec || dice.one_in(2),
            helper: dice.one_in(4),
            helper_execs: dice.one_in(2),
            worker_holds: dice.one_in(2),
            worker_follows: dice.one_in(2),
            boot: [dice.stretch(), dice.stretch(), dice.stretch()],
            drain: dice.stretch(),
            corpse: dice.stretch() * dice.pick(&[1, 1, 4]),
        }
    }

    /// A story in which at least one thing is not as it should be.
    pub(crate) fn faulty(asked: Shape, dice: &mut Dice) -> Self {
        let mut story = Self::honest(asked, dice);
        if dice.one_in(3) {
            let others = [
                Done::Otherwise(Shape::Beside),
                Done::Otherwise(Shape::InPlace),
                Done::Otherwise(Shape::Exec),
                Done::Nothing,
                Done::Respawn,
                Done::NeverLocks,
                Done::Twice,
            ];
            story.done = dice.pick(&others);
        }
        if story.done == Done::AsAsked || dice.one_in(3) {
            let (early, way) = (dice.one_in(4), dice.pick(&WAYS));
            story.lapse = Some(Lapse { way, early, delay: dice.stretch(), gap: dice.stretch() });
        }
        story.marked = dice.one_in(2);
        if story.lapse.is_some_and(|lapse| lapse.way == Way::Dies) && dice.one_in(2) {
            story.misses(dice);
        }
        story
    }

    /// The old master goes just before the new one takes the lock.
    pub(crate) fn just_missed(dice: &mut Dice) -> Self {
        let mut story = Self::honest(Shape::Beside, dice);
        story.inherits = false;
        story.misses(dice);
        story
    }

    fn misses(&mut self, dice: &mut Dice) {
        let gap = dice.stretch();
        let delay = self.boot.iter().sum::<Micros>().saturating_sub(gap);
        self.corpse = 0;
        self.lapse = Some(Lapse { way: Way::Dies, early: false, delay, gap });
    }

    /// The word for it in the table.
    pub(crate) fn name(&self) -> String {
        let shape = match self.asked {
            Shape::Beside => "beside",
            Shape::InPlace => "in place",
            Shape::Exec => "exec",
        };
        match (self.done, self.lapse) {
            (Done::AsAsked, None) => format!("{shape}: as asked"),
            (Done::AsAsked, Some(lapse)) => format!("{shape}: {:?}", lapse.way),
            (done, _) => format!("{shape}: {done:?}"),
        }
    }

    /// The host before the window opens.
    pub(crate) fn set(&self, world: &mut World) {
        if self.inherits {
            world.happen(Happening::Spawn { child: Part::Wrapper, namesake: Namesake::Nobody });
            world.happen(Happening::Lock { who: Part::Wrapper, marked: self.marked });
            world.happen(Happening::Fork { parent: Part::Wrapper, child: Part::Old, namesake: Namesake::Nobody });
            world.happen(Happening::Exec { who: Part::Old, keeps: true, becomes: Standing::Master });
        } else {
            world.happen(Happening::Spawn { child: Part::Old, namesake: Namesake::Nobody });
            world.happen(Happening::Exec { who: Part::Old, keeps: false, becomes: Standing::Master });
            world.happen(Happening::Lock { who: Part::Old, marked: self.marked });
        }
        world.happen(Happening::Fork { parent: Part::Old, child: Part::OldWorker, namesake: Namesake::Nobody });
        if !self.worker_holds {
            world.happen(Happening::Close { who: Part::OldWorker, blind: Blind::No });
        }
        if self.helper {
            world.happen(Happening::Fork { parent: Part::Old, child: Part::Helper, namesake: Namesake::Nobody });
            if self.helper_execs {
                world.happen(Happening::Exec { who: Part::Helper, keeps: true, becomes: Standing::Bystander });
            }
        }
        if !self.lapse.is_some_and(|lapse| lapse.way == Way::WrapperSameTick) {
            world.advance(1_000_000);
        }
    }

    /// The window is open: what goes wrong before the signal begins.
    pub(crate) fn opened(&self, world: &mut World) {
        if let Some(lapse) = self.lapse.filter(|lapse| lapse.early) {
            self.lapses(world, lapse);
        }
    }

    /// The master is told to hand over.
    pub(crate) fn signalled(&self, world: &mut World) {
        let [first, ..] = self.boot;
        match self.done {
            Done::AsAsked => self.hands_over(world, self.asked),
            Done::Otherwise(shape) => self.hands_over(world, shape),
            Done::Nothing => {}
            Done::Respawn => self.renews(world, first),
            Done::NeverLocks => self.boots(world, Part::New, false),
            Done::Twice => {
                self.boots(world, Part::New, true);
                self.boots(world, Part::Rival, true);
            }
        }
        if let Some(lapse) = self.lapse.filter(|lapse| !lapse.early) {
            self.lapses(world, lapse);
        }
    }

    fn hands_over(&self, world: &mut World, shape: Shape) {
        let [first, second, _] = self.boot;
        match shape {
            Shape::Beside => self.boots(world, Part::New, true),
            Shape::InPlace => {
                self.renews(world, first + second);
                world.after(first + second, Happening::HandedOver);
            }
            Shape::Exec => {
                world.after(first, Happening::Exec { who: Part::Old, keeps: true, becomes: Standing::Master });
                self.renews(world, first + second);
                world.after(first + second, Happening::HandedOver);
            }
        }
    }

    /// The old master forks, the child execs, boots, locks, and forks a worker.
    fn boots(&self, world: &mut World, new: Part, locks: bool) {
        let [first, second, third] = self.boot;
        world.after(first, Happening::Fork { parent: Part::Old, child: new, namesake: Namesake::Nobody });
        let keeps = self.inherits && locks;
        let holds = if keeps { first + second } else { first + second + third };
        if locks {
            world.after(holds, Happening::HandedOver);
        }
        world.after(first + second, Happening::Exec { who: new, keeps, becomes: Standing::Master });
        if locks && !self.inherits {
            world.after(first + second + third, Happening::Lock { who: new, marked: self.marked });
        }
        world
            .after(first + second + third, Happening::Fork { parent: new, child: Part::FreshWorker, namesake: Namesake::Nobody });
    }

    /// The master forks a worker, and an old one goes.
    fn renews(&self, world: &mut World, delay: Micros) {
        world.after(delay, Happening::Fork { parent: Part::Old, child: Part::FreshWorker, namesake: Namesake::Nobody });
        world.after(delay + self.drain, Happening::Die { who: Part::OldWorker });
        world.after(delay + self.drain + self.corpse, Happening::Gone { who: Part::OldWorker });
    }

    /// The old master is told to leave.
    pub(crate) fn retired(&self, world: &mut World) {
        self.leaves(world, Part::Old);
    }

    /// The new master is told to leave.
    pub(crate) fn aborted(&self, world: &mut World) {
        self.leaves(world, Part::New);
    }

    fn leaves(&self, world: &mut World, master: Part) {
        let worker = if master == Part::Old { Part::OldWorker } else { Part::FreshWorker };
        for who in [worker, master] {
            world.after(self.drain, Happening::Die { who });
            world.after(self.drain + self.corpse, Happening::Gone { who });
        }
    }

    fn lapses(&self, world: &mut World, lapse: Lapse) {
        let (old, begins, ends) = (Part::Old, lapse.delay, lapse.delay + lapse.gap);
        match lapse.way {
            Way::Dies => self.dies(world, begins),
            Way::LetsGo => world.after(begins, Happening::Close { who: old, blind: Blind::No }),
            Way::Relocks => {
                world.after(begins, Happening::Unlock { who: old });
                world.after(ends, Happening::Relock { who: old });
            }
            Way::Reopens => {
                let blind = if self.marked { Blind::No } else { Blind::Reopened };
                world.after(begins, Happening::Close { who: old, blind });
                world.after(ends, Happening::Lock { who: old, marked: self.marked });
            }
            Way::ExecRetakes => {
                world.after(begins, Happening::Exec { who: old, keeps: false, becomes: Standing::Master });
                world.after(ends, Happening::Lock { who: old, marked: self.marked });
            }
            Way::WrapperRestarts => self.restarts(world, lapse, Part::Wrapper, Namesake::Nobody),
            Way::WrapperSamePid => self.restarts(world, lapse, Part::Wrapper, Namesake::Pid(old)),
            Way::WrapperSameTick => self.restarts(world, lapse, Part::Wrapper, Namesake::PidAndTick(old)),
            Way::InitRestarts => self.restarts(world, lapse, Part::Old, Namesake::Nobody),
            Way::InitSamePid => self.restarts(world, lapse, Part::Old, Namesake::Pid(old)),
            Way::FileReplaced | Way::InodeReused => {
                let same_inode = lapse.way == Way::InodeReused;
                world.after(begins, Happening::Replace { same_inode });
                self.restarts(world, lapse, Part::Old, Namesake::Nobody);
            }
        }
    }

    fn dies(&self, world: &mut World, delay: Micros) {
        let worker = self.worker_follows.then_some(Part::OldWorker);
        for who in [Part::Old].into_iter().chain(worker) {
            world.after(delay, Happening::Die { who });
            world.after(delay + self.corpse, Happening::Gone { who });
        }
    }

    /// The old master dies and another is started, by a wrapper with the lock or by init without.
    fn restarts(&self, world: &mut World, lapse: Lapse, by: Part, namesake: Namesake) {
        self.dies(world, lapse.delay);
        let starts = lapse.delay + self.corpse + lapse.gap;
        if by == Part::Wrapper && self.inherits {
            world.after(starts, Happening::Fork { parent: by, child: Part::Old, namesake });
            world.after(starts, Happening::Exec { who: Part::Old, keeps: true, becomes: Standing::Master });
        } else {
            world.after(starts, Happening::Spawn { child: Part::Old, namesake });
            world.after(starts, Happening::Exec { who: Part::Old, keeps: false, becomes: Standing::Master });
            world.after(starts, Happening::Lock { who: Part::Old, marked: self.marked });
        }
        world.after(starts, Happening::Fork { parent: Part::Old, child: Part::FreshWorker, namesake: Namesake::Nobody });
    }
}
