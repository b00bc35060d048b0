//! The claim on one service: the right of one rollout to reload it, with a fence, for as long as it is renewed.
//!
//! ```text
//!           open: fence + 1                      renewed
//!  free ───────────────────────▶ stands ─────────────────────▶ stands
//!   ▲                             │  ▲ │
//!   │  released, not kept, or     │  │ │ another session of the same rollout opens: fence + 1, the one that had it has lost it
//!   └──── not renewed for a lease ┘  └─┘
//!
//!  the session that had the last fence opens again: the same fence, whether it stands or has ended
//! ```
//!
//! **Invariant:** the fence never goes back, and only the holder of the highest one may begin anything, while its lease lasts. This
//! module never reads a clock: what time it is comes with each call.

use std::time::Duration;

use baton_proto::claim;
use baton_proto::custody::Moment;

/// For how long a claim stands unless it is renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// Of how many rollouts the highest attempt is remembered.
pub const ATTEMPTED_MAX: usize = 32;

/// Whoever wants to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The rollout; a checked name.
    pub rollout: String,
    /// One run of its controller; a checked name.
    pub session: String,
    /// Who that is, as his certificate says.
    pub operator: String,
    /// What for.
    pub reason: String,
}

/// A claim that was granted, whatever has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who has or had it.
    pub claimant: Claimant,
    /// Since when.
    pub since: Moment,
}

/// The highest attempt of one rollout that was begun here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The rollout.
    pub rollout: String,
    /// Its highest attempt.
    pub number: u32,
}

/// What must survive the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The highest fence that was ever granted.
    pub fence: u64,
    /// The claim that it was granted with.
    pub last: Option<Claim>,
    /// Whether that claim stands.
    pub stands: bool,
    /// The highest attempts, the latest last.
    pub attempted: Vec<Attempted>,
}

/// How a claim has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Released,
    Expired,
    Unkept,
    /// In another run of the agent.
    Before,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Stands { until: Duration },
    Ended(End),
}

/// What came of opening a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The fence that it has.
    pub fence: u64,
    /// Whether another session of the same rollout had it until now.
    pub takes_over: bool,
}

/// Why a claim is not opened: somebody else's rollout is at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Taken(String);

/// Why a claim does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoClaim(String);

/// The claims on one service: the one that stands, if one does, and what is known of those before.
#[derive(Debug)]
pub struct Claims {
    fence: u64,
    last: Option<(Box<Claim>, State)>,
    attempted: Vec<Attempted>,
}

impl Claims {
    /// As an earlier run of the agent has left them: a claim that stood has one fresh lease.
    #[must_use]
    pub fn restored(kept: Kept, now: Duration) -> Self {
        let Kept { fence, last, stands, attempted } = kept;
        let state = if stands { State::Stands { until: now + LEASE } } else { State::Ended(End::Before) };
        Self { fence, last: last.map(|claim| (Box::new(claim), state)), attempted }
    }

