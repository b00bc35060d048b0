//! The lock of one generation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The highest offset that every file system takes is below 2^43.
const MARK_BITS: u32 = 43;

/// Opens the lock file anew, takes a shared lock and marks it.
///
/// It is let go when the last copy of the descriptor is closed; forked workers have copies, exec closes them.
pub(crate) fn take(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).mode(0o640).open(path)?;
    file.lock_shared()?;
    file.seek(SeekFrom::Start(random_mark()?))?;
    Ok(file)
}

fn random_mark() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok((u64::from_ne_bytes(bytes) >> (u64::BITS - MARK_BITS)).max(1))
}
