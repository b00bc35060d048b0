//! A line of the ledger, as `trace_pipe` of tracefs shows it.
//!
//! **Invariant:** a line that is not understood is never passed over.

use std::time::Duration;

/// What the kernel calls the tracepoint, between what is said of the process and what is said of the lock.
const EVENT: &str = ": flock_lock_inode: ";

/// One thing that was done to the lock of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was written down, since boot, to the nearest microsecond.
    pub at: Duration,
    /// Which file.
    pub inode: Inode,
    /// By which open file: a name that the kernel uses again once that one is closed.
    pub owner: String,
    /// What.
    pub deed: Deed,
}

/// A file, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    /// The major number of its file system's device.
    pub major: u32,
    /// The minor one.
    pub minor: u32,
    /// Its number there.
    pub number: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A shared lock was granted.
    Shared,
    /// An exclusive lock was granted.
    Exclusive,
    /// A lock was asked for and not granted now; one that the open file had of the other kind is gone.
    Deferred,
    /// The open file has no lock any more: by an unlock, by its last close or by the end of its last process.
    Unlocked,
}

/// Why the ledger cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The buffer was too small.
    #[error("the kernel had no room for all of its ledger: {0:?}; take it down more often")]
    Lost(String),
    /// It is written in another way than we know.
    #[error("a line of the kernel's ledger is not understood: {0:?}")]
    Line(String),
}

/// Reads a line; none where it tells of nothing that was done.
///
/// # Errors
/// When it is not understood, or says that lines before it are lost.
pub fn read(line: &str) -> Result<Option<Entry>, Unreadable> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.contains("[LOST ") {
        return Err(Unreadable::Lost(line.to_owned()));
    }
    let unknown = || Unreadable::Line(line.to_owned());
    let (head, fields) = line.split_once(EVENT).ok_or_else(unknown)?;
    let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).ok_or_else(unknown);
    if field("fl_flags")?.split('|').any(|flag| flag == "FL_ACCESS") {
        // Somebody asked whether a lock could be had, and took none.
        return Ok(None);
    }
    let deed = match (field("fl_type")?, field("ret")?) {
        ("F_UNLCK", _) => Deed::Unlocked,
        ("F_RDLCK", "0") => Deed::Shared,
        ("F_WRLCK", "0") => Deed::Exclusive,
        // FILE_LOCK_DEFERRED, or EAGAIN where nobody wanted to wait.
        ("F_RDLCK" | "F_WRLCK", "1" | "-11") => Deed::Deferred,
        _ => return Err(unknown()),
    };
    let inode = inode(field("dev")?, field("ino")?).ok_or_else(unknown)?;
    let at = head.split_whitespace().next_back().and_then(seconds).ok_or_else(unknown)?;
    Ok(Some(Entry { at, inode, owner: field("fl_owner")?.to_owned(), deed }))
}

/// `0xfe:0x0` and `0x98c055`.
fn inode(device: &str, number: &str) -> Option<Inode> {
    let (major, minor) = device.split_once(':')?;
    let small = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let number = u64::from_str_radix(number.strip_prefix("0x")?, 16).ok()?;
    Some(Inode { major: small(major)?, minor: small(minor)?, number })
}

/// `12185.530313`.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, micros) = text.split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    Some(Duration::from_secs(whole.parse().ok()?) + Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Deed, Entry, Inode, Unreadable, read};

    /// A line as Linux 6.18 writes it.
    fn line(flags: &str, kind: &str, ret: &str) -> String {
        format!(
            "         a: b 7-22336   [000] ..... 12185.530313: flock_lock_inode: fl=000000002be13473 dev=0xfe:0x10 ino=0x98c055 \
             fl_blocker=0000000000000000 fl_owner=000000006909a6cc fl_pid=22336 fl_flags={flags} fl_type={kind} fl_start=0 \
             fl_end=9223372036854775807 ret={ret}"
        )
    }

    fn deed(flags: &str, kind: &str, ret: &str) -> Result<Option<Deed>, Unreadable> {
        Ok(read(&line(flags, kind, ret))?.map(|entry| entry.deed))
    }

    #[test]
    fn a_line_is_read_with_its_time_its_file_and_its_open_file() {
        let expected = Entry {
            at: Duration::from_micros(12_185_530_313),
            inode: Inode { major: 0xfe, minor: 0x10, number: 0x0098_c055 },
            owner: "000000006909a6cc".to_owned(),
            deed: Deed::Shared,
        };
        assert_eq!(read(&line("FL_FLOCK|FL_SLEEP", "F_RDLCK", "0")), Ok(Some(expected)));
    }

    #[test]
    fn what_was_done_is_told_by_kind_and_return_code() {
        assert_eq!(deed("FL_FLOCK", "F_WRLCK", "0"), Ok(Some(Deed::Exclusive)));
        assert_eq!(deed("FL_FLOCK|FL_SLEEP", "F_WRLCK", "1"), Ok(Some(Deed::Deferred)));
        assert_eq!(deed("FL_FLOCK", "F_RDLCK", "-11"), Ok(Some(Deed::Deferred)));
        assert_eq!(deed("FL_FLOCK|FL_CLOSE", "F_UNLCK", "0"), Ok(Some(Deed::Unlocked)));
        assert_eq!(deed("FL_FLOCK|FL_ACCESS", "F_RDLCK", "0"), Ok(None));
    }

    #[test]
    fn a_comment_tells_of_nothing() {
        assert_eq!(read("# tracer: nop"), Ok(None));
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn what_is_lost_or_not_understood_is_an_error() {
        assert!(matches!(read("CPU:1 [LOST 23 EVENTS]"), Err(Unreadable::Lost(_))));
        assert!(matches!(deed("FL_FLOCK", "F_RDLCK", "-12"), Err(Unreadable::Line(_))));
        assert!(matches!(deed("FL_FLOCK", "0x3", "0"), Err(Unreadable::Line(_))));
        let whole = line("FL_FLOCK", "F_RDLCK", "0");
        for (part, instead) in
            [("fl_owner=", "owner="), ("dev=0x", "dev="), ("12185.530313", "12185"), (": flock_lock", ": posix_lock")]
        {
            assert!(matches!(read(&whole.replace(part, instead)), Err(Unreadable::Line(_))), "{part}");
        }
    }
}
