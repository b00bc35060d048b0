//! One finished attempt, as an agent keeps it.

use crate::outcome::Account;

/// One finished attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The rollout that asked.
    pub rollout: String,
    /// Its attempt.
    pub attempt: u32,
    /// What the agent tells of it.
    pub account: Account,
}