    /// What must survive the agent.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            fence: self.fence,
            last: self.last.as_ref().map(|(claim, _)| (**claim).clone()),
            stands: self.standing().is_some(),
            attempted: self.attempted.clone(),
        }
    }

    /// The highest fence that was ever granted; 0 before the first.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// When the claim that stands ends unless it is renewed.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.standing().map(|(_, until)| until)
    }

    /// Ends the claim if it was not renewed in time; the one that has ended so just now.
    pub fn expire(&mut self, now: Duration) -> Option<&Claim> {
        let is_over = self.deadline().is_some_and(|until| until <= now);
        let (claim, state) = self.last.as_mut().filter(|_| is_over)?;
        *state = State::Ended(End::Expired);
        Some(claim)
    }

    /// Opens a claim, or opens it again; `under_way` is the rollout whose handover is.
    ///
    /// # Errors
    /// When another rollout has the claim, or hands the service over.
    pub fn open(&mut self, now: &Moment, claimant: Claimant, under_way: Option<&str>) -> Result<Opened, Taken> {
        self.expire(now.at);
        if let Some(claim) = self.told(now).filter(|claim| claim.rollout != claimant.rollout) {
            return Err(Taken(format!("{}; {}", claim.sentence(), how_it_ends())));
        }
        if let Some(rollout) = under_way.filter(|rollout| *rollout != claimant.rollout) {
            return Err(Taken(format!(
                "a handover of rollout {rollout} is under way, and goes on without a claim; only that rollout may claim it before its end"
            )));
        }
        let until = now.at + LEASE;
        if let Some((last, state)) = &mut self.last
            && (&last.claimant.rollout, &last.claimant.session) == (&claimant.rollout, &claimant.session)
        {
            if matches!(state, State::Ended(_)) {
                last.since = now.clone();
            }
            last.claimant = claimant;
            *state = State::Stands { until };
            return Ok(Opened { fence: self.fence, takes_over: false });
        }
        let takes_over = self.standing().is_some();
        self.fence = self.fence.saturating_add(1);
        self.last = Some((Box::new(Claim { claimant, since: now.clone() }), State::Stands { until }));
        Ok(Opened { fence: self.fence, takes_over })
    }

    /// Gives the claim with this fence another lease.
    ///
    /// # Errors
    /// When it does not stand any more.
    pub fn renew(&mut self, now: Duration, fence: u64) -> Result<(), NoClaim> {
        self.stands(now, fence)?;
        self.change(State::Stands { until: now + LEASE });
        Ok(())
    }

    /// Gives the claim with this fence back.
    ///
    /// # Errors
    /// When it does not stand any more.
    pub fn release(&mut self, now: Duration, fence: u64) -> Result<(), NoClaim> {
        self.stands(now, fence)?;
        self.change(State::Ended(End::Released));
        Ok(())
    }

    /// Takes back a claim that could not be written down. Its fence is used up.
    pub fn forgo(&mut self, fence: u64) {
        if fence == self.fence {
            self.change(State::Ended(End::Unkept));
        }
    }

    /// Whether a reload of this rollout with this fence may begin.
    ///
    /// # Errors
    /// When its claim does not stand.
    pub fn admit(&mut self, now: &Moment, rollout: &str, fence: u64) -> Result<(), NoClaim> {
        let why = match self.stands(now.at, fence) {
            Ok(()) if self.standing().is_some_and(|(claim, _)| claim.claimant.rollout == rollout) => return Ok(()),
            Ok(()) => format!("the claim with the fence {fence} is not that of rollout {rollout}"),
            Err(NoClaim(why)) => match self.told(now) {
                Some(claim) => format!("{why}, and {}", claim.sentence()),
                None => why,
            },
        };
        Err(NoClaim(format!("{why}; nothing was begun")))
    }

    /// The highest attempt of a rollout that was begun here, if that is this one or a later one.
    #[must_use]
    pub fn surpasses(&self, rollout: &str, number: u32) -> Option<u32> {
        let highest = self.attempted.iter().find(|attempted| attempted.rollout == rollout)?.number;
        (highest >= number).then_some(highest)
    }

    /// Notes that an attempt begins. Of too many rollouts the one that has tried nothing for the longest is forgotten.
    pub fn note_attempt(&mut self, rollout: &str, number: u32) {
        let highest = self.surpasses(rollout, number).unwrap_or(number);
        self.attempted.retain(|attempted| attempted.rollout != rollout);
        self.attempted.push(Attempted { rollout: rollout.to_owned(), number: highest });
        let excess = self.attempted.len().saturating_sub(ATTEMPTED_MAX);
        self.attempted.drain(..excess);
    }

    /// The claim that stands, in words.
    #[must_use]
    pub fn told(&self, now: &Moment) -> Option<claim::Claim> {
        let (Claim { claimant, since }, until) = self.standing()?;
        let lease_left = until.checked_sub(now.at).filter(|left| !left.is_zero())?;
        Some(claim::Claim {
            rollout: claimant.rollout.clone(),
            operator: claimant.operator.clone(),
            reason: claimant.reason.clone(),
            age: since.until(now),
            since: Some(since.clone()),
            lease_left,
            fence: self.fence,
        })
    }

    fn standing(&self) -> Option<(&Claim, Duration)> {
        match self.last.as_ref()? {
            (claim, State::Stands { until }) => Some((claim, *until)),
            (_, State::Ended(_)) => None,
        }
    }

    fn stands(&mut self, now: Duration, fence: u64) -> Result<(), NoClaim> {
        self.expire(now);
        if self.standing().is_some() && fence == self.fence {
            return Ok(());
        }
        Err(NoClaim(self.why_not(fence)))
    }

    fn why_not(&self, fence: u64) -> String {
        let Some((last, state)) = self.last.as_ref().filter(|_| fence == self.fence) else {
            return if fence > 0 && fence < self.fence {
                format!("the claim with the fence {fence} has ended: one with the fence {} was granted since", self.fence)
            } else {
                format!("no claim was granted with the fence {fence}")
            };
        };
        let rollout = &last.claimant.rollout;
        match state {
            State::Stands { .. } => format!("the claim of rollout {rollout} stands"),
            State::Ended(End::Released) => format!("the claim of rollout {rollout} was released"),
            State::Ended(End::Expired) => {
                format!("the claim of rollout {rollout} has ended: it was not renewed for {} s", LEASE.as_secs())
            }
            State::Ended(End::Unkept) => format!("the claim of rollout {rollout} could not be written to disk"),
            State::Ended(End::Before) => format!("the claim of rollout {rollout} ended before the agent was restarted"),
        }
    }

    fn change(&mut self, to: State) {
        if let Some((_, state)) = &mut self.last {
            *state = to;
        }
    }
}

fn how_it_ends() -> String {
    format!("the claim is renewed and ends {} s after its controller has gone", LEASE.as_secs())
}

/// What a claim is for, without what could steer a terminal or forge a line.
#[must_use]
pub fn reason(text: &str) -> String {
    let plain = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    text.chars().map(plain).collect::<String>().trim().to_owned()
}

/// Characters that break lines, turn the direction of text or take no room.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
