//! What was learned of the hosts before anything was touched, and what of it makes a host broken.

use std::time::Duration;

use super::{Choices, Fate, Planned};
use crate::inventory::HostName;
use crate::outcome::Refusal;
use crate::standing::Standing;
use crate::text::plain;

/// What an agent must be able to do at least: 1 grants claims.
pub const LEVEL_MIN: u32 = 1;

/// How far a host's clock is from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// So much before ours.
    Ahead(Duration),
    /// So much behind it.
    Behind(Duration),
}

impl Clock {
    /// The clock that showed `theirs` when ours showed `ours`, both since 1970.
    #[must_use]
    pub fn compare(theirs: Duration, ours: Duration) -> Self {
        theirs.checked_sub(ours).map_or_else(|| Self::Behind(ours.saturating_sub(theirs)), Self::Ahead)
    }

    /// How far it is off.
    #[must_use]
    pub fn off(self) -> Duration {
        match self {
            Self::Ahead(off) | Self::Behind(off) => off,
        }
    }
}

/// What an agent told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its version.
    pub version: String,
    /// What it can do.
    pub level: u32,
    /// Until when its certificate is valid, since 1970, where that can be read.
    pub certificate_ends: Option<Duration>,
    /// Its host's clock, where it says what time it is.
    pub clock: Option<Clock>,
}

/// One chosen host, and what was learned of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The host.
    pub host: HostName,
    /// Where its agent listens.
    pub address: String,
    /// The zone that it is in.
    pub zone: Option<String>,
    /// How the service stands there, or why that cannot be told.
    pub standing: Result<Standing, Refusal>,
    /// What its agent told of itself, if it answered.
    pub about: Option<About>,
}

/// What is around a plan when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circumstances {
    /// The time, since 1970.
    pub now: Duration,
    /// Until when the operator's own certificate is valid, since 1970.
    pub own_certificate_ends: Option<Duration>,
    /// How long a host usually takes, where that is known.
    pub usual: Option<Duration>,
}

impl Planned {
    /// The place of a host that was looked at.
    pub(super) fn new(looked: Looked, choices: &Choices) -> Self {
        let Looked { host, address, zone, standing, about } = looked;
        let checked = standing.and_then(|standing| check(standing, about.as_ref()));
        let fate = match checked {
            Ok(standing) => Fate::Restart(Box::new(standing)),
            Err(refusal) if choices.limits.leave_out_broken => Fate::LeaveOut(tidy(refusal)),
            Err(refusal) => Fate::Refuse(tidy(refusal)),
        };
        Self {
            release: choices.releases.of(&host).map(str::to_owned),
            certificate_ends: about.as_ref().and_then(|about| about.certificate_ends),
            clock: about.as_ref().and_then(|about| about.clock),
            host,
            address,
            zone,
            fate,
        }
    }

    /// The longest that a handover may take there; none where there will be none.
    pub(super) fn handover_within(&self) -> Option<Duration> {
        self.standing().map(|standing| standing.handover_within)
    }
}

/// The standing, or why nothing could be restarted there.
fn check(standing: Standing, about: Option<&About>) -> Result<Standing, Refusal> {
    if let Some(About { version, level, .. }) = about.filter(|about| about.level < LEVEL_MIN) {
        let cause = format!("its agent is of version {version} and grants no claims (level {level}, wanted {LEVEL_MIN})");
        return Err(Refusal { hint: Some("upgrade the agent there".into()), ..cause.into() });
    }
    if let Some(claim) = &standing.claim {
        let hint = "`baton claims` shows who has what; a claim whose controller is dead ends by itself";
        return Err(Refusal { cause: claim.sentence(), hint: Some(hint.into()), is_claimed: true });
    }
    match standing.objection() {
        Some(objection) => Err(objection.into()),
        None => Ok(standing),
    }
}

/// A refusal in one line of bearable length, as a plan is written down and read again.
fn tidy(refusal: Refusal) -> Refusal {
    Refusal { cause: plain(&refusal.cause), hint: refusal.hint.map(|hint| plain(&hint)), is_claimed: refusal.is_claimed }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Clock;

    #[test]
    fn a_clock_is_ahead_of_ours_or_behind_it() {
        let seconds = Duration::from_secs;
        assert_eq!(Clock::compare(seconds(10), seconds(7)), Clock::Ahead(seconds(3)));
        assert_eq!(Clock::compare(seconds(7), seconds(10)), Clock::Behind(seconds(3)));
        assert_eq!(Clock::compare(seconds(7), seconds(7)).off(), Duration::ZERO);
    }
}
