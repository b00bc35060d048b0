//! Files that somebody wrote: read whole, or not at all.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// All that is in a file; none when that is more than `bytes_max`.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    // One more than fits: a file that is cut off could read like a shorter one.
    let length = File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length <= bytes_max) {
        return String::from_utf8(bytes).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(None)
}
