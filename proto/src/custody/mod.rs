//! Custody: what was seen of a lock, and what that proves.
//!
//! A [`Testimony`] is everything that an agent saw in one window, as numbered [`Observation`]s. [`judge()`] weighs it, and
//! [`settle()`] says what it leaves of the claim that goes with it.
//!
//! # Theory of operation
//!
//! A quiet waiter is not proof: a new shared lock may barge past a woken waiter, which then goes back to sleep and never
//! tells (`flock(2)` promises no order). What can be trusted is a `lock:` line read with care from
//! `/proc/PID/fdinfo/FD` (`proc(5)`): at that moment, that process had that lock. Under the contract with the server (a
//! master takes one shared lock before it serves and keeps it until it exits), two such sightings of one master are
//! *custody* of everything between them. So it is enough that two masters' custodies overlap:
//!
//! ```text
//! old master   |==== seen ============== seen ====|  told to leave, drains, exits
//! new master                  |== seen =================== seen ==|
//! window opens ─────────── new first, then old ───────────── closes
//! ```
//!
//! Where the master stays, its own custody is the whole proof: in place with its image, or by exec with the mark and taker
//! that its lock had before (without a mark an exec may drop the lock and take it again); and a new worker that holds at the
//! close shows that something was handed over: one that was not in the listing before the signal and, by exec, does not run
//! the image of before.
//!
//! The order matters: new, **then** old, proves that both held at once; old, then new, proves nothing. A sighting takes
//! time, and a lock line may be a moment stale, so it has a number before and one after, and custody runs from the end of
//! the first sighting to the beginning of the last.
//!
//! When the agent dies within a window and another run of it goes on, what the first saw last may be lost, a grant too. But a
//! master that both saw, as one process with one image and one lock, held in between, whoever looked. Each shape has
//! such a master at every number of its window, so what is asked of a restart is only that the lines are honest about it.
//!
//! **Invariant:** the order of things is that of their numbers. Times are for people; nothing here compares them.

mod history;
mod judge;
pub mod objects;
pub mod picture;
mod protocol;
mod reasons;
mod settle;
pub mod words;

use std::fmt;
use std::time::Duration;

pub use history::{Drop, Ended, Found, Handover, Happening, History, Moment, Unwatched, What};
pub use judge::{Basis, Doubt, Kept, Succession, Unbroken, Verdict, judge, unbroken};
pub use protocol::{Chronicle, Protocol};
pub use reasons::Reason;
pub use settle::{Claim, Settled, settle};

/// The place of an observation among all those of one service and one incarnation; counts from 1, without holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A process, told apart from every other of the same boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// Its pid, in the agent's pid namespace.
    pub pid: u32,
    /// When it started, in clock ticks after boot.
    pub start_ticks: u64,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)
    }
}

/// The fingerprint of a process image: another after each exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Image {
    /// The address of the bottom of the stack.
    pub start_stack: u64,
    /// The 16 random bytes that the kernel gave to this image.
    pub random: [u8; 16],
}

/// A file, told apart from every other by what fstat says, not by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970: an inode's number is used again. 0 where the file system does not keep it.
    pub born: u64,
}

/// A shared lock, as one holder's fdinfo shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lock {
    /// The locked file.
    pub file: FileIdentity,
    /// The file offset; it names this open file description if it is a mark.
    pub mark: u64,
    /// Who called flock; 0 when it is dead and of another pid namespace.
    pub taker: u32,
}

/// The least file offset that counts as a mark. A smaller one may be the length of what a server wrote or read there, such as its
/// pid: that is the same again when it has let go of its lock and taken it anew.
pub const MARK_MIN: u64 = 1 << 32;

impl Lock {
    /// Whether its offset was set at random, to name it.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.mark >= MARK_MIN
    }
}

/// Whose process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The master in charge when the window opened.
    OldMaster,
    /// The master that the dialect names as its successor.
    NewMaster,
    /// The one master of a handover in place, before and after.
    Master,
    /// A process below a master; never a link of the proof.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldMaster => "old master",
            Self::NewMaster => "new master",
            Self::Master => "master",
            Self::Worker => "worker",
        })
    }
}

/// One careful look at one holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The number taken before the look; the observation's own number was taken after it.
    pub began: Seq,
    /// Whose process it is.
    pub role: Role,
    /// The process.
    pub process: Process,
    /// Its parent's pid.
    pub parent: u32,
    /// What it ran before the lock was read.
    pub image: Image,
    /// What it ran after the lock was read.
    pub image_after: Image,
    /// The lock that it held.
    pub lock: Lock,
}

