//! Signals as something to read: they are blocked, and wait in a descriptor.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for or tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// USR2: start a new generation.
    HandOver,
    /// HUP: replace the workers.
    Reload,
    /// QUIT: finish what was begun, then leave.
    Finish,
    /// TERM or INT: leave now.
    Stop,
    /// TTIN: unlock the lock and lock it again.
    Relock,
    /// CHLD: a child has ended.
    ChildEnded,
}

const NOTICES: [(Signal, Notice); 7] = [
    (Signal::SIGUSR2, Notice::HandOver),
    (Signal::SIGHUP, Notice::Reload),
    (Signal::SIGQUIT, Notice::Finish),
    (Signal::SIGTERM, Notice::Stop),
    (Signal::SIGINT, Notice::Stop),
    (Signal::SIGTTIN, Notice::Relock),
    (Signal::SIGCHLD, Notice::ChildEnded),
];

/// Blocks the signals, in this process and all that it forks or execs, and opens the descriptor.
pub(crate) fn open() -> nix::Result<SignalFd> {
    let set: SigSet = NOTICES.iter().map(|(signal, _)| *signal).collect();
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// The next notice that waits, if any.
pub(crate) fn next(signals: &SignalFd) -> nix::Result<Option<Notice>> {
    let Some(read) = signals.read_signal()? else { return Ok(None) };
    let found = NOTICES.iter().find(|(signal, _)| u32::try_from(*signal as i32) == Ok(read.ssi_signo));
    Ok(found.map(|(_, notice)| *notice))
}
