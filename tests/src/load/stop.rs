//! What the clients of one load share: the order to stop, and the running count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The order to stop, and the running count.
#[derive(Debug, Default)]
pub(super) struct Stop {
    pulled: Mutex<bool>,
    changed: Condvar,
    served: AtomicU64,
    failed: AtomicU64,
}

impl Stop {
    /// Orders all clients to stop.
    pub(super) fn pull(&self) {
        *self.pulled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits, but not beyond the order to stop; true when it was given.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(pulled, time, |pulled| !*pulled);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Counts one request.
    pub(super) fn count(&self, served: bool) {
        let counter = if served { &self.served } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Served and failed.
    pub(super) fn so_far(&self) -> (u64, u64) {
        (self.served.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}
