//! What the loop of a rollout writes to: the journal on disk, or one in memory for walks on a clock that is turned by hand.

use std::future::{Future, ready};

use super::{Store, StoreError};
use crate::journal::Entry;

/// Keeps the entries of one run of one rollout.
pub trait Keep {
    /// Keeps these entries, all or none: they are safe when this returns.
    ///
    /// # Errors
    /// When they could not be kept. Then nothing that they tell of may be done.
    fn keep(&mut self, entries: &[Entry]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The journal on disk, for one run of one rollout.
#[derive(Debug)]
pub struct RunJournal {
    store: Store,
    rollout: String,
    run: u32,
}

impl RunJournal {
    /// Writes for that run.
    #[must_use]
    pub fn new(store: Store, rollout: &str, run: u32) -> Self {
        Self { store, rollout: rollout.to_owned(), run }
    }

    /// The journal, when the run is over.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
    }
}

impl Keep for RunJournal {
    async fn keep(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.store.append(&self.rollout, self.run, entries).await
    }
}

/// A journal in memory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MemoryJournal {
    /// All that was kept, in its order.
    pub entries: Vec<Entry>,
}

impl Keep for MemoryJournal {
    fn keep(&mut self, entries: &[Entry]) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.entries.extend_from_slice(entries);
        ready(Ok(()))
    }
}
