//! Waiting for one of several things, without a thread or a runtime for each.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Waits until one of the descriptors is readable, and says which are; none when the time is over or a signal came.
///
/// # Errors
/// When the kernel has no memory for it.
pub fn readable<const N: usize>(descriptors: [Option<BorrowedFd<'_>>; N], within: Option<Duration>) -> io::Result<[bool; N]> {
    let timeout = within.map_or(PollTimeout::NONE, |within| {
        // Rounded up: to wake before the time would be to wake twice.
        PollTimeout::try_from(within.saturating_add(Duration::from_micros(999))).unwrap_or(PollTimeout::MAX)
    });
    let mut polled: Vec<PollFd<'_>> =
        descriptors.iter().flatten().map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN)).collect();
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut answers = polled.iter().map(|descriptor| descriptor.any().unwrap_or(false));
    Ok(descriptors.map(|descriptor| descriptor.is_some() && answers.next().unwrap_or(false)))
}

/// Rung by one thread, heard by another through its descriptor.
#[derive(Debug, Clone)]
pub struct Bell(Arc<EventFd>);

impl Bell {
    /// A bell that has not been rung.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?)))
    }

    /// Rings it; it stays rung.
    pub fn ring(&self) {
        // Fails only when it has been rung 2^64 - 2 times.
        let _ = self.0.write(1);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::{Bell, readable};

    #[test]
    fn only_what_was_rung_is_heard() {
        let (quiet, rung) = (Bell::new().expect("bell"), Bell::new().expect("bell"));
        rung.ring();
        let heard = readable([Some(quiet.as_fd()), None, Some(rung.as_fd())], None).expect("poll");
        assert_eq!(heard, [false, false, true]);
        let heard = readable([Some(quiet.as_fd())], Some(Duration::ZERO)).expect("poll");
        assert_eq!(heard, [false]);
    }
}
