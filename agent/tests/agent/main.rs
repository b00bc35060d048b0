//! The agent as its callers see it, from outside: over its doors, and through its local commands.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod claims;
mod doors;
mod local;
mod support;
