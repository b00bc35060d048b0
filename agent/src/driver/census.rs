//! The census of a service: who holds its lock, and what is amiss about that.
//!
//! Those who are related to the master, and those who were found before, are looked at whenever somebody asks and when the lock file
//! was opened. All processes of the host are looked at only when the lock file is new to this run of the agent, when the kernel's
//! list of locks names a taker of whose lock no holder is known, when the waiter is blocked and nobody is known to hold, and on
//! request.
//!
//! **Invariant:** nothing here wakes the driver by itself; a walk that was asked for does, once.

use std::path::Path;
use std::time::Duration;

use baton_proto::custody::{FileIdentity, Process};
use baton_proto::v1;
use tokio::sync::mpsc;

use super::generation::Generation;
use super::holder::Held;
use super::walker::Walker;
use super::{Driver, Inbox, publish};
use crate::census::{Facts, Finding, Holder, LockFile, Named, PidFile, Place, examine, roles};
use crate::os::clock;
use crate::os::family::{self, Known, Memory};
use crate::os::lock::{self, Takers};
use crate::os::process::{self, Unseen};
use crate::service::{Attempt, Refusal, Reply};

/// Walks of one driver that are not made yet: one that may have begun, and one that begins later.
const WALKS_MAX: usize = 2;
/// Questions that wait for a walk.
const POSTPONED_MAX: usize = 64;

/// The wall clock, by which files are dated, may have been set by so much meanwhile without a wrong conclusion.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(2);

/// What waits for a walk.
#[derive(Debug)]
enum Postponed {
    /// A handover that may begin when the walk shows nothing against it.
    Reload(Attempt, Reply<mpsc::Receiver<v1::reload_event::Event>>),
    /// The list of every holder.
    Census(Reply<v1::ServiceStatus>),
}

/// What the driver knows of its lock's holders.
#[derive(Debug)]
pub(super) struct Census {
    walker: Walker,
    memory: Memory,
    /// Whoever else was found to hold.
    others: Vec<u32>,
    /// The last master that was seen holding.
    last: Option<Holder>,
    facts: Option<Facts>,
    findings: Vec<Finding>,
    /// The file for which a walk was asked for last.
    walked: Option<FileIdentity>,
    /// The file of which it was asked last on which network file system it is, and the answer.
    network: Option<(FileIdentity, Option<&'static str>)>,
    walks: usize,
    /// Takers of whose lock not even a walk found a holder.
    unexplained: Vec<u32>,
    /// The kernel's list of locks does not name the file, though it is held.
    is_unlisted: bool,
    postponed: Vec<Postponed>,
    /// Those who hold while no master does, to be told when they are gone.
    bereaved: Vec<Generation>,
}

impl Census {
    pub(super) fn new(walker: Walker) -> Self {
        Self {
            walker,
            memory: Memory::default(),
            others: Vec::new(),
            last: None,
            facts: None,
            findings: Vec::new(),
            walked: None,
            network: None,
            walks: 0,
            unexplained: Vec::new(),
            is_unlisted: false,
            postponed: Vec::new(),
            bereaved: Vec::new(),
        }
    }

    /// Who holds a lock, of a master, those around it and whoever else was found to hold.
    pub(super) fn holders_of(&mut self, master: Option<u32>, file: FileIdentity) -> Vec<Holder> {
        family::holders(Known { master, others: &self.others }, file, &mut self.memory)
    }

    /// What is amiss, by the last count.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The first thing that refuses a handover.
    pub(super) fn objection(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.refuses)
    }

    /// As the wire has it.
    pub(super) fn told(&self) -> (u32, Vec<v1::Finding>) {
        let holders = self.facts.as_ref().map_or(0, |facts| facts.holders.len());
        (u32::try_from(holders).unwrap_or(u32::MAX), self.findings.iter().map(v1::Finding::from).collect())
    }

    /// The network file system of a file that `path` names. It is asked once for each file: the answer may take a file server's time.
    fn network_of(&mut self, file: FileIdentity, path: &Path) -> Option<&'static str> {
        let known = self.network.filter(|(known, _)| *known == file).map(|(_, network)| network);
        let network = known.unwrap_or_else(|| lock::network(path));
        self.network = Some((file, network));
        network
    }

    /// Lets it wait for the walk, unless too many wait already: then it is refused, for without the walk nothing may begin.
    fn postpone(&mut self, postponed: Postponed) {
        if self.postponed.len() < POSTPONED_MAX {
            self.postponed.push(postponed);
            return;
        }
        let text = format!("busy: {POSTPONED_MAX} others wait already until every process was looked at; try again in a moment");
        let refusal = Refusal::Precondition(text);
        // Whoever asked and is gone meanwhile needs no answer.
        match postponed {
            Postponed::Reload(_, reply) => drop(reply.send(Err(refusal))),
            Postponed::Census(reply) => drop(reply.send(Err(refusal))),
        }
    }

    fn holders(&self) -> Vec<v1::Holder> {
        let Some(facts) = &self.facts else { return Vec::new() };
        let mut told: Vec<v1::Holder> = facts.holders.iter().zip(roles(facts)).map(publish::holder).collect();
        told.sort_by_key(|holder| (holder.role, holder.process.map(|process| process.pid)));
        told
    }
}

