//! Who holds the lock while no handover is under way.

use std::time::Duration;

use baton_proto::custody::Process;
use baton_proto::v1;
use baton_proto::wire::nanoseconds;

use super::generation::Generation;
use super::{Driver, Inbox, publish};
use crate::census::{Finding, Kind};
use crate::failure::chain;
use crate::os::process::{self, Seen};
use crate::os::{clock, lock};
use crate::store::Flush;
use crate::supervision;

/// Why nobody is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The process that the pid file names is not found holding. A finding about the pid file says the same, and what to do.
    Named(String),
    /// Anything else.
    Other(String),
}

impl Trouble {
    /// None yet.
    pub(super) fn none() -> Self {
        Self::Other(String::new())
    }

    /// As a sentence; that of the finding where both say one thing.
    pub(super) fn sentence<'a>(&'a self, findings: &'a [Finding]) -> &'a str {
        let is_of_pid_file = |finding: &&Finding| matches!(finding.kind, Kind::StalePidFile | Kind::PidFileNamesNoHolder);
        match self {
            Self::Named(own) => findings.iter().find(is_of_pid_file).map_or(own, |finding| &finding.sentence),
            Self::Other(own) => own,
        }
    }
}

/// The master that was seen holding.
#[derive(Debug)]
pub(super) struct Held {
    /// How it was seen.
    pub(super) seen: Seen,
    /// Since when.
    pub(super) since: Duration,
    /// Tells when it exits.
    generation: Generation,
}

impl Held {
    pub(super) fn master(&self) -> Process {
        self.seen.process
    }

    /// Whether it has not been seen to exit.
    pub(super) fn lives(&self) -> bool {
        self.generation.master_lives()
    }
}

impl Driver {
    /// Looks once whether the master that the pid file names holds the lock; if so, the waiter is armed.
    pub(super) fn look_for_holder(&mut self) {
        let seen = match self.find_holder() {
            Ok(seen) => seen,
            Err(trouble) => {
                self.trouble = trouble;
                self.held = None;
                return;
            }
        };
        if self.held.as_ref().is_some_and(|held| held.seen.is_like(&seen) && held.generation.master_lives()) {
            return;
        }
        let generation = Generation::of(seen.process, self.own.clone());
        if !generation.master_lives() {
            self.trouble = Trouble::Named(format!("the master {} exited while it was looked at", seen.process));
            return;
        }
        self.trouble = Trouble::none();
        self.looks = None;
        self.note_holder(&seen);
        let since = self.enter(&seen);
        self.held = Some(Held { seen, since, generation });
        self.say(publish::held(seen.process));
        self.supervise(supervision::Event::Held);
    }

    /// A master was found. If it is another than the last one, or runs another image, a generation has begun. Since when it
    /// has been seen holding: an earlier run of the agent may have seen the same lock.
    fn enter(&mut self, seen: &Seen) -> Duration {
        let (process, image, lock) = (Some(seen.process.into()), Some(seen.image.into()), Some(seen.lock.into()));
        let stored = &mut self.stored;
        let is_same_process = stored.boot_id == self.witness.boot && stored.master == process;
        let is_same_image = stored.image == image;
        let is_same_lock = stored.lock == lock && (is_same_image || seen.lock.is_marked());
        if !is_same_process || !is_same_image {
            stored.generation += 1;
        }
        if !is_same_process || !is_same_lock || stored.held_since_ns == 0 {
            stored.held_since_ns = nanoseconds(clock::since_boot());
        }
        (stored.master, stored.image, stored.lock) = (process, image, lock);
        stored.boot_id.clone_from(&self.witness.boot);
        if !is_same_process || !is_same_image {
            self.stored.release = self.release_of(seen.process.pid).unwrap_or_default();
        }
        let stored = &self.stored;
        let (since, generation) = (Duration::from_nanos(stored.held_since_ns), stored.generation);
        drop(self.store.write(&self.stored, Flush::Later));
        tracing::info!(pid = seen.process.pid, generation, "the master holds the lock");
        since
    }

    fn find_holder(&mut self) -> Result<Seen, Trouble> {
        let (pidfile, lock) = (&self.config.pidfile, &self.config.lock);
        let pid = self
            .pid_files
            .in_charge()
            .ok_or_else(|| Trouble::Other(format!("the pid file {} is not there or names no pid", pidfile.display())))?;
        let file = lock::identity(lock);
        // Where the file was replaced or removed, its master holds on to what it has, and is waited for there.
        if let Some(armed) = self.waiters.armed().filter(|armed| file.as_ref().ok() != Some(armed))
            && let Ok(seen) = process::look(pid, armed)
        {
            return Ok(seen);
        }
        let file =
            file.map_err(|error| Trouble::Other(format!("the lock file {} cannot be looked at: {error}", lock.display())))?;
        let seen =
            process::look(pid, file).map_err(|unseen| Trouble::Named(format!("{unseen} (named by {})", pidfile.display())))?;
        self.waiters.arm(lock, file).map_err(|error| Trouble::Other(chain(&error)))?;
        Ok(seen)
    }

    /// A process exited: a part of the handover under way, or the master that was held.
    pub(super) async fn exited(&mut self, process: Process, inbox: &mut Inbox) {
        if self.run.is_some() {
            self.exited_in_run(process, inbox).await;
        }
        self.bury_lingering(process);
        if self.bury_bereaved(process) && self.held.is_none() {
            self.look_for_holder();
            self.count_the_bereaved();
        }
        let Some(held) = &mut self.held else { return };
        if held.generation.bury(process) && self.run.is_none() {
            tracing::warn!(pid = process.pid, "the master exited");
            self.held = None;
            self.trouble = Trouble::Other(format!(
                "the master {process} exited and the lock is still held: by its workers, or by a successor"
            ));
            self.look_for_holder();
            if self.held.is_none() {
                self.look_often();
                self.count_the_bereaved();
                // To a watcher this is news: nobody would hand the service over.
                self.say(v1::watch_event::Event::Status(self.status()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;
    use crate::census::{Finding, Kind};

    fn finding(kind: Kind, sentence: &str) -> Finding {
        Finding { kind, pids: vec![7], sentence: sentence.into(), refuses: true }
    }

    #[test]
    fn what_a_finding_says_better_is_said_once_and_nothing_else_is_kept_back() {
        let findings = [finding(Kind::Orphans, "8 holds on"), finding(Kind::StalePidFile, "the pid file is stale")];
        let named = Trouble::Named("7 is dead".into());
        assert_eq!(named.sentence(&findings), "the pid file is stale");
        assert_eq!(named.sentence(&findings[..1]), "7 is dead");
        assert_eq!(Trouble::Other("the lock file is gone".into()).sentence(&findings), "the lock file is gone");
    }
}
