//! How a door behaves when the kernel gives it no connection, such as when descriptors have run out.

use std::io;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// Waits that grow while accepting goes on failing.
#[derive(Debug)]
pub(super) struct Backoff {
    door: &'static str,
    next: Duration,
}

impl Backoff {
    /// For the door of that name.
    pub(super) fn new(door: &'static str) -> Self {
        Self { door, next: FIRST }
    }

    /// Accepting worked.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Accepting failed: told once for each time of trouble, then waited out.
    pub(super) async fn wait(&mut self, error: &io::Error) {
        let gone_already = matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted);
        if gone_already {
            return;
        }
        if self.next == FIRST {
            tracing::warn!(door = self.door, %error, "no connection can be accepted; trying again");
        }
        tokio::time::sleep(self.next).await;
        self.next = LONGEST.min(self.next * 2);
    }
}
