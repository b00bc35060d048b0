//! Where a controller keeps its state: the journal, and a lock and a socket for each rollout under way.
//!
//! **Invariant:** nobody but its owner can write there.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::StoreError;

/// The directory, there and closed to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes the directory where it is not there yet.
    ///
    /// # Errors
    /// When it cannot be made, or others may write there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |source: io::Error| StoreError::Directory { path: path.to_owned(), source };
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        }
        let found = fs::metadata(path).map_err(failed)?;
        if found.mode() & 0o022 != 0 {
            return Err(StoreError::OpenToOthers { path: path.to_owned() });
        }
        Ok(Self(path.to_owned()))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The journal.
    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("journal.db")
    }

    /// The lock of whoever opens the journal.
    pub(super) fn opening(&self) -> PathBuf {
        self.0.join("journal.lock")
    }

    /// The lock of whoever walks a rollout.
    pub(super) fn lock(&self, rollout: &str) -> PathBuf {
        self.0.join(format!("{rollout}.lock"))
    }

    /// Where the process that walks a rollout takes orders.
    #[must_use]
    pub fn socket(&self, rollout: &str) -> PathBuf {
        self.0.join(format!("{rollout}.sock"))
    }
}
