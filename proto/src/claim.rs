//! A claim that stands, in the words that both programs use: who has it, since when, why, and for how long still.
//!
//! **Invariant:** a claim is told as old as its host's clocks say, never by those of whoever reads it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::custody::Moment;
use crate::custody::objects::milliseconds;
use crate::span::Span;
use crate::v1;
use crate::wire::nanoseconds;

/// The longest reason that is told, in characters.
pub const REASON_LENGTH_MAX: usize = 200;

/// A claim, as its agent told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The rollout that has it.
    pub rollout: String,
    /// Who claimed it.
    pub operator: String,
    /// What for; empty where nobody said.
    pub reason: String,
    /// For how long it has stood.
    pub age: Duration,
    /// When it was claimed, where the agent said so.
    pub since: Option<Moment>,
    /// For how long it stands unless it is renewed.
    pub lease_left: Duration,
    /// Its fence.
    pub fence: u64,
}

impl Claim {
    /// The claim in an agent's answer, which tells the time on its host, too.
    #[must_use]
    pub fn told(claim: &v1::Claim, agent: &v1::AgentInfo) -> Self {
        let v1::Claim { rollout, operator, reason, since, lease_left_ns, fence } = claim;
        let now = Moment {
            at: Duration::from_nanos(agent.now_ns),
            boot: agent.boot_id.clone(),
            wall: Duration::from_nanos(agent.unix_ns),
        };
        let since = since.clone().map(Moment::from);
        Self {
            rollout: rollout.clone(),
            operator: operator.clone(),
            reason: reason.clone(),
            age: since.as_ref().map(|since| since.until(&now)).unwrap_or_default(),
            since,
            lease_left: Duration::from_nanos(*lease_left_ns),
            fence: *fence,
        }
    }

    /// Who has claimed it, since when and why, as the beginning of a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { rollout, operator, reason, age, .. } = self;
        let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        format!("rollout {rollout} of {operator} has claimed it {} ago{why}", Span(*age))
    }

    /// The claim as JSON.
    #[must_use]
    pub fn object(&self) -> Value {
        let Self { rollout, operator, reason, age, since, lease_left, fence } = self;
        json!({
            "rollout": rollout, "operator": operator, "reason": reason, "claimed_for_ms": milliseconds(*age),
            "since": since.as_ref().map(Moment::rfc3339), "lease_left_ms": milliseconds(*lease_left), "fence": fence,
        })
    }
}

impl From<&Claim> for v1::Claim {
    fn from(told: &Claim) -> Self {
        let Claim { rollout, operator, reason, age: _, since, lease_left, fence } = told;
        Self {
            rollout: rollout.clone(),
            operator: operator.clone(),
            reason: reason.clone(),
            since: since.as_ref().map(Into::into),
            lease_left_ns: nanoseconds(*lease_left),
            fence: *fence,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Claim;
    use crate::v1;

    fn told(boot_id: &str) -> Claim {
        let seconds = |seconds: u64| seconds * 1_000_000_000;
        let since = v1::Moment { at_ns: seconds(100), boot_id: "boot-1".into(), unix_ns: seconds(1_795_509_067) };
        let claim = v1::Claim {
            rollout: "r-1".into(),
            operator: "ada".into(),
            reason: "deploy v42".into(),
            since: Some(since),
            lease_left_ns: seconds(7),
            fence: 3,
        };
        let agent = v1::AgentInfo {
            boot_id: boot_id.into(),
            now_ns: seconds(112),
            unix_ns: seconds(1_795_509_067 + 600),
            ..v1::AgentInfo::default()
        };
        Claim::told(&claim, &agent)
    }

    #[test]
    fn a_claim_says_whose_it_is_since_when_and_why() {
        assert_eq!(told("boot-1").sentence(), "rollout r-1 of ada has claimed it 12 s ago (deploy v42)");
        let unexplained = Claim { reason: String::new(), ..told("boot-1") };
        assert_eq!(unexplained.sentence(), "rollout r-1 of ada has claimed it 12 s ago");
    }

    #[test]
    fn a_claim_of_an_earlier_boot_is_as_old_as_the_wall_clock_says() {
        assert_eq!(told("boot-2").age, Duration::from_mins(10));
    }

    #[test]
    fn a_claim_as_json_says_the_same() {
        assert_eq!(
            told("boot-1").object().to_string(),
            r#"{"rollout":"r-1","operator":"ada","reason":"deploy v42","claimed_for_ms":12000,"since":"2026-11-24T08:31:07.000Z","lease_left_ms":7000,"fence":3}"#
        );
    }
}
