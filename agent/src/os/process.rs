//! Processes: looked at with care, signalled by pidfd.
//!
//! A process lives while one of its threads does; that its leader thread has ended is nothing to it.
//!
//! **Invariant:** a signal never goes by a bare pid: a [`Handle`] is of one process, and a reused pid is not it.

mod living;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_proto::custody::{FileIdentity, Image, Lock, Process, Role, Seq, Sighting};
pub(super) use living::Living;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::dialect::Signal;
use crate::os::{clock, signal, wait};
use crate::procfs;

/// How often a process that calls exec while it is looked at is looked at.
const LOOKS_MAX: usize = 4;
/// The kernel's clock tick, as /proc has it (`proc(5)`): `USER_HZ` is 100 on every machine that this runs on.
const TICK_MILLISECONDS: u64 = 10;
/// More descendants than a server has; a walk ends here.
const DESCENDANTS_MAX: usize = 4_096;

/// A holder, as one careful look found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The process.
    pub process: Process,
    /// Its parent.
    pub parent: u32,
    /// What it runs; the same before and after the lock was read.
    pub image: Image,
    /// The lock that it holds.
    pub lock: Lock,
}

impl Seen {
    /// Whether the other look found the same process with the same image and lock, whoever is its parent now.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.process, self.image, self.lock) == (other.process, other.image, other.lock)
    }

    /// The same as a sighting, which began under this number.
    pub fn sighting(self, began: Seq, role: Role) -> Sighting {
        let Self { process, parent, image, lock } = self;
        Sighting { began, role, process, parent, image, image_after: image, lock }
    }
}

/// Why a look did not find a holder.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    /// No such process.
    #[error("process {0} is gone")]
    Gone(u32),
    /// The pid is another process's now.
    #[error("process {0} is gone and its pid was given to another")]
    Reused(u32),
    /// It is dead and may still have its files.
    #[error("process {0} is dead and not yet buried")]
    Corpse(u32),
    /// It lives and does not hold the lock.
    #[error("process {0} lives but does not hold the lock")]
    Unlocked(u32),
    /// It called exec while it was looked at.
    #[error("process {0} changed its program image while it was looked at")]
    Changed(u32),
    /// It may not be looked at.
    #[error("process {pid} cannot be read ({what}); the agent needs root, or the service's uid and CAP_SYS_PTRACE")]
    Unreadable {
        /// The process.
        pid: u32,
        /// The file of /proc.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Unseen {
    /// Whether the process that was looked for is dead. One that cannot be read may live.
    pub fn is_dead(&self) -> bool {
        match self {
            Self::Gone(_) | Self::Reused(_) | Self::Corpse(_) => true,
            Self::Unlocked(_) | Self::Changed(_) | Self::Unreadable { .. } => false,
        }
    }
}

/// Looks, with care, whether a process holds a shared lock on `file`: the image, the lock, the image again, unchanged. One
/// that calls exec meanwhile is looked at anew, a few times.
///
/// # Errors
/// What was found instead.
pub fn look(pid: u32, file: FileIdentity) -> Result<Seen, Unseen> {
    for _ in 1..LOOKS_MAX {
        match look_once(pid, file) {
            Err(Unseen::Changed(_)) => {}
            looked => return looked,
        }
    }
    look_once(pid, file)
}

fn look_once(pid: u32, file: FileIdentity) -> Result<Seen, Unseen> {
    let living = Living::open(pid)?;
    if living.is_dumping_core()? {
        return Err(Unseen::Corpse(pid));
    }
    let image = living.image(living.opened())?;
    let lock = living.lock(file)?;
    let after = living.stat()?;
    // Whether all of it is dead, or one thread of several, the next look tells.
    if after.is_corpse() || living.is_dumping_core()? || living.image(after)? != image {
        return Err(Unseen::Changed(pid));
    }
    let lock = lock.ok_or(Unseen::Unlocked(pid))?;
    Ok(Seen { process: living.process(), parent: living.leader().parent, image, lock })
}

