//! The census: who holds a service's lock, as what, and what is amiss about it.
//!
//! The verdict over a handover rests on masters alone. What is found here is for people, and for the question whether a handover
//! may begin: whoever holds the lock and is not of the service keeps the waiter blocked when the service is dead, so that a drop
//! would not be seen.
//!
//! **Invariant:** a finding says only what was seen. That somebody is missing from a census shows nothing.

mod finding;
mod role;
mod words;

use std::time::Duration;

use baton_proto::custody::{FileIdentity, Lock, Process};

pub use finding::{Finding, Kind, examine};
pub use role::{Role, roles, workers};

/// Where a holder was found, as seen from the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the master that was seen holding.
    Master,
    /// Below the master.
    Below,
    /// The master is below it.
    Above,
    /// Neither, or there is no master.
    Elsewhere,
}

/// A process that holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// Its parent's pid.
    pub parent: u32,
    /// The name of the command that it runs.
    pub command: String,
    /// The file that it executes; none where that may not be known.
    pub program: Option<FileIdentity>,
    /// The lock that it holds.
    pub lock: Lock,
    /// Where it was found.
    pub place: Place,
}

/// Whom a pid file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// There is no such file, or it names no pid.
    Nobody,
    /// A process that lives.
    Living {
        /// The process.
        process: Process,
        /// The name of the command that it runs.
        command: String,
        /// For how long the file had been written when the process started; zero when it was there before.
        younger: Duration,
    },
    /// A process that is dead, and whose parent has not waited for it.
    Unburied(u32),
    /// Nobody has this pid.
    Gone(u32),
}

/// A pid file, and whom it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    /// Its path.
    pub path: String,
    /// Whom it names.
    pub named: Named,
}

/// What the lock's path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockFile {
    /// This file.
    Present(FileIdentity),
    /// No file.
    Missing,
    /// That cannot be told, for this reason.
    Unknown(String),
}

/// What is left of a generation that was told to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldGeneration {
    /// Its number.
    pub number: u64,
    /// For how long its drain has been over.
    pub overtime: Duration,
    /// Who is there still.
    pub processes: Vec<Process>,
}

/// Everything that is known of one service's lock at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The lock's path.
    pub path: String,
    /// What it names.
    pub lock_file: LockFile,
    /// The file on which the waiter waits.
    pub watched: Option<FileIdentity>,
    /// The network file system that the lock file is on, where it is on one.
    pub network: Option<&'static str>,
    /// Another service on the same lock file.
    pub twin: Option<String>,
    /// The pid file.
    pub pid_file: PidFile,
    /// The old master's pid file.
    pub pid_file_old: PidFile,
    /// The pid file of a new master that is not in charge.
    pub pid_file_new: PidFile,
    /// The master that was seen holding and is in charge.
    pub master: Option<Process>,
    /// The last master that was seen holding, as it was then.
    pub last: Option<Holder>,
    /// Everybody who was found holding.
    pub holders: Vec<Holder>,
    /// Those who took the lock by the kernel's list of locks, and of whose lock nobody was found to be a holder.
    pub unknown_takers: Vec<u32>,
    /// Whether the service's configuration allows holders that are not of the service.
    pub allows_foreign: bool,
    /// The service's name, if the agent starts it.
    pub started_as: Option<String>,
    /// The generations that were told to leave and are not gone yet, the oldest first.
    pub lingering: Vec<OldGeneration>,
    /// How many of them there may be when a handover begins.
    pub lingering_allowed: u32,
}

impl PidFile {
    /// That of a dialect that has none.
    pub fn none() -> Self {
        Self { path: String::new(), named: Named::Nobody }
    }
}

impl Facts {
    /// Whether more generations linger than may, when a handover begins.
    fn is_one_too_many(&self) -> bool {
        self.lingering.len() > self.lingering_allowed as usize
    }

    /// The master that was seen holding, as a holder.
    fn chief(&self) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.place == Place::Master)
    }
}

impl Holder {
    /// Whether it has the same open file description as another, as far as that can be told.
    fn shares(&self, other: &Self) -> bool {
        (self.lock.mark, self.lock.taker) == (other.lock.mark, other.lock.taker)
    }

    /// Whether it called flock itself.
    fn is_taker(&self) -> bool {
        self.lock.taker == self.process.pid
    }

    /// Whether it is known to execute another file than the other.
    fn runs_another_program(&self, other: &Self) -> bool {
        matches!((self.program, other.program), (Some(one), Some(other)) if one != other)
    }
}

/// The network file system with this magic number (`statfs(2)`), of those where flock reaches beyond this host or fails to.
///
/// On NFS and CIFS it is made of byte-range locks on the server (`flock(2)`), on the others the server decides, too. A process of
/// another host may hold the lock, and nobody here would see it.
pub fn network_file_system(magic: u64) -> Option<&'static str> {
    const KNOWN: [(u64, &str); 11] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x0102_1997, "9P"),
        (0x5346_414f, "AFS"),
        (0x00c3_6400, "Ceph"),
        (0x0bd0_0bd0, "Lustre"),
        (0x0116_1970, "GFS2"),
        (0x7461_636f, "OCFS2"),
        (0x7375_7245, "Coda"),
    ];
    // Some kernels give the number with its sign.
    let magic = magic & 0xffff_ffff;
    KNOWN.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests;
