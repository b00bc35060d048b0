//! Who holds the lock now, and who belongs to the server: found in /proc, on request.
//!
//! **Invariant:** nothing here opens the lock file: to open it would be an event that makes us look again.

use std::path::PathBuf;

use baton_proto::custody::{FileIdentity, Process};

use super::job::{Force, Look};
use super::report;
use crate::dialect::Signal;
use crate::os::lock;
use crate::os::process::{self, Handle, Unseen};

/// More processes than a server has; beyond that, those who hold the lock are found by the walk.
const FAMILY_MAX: usize = 4_096;

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To those whom the pid files name, and to all that come from us.
    Known,
    /// To everybody on this machine, where none of those holds.
    Everybody,
}

/// What is known of the processes of one server.
#[derive(Debug)]
pub(super) struct Census {
    lock: PathBuf,
    pid_files: Vec<PathBuf>,
    own: u32,
    /// Everybody who was ever seen to come from our command or from a holder, less those who are gone.
    family: Vec<Process>,
    /// Why somebody could not be looked at.
    obstacle: Option<Unseen>,
}

impl Census {
    pub(super) fn new(lock: PathBuf, pid_files: Vec<PathBuf>) -> Self {
        Self { lock, pid_files, own: std::process::id(), family: Vec::new(), obstacle: None }
    }

    /// Why the last look could not see somebody whom it was told of.
    pub(super) fn obstacle(&self) -> Option<&Unseen> {
        self.obstacle.as_ref()
    }

    /// Looks as far as it is told to; without anybody to look at, at everybody.
    pub(super) fn look(&mut self, reach: Reach) -> Look {
        self.obstacle = None;
        self.meet(process::descendants(self.own, None));
        let named = self.named();
        let Ok(file) = lock::identity(&self.lock) else {
            return Look { file: None, masters: Vec::new(), named, kin: self.family.clone() };
        };
        let known: Vec<u32> = self.family.iter().chain(&named).map(|process| process.pid).collect();
        let mut holders = self.holders(known, file);
        let is_without_lead = self.pid_files.is_empty() && self.family.is_empty();
        if holders.is_empty() && (reach == Reach::Everybody || is_without_lead) {
            holders = self.holders(process::everyone(), file);
        }
        let (holding, named): (Vec<Process>, Vec<Process>) =
            named.into_iter().partition(|process| holders.iter().any(|(holder, _)| holder == process));
        let masters = if holding.is_empty() { topmost(&holders) } else { holding };
        for master in &masters {
            self.meet(vec![*master]);
            self.meet(process::descendants(master.pid, None));
        }
        Look { file: Some(file), masters, named, kin: self.family.clone() }
    }

    /// The living processes that the pid files name.
    fn named(&self) -> Vec<Process> {
        let pids = self.pid_files.iter().filter_map(|path| process::pid_in(path));
        pids.filter_map(|pid| process::find(pid).ok()).map(|(process, _)| process).collect()
    }

    fn holders(&mut self, mut pids: Vec<u32>, file: FileIdentity) -> Vec<(Process, u32)> {
        pids.sort_unstable();
        pids.dedup();
        let mut found = Vec::new();
        for pid in pids.into_iter().filter(|pid| *pid != self.own) {
            match process::holder(pid, file) {
                Ok(holder) => found.push(holder),
                Err(unseen @ Unseen::Unreadable { .. }) => self.obstacle = Some(unseen),
                Err(Unseen::Gone(_) | Unseen::Reused(_) | Unseen::Corpse(_) | Unseen::Unlocked(_) | Unseen::Changed(_)) => {}
            }
        }
        found
    }

    fn meet(&mut self, newcomers: Vec<Process>) {
        self.family.retain(|process| process::find(process.pid).is_ok_and(|(found, _)| found == *process));
        for process in newcomers {
            if !self.family.contains(&process) && self.family.len() < FAMILY_MAX {
                self.family.push(process);
            }
        }
    }

    /// The family, and every other holder that a walk over all processes finds. Never ourselves, nor process 1: it keeps descriptors
    /// for others, and to kill it is to kill the machine.
    pub(super) fn left(&mut self) -> Vec<Process> {
        let look = self.look(Reach::Known);
        let mut left = look.kin;
        if let Some(file) = look.file {
            left.extend(self.holders(process::everyone(), file).into_iter().map(|(process, _)| process));
        }
        left.sort_unstable_by_key(|process| process.pid);
        left.dedup();
        left.retain(|process| process.pid != self.own && process.pid != 1);
        left
    }

    /// Sends a signal to all who are left.
    pub(super) fn force(&mut self, force: Force) {
        let signal = match force {
            Force::Term => Signal::Term,
            Force::Kill => Signal::Kill,
        };
        let targets = self.left();
        report::forcing(signal, &targets);
        for process in targets {
            send(process, signal);
        }
    }
}

/// The holders above whom nobody holds.
fn topmost(holders: &[(Process, u32)]) -> Vec<Process> {
    let is_holder = |pid: u32| holders.iter().any(|(process, _)| process.pid == pid);
    holders.iter().filter(|(_, parent)| !is_holder(*parent)).map(|(process, _)| *process).collect()
}

/// Sends a signal to this process and no other; says so when that cannot be done.
pub(super) fn send(process: Process, signal: Signal) {
    match Handle::open(process) {
        Ok(handle) => {
            if let Err(error) = handle.signal(signal) {
                report::not_signalled(process, signal, &error);
            }
        }
        // It is gone already, which is what was wanted.
        Err(Unseen::Gone(_) | Unseen::Reused(_) | Unseen::Corpse(_)) => {}
        Err(unseen @ (Unseen::Unlocked(_) | Unseen::Changed(_) | Unseen::Unreadable { .. })) => {
            report::not_signalled(process, signal, &unseen);
        }
    }
}
