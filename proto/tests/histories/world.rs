//! The host: processes, open file descriptions, one lock file after another, and virtual time in microseconds.
//!
//! It follows `flock(2)`: a lock belongs to an open file description, which fork and exec share out; LOCK_UN by any sharer
//! drops it; the last close drops it; and a dead process closes its files only some time after its death.
//!
//! **Invariant:** the truth is kept here, state by state, and no witness is asked for it.

use baton_proto::custody::{FileIdentity, Image, Process};

use crate::dice::Dice;
use crate::happening::{Blind, Happening};

/// Virtual time.
pub(crate) type Micros = u64;

/// What a process is to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A master: a generation lives while it does.
    Master,
    /// Below a master.
    Worker,
    /// A wrapper shell, a helper, a log shipper: it may hold the lock and serves nobody.
    Bystander,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    /// Dead, its files still open, and /proc says so.
    Corpse,
    Gone,
}

/// The parts that are played; one may pass from one process to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Wrapper,
    Old,
    New,
    Helper,
    OldWorker,
    FreshWorker,
    Rival,
}

pub(crate) const PARTS: usize = 7;

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) identity: Process,
    pub(crate) parent: u32,
    pub(crate) image: Image,
    pub(crate) standing: Standing,
    pub(crate) life: Life,
    pub(crate) descriptors: Vec<usize>,
    /// It holds nothing, and nobody who looks before and after can tell.
    pub(crate) blind: Blind,
    /// The state in which it died.
    pub(crate) died: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) file: FileIdentity,
    pub(crate) mark: u64,
    pub(crate) taker: u32,
    pub(crate) locked: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a coin that the seed throws")]
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) now: Micros,
    pub(crate) tasks: Vec<Task>,
    pub(crate) descriptions: Vec<Description>,
    pub(crate) cast: [Option<usize>; PARTS],
    agenda: Vec<(Micros, Happening)>,
    /// The file at the path.
    pub(crate) path: FileIdentity,
    /// The file that the truth is about.
    pub(crate) window: FileIdentity,
    /// The file that the waiter waits on, while there is an agent.
    pub(crate) watched: Option<FileIdentity>,
    was_free: bool,
    wakes: Option<Micros>,
    /// Grants that the agent has not taken up yet.
    pub(crate) grants: Vec<FileIdentity>,
    /// Counts states of the host; every change makes another.
    pub(crate) state: usize,
    /// The states in which no master held, and whether that can be seen.
    pub(crate) lapses: Vec<(usize, Blind)>,
    pub(crate) handed_over: bool,
    pub(crate) randomised: bool,
    pub(crate) namespaced: bool,
    /// A server that marks nothing writes its pid into its lock file.
    pub(crate) pid_is_written: bool,
}

impl World {
    pub(crate) fn new(mut dice: Dice) -> Self {
        let born = if dice.one_in(8) { 0 } else { 1_000 + dice.below(1_000_000) };
        let path = FileIdentity { device: 7, inode: 40 + dice.below(5), born };
        let randomised = !dice.one_in(5);
        let namespaced = dice.one_in(6);
        let pid_is_written = dice.one_in(3);
        Self {
            dice,
            now: 50_000_000,
            tasks: Vec::with_capacity(8),
            descriptions: Vec::with_capacity(4),
            cast: [None; PARTS],
            agenda: Vec::with_capacity(16),
            path,
            window: path,
            watched: None,
            was_free: true,
            wakes: None,
            grants: Vec::new(),
            state: 0,
            lapses: Vec::new(),
            handed_over: false,
            randomised,
            namespaced,
            pid_is_written,
        }
    }

    pub(crate) fn playing(&self, part: Part) -> Option<usize> {
        self.cast[part as usize]
    }

    pub(crate) fn after(&mut self, delay: Micros, happening: Happening) {
        self.agenda.push((self.now + delay, happening));
    }

