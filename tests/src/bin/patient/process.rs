//! Forking: the only unsafe call of the patient.

use nix::unistd::{ForkResult, Pid, fork};

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The parent, with its child's pid.
    Parent(Pid),
    /// The child.
    Child,
}

/// Splits the process in two.
#[expect(unsafe_code, reason = "a prefork server forks")]
pub(crate) fn split() -> nix::Result<Side> {
    // SAFETY: the patient never starts a thread, so the child finds every lock of the allocator and of std free.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Side::Parent(child)),
        ForkResult::Child => Ok(Side::Child),
    }
}
