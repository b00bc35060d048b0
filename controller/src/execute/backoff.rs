//! How long to wait before contact is sought again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from 0.2 s to 5 s.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// Whether anybody has waited yet.
    pub(super) fn has_waited(&self) -> bool {
        self.0 != FIRST
    }

    /// Waits, and the next time longer.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST);
    }
}
