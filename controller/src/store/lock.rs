//! The lock of whoever walks a rollout: it is held exactly as long as that process lives.
//!
//! Its file is removed by whoever holds it. So whoever takes the lock looks whether the file is still the one at its path.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::Directory;
use super::open::private;

/// How often the lock is tried: whoever only looks whether it is held has it for a moment, too.
const TRIES_MAX: u32 = 20;

/// How long it waits between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(2);

/// The lock, held.
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    _file: File,
}

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum Held {
    /// Another process walks this rollout.
    #[error("rollout {rollout} is being walked by {}", pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")))]
    ByAnother {
        /// The rollout.
        rollout: String,
        /// Which process, where it has said so.
        pid: Option<u32>,
    },
    /// The file cannot be opened or locked.
    #[error("cannot lock {}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl RunLock {
    /// Takes the lock of a rollout.
    ///
    /// # Errors
    /// When another process has it.
    pub fn take(directory: &Directory, rollout: &str) -> Result<Self, Held> {
        let path = directory.lock(rollout);
        let failed = |source| Held::Failed { path: path.clone(), source };
        for _ in 0..TRIES_MAX {
            let mut file = private(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => {
                    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
                    return Ok(Self { path, _file: file });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => thread::sleep(TRY_AGAIN),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        Err(Held::ByAnother { rollout: rollout.to_owned(), pid: pid(&path) })
    }

    /// Which process walks a rollout, if one does; 0 where it has not said so yet.
    #[must_use]
    pub fn holder(directory: &Directory, rollout: &str) -> Option<u32> {
        let path = directory.lock(rollout);
        let file = File::open(&path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(pid(&path).unwrap_or_default()),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

/// Whether the file at `path` is this one.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (ours, theirs) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours == theirs)
}

fn pid(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Still held: nobody can have taken it for theirs.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::{Held, RunLock};
    use crate::store::Directory;

    #[test]
    fn a_rollout_is_walked_by_one_process_at_a_time() {
        let home = TempDir::new().unwrap();
        let directory = Directory::open(&home.path().join("state")).unwrap();
        assert_eq!(RunLock::holder(&directory, "r-1"), None);
        let lock = RunLock::take(&directory, "r-1").unwrap();
        assert_eq!(RunLock::holder(&directory, "r-1"), Some(std::process::id()));
        let held = RunLock::take(&directory, "r-1").unwrap_err();
        assert!(matches!(&held, Held::ByAnother { pid: Some(_), .. }), "{held}");
        assert!(RunLock::take(&directory, "r-2").is_ok(), "another rollout has another lock");
        drop(lock);
        assert_eq!(RunLock::holder(&directory, "r-1"), None);
        drop(RunLock::take(&directory, "r-1").unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
