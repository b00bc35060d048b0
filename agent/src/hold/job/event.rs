//! What a hold is told.

use baton_proto::custody::{FileIdentity, Process};

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hold) enum Event {
    /// hold began.
    Began,
    /// A look was made.
    Looked(Look),
    /// A name or the lock file changed, or a child of ours is gone: it is worth a look.
    Stirred,
    /// The command runs.
    Started(Process),
    /// The command could not be run.
    NotStarted(NotStarted),
    /// The command ended.
    Ended(Ended),
    /// The waiter is at work.
    Armed,
    /// The waiter was granted: nobody holds the lock.
    Granted,
    /// The waiter could not be started on the file that was seen, or failed.
    WaiterFailed,
    /// Changes of the files cannot be told.
    NotWatched,
    /// hold was told to stop; once more, to hurry.
    ToldToStop,
    /// hold was told to stop by an agent, which may have forgotten that it had said so before.
    ToldToStopOnce,
    /// Time has passed.
    Tick,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::hold) struct Look {
    /// The file at the lock's path, if there is one.
    pub file: Option<FileIdentity>,
    /// Who holds it and is a master: named by a pid file, or above all other holders.
    pub masters: Vec<Process>,
    /// Named by a pid file and alive, but not (yet) holding.
    pub named: Vec<Process>,
    /// Everybody alive that came from our command, or from a holder that was seen; holding or not.
    pub kin: Vec<Process>,
}

/// Why the command could not be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hold) enum NotStarted {
    /// It was not found.
    NotFound,
    /// It was found and may not be executed.
    NotExecutable,
    /// The system had no room for another process, or the directory that it was to run in was not there.
    NoRoom,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By the signal with this number.
    Signal(i32),
}
