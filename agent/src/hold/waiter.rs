//! The one who waits: a thread blocked in an exclusive flock, until nobody holds the lock.
//!
//! **Invariant:** what is granted is let go of and closed at once: a server that comes meanwhile waits for a moment, not for us.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::thread::{self, JoinHandle};

use baton_proto::custody::FileIdentity;

use crate::os::wait::Bell;
use crate::os::{lock, signal};

/// It only waits, lets go and rings.
const STACK_BYTES: usize = 64 * 1024;

/// Why nobody waits for the lock.
#[derive(Debug, thiserror::Error)]
pub(super) enum WaiterError {
    /// The lock file cannot be opened.
    #[error("the lock file cannot be opened to wait for it")]
    Open(#[source] io::Error),
    /// The path names another file than the one that is held.
    #[error("the lock file was replaced while it was looked at")]
    Replaced,
    /// No thread can be had.
    #[error("no thread can be had to wait for the lock")]
    Thread(#[source] io::Error),
    /// The kernel refused the lock.
    #[error("the kernel refused to wait for the lock")]
    Refused(#[source] io::Error),
}

/// A waiter at work. It ends with its grant, or with the process.
#[derive(Debug)]
pub(super) struct Waiter {
    bell: Bell,
    thread: JoinHandle<io::Result<()>>,
}

impl Waiter {
    /// Begins to wait for `file`, which `path` must name and somebody must hold.
    pub(super) fn arm(path: &Path, file: FileIdentity) -> Result<Self, WaiterError> {
        let (opened, identity) = lock::open(path).map_err(WaiterError::Open)?;
        if identity != file {
            return Err(WaiterError::Replaced);
        }
        let bell = Bell::new().map_err(WaiterError::Thread)?;
        let rung = bell.clone();
        let wait = move || {
            signal::block_all_in_this_thread();
            let granted = lock::wait(&opened);
            lock::release(opened);
            rung.ring();
            granted
        };
        let thread =
            thread::Builder::new().name("waiter".into()).stack_size(STACK_BYTES).spawn(wait).map_err(WaiterError::Thread)?;
        Ok(Self { bell, thread })
    }

    /// How it ended; to be asked once it has rung.
    pub(super) fn outcome(self) -> Result<(), WaiterError> {
        match self.thread.join() {
            Ok(granted) => granted.map_err(WaiterError::Refused),
            Err(_) => Err(WaiterError::Refused(io::Error::other("the waiter panicked"))),
        }
    }
}

impl AsFd for Waiter {
    /// Readable once it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
