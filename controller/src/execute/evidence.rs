//! What an agent told at the end of a handover, as bytes that can be judged again at any time.
//!
//! **Invariant:** the messages are kept as they came: what only newer agents say is lost to this program, and not to the bytes.

use baton_proto::v1;
use prost::Message as _;

use super::wire;
use crate::journal::Evidence;
use crate::outcome::{Account, Outcome, Unproven, settle};
use crate::standing::Standing;

/// The bytes of what was told.
#[must_use]
pub fn gather(testimony: &v1::Testimony, ending: &v1::Ending) -> Evidence {
    Evidence { testimony: testimony.encode_to_vec(), ending: ending.encode_to_vec() }
}

/// What was told, from its bytes; else why it cannot be read.
///
/// # Errors
/// When the bytes are no messages, or say what no agent says.
pub fn account(evidence: &Evidence) -> Result<Account, String> {
    let testimony = v1::Testimony::decode(evidence.testimony.as_slice()).map_err(|error| error.to_string())?;
    let ending = v1::Ending::decode(evidence.ending.as_slice()).map_err(|error| error.to_string())?;
    wire::account(testimony, ending).map_err(|error| error.to_string())
}

/// How a handover ended of a service that stood like `before`, by the evidence.
#[must_use]
pub fn judge(before: &Standing, evidence: &Evidence) -> Outcome {
    match account(evidence) {
        Ok(account) => settle(before, account),
        Err(cause) => Outcome::Unproven(Unproven::Malformed(cause)),
    }
}

/// Evidence for tests.
#[cfg(test)]
pub(crate) mod samples {
    use baton_proto::custody::Claim;
    use baton_proto::v1;

    use super::gather;
    use crate::journal::Evidence;
    use crate::outcome::Account;
    use crate::step::Step;

    pub(crate) fn of(account: Account) -> Evidence {
        let Account { testimony, ending } = account;
        let result = match ending.claim {
            Claim::HandedOver => v1::Result::HandedOver,
            Claim::RolledBack => v1::Result::RolledBack,
            Claim::Broken => v1::Result::Broken,
        };
        let step = match ending.step {
            Some(Step::Known(step)) => v1::Step::from(step).into(),
            Some(Step::Unknown(number)) => number,
            None => 0,
        };
        let ending = v1::Ending {
            result: result.into(),
            step,
            cause: ending.cause,
            lingering_pids: ending.lingering,
            generation: ending.generation,
            release: ending.release,
        };
        gather(&(&testimony).into(), &ending)
    }
}

#[cfg(test)]
mod tests {
    use super::{account, judge, samples};
    use crate::journal::Evidence;
    use crate::outcome::samples::{dropped, handed_over, undone};
    use crate::outcome::{Outcome, settle};
    use crate::standing::samples::healthy;

    #[test]
    fn evidence_is_judged_like_what_was_told() {
        for told in [handed_over(), undone(), dropped()] {
            let kept = samples::of(told.clone());
            assert_eq!(account(&kept), Ok(told.clone()));
            assert_eq!(judge(&healthy(), &kept), settle(&healthy(), told));
        }
    }

    #[test]
    fn half_of_the_evidence_proves_nothing() {
        let whole = samples::of(handed_over());
        for length in 0..whole.testimony.len() {
            let half = Evidence { testimony: whole.testimony[..length].to_vec(), ..whole.clone() };
            // Whoever says nothing of the shape means the one that this is: a cut before the last field loses nothing.
            let says_the_same = account(&half) == account(&whole);
            assert!(says_the_same || matches!(judge(&healthy(), &half), Outcome::Unproven(_)), "{length} bytes");
        }
    }
}
