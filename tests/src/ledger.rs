//! The kernel's own ledger of locks, kept beside the agent: an independent witness of each flock that is taken and let go.
//!
//! The tracepoint `filelock:flock_lock_inode` tells of every shared and exclusive lock that is granted, of every one that has to
//! wait, and of every unlock, a close and an exit included. It is read from an instance of tracefs that is ours alone, for the
//! files that are named, by the clock that agents tell their times by. Nothing of it comes from the agent, from `/proc` or from
//! the server's log.
//!
//! # Theory of operation
//!
//! The kernel writes a line after the deed and before the system call returns. So what a process does once it has returned is
//! written later; but of two deeds on two processors that do not wait for each other either may be written first. An unlock is
//! written by whoever closes the open file last, and that may be a process that only looked at it in `/proc`: a line is
//! told by its file and its open file, never by its pid.
//!
//! **Invariant:** nothing is lost in silence: lines that the kernel had no room for are an error.

mod account;
mod entry;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::OFlag;

pub use account::{Account, Free};
pub use entry::{Deed, Entry, Inode, Unreadable, read};

const TRACEFS: &str = "/sys/kernel/tracing";
const EVENT: &str = "events/filelock/flock_lock_inode";
/// What our instances' names begin with.
const PREFIX: &str = "baton-";
/// For each processor; a line takes about a hundred bytes of it.
const BUFFER_KIB: &str = "4096";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Why the ledger cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Tracing is for root.
    #[error("only root can read the kernel's ledger of locks; type `sudo make test`")]
    NotRoot,
    /// There is no tracefs, and it could not be mounted.
    #[error("the kernel's ledger of locks is in tracefs, which is not there; type `mount -t tracefs tracefs {TRACEFS}`: {0}")]
    NoTracefs(String),
    /// A file of tracefs, or one whose lock is to be watched.
    #[error("{doing} {}: {source}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A line that is not understood, or lines that are lost.
    #[error(transparent)]
    Line(#[from] Unreadable),
}

impl LedgerError {
    fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}

/// An open ledger. It is closed when dropped.
#[derive(Debug)]
pub struct Ledger {
    // Before the instance, which cannot be removed while it is read.
    pipe: File,
    instance: Instance,
    /// What was read after the last whole line.
    rest: Vec<u8>,
    entries: Vec<Entry>,
}

impl Ledger {
    /// Opens a ledger of the locks on `files`, which must be there.
    ///
    /// # Errors
    /// When this is not root, when there is no tracefs and none can be mounted, or when the kernel refuses.
    pub fn open<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, LedgerError> {
        if !rustix::process::geteuid().is_root() {
            return Err(LedgerError::NotRoot);
        }
        mount()?;
        let inodes = files.into_iter().map(inode).collect::<Result<Vec<_>, _>>()?;
        let instance = Instance::create()?;
        let terms: Vec<String> = inodes.iter().map(|inode| format!("i_ino == {}", inode.number)).collect();
        for (file, text) in [
            ("trace_clock", "boot"),
            ("buffer_size_kb", BUFFER_KIB),
            (&format!("{EVENT}/filter"), &terms.join(" || ")),
            (&format!("{EVENT}/enable"), "1"),
            ("tracing_on", "1"),
        ] {
            instance.set(file, text)?;
        }
        let path = instance.0.join("trace_pipe");
        let pipe = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path);
        Ok(Self { pipe: pipe.map_err(LedgerError::at("open", &path))?, instance, rest: Vec::new(), entries: Vec::new() })
    }

    /// Takes down what the kernel has written since the last time.
    ///
    /// # Errors
    /// When lines are lost or not understood.
    pub fn take_down(&mut self) -> Result<(), LedgerError> {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.pipe.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => self.rest.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(LedgerError::at("read", &self.instance.0.join("trace_pipe"))(error)),
            }
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        for line in String::from_utf8_lossy(&text).lines() {
            self.entries.extend(read(line)?);
        }
        Ok(())
    }

    /// The account of one file, from what was taken down.
    ///
    /// # Errors
    /// When the file is not there.
    pub fn account(&self, file: &Path) -> Result<Account, LedgerError> {
        Ok(Account::of(inode(file)?, &self.entries))
    }
}

/// Which file the ledger means by it.
fn inode(path: &Path) -> Result<Inode, LedgerError> {
    let status = rustix::fs::stat(path).map_err(|error| LedgerError::at("look at", path)(error.into()))?;
    let (major, minor) = (rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev));
    Ok(Inode { major, minor, number: status.st_ino })
}

fn mount() -> Result<(), LedgerError> {
    let is_there = || Path::new(TRACEFS).join("instances").is_dir();
    if is_there() {
        return Ok(());
    }
    let said = match Command::new("mount").args(["-t", "tracefs", "tracefs", TRACEFS]).output() {
        Ok(_) if is_there() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(LedgerError::NoTracefs(said))
}

/// A directory of tracefs with buffers of its own, which nobody else reads or switches off.
#[derive(Debug)]
struct Instance(PathBuf);

impl Instance {
    fn create() -> Result<Self, LedgerError> {
        let all = Path::new(TRACEFS).join("instances");
        remove_orphans(&all);
        let path = all.join(format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).map_err(LedgerError::at("create", &path))?;
        Ok(Self(path))
    }

    fn set(&self, file: &str, text: &str) -> Result<(), LedgerError> {
        let path = self.0.join(file);
        let write = |path: &Path| File::options().write(true).open(path)?.write_all(text.as_bytes());
        write(&path).map_err(LedgerError::at("write to", &path))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next ledger of another process.
        let _left = self.set(&format!("{EVENT}/enable"), "0").and_then(|()| self.set("tracing_on", "0"));
        let _left = fs::remove_dir(&self.0);
    }
}

/// Removes what tests that were killed have left: tracing goes on after the process that asked for it.
fn remove_orphans(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Somebody else may have been faster.
            let _gone = fs::remove_dir(entry.path());
        }
    }
}
