//! The processes of one generation, each held by a pidfd until it is gone.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;

use baton_proto::custody::Process;
use tokio::sync::mpsc;

use super::Input;
use crate::dialect::Signal;
use crate::handover::Whom;
use crate::os::process::{self, Handle, Unseen};
use crate::os::readable::Readable;

/// A master and the processes below it that are known.
#[derive(Debug)]
pub(super) struct Generation {
    master: Process,
    /// Those that were not yet seen to exit, the master among them.
    alive: HashMap<Process, Handle>,
    exits: mpsc::Sender<Input>,
}

impl Generation {
    /// Takes hold of a master; its exit, and that of everything gathered below it, arrives at `exits`.
    pub(super) fn of(master: Process, exits: mpsc::Sender<Input>) -> Self {
        let mut generation = Self { master, alive: HashMap::new(), exits };
        generation.hold(master);
        generation
    }

    pub(super) fn master(&self) -> Process {
        self.master
    }

    pub(super) fn master_lives(&self) -> bool {
        self.alive.contains_key(&self.master)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.alive.is_empty()
    }

    /// The processes that are still there.
    pub(super) fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.alive.keys().map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    }

    /// Takes hold of every process that is now below the master, except `other` and what is below that.
    pub(super) fn gather(&mut self, other: Option<Process>) {
        if !self.master_lives() {
            return;
        }
        for process in process::descendants(self.master.pid, other.map(|other| other.pid)) {
            if !self.alive.contains_key(&process) {
                self.hold(process);
            }
        }
    }

    fn hold(&mut self, process: Process) {
        match Handle::open(process).map_err(Held::Unseen).and_then(|handle| watch_exit(handle, self.exits.clone())) {
            Ok(handle) => {
                self.alive.insert(process, handle);
            }
            // It is gone between the listing and the look.
            Err(Held::Unseen(Unseen::Gone(_) | Unseen::Reused(_) | Unseen::Corpse(_))) => {}
            Err(error) => tracing::warn!(pid = process.pid, error = %error, "a process of the service cannot be held by a pidfd"),
        }
    }

    /// Takes note of an exit; whether the process was one of these.
    pub(super) fn bury(&mut self, process: Process) -> bool {
        self.alive.remove(&process).is_some()
    }

    /// Sends a signal to the master, or to all.
    ///
    /// # Errors
    /// When the master, if it is meant, could not be signalled.
    pub(super) fn signal(&self, whom: Whom, signal: Signal) -> io::Result<Vec<Process>> {
        match whom {
            Whom::Master => {
                let handle = self.alive.get(&self.master).ok_or(io::ErrorKind::NotFound)?;
                handle.signal(signal)?;
                Ok(vec![self.master])
            }
            // Of many, some may leave at this very moment.
            Whom::All => Ok(self
                .alive
                .values()
                .filter(|handle| handle.signal(signal).is_ok())
                .map(super::super::os::process::Handle::process)
                .collect()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Held {
    #[error(transparent)]
    Unseen(Unseen),
    #[error("its pidfd cannot be waited on: {0}")]
    Wait(io::Error),
}

/// Tells `exits` when the process is gone. The task ends with the process, or with the receiver.
fn watch_exit(handle: Handle, exits: mpsc::Sender<Input>) -> Result<Handle, Held> {
    let exited = Readable::of(handle.as_fd()).map_err(Held::Wait)?;
    let process = handle.process();
    tokio::spawn(async move {
        tokio::select! {
            _ = exited.ready() => {
                // The receiver is gone only when the driver is.
                let _ = exits.send(Input::Exited(process)).await;
            }
            () = exits.closed() => {}
        }
    });
    Ok(handle)
}
