//! A journal in memory that outlives its controller, and may be the last thing that one touches.
//!
//! **Invariant:** a write is whole or not there at all; where a controller dies at one, it never hears whether it was.

use std::sync::{Arc, Mutex, PoisonError};

use baton::journal::Entry;
use baton::store::{Keep, MemoryJournal, StoreError};
use tokio::sync::mpsc;

/// The write at which a controller dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastWrite {
    /// Which one, from 0, over all runs.
    pub(crate) number: u64,
    /// Whether it is kept.
    pub(crate) is_kept: bool,
}

/// The journal of one rollout.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    inner: Arc<Mutex<Inner>>,
    died: mpsc::Sender<()>,
}

#[derive(Debug)]
struct Inner {
    journal: MemoryJournal,
    writes: u64,
    last_writes: Vec<LastWrite>,
}

impl Ledger {
    /// An empty one, and where is told that its controller dies.
    pub(crate) fn new(last_writes: Vec<LastWrite>) -> (Self, mpsc::Receiver<()>) {
        let (died, deaths) = mpsc::channel(8);
        let inner = Inner { journal: MemoryJournal::default(), writes: 0, last_writes };
        (Self { inner: Arc::new(Mutex::new(inner)), died }, deaths)
    }

    /// Writes what no controller dies at.
    pub(crate) fn push(&self, entry: Entry) {
        self.with(|inner| inner.journal.entries.push(entry));
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.with(|inner| inner.journal.entries.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a write in; whether the controller lives on.
    fn take(&self, entries: &[Entry]) -> bool {
        self.with(|inner| {
            let number = inner.writes;
            inner.writes += 1;
            let last = inner.last_writes.iter().find(|last| last.number == number).copied();
            if last.is_none_or(|last| last.is_kept) {
                inner.journal.entries.extend_from_slice(entries);
            }
            last.is_none()
        })
    }
}

impl Keep for Ledger {
    async fn keep(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() || self.take(entries) {
            return Ok(());
        }
        let _ = self.died.try_send(());
        std::future::pending().await
    }
}
