//! What is amiss: one finding for each thing, with its sentence and whether a handover is refused for it.

use baton_proto::custody::Process;

use super::role::{Role, roles};
use super::{Facts, Holder, LockFile, Named, OldGeneration, words};

/// What kind of thing is amiss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Processes of a master that is gone hold the lock.
    Orphans,
    /// A generation that was told to leave is there still.
    Lingering,
    /// Somebody with a lock of its own on the file.
    ForeignHolder,
    /// Somebody has the master's own lock, and is not below it.
    LeakedDescriptor,
    /// A process above the master holds the lock.
    Wrapper,
    /// A process below the master holds the lock and runs another program.
    Helper,
    /// Somebody holds it who cannot be found.
    UnseenHolder,
    /// Another master holds the lock, too.
    TwoMasters,
    /// The old master's pid file names a process that lives.
    Predecessor,
    /// The old master's pid file names a process that is dead and not buried.
    PredecessorUnburied,
    /// A new master's pid file names a process that lives, and nobody hands over to it.
    Successor,
    /// The path names another file than the one that is held.
    LockReplaced,
    /// The path names no file any more.
    LockUnlinked,
    /// The lock's path cannot be looked at.
    LockUnreadable,
    /// Nobody waits for the lock.
    NoWaiter,
    /// The lock is on a network file system.
    NetworkFileSystem,
    /// Two services have one lock file.
    SharedLockFile,
    /// The pid file names a process that does not hold the lock.
    PidFileNamesNoHolder,
    /// The pid file names a process that is gone, or was never the master.
    StalePidFile,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::NetworkFileSystem,
        Self::SharedLockFile,
        Self::LockReplaced,
        Self::LockUnlinked,
        Self::LockUnreadable,
        Self::NoWaiter,
        Self::StalePidFile,
        Self::PidFileNamesNoHolder,
        Self::TwoMasters,
        Self::Predecessor,
        Self::PredecessorUnburied,
        Self::Lingering,
        Self::Successor,
        Self::Orphans,
        Self::Wrapper,
        Self::LeakedDescriptor,
        Self::ForeignHolder,
        Self::UnseenHolder,
        Self::Helper,
    ];

    /// Whether it is about holders that the service's configuration may allow.
    fn is_foreign(self) -> bool {
        match self {
            Self::Orphans | Self::ForeignHolder | Self::LeakedDescriptor | Self::Wrapper | Self::UnseenHolder => true,
            Self::Helper
            | Self::Lingering
            | Self::TwoMasters
            | Self::Predecessor
            | Self::PredecessorUnburied
            | Self::Successor
            | Self::LockReplaced
            | Self::LockUnlinked
            | Self::LockUnreadable
            | Self::NoWaiter
            | Self::NetworkFileSystem
            | Self::SharedLockFile
            | Self::PidFileNamesNoHolder
            | Self::StalePidFile => false,
        }
    }
}

/// One thing that is amiss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// The processes that it is about.
    pub pids: Vec<u32>,
    /// What it is, what it means and what to do, for a person.
    pub sentence: String,
    /// Whether no handover begins while it is so.
    pub refuses: bool,
}

/// Everything that is amiss, the gravest first.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let roles = roles(facts);
    let by_lock = |kind, role, told| by_lock(facts, &roles, kind, role, told);
    let all = [
        facts.network.map(|name| finding(Kind::NetworkFileSystem, [], words::network(facts, name))),
        facts.twin.as_ref().map(|twin| finding(Kind::SharedLockFile, [], words::twin(facts, twin))),
        lock_file(facts),
        pid_file(facts, &roles),
    ]
    .into_iter()
    .flatten()
    .chain(facts.lingering.iter().map(|old| lingering(facts, old)))
    .chain(two_masters(facts, &roles))
    .chain(predecessor(facts))
    .chain(successor(facts))
    .chain(by_lock(Kind::Orphans, Role::Orphan, words::orphans))
    .chain(by_lock(Kind::Wrapper, Role::Wrapper, words::wrapper))
    .chain(by_lock(Kind::LeakedDescriptor, Role::Leak, words::leak))
    .chain(by_lock(Kind::ForeignHolder, Role::Foreign, words::foreign))
    .chain(unseen(facts))
    .chain(by_lock(Kind::Helper, Role::Helper, words::helper));
    all.map(|found| Finding { refuses: refuses(facts, found.kind), ..found }).collect()
}

fn refuses(facts: &Facts, kind: Kind) -> bool {
    if kind == Kind::Lingering {
        return facts.is_one_too_many();
    }
    if kind.is_foreign() { !facts.allows_foreign } else { kind != Kind::Helper }
}

fn finding(kind: Kind, pids: impl Into<Vec<u32>>, sentence: String) -> Finding {
    Finding { kind, pids: pids.into(), sentence, refuses: true }
}

