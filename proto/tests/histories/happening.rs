//! What can happen on the host, and what it does to processes, descriptors and locks.

use baton_proto::custody::{FileIdentity, Image, MARK_MIN, Process};

use crate::world::{Description, Life, Part, Standing, Task, World};

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

impl World {
    pub(crate) fn change(&mut self, happening: Happening) {
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
            Happening::Die { who } => self.die(who),
            Happening::Gone { who } => {
                if let Some(task) = self.playing(who).filter(|task| self.tasks[*task].life == Life::Corpse) {
                    self.tasks[task].life = Life::Gone;
                    self.close(task);
                }
            }
            Happening::Replace { same_inode } => {
                let inode =
                    if same_inode && self.path.born != 0 { self.path.inode } else { self.path.inode + 1 + self.dice.below(3) };
                self.path = FileIdentity { inode, born: self.path.born + 1 + self.dice.below(1_000), ..self.path };
            }
            Happening::HandedOver => self.handed_over = true,
        }
    }

    fn fork(&mut self, parent: Part, child: Part, namesake: Namesake) {
        let Some(parent) = self.alive(parent) else { return };
        let identity = self.identity(namesake);
        let blind = self.mistakable(namesake);
        let parent = &self.tasks[parent];
        let task = Task { identity, parent: parent.identity.pid, standing: Standing::Worker, blind, ..parent.clone() };
        self.enter(child, task);
    }

    fn spawn(&mut self, child: Part, namesake: Namesake) {
        let identity = self.identity(namesake);
        let image = self.fresh_image();
        let descriptors = Vec::new();
        let task = Task {
            identity,
            parent: 1,
            image,
            standing: Standing::Bystander,
            life: Life::Alive,
            descriptors,
            blind: self.mistakable(namesake),
            died: 0,
        };
        self.enter(child, task);
    }

    /// The time since the death of the process that this one is taken for cannot be told from its life.
    fn mistakable(&mut self, namesake: Namesake) -> Blind {
        let Namesake::PidAndTick(part) = namesake else { return Blind::No };
        let died = self.playing(part).map_or(self.state, |task| self.tasks[task].died);
        for (_, blind) in self.lapses.iter_mut().filter(|(state, _)| *state > died) {
            *blind = Blind::SameTick;
        }
        Blind::SameTick
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

    fn fresh_image(&mut self) -> Image {
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
        if self.tasks[task].blind == Blind::SameTick {
            self.tasks[task].blind = Blind::No;
        }
        if !keeps {
            self.close(task);
        }
    }

    fn lock(&mut self, who: Part, marked: bool) {
        let Some(task) = self.alive(who) else { return };
        // A server that marks nothing may have written its pid there, which is as long the next time.
        let mark = match (marked, self.pid_is_written) {
            (true, _) => MARK_MIN + self.dice.below((1 << 43) - MARK_MIN),
            (false, true) => 5,
            (false, false) => 0,
        };
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

    fn die(&mut self, who: Part) {
        let Some(task) = self.alive(who) else { return };
        self.tasks[task].life = Life::Corpse;
        let pid = self.tasks[task].identity.pid;
        for orphan in self.tasks.iter_mut().filter(|orphan| orphan.parent == pid) {
            orphan.parent = 1;
        }
        self.tasks[task].blind = Blind::No;
        self.tasks[task].died = self.state;
    }

    pub(crate) fn close(&mut self, task: usize) {
        for descriptor in std::mem::take(&mut self.tasks[task].descriptors) {
            if !self.tasks.iter().any(|other| other.descriptors.contains(&descriptor)) {
                self.descriptions[descriptor].locked = false;
            }
        }
    }
}