impl Driver {
    /// Counts the holders that are known, and looks what is amiss.
    pub(super) fn count(&mut self) {
        let lock_file = match lock::identity(&self.config.lock) {
            Ok(file) => LockFile::Present(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => LockFile::Missing,
            Err(error) => LockFile::Unknown(error.to_string()),
        };
        let named = if let LockFile::Present(file) = lock_file { Some(file) } else { None };
        let file = self.waiters.armed().or(named);
        let (holders, unknown_takers) = file.map(|file| self.find(file)).unwrap_or_default();
        if let Some(master) = holders.iter().find(|holder| holder.place == Place::Master) {
            self.census.last = Some(master.clone());
        }
        let master = self.held.as_ref().map(Held::master);
        let facts = Facts {
            path: self.config.lock.display().to_string(),
            lock_file,
            watched: self.waiters.armed(),
            network: named.and_then(|named| self.census.network_of(named, &self.config.lock)),
            twin: self.twin.borrow().clone(),
            pid_file: pid_file(&self.config.pidfile),
            pid_file_old: self.pid_files.older(master).map_or_else(PidFile::none, pid_file),
            pid_file_new: self.pid_files.newer(master).map_or_else(PidFile::none, pid_file),
            master,
            last: self.census.last.clone(),
            holders,
            unknown_takers,
            allows_foreign: self.config.allows_foreign_holders,
            started_as: self.config.start.is_some().then(|| self.config.name.clone()),
            lingering: self.lingering.facts(clock::since_boot()),
            lingering_allowed: self.config.drain.lingering,
        };
        // In the middle of a handover two generations are as it should be.
        self.census.findings = if self.run.is_some() { Vec::new() } else { examine(&facts) };
        let is_new_to_us = file.filter(|file| self.census.walked != Some(*file));
        let is_unexplained = facts.unknown_takers.iter().any(|taker| !self.census.unexplained.contains(taker));
        self.census.facts = Some(facts);
        if is_new_to_us.is_some() || (is_unexplained && self.census.walks == 0) {
            self.walk();
        }
    }

    /// The holders of a file that are known, and the takers of locks that none of them has.
    fn find(&mut self, file: FileIdentity) -> (Vec<Holder>, Vec<u32>) {
        let master = self.held.as_ref().map(|held| held.master().pid);
        let census = &mut self.census;
        let mut holders = census.holders_of(master, file);
        let listed = lock::takers(file);
        census.is_unlisted = listed == Takers::Unlisted;
        let Takers::Listed(mut takers) = listed else { return (holders, Vec::new()) };
        takers.retain(|taker| !holders.iter().any(|holder| holder.lock.taker == *taker));
        if !takers.is_empty() {
            // Most takers hold what they took.
            census.others.extend(&takers);
            holders = census.holders_of(master, file);
            takers.retain(|taker| !holders.iter().any(|holder| holder.lock.taker == *taker));
        }
        let is_found = |pid: &u32| holders.iter().any(|holder| holder.process.pid == *pid && holder.place == Place::Elsewhere);
        census.others.retain(is_found);
        (holders, takers)
    }

    /// Asks for a look at every process. Whether it will be taken.
    pub(super) fn walk(&mut self) -> bool {
        let file = self.waiters.armed().or_else(|| lock::identity(&self.config.lock).ok());
        let Some(file) = file.filter(|_| self.census.walks < WALKS_MAX) else { return false };
        let is_taken = self.census.walker.walk(file, self.own.clone());
        if is_taken {
            self.census.walked = Some(file);
            self.census.walks += 1;
        } else {
            tracing::warn!("too many walks over all processes are wanted; this one is left out");
        }
        is_taken
    }

    /// A look at every process has come to its end, and found these.
    pub(super) async fn walked(&mut self, file: FileIdentity, found: Vec<u32>, inbox: &mut Inbox) {
        tracing::debug!(holders = found.len(), inode = file.inode, "every process was looked at");
        self.census.walks = self.census.walks.saturating_sub(1);
        self.found_unlisted(&found, inbox).await;
        self.census.others = found;
        self.count();
        self.census.unexplained = self.census.facts.as_ref().map(|facts| facts.unknown_takers.clone()).unwrap_or_default();
        self.mind_the_bereaved();
        if self.census.walks == 0 {
            for postponed in std::mem::take(&mut self.census.postponed) {
                self.answer_late(postponed, inbox).await;
            }
        }
    }

    async fn answer_late(&mut self, postponed: Postponed, inbox: &mut Inbox) {
        match postponed {
            // Whoever is gone meanwhile was told that there was no answer: nothing may begin behind his back.
            Postponed::Reload(_, reply) if reply.is_closed() => {}
            Postponed::Reload(attempt, reply) => {
                if self.run.is_none() {
                    self.look_for_holder();
                    self.count();
                }
                let answer = self.reload(&attempt);
                drop(reply.send(answer));
                self.begin(inbox).await;
            }
            Postponed::Census(reply) => {
                let census = self.census.holders();
                drop(reply.send(Ok(v1::ServiceStatus { census, ..self.status() })));
            }
        }
    }

    /// Lets a reload begin, or wait for a walk that may show a reason against it.
    pub(super) fn reload_or_postpone(&mut self, attempt: Attempt, reply: Reply<mpsc::Receiver<v1::reload_event::Event>>) {
        // One that is on record, or under way, begins nothing.
        let is_new = self.run.is_none() && self.recorded(&attempt).is_none();
        if is_new {
            self.look_for_holder();
            self.count();
            if self.census.is_unlisted && self.waiters.armed().is_some() && self.census.walks == 0 {
                self.walk();
            }
        }
        if is_new && self.held.is_some() && self.census.walks > 0 {
            self.census.postpone(Postponed::Reload(attempt, reply));
        } else {
            let answer = self.reload(&attempt);
            drop(reply.send(answer));
        }
    }

    /// Lists every holder, once a walk has been made for it.
    pub(super) async fn take_census(&mut self, reply: Reply<v1::ServiceStatus>, inbox: &mut Inbox) {
        self.walk();
        let census = Postponed::Census(reply);
        if self.census.walks > 0 {
            self.census.postpone(census);
        } else {
            self.count();
            self.answer_late(census, inbox).await;
        }
    }

    /// The master is gone: counts who is left, and looks for somebody where nobody is known.
    pub(super) fn count_the_bereaved(&mut self) {
        self.count();
        self.mind_the_bereaved();
        if self.census.bereaved.is_empty() && self.waiters.armed().is_some() {
            self.walk();
        }
    }

    /// Takes hold of whoever holds without a master, to be told when the last of them is gone.
    fn mind_the_bereaved(&mut self) {
        let holders: Vec<Process> = match &self.census.facts {
            Some(facts) if facts.master.is_none() => facts.holders.iter().map(|holder| holder.process).collect(),
            Some(_) | None => Vec::new(),
        };
        let known = &mut self.census.bereaved;
        known.retain(|generation| holders.contains(&generation.master()));
        let new: Vec<Process> =
            holders.into_iter().filter(|holder| !known.iter().any(|generation| generation.master() == *holder)).collect();
        known.extend(new.into_iter().map(|process| Generation::of(process, self.own.clone())));
    }

    /// Takes note of an exit. Whether it was the last of those who held without a master.
    pub(super) fn bury_bereaved(&mut self, process: Process) -> bool {
        let before = self.census.bereaved.len();
        self.census.bereaved.retain(|generation| generation.master() != process);
        before > 0 && self.census.bereaved.is_empty()
    }

    /// Counts when no handover is under way, and tells the watchers where other things are amiss than before.
    pub(super) fn recount(&mut self) {
        if self.run.is_some() {
            return;
        }
        let before = self.census.findings.clone();
        self.count();
        if self.census.findings != before {
            self.say(v1::watch_event::Event::Status(self.status()));
        }
    }
}

fn pid_file(path: &Path) -> PidFile {
    let named = match process::pid_in(path) {
        None => Named::Nobody,
        Some(pid) => match process::describe(pid) {
            Ok((process, command)) => {
                let written = process::written(path).map_or(Duration::MAX, |at| at.saturating_add(CLOCKS_DIFFER_MAX));
                let younger = process::started(process).saturating_sub(written);
                Named::Living { process, command, younger }
            }
            Err(Unseen::Corpse(_)) => Named::Unburied(pid),
            Err(Unseen::Gone(_) | Unseen::Reused(_)) => Named::Gone(pid),
            Err(Unseen::Unlocked(_) | Unseen::Changed(_) | Unseen::Unreadable { .. }) => Named::Nobody,
        },
    };
    PidFile { path: path.display().to_string(), named }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::{Census, POSTPONED_MAX, Postponed};
    use crate::driver::Walker;
    use crate::service::{Attempt, Refusal};

    #[tokio::test]
    async fn a_reload_for_which_there_is_no_room_to_wait_is_refused_and_does_not_begin_without_its_walk() {
        let mut census = Census::new(Walker::start());
        let attempt = Attempt { rollout: "r-1".into(), number: 1, fence: 1, release: String::new() };
        let mut waiting = Vec::new();
        for _ in 0..POSTPONED_MAX {
            let (reply, mut answer) = oneshot::channel();
            census.postpone(Postponed::Reload(attempt.clone(), reply));
            assert!(answer.try_recv().is_err(), "it waits");
            waiting.push(answer);
        }
        let (reply, mut answer) = oneshot::channel();
        census.postpone(Postponed::Reload(attempt, reply));
        let Ok(Err(Refusal::Precondition(text))) = answer.try_recv() else { panic!("it is not refused") };
        assert!(text.starts_with("busy: ") && text.ends_with("try again in a moment"), "{text}");
        let (reply, mut answer) = oneshot::channel();
        census.postpone(Postponed::Census(reply));
        assert!(matches!(answer.try_recv(), Ok(Err(Refusal::Precondition(_)))));
        assert_eq!(census.postponed.len(), POSTPONED_MAX);
    }
}
