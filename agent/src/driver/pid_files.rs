//! Which master the pid files of a service name.
//!
//! Of two masters one has the file of the usual name. Where that is the new one, the old one has renamed its own (`.oldbin`). Where it
//! is the old one, the new one writes another (`.2`), and renames it when it finds that the old one is gone: for up to a second
//! nobody is named by the usual file.

use std::path::{Path, PathBuf};

use baton_proto::custody::Process;

use super::generation::Generation;
use super::run::Run;
use super::{Driver, Inbox};
use crate::config;
use crate::handover::Event;
use crate::os::process::{self, Stamp};
use crate::store::Stored;

/// The pid files of a service, whether they are there or not.
#[derive(Debug)]
pub(super) struct PidFiles {
    usual: PathBuf,
    old: Option<PathBuf>,
    new: Option<PathBuf>,
    /// The last master that was in charge: while it lives, an old one that lingers is not, though the usual file names it.
    heir: Option<Process>,
}

/// The files before the signal.
#[derive(Debug)]
pub(super) struct Before {
    usual: Option<Stamp>,
    new: Option<Stamp>,
    /// A new master was seen to have come.
    came: bool,
}

impl PidFiles {
    pub(super) fn of(service: &config::Service, stored: &Stored, boot: &str) -> Self {
        let row = service.dialect.row();
        let usual = service.pidfile.clone();
        let heir = stored.master.filter(|_| stored.boot_id == boot).map(Process::from);
        Self { old: row.old_pid_file(&usual), new: row.new_pid_file(&usual), usual, heir }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        [Some(&self.usual), self.old.as_ref(), self.new.as_ref()].into_iter().flatten().cloned().collect()
    }

    /// Whether the new master writes its own beside the old one's.
    pub(super) fn is_new_beside(&self) -> bool {
        self.new.is_some()
    }

    /// Takes note of who is in charge from now on.
    pub(super) fn hand_over(&mut self, heir: Process) {
        self.heir = Some(heir);
    }

    /// The pid of the master in charge.
    pub(super) fn in_charge(&self) -> Option<u32> {
        let named = process::pid_in(&self.usual);
        let Some(new) = &self.new else { return named };
        let heir = self.heir.filter(|heir| process::find(heir.pid).is_ok_and(|(found, _)| found == *heir));
        let lives = |pid: &u32| process::find(*pid).is_ok();
        heir.map(|heir| heir.pid).or_else(|| named.filter(lives)).or_else(|| process::pid_in(new).filter(lives)).or(named)
    }

    /// The file that tells of an older generation than the one whose master this is.
    pub(super) fn older(&self, master: Option<Process>) -> Option<&Path> {
        if self.new.is_some() { another(&self.usual, master) } else { self.old.as_deref() }
    }

    /// The file that tells of a newer generation than the one whose master this is.
    pub(super) fn newer(&self, master: Option<Process>) -> Option<&Path> {
        another(self.new.as_deref()?, master)
    }

    /// Whether the usual file names this process.
    pub(super) fn name(&self, pid: u32) -> bool {
        process::pid_in(&self.usual) == Some(pid)
    }

    /// The files as they are before the signal.
    pub(super) fn before(&self) -> Before {
        Before { usual: Stamp::of(&self.usual), new: self.new.as_deref().and_then(Stamp::of), came: false }
    }

    /// Whether the old master is alone again: a new one had come, and is no longer named.
    fn has_returned(&self, before: &mut Before, old: u32) -> bool {
        let Some(new) = &self.new else {
            // In this order: a file that is renamed away in between is not taken for one that has returned.
            return Stamp::of(&self.usual) != before.usual && self.name(old);
        };
        let stamp = Stamp::of(new);
        before.came |= stamp.is_some() && stamp != before.new;
        // One that was killed leaves its file behind.
        let is_named = process::pid_in(new).is_some_and(|pid| process::find(pid).is_ok());
        before.came && !is_named && self.name(old)
    }
}

/// The file, if it names another living process.
fn another(path: &Path, master: Option<Process>) -> Option<&Path> {
    let named = process::pid_in(path).filter(|pid| process::find(*pid).is_ok());
    named.is_some_and(|pid| master.is_some_and(|master| master.pid != pid)).then_some(path)
}

impl Driver {
    /// Looks whether the dialect names a new master, or the old one is alone again, or the new one was promoted.
    pub(super) async fn look_for_successor(&mut self, inbox: &mut Inbox) {
        let Some(run) = self.run.as_ref().filter(|run| !run.is_stationary()) else { return };
        if run.new.is_none()
            && let Some(process) = self.successor(run)
        {
            return self.appeared(process, inbox).await;
        }
        let Some(run) = &mut self.run else { return };
        let (old, new) = (run.old.master(), run.new.as_ref().map(Generation::master));
        run.pid_files.came |= new.is_some();
        let is_alone = run.new.as_ref().is_none_or(|new| !new.master_lives()) || !self.pid_files.is_new_beside();
        if is_alone && self.pid_files.has_returned(&mut run.pid_files, old.pid) {
            return self.feed([Event::Restored], inbox).await;
        }
        if self.pid_files.is_new_beside() && new.is_some_and(|new| self.pid_files.name(new.pid)) {
            self.feed([Event::Promoted], inbox).await;
        }
    }

    /// The process that a pid file names, if it is another than the old master and comes from it.
    pub(super) fn successor(&self, run: &Run) -> Option<Process> {
        let old = &run.old;
        let named = self.pid_files.new.iter().chain([&self.pid_files.usual]).filter_map(|path| process::pid_in(path));
        let heir = named.filter(|pid| *pid != old.master().pid).find_map(|pid| {
            let (process, parent) = process::find(pid).ok()?;
            let is_heir = parent == old.master().pid || !old.master_lives();
            let is_younger = process.start_ticks >= old.master().start_ticks;
            (is_heir && is_younger).then_some(process)
        });
        heir.or_else(|| self.unnamed(run))
    }

    /// One that the old master has started since, from its own program, and that has written no pid file yet: where that is written
    /// beside the old one's, nothing else tells that a new master boots, or that it has died of it.
    fn unnamed(&self, run: &Run) -> Option<Process> {
        let old = run.old.master();
        let opened = run.opened_at().filter(|_| self.pid_files.is_new_beside())?;
        let mut young = process::children_of(old.pid);
        young.retain(|child| process::started(*child) + process::TICK > opened);
        young.into_iter().find(|child| process::is_executed_anew(*child, old))
    }

    /// Whether the pid file names the new master already; if not, it is looked for from now on.
    pub(super) fn promotion(&mut self) -> Vec<Event> {
        let new = self.run.as_ref().and_then(|run| run.new.as_ref()).map(Generation::master);
        if new.is_some_and(|new| self.pid_files.name(new.pid)) {
            return vec![Event::Promoted];
        }
        self.look_often();
        Vec::new()
    }

    async fn appeared(&mut self, process: Process, inbox: &mut Inbox) {
        let generation = Generation::of(process, self.own.clone());
        if !generation.master_lives() {
            return;
        }
        self.note_successor(generation);
        self.feed([Event::Appeared(process)], inbox).await;
    }
}
