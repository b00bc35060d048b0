//! The operator's ^C, the system's wish that we end, and the end of the terminal.
//!
//! A terminal that goes away says so more than once: the shell tells its jobs, then the kernel tells them too. Nobody can have
//! meant the second as a second ^C. So a hangup drains a rollout and never leaves it at once.
//!
//! **Invariant:** a signal that was ignored when we started stays ignored: `nohup baton restart …` outlives its terminal.

use std::fs;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// How many interrupts are remembered: the first drains, the second leaves, more say nothing new.
const INTERRUPTS_MAX: usize = 4;

/// Where the kernel tells which signals this process ignores.
const OWN_STATUS: &str = "/proc/self/status";

/// Interrupts, as they come.
#[derive(Debug)]
pub struct Interrupts(mpsc::Receiver<()>);

impl Interrupts {
    /// Interrupts that somebody else makes.
    pub fn by_hand() -> (mpsc::Sender<()>, Self) {
        let (sender, interrupts) = mpsc::channel(INTERRUPTS_MAX);
        (sender, Self(interrupts))
    }

    /// Takes over SIGINT, SIGTERM and SIGHUP: from here on they no longer end the process.
    ///
    /// # Errors
    /// When the handlers cannot be set.
    pub fn take_over() -> io::Result<Self> {
        let (sender, interrupts) = Self::by_hand();
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hangup = hangups()?;
        tokio::spawn(async move {
            let mut is_told = false;
            loop {
                let says_something_new = tokio::select! {
                    // Whoever ends a session may send both at once: then the hangup is the one that says nothing new.
                    biased;
                    _ = interrupt.recv() => true,
                    _ = terminate.recv() => true,
                    () = next(hangup.as_mut()) => !is_told,
                };
                if says_something_new && sender.send(()).await.is_err() {
                    return;
                }
                is_told = true;
            }
        });
        Ok(interrupts)
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// The hangups, unless they are ignored.
fn hangups() -> io::Result<Option<Signal>> {
    let kind = SignalKind::hangup();
    let status = fs::read_to_string(OWN_STATUS)?;
    if is_ignored(&status, kind) { Ok(None) } else { signal(kind).map(Some) }
}

/// Whether a process with this status ignores a signal. What cannot be read ignores none.
fn is_ignored(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // The lowest bit is that of signal 1.
    mask.checked_shr(kind.as_raw_value().unsigned_abs().saturating_sub(1)).is_some_and(|bits| bits & 1 == 1)
}

async fn next(signal: Option<&mut Signal>) {
    let told = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if told.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::signal::unix::SignalKind;

    use super::is_ignored;

    #[test]
    fn the_kernel_tells_what_is_ignored_by_one_bit_a_signal() {
        let ignored = |mask: &str| is_ignored(&format!("Name:\tbaton\nSigIgn:\t{mask}\nSigCgt:\tff\n"), SignalKind::hangup());
        assert!(ignored("0000000000000001"));
        assert!(ignored("0000000000001001"));
        assert!(!ignored("0000000000001000"));
        assert!(!ignored("nonsense"));
        assert!(!is_ignored("", SignalKind::hangup()));
    }
}
