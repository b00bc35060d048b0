//! Who holds a lock, found in /proc: a master, its relatives, and whoever else is asked about.
//!
//! **Invariant:** nothing here opens the lock file: to open it would be an event that makes us look again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use baton_proto::custody::{FileIdentity, Lock, Process};

use crate::census::{Holder, Place};
use crate::os::process::{self, Living, Unseen};
use crate::procfs;

/// Relatives of a master that are looked at; whoever is beyond that is found by a walk.
const RELATIVES_MAX: usize = 512;
/// A master is not deeper below process 1 than that.
const ANCESTORS_MAX: usize = 32;
/// Processes of a cgroup that are looked at.
const CGROUP_MAX: usize = 512;

/// How each holder was found last, to be tried first.
#[derive(Debug, Default)]
pub struct Memory(HashMap<u32, Remembered>);

#[derive(Debug, Clone, Copy)]
struct Remembered {
    process: Process,
    /// Another one shows that it has called exec, but for where addresses are not random.
    start_stack: u64,
    program: Option<FileIdentity>,
    /// By which it held.
    descriptor: u32,
}

impl Memory {
    /// The process as a holder of the file, if it is one. One that keeps another description by another descriptor, too, is no less a
    /// holder by the one that is remembered.
    fn holder(&mut self, living: &Living, file: FileIdentity, place: Place) -> Result<Option<Holder>, Unseen> {
        let (process, start_stack) = (living.process(), living.opened().start_stack);
        let known = self.0.get(&process.pid).filter(|known| (known.process, known.start_stack) == (process, start_stack));
        if let Some(known) = known
            && let Some(lock) = living.lock_at(known.descriptor, file)
        {
            return Ok(Some(holder(living, known.program, lock, place)));
        }
        self.0.remove(&process.pid);
        let Some((descriptor, lock)) = living.locks(&[file])?.pop() else { return Ok(None) };
        let program = living.program();
        self.0.insert(process.pid, Remembered { process, start_stack, program, descriptor });
        Ok(Some(holder(living, program, lock, place)))
    }

    /// Forgets whoever is not among these.
    fn keep(&mut self, holders: &[Holder]) {
        self.0.retain(|pid, _| holders.iter().any(|holder| holder.process.pid == *pid));
    }
}

/// Everybody that is known of a service.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The master in charge.
    pub master: Option<u32>,
    /// Whoever else was found to hold before, or is named by somebody.
    pub others: &'a [u32],
}

/// The holders among the master, those below it, those above it, those in its cgroup, and the others.
pub fn holders(known: Known<'_>, file: FileIdentity, memory: &mut Memory) -> Vec<Holder> {
    let own = std::process::id();
    let mut met: HashSet<u32> = HashSet::from([own]);
    let mut found = Vec::new();
    let mut meet = |pid, place, children: bool| -> Vec<u32> {
        if !met.insert(pid) {
            return Vec::new();
        }
        // Whoever cannot be looked at, or is gone, is not found.
        let Ok(living) = Living::open(pid) else { return Vec::new() };
        if let Ok(Some(holder)) = memory.holder(&living, file, place) {
            found.push(holder);
        }
        if children { living.children() } else { Vec::new() }
    };
    if let Some(master) = known.master {
        let mut below: VecDeque<(u32, Place)> = VecDeque::from([(master, Place::Master)]);
        let mut relatives = 0;
        while let Some((pid, place)) = below.pop_front() {
            relatives += 1;
            if relatives <= RELATIVES_MAX {
                below.extend(meet(pid, place, true).into_iter().map(|child| (child, Place::Below)));
            }
        }
        for pid in ancestors(master) {
            meet(pid, Place::Above, false);
        }
        for pid in cgroup(master) {
            meet(pid, Place::Elsewhere, false);
        }
    }
    // A stranger's children have what it has.
    let mut others: VecDeque<u32> = known.others.iter().copied().collect();
    let mut met = 0;
    while let Some(pid) = others.pop_front() {
        met += 1;
        if met <= RELATIVES_MAX {
            others.extend(meet(pid, Place::Elsewhere, true));
        }
    }
    memory.keep(&found);
    found
}

fn holder(living: &Living, program: Option<FileIdentity>, lock: Lock, place: Place) -> Holder {
    Holder {
        process: living.process(),
        parent: living.leader().parent,
        command: living.command().to_owned(),
        program,
        lock,
        place,
    }
}

/// Those above a process, the nearest first.
fn ancestors(pid: u32) -> Vec<u32> {
    let parent = |pid: &u32| process::find(*pid).ok().map(|(_, parent)| parent).filter(|parent| *parent != 0);
    std::iter::successors(parent(&pid), parent).take(ANCESTORS_MAX).collect()
}

/// Those in the cgroup of a process, unless it is that of everybody: the root, or the one that we are in ourselves.
fn cgroup(pid: u32) -> Vec<u32> {
    let of = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
    let (Some(its), Some(ours)) = (of(&pid.to_string()), of("self")) else { return Vec::new() };
    let Some(path) = procfs::cgroup(&its).filter(|path| *path != "/" && procfs::cgroup(&ours) != Some(path)) else {
        return Vec::new();
    };
    let list = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')).join("cgroup.procs");
    let Ok(text) = std::fs::read_to_string(list) else { return Vec::new() };
    procfs::children(&text).into_iter().take(CGROUP_MAX).collect()
}

/// Everybody on this machine who holds one of these files.
pub fn walk(files: &[FileIdentity]) -> Vec<Holder> {
    let own = std::process::id();
    let mut found = Vec::new();
    for pid in process::everyone().into_iter().filter(|pid| *pid != own) {
        let Ok(living) = Living::open(pid) else { continue };
        let locks = living.locks(files).unwrap_or_default();
        found.extend(locks.into_iter().map(|(_, lock)| holder(&living, living.program(), lock, Place::Elsewhere)));
    }
    found
}