/// Looks as [`look`] does, for a process that is known already.
///
/// # Errors
/// What was found instead, a reused pid too.
pub fn look_again(process: Process, file: FileIdentity) -> Result<Seen, Unseen> {
    let seen = look(process.pid, file)?;
    if seen.process == process { Ok(seen) } else { Err(Unseen::Reused(process.pid)) }
}

/// Whether a process holds a shared lock on `file`, without its fingerprint: enough to wait for it, not to testify. It
/// takes the right to read its descriptors, and not its memory, which a Yama policy may keep from all but its ancestors.
///
/// # Errors
/// What was found instead.
pub fn holder(pid: u32, file: FileIdentity) -> Result<(Process, u32), Unseen> {
    let living = Living::open(pid)?;
    let lock = living.lock(file)?;
    if living.is_dumping_core()? {
        return Err(Unseen::Corpse(pid));
    }
    lock.map(|_| (living.process(), living.leader().parent)).ok_or(Unseen::Unlocked(pid))
}

/// The pids of all processes that can be found now.
pub fn everyone() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A living process and its parent.
///
/// # Errors
/// When it is gone, dead, or cannot be read.
pub fn find(pid: u32) -> Result<(Process, u32), Unseen> {
    let living = Living::open(pid)?;
    Ok((living.process(), living.leader().parent))
}

/// A living process and the name of the command that it runs.
///
/// # Errors
/// When it is gone, dead, or cannot be read.
pub fn describe(pid: u32) -> Result<(Process, String), Unseen> {
    let living = Living::open(pid)?;
    Ok((living.process(), living.command().to_owned()))
}

/// Where a process is: its directory and its executable, as far as they may be read.
pub fn whereabouts(pid: u32) -> Vec<PathBuf> {
    ["cwd", "exe"].into_iter().filter_map(|link| std::fs::read_link(format!("/proc/{pid}/{link}")).ok()).collect()
}

/// Starts are told in whole ticks of this length.
pub const TICK: Duration = Duration::from_millis(TICK_MILLISECONDS);

/// When a process started, since boot.
pub fn started(process: Process) -> Duration {
    Duration::from_millis(process.start_ticks.saturating_mul(TICK_MILLISECONDS))
}

/// When a file was last written, since boot, if it was since then; only as true as the clock of the wall was meanwhile.
pub fn written(path: &Path) -> Option<Duration> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    let at = Duration::new(u64::try_from(metadata.mtime()).ok()?, u32::try_from(metadata.mtime_nsec()).ok()?);
    clock::since_boot().checked_sub(clock::since_1970().checked_sub(at)?)
}

/// All processes below `pid` that can be found now, without `except` and what is below it.
pub fn descendants(pid: u32, except: Option<u32>) -> Vec<Process> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if Some(child) == except || found.len() >= DESCENDANTS_MAX {
                continue;
            }
            if let Ok((process, _)) = find(child) {
                found.push(process);
                parents.push(child);
            }
        }
    }
    found
}

/// The living children of a process.
pub fn children_of(pid: u32) -> Vec<Process> {
    children(pid).into_iter().filter_map(|child| find(child).ok()).map(|(process, _)| process).collect()
}

/// Whether a child of a process is dead, or on its way out, and not waited for yet.
pub fn has_dead_child(pid: u32) -> bool {
    children(pid).into_iter().any(|child| matches!(find(child), Err(Unseen::Corpse(_))))
}

/// What a process runs now, if it can be read.
pub fn image(pid: u32) -> Option<Image> {
    let living = Living::open(pid).ok()?;
    living.image(living.opened()).ok()
}

/// Whether a process was executed from the same file as another, and is no mere fork of it.
pub fn is_executed_anew(process: Process, from: Process) -> bool {
    let runs = |process: Process| {
        let living = Living::open(process.pid).ok().filter(|living| living.process() == process)?;
        Some((living.program()?, living.image(living.opened()).ok()?))
    };
    matches!((runs(process), runs(from)), (Some((one, its)), Some((other, image))) if one == other && its != image)
}