/// What an observation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A process was found holding the lock.
    Sighting(Sighting),
    /// A process was looked at and not found holding the lock.
    Absence {
        /// The number taken before the look.
        began: Seq,
        /// Whose process it is.
        role: Role,
        /// The process.
        process: Process,
        /// What was found instead, for a person.
        reason: String,
    },
    /// The waiter was granted: nobody held the lock.
    Grant {
        /// The file that was free.
        file: FileIdentity,
    },
    /// The agent sent a signal.
    Signal {
        /// To whom.
        process: Process,
        /// Which one, by name.
        signal: String,
    },
    /// What a readiness probe found.
    Readiness {
        /// Whether the answer was the one wanted.
        ready: bool,
        /// What was answered and by whom, for a person.
        detail: String,
        /// The process that held the other end of the connection, where that can be told.
        answered_by: Option<u32>,
    },
    /// A process was seen to have exited.
    Exit {
        /// Whose process it was.
        role: Role,
        /// The process.
        process: Process,
    },
    /// The processes below the master were listed.
    Workers {
        /// The number taken before the listing.
        began: Seq,
        /// The master.
        master: Process,
        /// The processes below it.
        workers: Vec<Process>,
    },
}

impl Fact {
    /// The sighting, if it is one.
    pub fn sighting(&self) -> Option<&Sighting> {
        if let Self::Sighting(sighting) = self { Some(sighting) } else { None }
    }

    /// The workers that were listed below this master, if it is such a listing.
    pub fn listing(&self, of: Process) -> Option<&[Process]> {
        if let Self::Workers { master, workers, .. } = self { (*master == of).then_some(workers) } else { None }
    }

    /// Whether it is a signal that was sent to this process.
    pub fn signals(&self, to: Process) -> bool {
        if let Self::Signal { process, .. } = self { *process == to } else { false }
    }

    /// The number taken before it, if it is a look.
    pub fn began(&self) -> Option<Seq> {
        match self {
            Self::Sighting(sighting) => Some(sighting.began),
            Self::Absence { began, .. } | Self::Workers { began, .. } => Some(*began),
            Self::Grant { .. } | Self::Signal { .. } | Self::Readiness { .. } | Self::Exit { .. } => None,
        }
    }
}

/// One numbered thing that an agent saw or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Its number.
    pub seq: Seq,
    /// When, since boot.
    pub at: Duration,
    /// The run of the agent that saw it.
    pub incarnation: String,
    /// What it is about.
    pub fact: Fact,
}

impl Observation {
    /// The numbers that this observation accounts for: a look has two, everything else has one.
    pub fn numbers(&self) -> impl Iterator<Item = Seq> + use<> {
        self.fact.began().into_iter().chain([self.seq])
    }
}

/// What a handover looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A new master beside the old one, which then leaves.
    Beside,
    /// The master stays, with its program image, and makes new workers.
    InPlace,
    /// The master calls exec, and makes new workers.
    Exec,
}

/// A run of the agent that went on with a window after its predecessor had died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The incarnation.
    pub incarnation: String,
    /// The boot that it was of.
    pub boot: String,
    /// Its first number. What its predecessor saw and did not write down is lost.
    pub from: Seq,
}

/// Everything that was seen in one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// The service.
    pub service: String,
    /// The boot in which it was seen.
    pub boot: String,
    /// The run of the agent that opened the window.
    pub incarnation: String,
    /// What kind of handover was asked for, and so what has to be shown.
    pub shape: Shape,
    /// The runs of the agent that went on with the window, in their order, stated apart from the lines.
    pub successors: Vec<Witness>,
    /// The lock file on which the window was opened.
    pub file: FileIdentity,
    /// The first number of the window, stated apart from the lines.
    pub opened: Seq,
    /// The last number of the window, stated apart from the lines.
    pub closed: Seq,
    /// The lines, by number.
    pub observations: Vec<Observation>,
    /// Whether lines were left out because there were too many.
    pub truncated: bool,
}

impl Testimony {
    /// All sightings of one role, with the numbers at which they ended.
    pub(crate) fn sightings(&self, role: Role) -> impl Iterator<Item = (Seq, &Sighting)> {
        let all = self.observations.iter().filter_map(|observation| Some((observation.seq, observation.fact.sighting()?)));
        all.filter(move |(_, sighting)| sighting.role == role)
    }

    /// The run of the agent that this number falls to.
    pub(crate) fn witness(&self, number: Seq) -> &str {
        let successor = self.successors.iter().rev().find(|successor| successor.from <= number);
        successor.map_or(&self.incarnation, |successor| &successor.incarnation)
    }

    /// When the observation with this number was made.
    pub(crate) fn at(&self, seq: Seq) -> Option<Duration> {
        self.observations.iter().find(|observation| observation.seq == seq).map(|observation| observation.at)
    }
}

/// Testimonies for tests: one clean one, to be broken in exactly one way by each case.
#[cfg(test)]
pub(crate) mod samples;
