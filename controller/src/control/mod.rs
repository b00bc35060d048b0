//! Orders from another terminal: the process that walks a rollout listens on a unix socket, and whoever is the same user may ask.
//!
//! One connection is one request: a line of JSON such as `{"order":"pause"}`, answered by a line such as
//! `{"answer":"paused; 2 hosts in flight are waited for"}` or `{"refused":"…"}`.
//!
//! **Invariant:** nobody who connects can hold up the rollout: every read and every wait has a deadline, every line a length,
//! and only so many connections are open at once.

mod error;
mod listen;
mod message;
mod order;

use std::path::Path;
use std::time::Duration;

pub use error::ControlError;
pub use listen::{Controls, Request};
pub use order::{Answer, order};

/// The longest line, in bytes.
const LINE_MAX: u64 = 4 << 10;

/// How long the other side may take for its line.
const LINE_DEADLINE: Duration = Duration::from_secs(1);

/// How long the rollout may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// The longest path that a unix socket can have, in bytes.
const PATH_MAX: usize = 107;

/// Whether a socket can be there at all.
fn fits(path: &Path) -> Result<(), ControlError> {
    let length = path.as_os_str().len();
    if length > PATH_MAX { Err(ControlError::PathTooLong { path: path.to_owned(), length }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