    /// Lets time go by, and everything happen that is due.
    pub(crate) fn advance(&mut self, by: Micros) {
        let until = self.now + by;
        loop {
            let due = self.agenda.iter().enumerate().min_by_key(|(order, (at, _))| (*at, *order));
            let due = due.map(|(order, (at, _))| (order, *at)).filter(|(_, at)| *at <= until);
            let wake = self.wakes.filter(|wake| *wake <= until && due.is_none_or(|(_, at)| *wake < at));
            if let Some(wake) = wake {
                self.now = wake;
                self.wake();
            } else if let Some((order, at)) = due {
                let (_, happening) = self.agenda.remove(order);
                self.now = at;
                self.happen(happening);
            } else {
                break;
            }
        }
        self.now = until;
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
        self.change(happening);
        self.settle();
    }

    /// The host is in another state: who holds now?
    fn settle(&mut self) {
        self.state += 1;
        let free = self.watched.is_some_and(|file| self.is_free(file));
        if free && !self.was_free {
            self.freed();
        }
        self.was_free = free;
        if !self.is_served() {
            let blind = self.tasks.iter().map(|task| task.blind).find(|blind| *blind != Blind::No);
            self.lapses.push((self.state, blind.unwrap_or(Blind::No)));
        }
    }

    /// The waiter is woken at once or a little later, and by then the lock may be taken again.
    fn freed(&mut self) {
        if self.dice.one_in(10) {
            self.grants.extend(self.watched);
            return;
        }
        let latest = self.dice.pick(&[100, 100, 100, 200, 1_000, 20_000]);
        self.wakes = Some(self.now + 20 + self.dice.below(latest));
    }

    fn wake(&mut self) {
        self.wakes = None;
        if let Some(file) = self.watched.filter(|file| self.is_free(*file)) {
            self.grants.push(file);
        }
    }

    /// Queues the waiter on the file at the path; granted at once if nobody holds.
    pub(crate) fn watch(&mut self) {
        self.watched = Some(self.path);
        self.was_free = self.is_free(self.path);
        if self.was_free {
            self.grants.push(self.path);
        }
    }

    /// The agent dies, and its waiter with it.
    pub(crate) fn unwatch(&mut self) {
        self.watched = None;
        self.wakes = None;
        self.grants.clear();
    }

    fn is_free(&self, file: FileIdentity) -> bool {
        !self.descriptions.iter().any(|description| description.locked && description.file == file)
    }

    fn is_served(&self) -> bool {
        self.tasks
            .iter()
            .any(|task| task.life == Life::Alive && task.standing == Standing::Master && self.held(task, self.window).is_some())
    }

    fn held(&self, task: &Task, file: FileIdentity) -> Option<&Description> {
        let descriptions = task.descriptors.iter().map(|descriptor| &self.descriptions[*descriptor]);
        descriptions.into_iter().find(|description| description.locked && description.file == file)
    }

    /// What fdinfo shows of this process for this file.
    pub(crate) fn lock_line(&self, task: usize, file: FileIdentity) -> Option<&Description> {
        if self.tasks[task].life == Life::Gone {
            return None;
        }
        self.held(&self.tasks[task], file)
    }

    /// The process that has this identity now, or had it last.
    pub(crate) fn known_as(&self, identity: Process) -> Option<usize> {
        self.tasks.iter().rposition(|task| task.identity == identity)
    }

    /// The living children of a process.
    pub(crate) fn children(&self, parent: u32) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(move |task| task.parent == parent && task.life != Life::Gone)
    }

    pub(crate) fn alive(&self, part: Part) -> Option<usize> {
        self.playing(part).filter(|task| self.tasks[*task].life == Life::Alive)
    }

    /// The host is started anew: nobody is left, and the numbers come round.
    pub(crate) fn reboot(&mut self) {
        self.agenda.clear();
        for task in 0..self.tasks.len() {
            self.tasks[task].life = Life::Gone;
            self.close(task);
        }
        self.settle();
    }
}
