//! As what each holder holds.

use baton_proto::custody::Process;

use super::{Facts, Holder, Place};

/// As what a process holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The master in charge.
    Master,
    /// Below the master, with its lock and its program.
    Worker,
    /// Below the master, with its lock, and runs another program.
    Helper,
    /// The master is below it: a shell, for example, that started the server.
    Wrapper,
    /// It has the master's own lock, and is not below it.
    Leak,
    /// A master that is not in charge, with workers of its own or named by another pid file.
    OtherMaster,
    /// A worker of such a master.
    OtherWorker,
    /// Whoever took its lock is gone: left over from a master that died.
    Orphan,
    /// Somebody else, with a lock of its own.
    Foreign,
}

/// As what each holder holds, in their order.
pub fn roles(facts: &Facts) -> Vec<Role> {
    let lingers = |holder: &Holder| facts.lingering.iter().any(|old| old.processes.contains(&holder.process));
    let known = |holder: &Holder| {
        let role = role(facts, holder);
        // It is known of which generation it is, whoever is gone of that.
        let is_known = matches!(role, Role::Orphan | Role::Leak | Role::Foreign) && lingers(holder);
        if is_known { Role::OtherWorker } else { role }
    };
    facts.holders.iter().map(known).collect()
}

/// The workers among the holders around a master: below it, with its program, and with the lock, whosever that is.
pub fn workers(holders: &[Holder]) -> Vec<Process> {
    let master = holders.iter().find(|holder| holder.place == Place::Master);
    let is_worker =
        |holder: &&Holder| holder.place == Place::Below && master.is_none_or(|master| !holder.runs_another_program(master));
    holders.iter().filter(is_worker).map(|holder| holder.process).collect()
}

fn role(facts: &Facts, holder: &Holder) -> Role {
    if holder.place == Place::Master {
        return Role::Master;
    }
    if let Some(chief) = facts.chief()
        && holder.shares(chief)
    {
        return match holder.place {
            Place::Below if holder.runs_another_program(chief) => Role::Helper,
            Place::Below | Place::Master => Role::Worker,
            Place::Above => Role::Wrapper,
            Place::Elsewhere if is_left_over(facts, holder, chief) => Role::Orphan,
            Place::Elsewhere => Role::Leak,
        };
    }
    match taker(facts, holder) {
        Some(taker) if is_master(facts, taker) => {
            if taker.process == holder.process {
                Role::OtherMaster
            } else if holder.runs_another_program(taker) {
                Role::Foreign
            } else {
                Role::OtherWorker
            }
        }
        Some(_) => Role::Foreign,
        None if holder.place == Place::Above => Role::Wrapper,
        None => without_taker(facts, holder),
    }
}

/// Whether this holder looks like a worker of a master that is gone, where the generations share one open lock: it runs the
/// server's program, and among the holders that do it is nobody's child and nobody's parent.
fn is_left_over(facts: &Facts, holder: &Holder, chief: &Holder) -> bool {
    let is_kin = |other: &&Holder| other.process.pid == holder.parent || other.parent == holder.process.pid;
    let runs_the_same = |other: &Holder| !other.runs_another_program(chief);
    runs_the_same(holder) && !facts.holders.iter().filter(is_kin).any(runs_the_same)
}

/// The holder that took this holder's lock.
fn taker<'a>(facts: &'a Facts, holder: &Holder) -> Option<&'a Holder> {
    facts.holders.iter().find(|other| other.is_taker() && other.shares(holder))
}

/// Whether this taker is a master, and no lone process with a lock: it has workers, that is, children with its lock and program,
/// or a pid file names it.
fn is_master(facts: &Facts, taker: &Holder) -> bool {
    let is_worker =
        |holder: &&Holder| holder.parent == taker.process.pid && holder.shares(taker) && !holder.runs_another_program(taker);
    let is_named = [&facts.pid_file, &facts.pid_file_old, &facts.pid_file_new].iter().any(|file| file.names(taker));
    is_named || facts.holders.iter().any(|holder| is_worker(&holder))
}

/// Whoever took the lock does not hold it any more. A shell that had flock(1) lock its descriptor looks like that, and so does a
/// helper that outlived its master: the program tells, where the master's is known.
fn without_taker(facts: &Facts, holder: &Holder) -> Role {
    match facts.chief().or(facts.last.as_ref()) {
        Some(master) if !holder.runs_another_program(master) => Role::Orphan,
        Some(master) if holder.shares(master) => Role::Leak,
        Some(_) => Role::Foreign,
        None => Role::Orphan,
    }
}

impl super::PidFile {
    /// Whether it names this holder.
    pub(super) fn names(&self, holder: &Holder) -> bool {
        matches!(self.named, super::Named::Living { process, .. } if process == holder.process)
    }
}
