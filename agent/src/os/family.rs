//! Who holds a lock, found in /proc: a master, its relatives, and whoever else is asked about.
//!
//! **Invariant:** nothing here opens the lock file: to open it would be an event that makes us look again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

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
pub struct Memory {
    holders: HashMap<u32, Remembered>,
    house: Option<House>,
}

/// What is around a master, looked at once for each: a process above it has what it has from the beginning, or takes a lock of its
/// own, which the kernel's list shows. Those above have many descriptors, which would take longer than all the rest.
#[derive(Debug)]
struct House {
    /// The lock that they were asked about.
    file: FileIdentity,
    master: Process,
    parent: u32,
    ancestors: Vec<Process>,
    /// Those of them that held.
    holding: Vec<u32>,
    /// Where the members of its cgroup are listed, if that is not the cgroup of everybody.
    members: Option<PathBuf>,
}

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
        let known = self.holders.get(&process.pid).filter(|known| (known.process, known.start_stack) == (process, start_stack));
        if let Some(known) = known
            && let Some(lock) = living.lock_at(known.descriptor, file)
        {
            return Ok(Some(holder(living, known.program, lock, place)));
        }
        self.holders.remove(&process.pid);
        let Some((descriptor, lock)) = living.locks(&[file])?.pop() else { return Ok(None) };
        let program = living.program();
        self.holders.insert(process.pid, Remembered { process, start_stack, program, descriptor });
        Ok(Some(holder(living, program, lock, place)))
    }

    /// Forgets whoever is not among these.
    fn keep(&mut self, holders: &[Holder]) {
        self.holders.retain(|pid, _| holders.iter().any(|holder| holder.process.pid == *pid));
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
    let house = memory.house.take();
    let mut met: HashSet<u32> = HashSet::from([own]);
    let mut found: Vec<Holder> = Vec::new();
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
    }
    let house = house.filter(|house| house.file == file);
    let before = house.as_ref().map(|house| (house.ancestors.clone(), house.holding.clone())).unwrap_or_default();
    let house = match (house, known.master.and_then(|master| process::find(master).ok())) {
        (Some(house), Some((master, parent))) if (house.master, house.parent) == (master, parent) => Some(house),
        (_, found) => found.map(|(master, parent)| House::of(file, master, parent)),
    };
    if let Some(house) = &house {
        // Those that were above the last master, too, were looked at then.
        let (ancestors, holding) = before;
        for above in house.ancestors.iter().filter(|above| !ancestors.contains(above) || holding.contains(&above.pid)) {
            meet(above.pid, Place::Above, false);
        }
        for pid in house.members() {
            meet(pid, Place::Elsewhere, false);
        }
    }
    // A stranger's children have what it has.
    let is_above = |pid: &u32| house.as_ref().is_some_and(|house| house.ancestors.iter().any(|above| above.pid == *pid));
    let mut others: VecDeque<(u32, bool)> = known.others.iter().map(|pid| (*pid, is_above(pid))).collect();
    let mut strangers = 0;
    while let Some((pid, is_above)) = others.pop_front() {
        strangers += 1;
        if strangers <= RELATIVES_MAX {
            let place = if is_above { Place::Above } else { Place::Elsewhere };
            others.extend(meet(pid, place, !is_above).into_iter().map(|child| (child, false)));
        }
    }
    let above = found.iter().filter(|holder| holder.place == Place::Above).map(|holder| holder.process.pid);
    let holding = above.collect();
    memory.house = house.map(|house| House { holding, ..house });
    memory.keep(&found);
    found
}

impl House {
    fn of(file: FileIdentity, master: Process, parent: u32) -> Self {
        let (ancestors, members) = (ancestors(parent), cgroup(master.pid));
        Self { file, master, parent, ancestors, holding: Vec::new(), members }
    }

    /// Those in the master's cgroup, now.
    fn members(&self) -> Vec<u32> {
        let text = self.members.as_ref().and_then(|list| std::fs::read_to_string(list).ok()).unwrap_or_default();
        procfs::children(&text).into_iter().take(CGROUP_MAX).collect()
    }
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
fn ancestors(parent: u32) -> Vec<Process> {
    let find = |pid: u32| process::find(pid).ok().filter(|_| pid != 0);
    let above = std::iter::successors(find(parent), |(_, parent)| find(*parent));
    above.map(|(process, _)| process).take(ANCESTORS_MAX).collect()
}

/// Where those in the cgroup of a process are listed, unless it is that of everybody: the root, or the one that we are in ourselves.
fn cgroup(pid: u32) -> Option<PathBuf> {
    let of = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
    let (its, ours) = (of(&pid.to_string())?, of("self")?);
    let path = procfs::cgroup(&its).filter(|path| *path != "/" && procfs::cgroup(&ours) != Some(path))?;
    Some(Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')).join("cgroup.procs"))
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