/// What is amiss about the lock file while a master holds it.
fn lock_file(facts: &Facts) -> Option<Finding> {
    facts.master?;
    let (kind, sentence) = match (&facts.lock_file, facts.watched) {
        (LockFile::Present(file), Some(watched)) if *file == watched => return None,
        (LockFile::Present(_), Some(_)) => (Kind::LockReplaced, words::replaced(facts)),
        (LockFile::Present(_), None) => (Kind::NoWaiter, words::no_waiter(facts)),
        (LockFile::Missing, _) => (Kind::LockUnlinked, words::unlinked(facts)),
        (LockFile::Unknown(why), _) => (Kind::LockUnreadable, words::unreadable(facts, why)),
    };
    Some(finding(kind, [], sentence))
}

/// What is amiss about the pid file while the master that it names does not hold the lock.
fn pid_file(facts: &Facts, roles: &[Role]) -> Option<Finding> {
    if facts.master.is_some() {
        return None;
    }
    let others: Vec<&Holder> = of(facts, roles, Role::OtherMaster).collect();
    match &facts.pid_file.named {
        Named::Nobody => None,
        Named::Gone(pid) | Named::Unburied(pid) => Some(finding(Kind::StalePidFile, [*pid], words::stale(facts, *pid))),
        // It holds, and it is for another reason that it is not the master in charge: nobody can wait for its lock, for example.
        Named::Living { process, .. } if facts.holders.iter().any(|holder| holder.process == *process) => None,
        Named::Living { process, command, younger } => {
            let was_master = facts.last.as_ref().is_some_and(|last| last.process.pid == process.pid && last.process != *process);
            let (kind, sentence) = if was_master {
                (Kind::StalePidFile, words::reused(facts, *process, command))
            } else if !younger.is_zero() {
                (Kind::StalePidFile, words::younger(facts, *process, command))
            } else {
                (Kind::PidFileNamesNoHolder, words::no_holder(facts, *process, command, &others))
            };
            Some(finding(kind, [process.pid], sentence))
        }
    }
}

fn two_masters(facts: &Facts, roles: &[Role]) -> Option<Finding> {
    let others = of(facts, roles, Role::OtherMaster).filter(|holder| !is_told(facts, holder.process));
    let masters: Vec<&Holder> = facts.chief().into_iter().chain(others).collect();
    if masters.len() < 2 {
        return None;
    }
    let pids: Vec<u32> = masters.iter().map(|master| master.process.pid).collect();
    Some(finding(Kind::TwoMasters, pids, words::two_masters(facts, &masters)))
}

fn predecessor(facts: &Facts) -> Option<Finding> {
    facts.master?;
    match &facts.pid_file_old.named {
        Named::Nobody | Named::Gone(_) => None,
        Named::Living { process, .. } if is_told(facts, *process) => None,
        Named::Living { process, .. } => Some(finding(Kind::Predecessor, [process.pid], words::predecessor(facts, process.pid))),
        Named::Unburied(pid) => Some(finding(Kind::PredecessorUnburied, [*pid], words::unburied(facts, *pid))),
    }
}

/// Whether a process is of a generation that is told already, and for which a handover is refused.
fn is_told(facts: &Facts, process: Process) -> bool {
    facts.is_one_too_many() && facts.lingering.iter().any(|old| old.processes.contains(&process))
}

/// A generation that is not gone yet.
fn lingering(facts: &Facts, old: &OldGeneration) -> Finding {
    let pids: Vec<u32> = old.processes.iter().map(|process| process.pid).collect();
    finding(Kind::Lingering, pids, words::lingering(facts, old))
}

fn successor(facts: &Facts) -> Option<Finding> {
    facts.master?;
    match &facts.pid_file_new.named {
        Named::Nobody | Named::Gone(_) | Named::Unburied(_) => None,
        Named::Living { process, .. } => Some(finding(Kind::Successor, [process.pid], words::successor(facts, process.pid))),
    }
}

/// Those whose lock is nobody's who could be found.
fn unseen(facts: &Facts) -> Option<Finding> {
    let takers = &facts.unknown_takers;
    (!takers.is_empty()).then(|| finding(Kind::UnseenHolder, takers.clone(), words::unseen(takers)))
}

/// What is said of holders that share a lock.
type Sentence = fn(&Facts, &[&Holder]) -> String;

/// One finding for each open file description of holders with this role: who shares one came to it together.
fn by_lock(facts: &Facts, roles: &[Role], kind: Kind, role: Role, told: Sentence) -> Vec<Finding> {
    let mut groups: Vec<Vec<&Holder>> = Vec::new();
    for holder in of(facts, roles, role) {
        match groups.iter_mut().find(|group| group.iter().any(|other| other.shares(holder))) {
            Some(group) => group.push(holder),
            None => groups.push(vec![holder]),
        }
    }
    let found = |group: Vec<&Holder>| {
        let pids: Vec<u32> = group.iter().map(|holder| holder.process.pid).collect();
        finding(kind, pids, told(facts, &group))
    };
    groups.into_iter().map(found).collect()
}

fn of<'a>(facts: &'a Facts, roles: &'a [Role], wanted: Role) -> impl Iterator<Item = &'a Holder> {
    facts.holders.iter().zip(roles).filter(move |(_, role)| **role == wanted).map(|(holder, _)| holder)
}
