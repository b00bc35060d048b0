//! The host: processes, open file descriptions, one lock file after another, and virtual time in microseconds.
//!
//! It follows `flock(2)`: a lock belongs to an open file description, which fork and exec share out; LOCK_UN by any sharer
//! drops it; the last close drops it; and a dead process closes its files only some time after its death.
//!
//! **Invariant:** the truth is kept here, state by state, and no witness is asked for it.

use baton_proto::custody::{FileIdentity, Image, Process};

use crate::dice::Dice;

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

/// Why nobody held, where the testimony cannot show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blind {
    /// Any testimony that is read with care shows it.
    No,
    /// A sharer unlocked and locked its own description again.
    Relocked,
    /// A process closed and opened again, with its image unchanged: seen by the mark only.
    Reopened,
    /// Another process was given the pid within one clock tick, and inherited the marked lock from a bystander.
    SameTick,
}

/// One thing that happens on the host.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening {
    /// A child that shares all descriptors and has the same image.
    Fork {
        parent: Part,
        child: Part,
        namesake: Namesake,
    },
    /// A process of init, with nothing open.
    Spawn {
        child: Part,
        namesake: Namesake,
    },
    /// Another image; the lock's descriptors are kept or closed.
    Exec {
        who: Part,
        keeps: bool,
        becomes: Standing,
    },
    /// Open what lies at the path, set the mark, lock.
    Lock {
        who: Part,
        marked: bool,
    },
    /// LOCK_UN.
    Unlock {
        who: Part,
    },
    /// LOCK_SH on the same description.
    Relock {
        who: Part,
    },
    /// Close, to open again or not.
    Close {
        who: Part,
        blind: Blind,
    },
    Die {
        who: Part,
        blind: Blind,
    },
    Gone {
        who: Part,
    },
    /// Another file at the path; perhaps with the number that the old one had.
    Replace {
        same_inode: bool,
    },
    /// The server did what it was asked to.
    HandedOver,
}

/// Whose identity a new process is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namesake {
    Nobody,
    /// The pid of this one.
    Pid(Part),
    /// Its pid and its start, within one clock tick.
    PidAndTick(Part),
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) identity: Process,
    pub(crate) parent: u32,
    pub(crate) image: Image,
    pub(crate) standing: Standing,
    pub(crate) life: Life,
    descriptors: Vec<usize>,
    /// It holds nothing, and nobody who looks before and after can tell.
    blind: Blind,
}

#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) file: FileIdentity,
    pub(crate) mark: u64,
    pub(crate) taker: u32,
    locked: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) now: Micros,
    pub(crate) tasks: Vec<Task>,
    descriptions: Vec<Description>,
    cast: [Option<usize>; PARTS],
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
}

impl World {
    pub(crate) fn new(mut dice: Dice) -> Self {
        let born = if dice.one_in(8) { 0 } else { 1_000 + dice.below(1_000_000) };
        let path = FileIdentity { device: 7, inode: 40 + dice.below(5), born };
        let randomised = !dice.one_in(5);
        let namespaced = dice.one_in(6);
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

    /// The living children of a process.
    pub(crate) fn children(&self, parent: u32) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(move |task| task.parent == parent && task.life != Life::Gone)
    }

    fn alive(&self, part: Part) -> Option<usize> {
        self.playing(part).filter(|task| self.tasks[*task].life == Life::Alive)
    }

    fn change(&mut self, happening: Happening) {
        match happening {
            Happening::Fork { parent, child, namesake } => self.fork(parent, child, namesake),
            Happening::Spawn { child, namesake } => self.spawn(child, namesake),
            Happening::Exec { who, keeps, becomes } => self.exec(who, keeps, becomes),
            Happening::Lock { who, marked } => self.lock(who, marked),
            Happening::Unlock { who } => self.unlock(who),
            Happening::Relock { who } => self.relock(who),
            Happening::Close { who, blind } => {
                if let Some(task) = self.alive(who) {
                    self.close(task);
                    self.tasks[task].blind = blind;
                }
            }
            Happening::Die { who, blind } => self.die(who, blind),
            Happening::Gone { who } => {
                if let Some(task) = self.playing(who).filter(|task| self.tasks[*task].life == Life::Corpse) {
                    self.tasks[task].life = Life::Gone;
                    self.close(task);
                }
            }
            Happening::Replace { same_inode } => {
                let inode = if same_inode { self.path.inode } else { self.path.inode + 1 + self.dice.below(3) };
                self.path = FileIdentity { inode, born: self.path.born + 1 + self.dice.below(1_000), ..self.path };
            }
            Happening::HandedOver => self.handed_over = true,
        }
    }

