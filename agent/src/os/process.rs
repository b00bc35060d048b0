//! Processes: looked at with care, signalled by pidfd.
//!
//! **Invariant:** a signal never goes by a bare pid: a [`Handle`] is of one process, and a reused pid is not it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use baton_proto::custody::{FileIdentity, Image, Lock, Process, Role, Seq, Sighting};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags, open, openat, statx};
use rustix::io::{Errno, pread};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::dialect::Signal;
use crate::os::{lock, signal};
use crate::procfs;

/// More than any file of /proc that we read; a longer one is refused.
const TEXT_BYTES_MAX: u64 = 1 << 20;
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

/// One freshly opened directory of /proc: it names one process and no later one with the same pid.
struct Directory {
    pid: u32,
    descriptor: OwnedFd,
}

impl Directory {
    fn open(pid: u32) -> Result<Self, Unseen> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match open(format!("/proc/{pid}"), flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self { pid, descriptor }),
            Err(error) => Err(unseen(pid, "the directory", error)),
        }
    }

    fn bytes(&self, name: &str, what: &'static str) -> Result<Vec<u8>, Unseen> {
        let descriptor = openat(&self.descriptor, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| unseen(self.pid, what, error))?;
        let mut bytes = Vec::new();
        File::from(descriptor)
            .take(TEXT_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|source| unseen(self.pid, what, Errno::from_io_error(&source).unwrap_or(Errno::IO)))?;
        Ok(bytes)
    }

    fn text(&self, name: &str, what: &'static str) -> Result<String, Unseen> {
        // A command's name may be any bytes; the fields that we read are plain.
        Ok(String::from_utf8_lossy(&self.bytes(name, what)?).into_owned())
    }

    fn stat(&self) -> Result<procfs::Stat, Unseen> {
        procfs::stat(&self.text("stat", "stat")?).ok_or_else(|| malformed(self.pid, "stat"))
    }

    /// The fingerprint of the image that runs now.
    fn image(&self, stat: procfs::Stat) -> Result<Image, Unseen> {
        let address = procfs::random_address(&self.bytes("auxv", "auxv")?).ok_or_else(|| malformed(self.pid, "auxv"))?;
        let memory = openat(&self.descriptor, "mem", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| unseen(self.pid, "mem", error))?;
        let mut random = [0_u8; 16];
        let read = pread(&memory, &mut random[..], address).map_err(|error| unseen(self.pid, "mem", error))?;
        if read != random.len() {
            return Err(malformed(self.pid, "mem"));
        }
        Ok(Image { start_stack: stat.start_stack, random })
    }

    /// The shared lock that this process has on `file`: of several, a marked one, else that of the lowest descriptor.
    fn lock(&self, file: FileIdentity) -> Result<Option<Lock>, Unseen> {
        let descriptors = openat(&self.descriptor, "fd", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| unseen(self.pid, "fd", error))?;
        let mut found: Option<Lock> = None;
        for name in names(&descriptors).map_err(|error| unseen(self.pid, "fd", error))? {
            // A descriptor may be closed between the listing and the look.
            if identity(&descriptors, &name) != Some(file) {
                continue;
            }
            let Ok(text) = self.text(&format!("fdinfo/{name}"), "fdinfo") else { continue };
            let Some(procfs::Descriptor { position, shared_taker: Some(taker) }) = procfs::descriptor(&text) else { continue };
            if found.is_none_or(|lock| lock.mark == 0 && position != 0) {
                found = Some(Lock { file, mark: position, taker });
            }
        }
        Ok(found)
    }
}

/// Which file a descriptor is of. A file on a server that hangs must not hang us: what the kernel knows will do.
fn identity(descriptors: &OwnedFd, name: &str) -> Option<FileIdentity> {
    Some(lock::identified(&statx(descriptors, name, AtFlags::STATX_DONT_SYNC, lock::IDENTIFYING).ok()?))
}

/// The numeric names in a directory of /proc, in their order.
fn names(directory: &OwnedFd) -> Result<Vec<String>, Errno> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(directory)? {
        if let Some(number) = entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers.iter().map(ToString::to_string).collect())
}

fn unseen(pid: u32, what: &'static str, error: Errno) -> Unseen {
    match error {
        Errno::NOENT | Errno::SRCH => Unseen::Gone(pid),
        error => Unseen::Unreadable { pid, what, source: error.into() },
    }
}

fn malformed(pid: u32, what: &'static str) -> Unseen {
    Unseen::Unreadable { pid, what, source: io::Error::from(io::ErrorKind::InvalidData) }
}

/// Looks once, with care, whether a process holds a shared lock on `file`: the image, the lock, the image again, unchanged.
///
/// # Errors
/// What was found instead.
pub fn look(pid: u32, file: FileIdentity) -> Result<Seen, Unseen> {
    let directory = Directory::open(pid)?;
    let before = directory.stat()?;
    if before.is_corpse() || procfs::is_dumping_core(&directory.text("status", "status")?) {
        return Err(Unseen::Corpse(pid));
    }
    let image = directory.image(before)?;
    let lock = directory.lock(file)?;
    let after = directory.stat()?;
    if after.is_corpse() || procfs::is_dumping_core(&directory.text("status", "status")?) {
        return Err(Unseen::Corpse(pid));
    }
    if directory.image(after)? != image || before.start_ticks != after.start_ticks {
        return Err(Unseen::Changed(pid));
    }
    let lock = lock.ok_or(Unseen::Unlocked(pid))?;
    Ok(Seen { process: Process { pid, start_ticks: before.start_ticks }, parent: after.parent, image, lock })
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
    let directory = Directory::open(pid)?;
    let stat = directory.stat()?;
    let lock = directory.lock(file)?;
    if stat.is_corpse() || procfs::is_dumping_core(&directory.text("status", "status")?) {
        return Err(Unseen::Corpse(pid));
    }
    lock.map(|_| (Process { pid, start_ticks: stat.start_ticks }, stat.parent)).ok_or(Unseen::Unlocked(pid))
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
    let stat = Directory::open(pid)?.stat()?;
    if stat.is_corpse() {
        return Err(Unseen::Corpse(pid));
    }
    Ok((Process { pid, start_ticks: stat.start_ticks }, stat.parent))
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

/// What a process runs now, if it can be read.
pub fn image(pid: u32) -> Option<Image> {
    let directory = Directory::open(pid).ok()?;
    directory.image(directory.stat().ok()?).ok()
}

/// The children of all threads of a process; none when it is gone.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let texts = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    texts.flat_map(|text| procfs::children(&text)).collect()
}

/// Whether a process has the socket with this inode open.
pub fn has_socket(pid: u32, inode: u64) -> bool {
    let Ok(directory) = Directory::open(pid) else { return false };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(descriptors) = openat(&directory.descriptor, "fd", flags, Mode::empty()) else { return false };
    names(&descriptors).unwrap_or_default().iter().any(|name| {
        statx(&descriptors, name, AtFlags::STATX_DONT_SYNC, StatxFlags::INO | StatxFlags::TYPE)
            .is_ok_and(|found| found.stx_ino == inode && FileType::from_raw_mode(found.stx_mode.into()) == FileType::Socket)
    })
}

/// The pid that a pid file names, if it can be read and names one.
pub fn pid_in(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.take(64).read_to_string(&mut text).ok()?;
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
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| unseen(process.pid, "pidfd", error))?;
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
