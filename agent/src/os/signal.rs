//! Signals: which ones this process takes, and their numbers.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigSet, Signal as Posix, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::Signal as Number;

use crate::dialect::Signal;

/// Blocks every signal in the calling thread, for as long as it lives.
pub fn block_all_in_this_thread() {
    // Fails only for a bad `how`, which nix does not let us say.
    let _ = SigSet::all().thread_block();
}

/// The kernel's number of a dialect's signal.
pub fn number(signal: Signal) -> Number {
    match signal {
        Signal::Hup => Number::HUP,
        Signal::Usr1 => Number::USR1,
        Signal::Usr2 => Number::USR2,
        Signal::Winch => Number::WINCH,
        Signal::Int => Number::INT,
        Signal::Quit => Number::QUIT,
        Signal::Term => Number::TERM,
        Signal::Kill => Number::KILL,
    }
}

/// A signal to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// To be gone: SIGTERM, SIGINT or SIGQUIT.
    Stop,
    /// The same, by whoever may not know whether it has said so before: SIGPWR.
    StopOnce,
    /// A child has ended.
    Child,
    /// One that means something to servers, and nothing here.
    Other(&'static str),
}

const RECEIVED: [(Posix, Received); 8] = [
    (Posix::SIGTERM, Received::Stop),
    (Posix::SIGINT, Received::Stop),
    (Posix::SIGQUIT, Received::Stop),
    (Posix::SIGPWR, Received::StopOnce),
    (Posix::SIGCHLD, Received::Child),
    (Posix::SIGHUP, Received::Other("SIGHUP")),
    (Posix::SIGUSR1, Received::Other("SIGUSR1")),
    (Posix::SIGUSR2, Received::Other("SIGUSR2")),
];

/// The signals to this process, received through a descriptor instead of a handler.
#[derive(Debug)]
pub struct Inbox(SignalFd);

impl Inbox {
    /// Blocks the signals in this thread, and in those that it starts from now on, and receives them here.
    ///
    /// # Errors
    /// When there are too many open files.
    #[expect(unsafe_code, reason = "the disposition of SIGCHLD can be set by no safe call")]
    pub fn open() -> io::Result<Self> {
        let mask: SigSet = RECEIVED.iter().map(|(number, _)| *number).collect();
        mask.thread_block()?;
        // SAFETY: no handler is installed. A parent that ignores SIGCHLD hands that down through exec, and the kernel would then
        // bury our children and tell nobody.
        unsafe { signal(Posix::SIGCHLD, SigHandler::SigDfl) }?;
        Ok(Self(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next signal, if one has come.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn next(&self) -> io::Result<Option<Received>> {
        let received = self.0.read_signal()?.and_then(|info| i32::try_from(info.ssi_signo).ok());
        Ok(received.and_then(|number| RECEIVED.iter().find(|(posix, _)| *posix as i32 == number)).map(|(_, received)| *received))
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
