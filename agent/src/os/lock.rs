//! The lock file, as one who waits for it sees it.
//!
//! **Invariant:** every descriptor here is close-on-exec: a granted exclusive lock that a child inherits would refuse
//! every server for as long as that child lives.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use baton_proto::custody::FileIdentity;
use rustix::fs::{
    AtFlags, CWD, FlockOperation, OFlags, StatFs, Statx, StatxFlags, flock, fstatfs, major, makedev, minor, statfs, statx,
};
use rustix::io::Errno;

use crate::census::network_file_system;
use crate::procfs;

/// About 4,000 locks: what is longer is not read in passing.
const LOCKS_BYTES_MAX: u64 = 256 << 10;

/// Opens a lock file for waiting; reading rights suffice. It is not created: that is for the server to do.
///
/// # Errors
/// When it is not there, may not be read, or is no regular file.
pub fn open(path: &Path) -> io::Result<(File, FileIdentity)> {
    // O_NONBLOCK: a fifo in the lock's place must not hang us. It changes nothing for a regular file.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if let Some(name) = network_file_system(magic(&fstatfs(&file)?)) {
        let what = format!("it is on {name}: a process of another host may hold it, and nobody here would see it");
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    let identity = identified(&statx(&file, "", AtFlags::EMPTY_PATH, IDENTIFYING)?);
    Ok((file, identity))
}

/// Which file the path names now, by what this host knows of it: no file server is asked for its attributes.
///
/// # Errors
/// When it names none.
pub fn identity(path: &Path) -> io::Result<FileIdentity> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    Ok(identified(&statx(CWD, path, flags, IDENTIFYING)?))
}

/// The network file system that a path is on; none where it is on a disk of this host, or that cannot be told. A file server that
/// is asked for it may be slow to answer.
pub fn network(path: &Path) -> Option<&'static str> {
    network_file_system(magic(&statfs(path).ok()?))
}

/// The magic number of a file system, as 32 bits: its type differs from one machine to another.
fn magic(found: &StatFs) -> u64 {
    u64::try_from(found.f_type & 0xffff_ffff).unwrap_or_default()
}

/// What the kernel's list of all locks says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takers {
    /// These called flock for a shared lock that is there now. One that is not among them may be there all the same.
    Listed(Vec<u32>),
    /// The list does not know this file: it is on a file system whose numbers differ there (btrfs, overlayfs), too long to be read
    /// in passing, or hidden.
    Unlisted,
}

/// Who took a shared lock on this file. It is a hint: names may be missing, and may be those of the dead.
pub fn takers(file: FileIdentity) -> Takers {
    let mut text = String::new();
    let read = File::open("/proc/locks").and_then(|list| list.take(LOCKS_BYTES_MAX).read_to_string(&mut text));
    let takers = procfs::takers(&text, major(file.device), minor(file.device), file.inode);
    match read {
        Ok(length) if (length as u64) < LOCKS_BYTES_MAX && !takers.is_empty() => Takers::Listed(takers),
        Ok(_) | Err(_) => Takers::Unlisted,
    }
}

/// What of a file tells it apart.
pub(super) const IDENTIFYING: StatxFlags = StatxFlags::INO.union(StatxFlags::BTIME);

/// Which file this is.
pub(super) fn identified(found: &Statx) -> FileIdentity {
    let born = if found.stx_mask & StatxFlags::BTIME.bits() == 0 {
        0
    } else {
        let seconds = u64::try_from(found.stx_btime.tv_sec).unwrap_or_default();
        seconds.saturating_mul(1_000_000_000).saturating_add(found.stx_btime.tv_nsec.into())
    };
    FileIdentity { device: makedev(found.stx_dev_major, found.stx_dev_minor), inode: found.stx_ino, born }
}

/// Blocks until nobody holds the lock, then holds it exclusively. May never return.
///
/// # Errors
/// When the kernel refuses, for want of memory for locks.
pub fn wait(file: &File) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Lets go of the lock and closes the file, in this order: a child between fork and exec still has the descriptor, so
/// closing alone would not free the lock.
pub fn release(file: File) {
    // Unlocking an open descriptor does not fail (flock(2) names no error for it that could apply).
    let _ = flock(&file, FlockOperation::Unlock);
    drop(file);
}
