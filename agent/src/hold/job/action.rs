//! What a hold has done.

use baton_proto::custody::{FileIdentity, Process};

use super::super::exit::Exit;
use super::event::Ended;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hold) enum Action {
    /// Look who of those we know of holds the lock, and answer with [`super::Event::Looked`].
    Look,
    /// The same, and where nobody is found, look at everybody on this machine.
    Search,
    /// Run the command.
    Start,
    /// Start the waiter on this file, and answer with [`super::Event::Armed`] or [`super::Event::WaiterFailed`].
    Arm(FileIdentity),
    /// Have changes of the files told from now on; if that fails, answer with [`super::Event::NotWatched`].
    Watch,
    /// Have them no longer told.
    Unwatch,
    /// Send this process the graceful stop signal.
    Ask(Process),
    /// Send every holder that a walk over all processes finds, and everybody of ours, away.
    Force(Force),
    /// Say something to people.
    Say(Note),
    /// Exit.
    Exit(Exit),
}

/// Something that people should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hold) enum Note {
    /// The command was started.
    Started(Process),
    /// A living server was found; the command is not started.
    Adopted(Process),
    /// The first holder was found.
    Held(Process),
    /// The waiter is at work.
    Waiting,
    /// The command ended while its service lives on.
    EndedAlone(Ended),
    /// The command ended and nobody holds the lock yet.
    EndedEarly(Ended),
    /// The lock is free.
    Free,
    /// The command ended and nobody has ever held the lock.
    NeverHeld,
    /// The deadline for the first holder has passed.
    TooLate,
    /// hold was told to stop.
    Stopping,
    /// There is no master to be asked to leave.
    NobodyToAsk,
    /// Nobody of ours is left.
    Gone,
    /// The last resort failed.
    StillThere,
}

/// How hard a process is told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hold) enum Force {
    /// With SIGTERM.
    Term,
    /// With SIGKILL.
    Kill,
}
