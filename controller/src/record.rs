//! What an agent keeps of a service: its finished attempts, and what befell it otherwise.

use baton_proto::custody::words::Word;
use baton_proto::custody::{History, Protocol};

use crate::outcome::Account;
use crate::step::Step;

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

/// All that an agent keeps of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its handovers, newest first.
    pub records: Vec<Record>,
    /// What befell it otherwise; none from an agent that does not say.
    pub history: Option<History>,
}

impl Record {
    /// Tells it as a protocol.
    pub fn tell<T>(&self, host: &str, service: &str, tell: impl FnOnce(&Protocol<'_>) -> T) -> T {
        let Account { testimony, ending } = &self.account;
        let (step, failed) = (ending.step.map(|step| step.to_string()), ending.step.map(Step::phrase));
        let word = Word {
            claim: ending.claim,
            step: step.as_deref(),
            failed: failed.as_deref(),
            cause: &ending.cause,
            generation: ending.generation,
            lingering: &ending.lingering,
        };
        tell(&Protocol { host, service, rollout: &self.rollout, attempt: self.attempt, testimony, word })
    }
}
