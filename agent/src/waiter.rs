//! The waiter: a thread of its own, blocked in an exclusive flock, that wakes when the last holder is gone.
//!
//! It costs nothing while it waits: no timer, no polling, no wake-up. It is armed only once a holder was seen, because
//! nothing announces that a lock is taken, and an exclusive lock asked for before would be granted at once.
//!
//! It is never cancelled: it ends with its grant, or with the process. A lock file that was replaced leaves its waiter
//! behind until the last holder of the old file is gone; [`WAITERS_MAX`] bounds that.
//!
//! **Invariant:** the lock is released and the file closed the instant that it is granted: a server that comes meanwhile
//! waits for a microsecond, not for us.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use baton_proto::custody::{FileIdentity, Seq};
use tokio::sync::mpsc;

use crate::journal::Numbers;
use crate::os::{clock, lock, signal};

/// How many waiters one service may have, all but one of them on files that were replaced.
pub const WAITERS_MAX: usize = 8;
/// It only waits, unlocks and tells.
const STACK_BYTES: usize = 64 * 1024;

/// The waiter was granted: nobody held the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Its number.
    pub seq: Seq,
    /// When, since boot.
    pub at: Duration,
    /// The file that was free.
    pub file: FileIdentity,
}

/// Why no waiter could be armed.
#[derive(Debug, thiserror::Error)]
pub enum NotArmed {
    /// The lock file cannot be opened.
    #[error("the lock file cannot be opened for waiting")]
    Open(#[source] io::Error),
    /// The path names another file than the one that is held.
    #[error("the lock file was replaced: the path names another file than the master holds")]
    Replaced,
    /// Earlier waiters are still blocked.
    #[error("the lock file was replaced {WAITERS_MAX} times and the old files are still held")]
    TooMany,
    /// No thread can be had.
    #[error("no thread could be started to wait for the lock")]
    Thread(#[source] io::Error),
}

/// What arms the waiters of one service.
#[derive(Debug)]
pub struct Waiters {
    numbers: Arc<Numbers>,
    grants: mpsc::Sender<Grant>,
    armed: Option<FileIdentity>,
    /// One clone is in each waiting thread.
    alive: Arc<()>,
}

impl Waiters {
    /// Waiters that number their grants from `numbers`, and where the grants arrive.
    pub fn new(numbers: Arc<Numbers>) -> (Self, mpsc::Receiver<Grant>) {
        let (grants, arrivals) = mpsc::channel(WAITERS_MAX);
        (Self { numbers, grants, armed: None, alive: Arc::new(()) }, arrivals)
    }

    /// The file on which the present waiter waits.
    pub fn armed(&self) -> Option<FileIdentity> {
        self.armed
    }

    /// Takes note of a grant. Whether it was the present waiter's: one of a replaced file says nothing of the service.
    pub fn disarm(&mut self, grant: Grant) -> bool {
        let present = self.armed == Some(grant.file);
        if present {
            self.armed = None;
        }
        present
    }

    /// Arms a waiter on `file`, which `path` must name and somebody must hold, unless one waits there already.
    ///
    /// # Errors
    /// When it cannot be armed.
    pub fn arm(&mut self, path: &Path, file: FileIdentity) -> Result<(), NotArmed> {
        if self.armed == Some(file) {
            return Ok(());
        }
        if Arc::strong_count(&self.alive) > WAITERS_MAX {
            return Err(NotArmed::TooMany);
        }
        let (opened, identity) = lock::open(path).map_err(NotArmed::Open)?;
        if identity != file {
            return Err(NotArmed::Replaced);
        }
        let (numbers, grants, alive) = (Arc::clone(&self.numbers), self.grants.clone(), Arc::clone(&self.alive));
        let wait = move || {
            wait(opened, identity, &numbers, &grants);
            drop(alive);
        };
        thread::Builder::new().name("waiter".into()).stack_size(STACK_BYTES).spawn(wait).map_err(NotArmed::Thread)?;
        self.armed = Some(file);
        Ok(())
    }
}

fn wait(file: File, identity: FileIdentity, numbers: &Numbers, grants: &mpsc::Sender<Grant>) {
    signal::block_all_in_this_thread();
    let granted = lock::wait(&file);
    let (seq, at) = (numbers.take(), clock::since_boot());
    lock::release(file);
    match granted {
        // The driver is gone only when the agent stops.
        Ok(()) => drop(grants.blocking_send(Grant { seq, at, file: identity })),
        // ENOLCK: the number stays a hole, so a window around it is not proven.
        Err(error) => tracing::error!(%error, "the waiter was refused by the kernel"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use baton_proto::custody::Seq;

    use super::{NotArmed, Waiters};
    use crate::journal::Numbers;
    use crate::os::lock;

    fn waiters() -> (Waiters, tokio::sync::mpsc::Receiver<super::Grant>) {
        Waiters::new(Arc::new(Numbers::starting_at(Seq(1))))
    }

    #[test]
    fn a_waiter_is_granted_when_the_last_holder_is_gone() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("lock");
        let holders: Vec<File> = (0..3).map(|_| File::options().append(true).create(true).open(&path).expect("open")).collect();
        for holder in &holders {
            holder.lock_shared().expect("lock");
        }
        let (mut waiters, mut grants) = waiters();
        let (_, file) = lock::open(&path).expect("open");
        waiters.arm(&path, file).expect("arm");
        for holder in holders {
            assert!(grants.try_recv().is_err(), "somebody still holds it");
            drop(holder);
        }
        let grant = grants.blocking_recv().expect("grant");
        assert_eq!((grant.seq, grant.file), (Seq(1), file));
        assert!(waiters.disarm(grant));
        assert_eq!(waiters.armed(), None);
        // It was released at once: a server gets its lock.
        File::open(&path).expect("open").try_lock_shared().expect("the waiter let go");
    }

    #[test]
    fn a_replaced_lock_file_is_not_waited_on() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("lock");
        File::create(&path).expect("create");
        let (_held, file) = lock::open(&path).expect("open");
        File::create(directory.path().join("other")).expect("create");
        std::fs::rename(directory.path().join("other"), &path).expect("rename");
        let (mut waiters, _grants) = waiters();
        assert!(matches!(waiters.arm(&path, file), Err(NotArmed::Replaced)));
        std::fs::remove_file(&path).expect("remove");
        assert!(matches!(waiters.arm(&path, file), Err(NotArmed::Open(_))));
    }
}
