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

/// A waiter ended.
#[derive(Debug)]
pub struct Wake {
    /// Which one.
    waiter: u64,
    /// Its grant, or why the kernel did not let it wait: it has no memory for locks left.
    pub result: Result<Grant, String>,
}

/// A waiter was granted: nobody held the lock.
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
    wakes: mpsc::Sender<Wake>,
    /// The present waiter, and the file on which it waits.
    present: Option<(u64, FileIdentity)>,
    /// How many were armed.
    count: u64,
    /// How many of them wait, on whatever file.
    waiting: usize,
}

impl Waiters {
    /// Waiters that number their grants from `numbers`, and where their ends arrive.
    pub fn new(numbers: Arc<Numbers>) -> (Self, mpsc::Receiver<Wake>) {
        let (wakes, arrivals) = mpsc::channel(WAITERS_MAX);
        (Self { numbers, wakes, present: None, count: 0, waiting: 0 }, arrivals)
    }

    /// The file on which the present waiter waits.
    pub fn armed(&self) -> Option<FileIdentity> {
        self.present.map(|(_, file)| file)
    }

    /// Takes note of the end of a waiter. Whether it was the present one: one of a replaced file says nothing of the service.
    pub fn bury(&mut self, wake: &Wake) -> bool {
        self.waiting = self.waiting.saturating_sub(1);
        self.present.take_if(|(waiter, _)| *waiter == wake.waiter).is_some()
    }

    /// Arms a waiter on `file`, which `path` must name and somebody must hold, unless one waits there already.
    ///
    /// # Errors
    /// When it cannot be armed.
    pub fn arm(&mut self, path: &Path, file: FileIdentity) -> Result<(), NotArmed> {
        if self.armed() == Some(file) {
            return Ok(());
        }
        if self.waiting >= WAITERS_MAX {
            return Err(NotArmed::TooMany);
        }
        let (opened, identity) = lock::open(path).map_err(NotArmed::Open)?;
        if identity != file {
            return Err(NotArmed::Replaced);
        }
        let (waiter, numbers, wakes) = (self.count, Arc::clone(&self.numbers), self.wakes.clone());
        let wait = move || {
            let result = wait(opened, identity, &numbers);
            // The driver is gone only when the agent stops.
            drop(wakes.blocking_send(Wake { waiter, result }));
        };
        thread::Builder::new().name("waiter".into()).stack_size(STACK_BYTES).spawn(wait).map_err(NotArmed::Thread)?;
        self.present = Some((waiter, file));
        self.count += 1;
        self.waiting += 1;
        Ok(())
    }
}

fn wait(file: File, identity: FileIdentity, numbers: &Numbers) -> Result<Grant, String> {
    signal::block_all_in_this_thread();
    lock::wait(&file).map_err(|error| error.to_string())?;
    let grant = Grant { seq: numbers.take(), at: clock::since_boot(), file: identity };
    lock::release(file);
    Ok(grant)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use baton_proto::custody::Seq;

    use super::{NotArmed, Waiters};
    use crate::journal::Numbers;
    use crate::os::lock;

    fn waiters() -> (Waiters, tokio::sync::mpsc::Receiver<super::Wake>) {
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
        let (mut waiters, mut wakes) = waiters();
        let (_, file) = lock::open(&path).expect("open");
        waiters.arm(&path, file).expect("arm");
        for holder in holders {
            assert!(wakes.try_recv().is_err(), "somebody still holds it");
            drop(holder);
        }
        let wake = wakes.blocking_recv().expect("a wake");
        let grant = wake.result.clone().expect("a grant");
        assert_eq!((grant.seq, grant.file), (Seq(1), file));
        assert!(waiters.bury(&wake));
        assert_eq!(waiters.armed(), None);
        // It was released at once: a server gets its lock.
        File::open(&path).expect("open").try_lock_shared().expect("the waiter let go");
    }

    #[test]
    fn the_end_of_an_earlier_waiter_is_told_from_that_of_the_present_one() {
        let directory = tempfile::tempdir().expect("directory");
        let paths = ["a", "b"].map(|name| directory.path().join(name));
        let hold = |path: &std::path::Path| {
            let holder = File::options().append(true).create(true).open(path).expect("open");
            holder.lock_shared().expect("lock");
            (holder, lock::identity(path).expect("identity"))
        };
        let [(one, a), (other, b)] = [hold(&paths[0]), hold(&paths[1])];
        let (mut waiters, mut wakes) = waiters();
        for (path, file) in [(&paths[0], a), (&paths[1], b), (&paths[0], a)] {
            waiters.arm(path, file).expect("arm");
        }
        drop(one);
        // Two waiters were on the first file; only the later one is the present one.
        let present: Vec<bool> = (0..2).map(|_| waiters.bury(&wakes.blocking_recv().expect("a wake"))).collect();
        assert_eq!(present.iter().filter(|present| **present).count(), 1);
        drop(other);
        assert!(!waiters.bury(&wakes.blocking_recv().expect("a wake")));
    }

    #[test]
    fn a_replaced_lock_file_is_not_waited_on() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("lock");
        File::create(&path).expect("create");
        let (_held, file) = lock::open(&path).expect("open");
        File::create(directory.path().join("other")).expect("create");
        std::fs::rename(directory.path().join("other"), &path).expect("rename");
        let (mut waiters, _wakes) = waiters();
        assert!(matches!(waiters.arm(&path, file), Err(NotArmed::Replaced)));
        std::fs::remove_file(&path).expect("remove");
        assert!(matches!(waiters.arm(&path, file), Err(NotArmed::Open(_))));
    }
}
