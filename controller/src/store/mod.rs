//! The journal of rollouts on disk: one SQLite file in the operator's state directory, and beside it each run's lock.
//!
//! # Theory of operation
//! All entries of one step go to disk in one transaction that has been flushed when [`Store::append`] returns. A transaction
//! takes the write lock when it begins, so two controllers on one journal wait for each other and never fail. What lists need
//! (how many hosts are proven, when a run ended) is kept in tables of its own, written in the same transaction.
//!
//! **Invariant:** an entry is never changed and never deleted; `(rollout, seq)` is its place for good.
//! **Invariant:** a file that a newer program wrote, or that is damaged, is not written to.

mod directory;
mod error;
mod keep;
mod lock;
mod open;
mod read;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use sqlx::SqliteConnection;

pub use directory::Directory;
pub use error::StoreError;
pub use keep::{Keep, MemoryJournal, RunJournal};
pub use lock::{Held, RunLock};
pub use read::{Listed, RolloutRow, RunRow, Written};

/// The journal, open.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: SqliteConnection,
}

/// A rollout that is about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRollout {
    /// Its id.
    pub id: String,
    /// The fleet.
    pub fleet: String,
    /// The service.
    pub service: String,
    /// The release to switch to, if one was named.
    pub release: Option<String>,
    /// Who began it.
    pub operator: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Where the inventory lay.
    pub inventory: PathBuf,
    /// The rollout that it undoes.
    pub undo_of: Option<String>,
    /// How many hosts were chosen.
    pub hosts: usize,
    /// The plan, as a document.
    pub plan: String,
}

impl Store {
    /// Lets go of the file.
    ///
    /// # Errors
    /// When that fails; what was written is on disk whatever happens here.
    pub async fn close(self) -> Result<(), StoreError> {
        let Self { path, connection } = self;
        sqlx::Connection::close(connection).await.map_err(|source| StoreError::of(&path, "close it", source))
    }
}

/// The time since 1970 by this machine's clock, in whole milliseconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A time of the journal.
fn since_1970(milliseconds: i64) -> Duration {
    Duration::from_millis(milliseconds.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests;
