//! The processes of one generation, each held by a pidfd until it is gone.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;

use baton_proto::custody::{FileIdentity, Process};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Input;
use crate::dialect::Signal;
use crate::handover::Whom;
use crate::os::process::{self, Handle, Seen, Unseen};
use crate::os::readable::Readable;

/// A master and the processes below it that are known.
#[derive(Debug)]
pub(super) struct Generation {
    master: Process,
    /// Those that were not yet seen to exit, the master among them.
    alive: HashMap<Process, Member>,
    /// The file that the master executed when that was remembered.
    program: Option<FileIdentity>,
    exits: mpsc::Sender<Input>,
}

/// A process that was not yet seen to exit.
#[derive(Debug)]
struct Member {
    handle: Handle,
    /// The task that waits for its exit. It has a pidfd of its own, so it must end with us.
    waiting: AbortHandle,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

impl Generation {
    /// Takes hold of a master; its exit, and that of everything gathered below it, arrives at `exits`.
    pub(super) fn of(master: Process, exits: mpsc::Sender<Input>) -> Self {
        let mut generation = Self { master, alive: HashMap::new(), program: None, exits };
        generation.hold(master);
        generation
    }

    /// Takes hold of these processes and of nobody else, the master among them or not; none when none of them is there.
    pub(super) fn among(processes: &[Process], exits: mpsc::Sender<Input>) -> Option<Self> {
        let mut generation = Self { master: *processes.first()?, alive: HashMap::new(), program: None, exits };
        for process in processes {
            generation.hold(*process);
        }
        (!generation.is_empty()).then_some(generation)
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

    /// Whether nobody but the master can be there.
    pub(super) fn has_no_workers(&self) -> bool {
        self.alive.keys().all(|process| *process == self.master)
    }

    /// Remembers the file that the master executes, by which a worker of it is told from a program that it has started.
    pub(super) fn remember_program(&mut self) {
        self.program = process::program(self.master.pid);
    }

    /// Whether a process is known to execute another file than the master did: what becomes of it is not for a handover to say.
    fn is_helper(&self, process: Process) -> bool {
        let programs = self.program.zip(process::program(process.pid));
        programs.is_some_and(|(program, other)| program != other)
    }

    /// Lets go of everybody who is known to execute another file than the master did.
    pub(super) fn let_helpers_go(&mut self) {
        let helpers: Vec<Process> = self.processes().into_iter().filter(|process| self.is_helper(*process)).collect();
        for helper in helpers {
            self.bury(helper);
        }
    }

    /// Whether this process was taken hold of and is still there.
    pub(super) fn includes(&self, process: Process) -> bool {
        self.alive.contains_key(&process)
    }

    /// The processes that are still there.
    pub(super) fn processes(&self) -> Vec<Process> {
        let mut processes: Vec<Process> = self.alive.keys().copied().collect();
        processes.sort_unstable_by_key(|process| process.pid);
        processes
    }

    /// Their pids.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.processes().into_iter().map(|process| process.pid).collect()
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

    /// Takes hold of one more process, if it is there.
    pub(super) fn hold(&mut self, process: Process) {
        match Handle::open(process).map_err(NotHeld::Unseen).and_then(|handle| watch_exit(handle, self.exits.clone())) {
            Ok(member) => {
                self.alive.insert(process, member);
            }
            // It is gone between the listing and the look.
            Err(NotHeld::Unseen(unseen)) if unseen.is_dead() => {}
            Err(error) => tracing::warn!(pid = process.pid, %error, "a process of the service cannot be held by a pidfd"),
        }
    }

    /// Takes note of an exit; whether the process was one of these.
    pub(super) fn bury(&mut self, process: Process) -> bool {
        self.alive.remove(&process).is_some()
    }

    /// Looks at the master: while it is not seen to have exited, by its pidfd.
    pub(super) fn look(&self, file: FileIdentity) -> Result<Seen, Unseen> {
        let held = self.alive.get(&self.master);
        held.map_or_else(|| process::look_again(self.master, file), |member| member.handle.look(file))
    }

    /// Sends a signal to the master, to all, or to all but the master.
    ///
    /// # Errors
    /// When the master, if it is meant, could not be signalled.
    pub(super) fn signal(&self, whom: Whom, signal: Signal) -> io::Result<Vec<Process>> {
        match whom {
            Whom::Master => {
                let master = self.alive.get(&self.master).ok_or(io::ErrorKind::NotFound)?;
                master.handle.signal(signal)?;
                Ok(vec![self.master])
            }
            // Of many, some may leave at this very moment.
            Whom::All | Whom::Workers => Ok(self
                .alive
                .iter()
                .filter(|(process, _)| whom == Whom::All || **process != self.master && !self.is_helper(**process))
                .filter(|(_, member)| member.handle.signal(signal).is_ok())
                .map(|(process, _)| *process)
                .collect()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum NotHeld {
    #[error(transparent)]
    Unseen(Unseen),
    #[error("its pidfd cannot be waited on: {0}")]
    Wait(io::Error),
}

/// Tells `exits` when the process is gone.
fn watch_exit(handle: Handle, exits: mpsc::Sender<Input>) -> Result<Member, NotHeld> {
    let exited = Readable::of(handle.as_fd()).map_err(NotHeld::Wait)?;
    let process = handle.process();
    let waiting = tokio::spawn(async move {
        // It fails only when the runtime ends; the receiver is gone only when the driver is.
        if exited.ready().await.is_ok() {
            let _ = exits.send(Input::Exited(process)).await;
        }
    });
    Ok(Member { handle, waiting: waiting.abort_handle() })
}