/// The file that a process executes; none where that may not be known.
pub fn program(pid: u32) -> Option<FileIdentity> {
    Living::open(pid).ok()?.program()
}

/// Whether this signal would end a process, which does nothing about it. It does not where that cannot be told.
pub fn is_ended_by(process: Process, signal: Signal) -> bool {
    let ends = |status: String| procfs::is_ended_by(&status, signal::number(signal).as_raw());
    status(process).and_then(ends).unwrap_or_default()
}

/// Whether this signal was sent to a process and has not arrived, as with one that is stopped.
pub fn awaits(process: Process, signal: Signal) -> bool {
    status(process).is_some_and(|status| procfs::is_pending(&status, signal::number(signal).as_raw()))
}

/// The status of this very process, if it can be read.
fn status(process: Process) -> Option<String> {
    Living::open(process.pid).ok().filter(|living| living.process() == process)?.status().ok()
}

/// The children of all threads of a process; none when it is gone.
///
/// A child that ends while the list is read may take another, that lives, off it (`proc_pid_task(5)`): it is read twice. That one who
/// was there before is not found, so that he is new later, takes two such ends at the same place then.
fn children(pid: u32) -> Vec<u32> {
    let Ok(living) = Living::open(pid) else { return Vec::new() };
    let mut found = living.children();
    found.extend(living.children());
    let mut met = HashSet::new();
    found.retain(|child| met.insert(*child));
    found
}

/// Whether a process has the socket with this inode open.
pub fn has_socket(pid: u32, inode: u64) -> bool {
    Living::open(pid).is_ok_and(|living| living.has_socket(inode))
}

/// The pid that a pid file names, if it can be read and names one.
pub fn pid_in(path: &Path) -> Option<u32> {
    // Who may write the directory may put a fifo there: to open it must not hang us, nor to read it.
    let file = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = String::new();
    File::from(file).take(64).read_to_string(&mut text).ok()?;
    procfs::pid_file(&text)
}

/// Which file a path names, and when its inode last changed: a file that was renamed away and back has another stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file that the path names now, if it names one.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::symlink_metadata(path).ok()?;
        Some(Self { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) })
    }
}

/// One process, held by a pidfd: it can be signalled and its exit be waited for, and no other is meant by mistake.
#[derive(Debug)]
pub struct Handle {
    process: Process,
    pidfd: OwnedFd,
}

impl Handle {
    /// Takes hold of a process.
    ///
    /// # Errors
    /// When it is gone; a later process with its pid does not count.
    pub fn open(process: Process) -> Result<Self, Unseen> {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).ok_or(Unseen::Gone(process.pid))?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| living::unseen(process.pid, "pidfd", error))?;
        // Whoever has the pid after the pidfd was opened is who the pidfd names.
        match find(process.pid)? {
            (found, _) if found == process => Ok(Self { process, pidfd }),
            _ => Err(Unseen::Reused(process.pid)),
        }
    }

    /// The process.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Looks as [`look_again`] does, at this very process: one that got its pid within the same tick is not it.
    ///
    /// # Errors
    /// What was found instead.
    pub fn look(&self, file: FileIdentity) -> Result<Seen, Unseen> {
        let seen = look_again(self.process, file)?;
        let exited = wait::readable([Some(self.pidfd.as_fd())], Some(Duration::ZERO));
        if exited.is_ok_and(|[exited]| !exited) { Ok(seen) } else { Err(Unseen::Gone(self.process.pid)) }
    }

    /// Has a `hold` stop its server, if it has not begun that already: with SIGPWR, which asked for again changes nothing.
    ///
    /// # Errors
    /// When it is gone or may not be signalled.
    pub fn stop_hold(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, rustix::process::Signal::POWER)?)
    }

    /// Sends a signal to this process and no other.
    ///
    /// # Errors
    /// When it is gone or may not be signalled.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, signal::number(signal))?)
    }
}

impl AsFd for Handle {
    /// The pidfd: readable once the process has exited.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