    fn fork(&mut self, parent: Part, child: Part, namesake: Namesake) {
        let Some(parent) = self.alive(parent) else { return };
        let identity = self.identity(namesake);
        let parent = &self.tasks[parent];
        let task = Task { identity, parent: parent.identity.pid, standing: Standing::Worker, blind: Blind::No, ..parent.clone() };
        self.enter(child, task);
    }

    fn spawn(&mut self, child: Part, namesake: Namesake) {
        let identity = self.identity(namesake);
        let image = self.fresh_image();
        let descriptors = Vec::new();
        let task =
            Task { identity, parent: 1, image, standing: Standing::Bystander, life: Life::Alive, descriptors, blind: Blind::No };
        self.enter(child, task);
    }

    fn enter(&mut self, part: Part, task: Task) {
        self.cast[part as usize] = Some(self.tasks.len());
        self.tasks.push(task);
    }

    fn identity(&mut self, namesake: Namesake) -> Process {
        let fresh = 100 + u32::try_from(self.tasks.len()).expect("few tasks");
        let start_ticks = self.now / 10_000;
        let of = |part: Part| self.cast[part as usize].map(|task| self.tasks[task].identity);
        match namesake {
            Namesake::Nobody => Process { pid: fresh, start_ticks },
            Namesake::Pid(part) => Process { pid: of(part).map_or(fresh, |process| process.pid), start_ticks },
            Namesake::PidAndTick(part) => of(part).unwrap_or(Process { pid: fresh, start_ticks }),
        }
    }

    pub(crate) fn fresh_image(&mut self) -> Image {
        let start_stack = if self.randomised { 0x7FFD_0000_0000 + self.dice.below(1 << 24) * 16 } else { 0x7FFF_FFFF_E000 };
        let mut random = [0; 16];
        random[..8].copy_from_slice(&self.dice.next().to_le_bytes());
        random[8..].copy_from_slice(&self.dice.next().to_le_bytes());
        Image { start_stack, random }
    }

    fn exec(&mut self, who: Part, keeps: bool, becomes: Standing) {
        let Some(task) = self.alive(who) else { return };
        self.tasks[task].image = self.fresh_image();
        self.tasks[task].standing = becomes;
        let identity = self.tasks[task].identity;
        for namesake in self.tasks.iter_mut().filter(|other| other.identity == identity && other.blind == Blind::SameTick) {
            namesake.blind = Blind::No;
        }
        if !keeps {
            self.close(task);
        }
    }

    fn lock(&mut self, who: Part, marked: bool) {
        let Some(task) = self.alive(who) else { return };
        let mark = if marked { 1 + self.dice.below((1 << 43) - 1) } else { 0 };
        let taker = self.taker(task);
        self.tasks[task].blind = Blind::No;
        self.tasks[task].descriptors.push(self.descriptions.len());
        self.descriptions.push(Description { file: self.path, mark, taker, locked: true });
    }

    fn taker(&self, task: usize) -> u32 {
        if self.namespaced { 0 } else { self.tasks[task].identity.pid }
    }

    fn unlock(&mut self, who: Part) {
        let Some(task) = self.alive(who) else { return };
        for descriptor in self.tasks[task].descriptors.clone() {
            self.descriptions[descriptor].locked = false;
        }
        self.tasks[task].blind = Blind::Relocked;
    }

    fn relock(&mut self, who: Part) {
        let Some(task) = self.alive(who) else { return };
        let taker = self.taker(task);
        self.tasks[task].blind = Blind::No;
        for descriptor in self.tasks[task].descriptors.clone() {
            self.descriptions[descriptor].locked = true;
            self.descriptions[descriptor].taker = taker;
        }
    }

    fn die(&mut self, who: Part, blind: Blind) {
        let Some(task) = self.alive(who) else { return };
        self.tasks[task].life = Life::Corpse;
        let pid = self.tasks[task].identity.pid;
        for orphan in self.tasks.iter_mut().filter(|orphan| orphan.parent == pid) {
            orphan.parent = 1;
        }
        self.tasks[task].blind = blind;
    }

    fn close(&mut self, task: usize) {
        for descriptor in std::mem::take(&mut self.tasks[task].descriptors) {
            if !self.tasks.iter().any(|other| other.descriptors.contains(&descriptor)) {
                self.descriptions[descriptor].locked = false;
            }
        }
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
