//! The lock of one generation.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::pidfile::suffixed;

/// The highest offset that every file system takes is below 2^43.
const MARK_BITS: u32 = 43;
/// A smaller one counts for nothing.
const MARK_MIN: u64 = 1 << 32;

/// Whether the locked descriptor is given a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marking {
    /// A random one.
    Random,
    /// None, as by a hook that knows nothing of marks.
    None,
}

/// Opens the lock file anew, takes a shared lock and marks it.
///
/// It is let go when the last copy of the descriptor is closed; forked workers have copies, exec closes them.
pub(crate) fn take(path: &Path, marking: Marking) -> io::Result<File> {
    let mut file = open(path)?;
    file.lock_shared()?;
    if marking == Marking::Random {
        file.seek(SeekFrom::Start(random_mark()?))?;
    }
    Ok(file)
}

/// The fault: the path names another file from now on, made where there is none.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    open(path).map(drop)
}

/// The fault: another file takes the place of the one that the path names, which is never missing.
pub(crate) fn rename_over(path: &Path) -> io::Result<()> {
    let draft = suffixed(path, ".new");
    open(&draft)?;
    fs::rename(draft, path)
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).mode(0o640).open(path)
}

fn random_mark() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok((u64::from_ne_bytes(bytes) >> (u64::BITS - MARK_BITS)) | MARK_MIN)
}
