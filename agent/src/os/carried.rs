//! A shared lock for a child to inherit: taken once, marked, and on a descriptor that servers leave alone.
//!
//! Some servers close the low descriptors when they call exec for a reload, or mark them close-on-exec: Unicorn 3 to 1024
//! (`close_sockets_on_exec`), uWSGI all below its soft limit of descriptors. On [`NUMBER`] it passes through both.
//!
//! **Invariant:** it is inherited by one child only: it is close-on-exec until that child is started, and closed after that.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use baton_proto::custody::MARK_MIN;
use rustix::fs::{FlockOperation, OFlags, SeekFrom, flock, seek};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};

/// The descriptor on which a server inherits the lock.
pub const NUMBER: u32 = 1_025;
/// How often a lock that somebody has exclusively is asked for, a millisecond apart: a waiter keeps it for a microsecond.
const ATTEMPTS_MAX: usize = 1_000;
/// ext4 takes offsets below 2^44; other file systems may take fewer bits.
const MARK_BITS: u32 = 43;

/// A locked descriptor, not yet inherited by anybody.
#[derive(Debug)]
pub struct Carried(OwnedFd);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NotCarried {
    /// The lock file cannot be opened or made.
    #[error("the lock file cannot be opened")]
    Open(#[source] io::Error),
    /// Somebody has it exclusively.
    #[error("somebody holds the lock exclusively: `fuser` names who")]
    Exclusive,
    /// The kernel does not give the lock.
    #[error("the lock cannot be taken")]
    Lock(#[source] io::Error),
    /// There is no such descriptor for us.
    #[error("descriptor {NUMBER} cannot be had: the hard limit of descriptors must be above it (LimitNOFILE=, ulimit -Hn)")]
    Descriptor(#[source] io::Error),
}

impl Carried {
    /// Takes a shared lock on the file, which is made if it is not there, and marks it.
    ///
    /// # Errors
    /// When the file or the lock cannot be had.
    pub fn take(path: &Path) -> Result<Self, NotCarried> {
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o640).custom_flags(flags);
        let file = options.open(path).map_err(NotCarried::Open)?;
        lock(&file)?;
        let mark = mark().map_err(NotCarried::Lock)?;
        seek(&file, SeekFrom::Start(mark)).map_err(|error| NotCarried::Lock(error.into()))?;
        let carried = high(&file).map_err(|error| NotCarried::Descriptor(error.into()))?;
        Ok(Self(carried))
    }

    /// The same for the next child to inherit.
    ///
    /// # Errors
    /// The kernel names none that could apply.
    pub fn exposed(self) -> Result<Self, NotCarried> {
        fcntl_setfd(self.0.as_fd(), FdFlags::empty()).map_err(|error| NotCarried::Descriptor(error.into()))?;
        Ok(self)
    }
}

fn lock(file: &File) -> Result<(), NotCarried> {
    for _ in 0..ATTEMPTS_MAX {
        match flock(file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) => sleep(Duration::from_millis(1)),
            Err(error) => return Err(NotCarried::Lock(error.into())),
        }
    }
    Err(NotCarried::Exclusive)
}

/// A random offset that names the open file description; never one that may come of reading or writing.
fn mark() -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    Ok((u64::from_ne_bytes(bytes) >> (u64::BITS - MARK_BITS)) | MARK_MIN)
}

/// The same description on [`NUMBER`]. The soft limit is raised for the moment only: it also tells uWSGI how far to close.
fn high(file: &File) -> Result<OwnedFd, Errno> {
    let limit = getrlimit(Resource::Nofile);
    let least = u64::from(NUMBER) + 1;
    let is_low = limit.current.is_some_and(|current| current < least);
    if is_low {
        setrlimit(Resource::Nofile, Rlimit { current: Some(least), ..limit })?;
    }
    let duplicate = fcntl_dupfd_cloexec(file, i32::try_from(NUMBER).unwrap_or(i32::MAX));
    if is_low {
        setrlimit(Resource::Nofile, limit)?;
    }
    duplicate
}
