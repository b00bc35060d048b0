//! Waiting, asleep, until the kernel has something to say on a descriptor.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that can be waited on.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Waits on a duplicate of this descriptor, so that the original may be used and closed freely.
    ///
    /// # Errors
    /// When there are no descriptors left, or this one cannot be polled.
    pub fn of(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let duplicate = descriptor.try_clone_to_owned()?;
        // SAFETY: an `OwnedFd` is open, and the same descriptor, from its making to its drop, and nobody else has this one.
        #[expect(unsafe_code, reason = "tokio cannot know by the type that the descriptor stays the same; for OwnedFd it does")]
        let registered = unsafe { AsyncFd::register_with_interest(duplicate, Interest::READABLE) };
        Ok(Self(registered.map_err(io::Error::from)?))
    }

    /// Returns when there may be something to read. The caller reads all there is, until the kernel has no more.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn ready(&self) -> io::Result<()> {
        let mut guard = self.0.readable().await?;
        guard.clear_ready();
        Ok(())
    }
}
