//! How a handover has ended: what was claimed of it, weighed by what was seen of it.
//!
//! Both sides settle by this rule, the agent for whoever asks on its host and the controller for its rollout.
//!
//! **Invariant:** a claim can make an ending worse than what the testimony proves, never better.

use super::judge::{Doubt, Kept, Unbroken, Verdict, drop_seen, judge, kept, stayed, unbroken};
use super::{Seq, Testimony};

/// How a handover is said to have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The new generation is in charge.
    HandedOver,
    /// The old one is.
    RolledBack,
    /// Nobody can tell.
    Broken,
}

/// How a handover has ended, as far as that is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The new generation is in charge, and the lock was held throughout.
    Proven(Kept),
    /// The old generation is in charge, and never let go.
    RolledBack(Unbroken),
    /// Nobody held the lock.
    Dropped {
        /// The number of the first grant.
        at: Seq,
    },
    /// Neither: the missing piece is named.
    Unproven(Doubt),
    /// The lock was held throughout, and yet nobody is said to be in charge.
    NobodyInCharge,
}

/// Weighs a claim by a testimony. A drop that was seen outweighs every claim.
#[must_use]
pub fn settle(claim: Claim, testimony: &Testimony) -> Settled {
    if let Some(at) = drop_seen(testimony) {
        return Settled::Dropped { at };
    }
    let settled = match claim {
        Claim::HandedOver => kept(testimony).map(Settled::Proven),
        Claim::RolledBack => stayed(testimony).map(Settled::RolledBack),
        Claim::Broken => kept(testimony).map(|_| Settled::NobodyInCharge),
    };
    settled.unwrap_or_else(Settled::Unproven)
}

/// What a testimony shows of a handover of which this is claimed: of one that was undone, that the old master never let go; else
/// the verdict.
pub(super) fn weigh(claim: Claim, testimony: &Testimony) -> Result<Unbroken, Verdict> {
    match claim {
        Claim::RolledBack => unbroken(testimony),
        Claim::HandedOver | Claim::Broken => Err(judge(testimony)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{FILE, clean, process};
    use super::super::{Basis, Doubt, Fact, Observation, Role, Seq, Testimony, Unbroken};
    use super::{Claim, Settled, settle};

    const CLAIMS: [Claim; 3] = [Claim::HandedOver, Claim::RolledBack, Claim::Broken];

    fn until(testimony: Testimony, lines: usize) -> Testimony {
        let observations: Vec<Observation> = testimony.observations.into_iter().take(lines).collect();
        let closed = observations.last().unwrap().seq;
        Testimony { closed, observations, ..testimony }
    }

    /// The old master is looked at, signalled, and looked at again.
    fn undone() -> Testimony {
        let mut testimony = until(clean(), 2);
        let mut last = testimony.observations[0].clone();
        let Fact::Sighting(sighting) = &mut last.fact else { panic!("it begins with a sighting") };
        (sighting.began, last.seq) = (Seq(14), Seq(15));
        testimony.observations.push(last);
        Testimony { closed: Seq(15), ..testimony }
    }

    fn dropped() -> Testimony {
        let mut testimony = clean();
        let grant = Observation { seq: Seq(25), fact: Fact::Grant { file: FILE }, ..testimony.observations[0].clone() };
        testimony.observations.push(grant);
        Testimony { closed: Seq(25), ..testimony }
    }

    #[test]
    fn a_claim_is_believed_as_far_as_it_is_proven() {
        let Settled::Proven(kept) = settle(Claim::HandedOver, &clean()) else { panic!("not proven") };
        assert_eq!((kept.before(), kept.after()), (process(Role::OldMaster), process(Role::NewMaster)));
        let unbroken = Unbroken { basis: Basis::Marked, master: process(Role::OldMaster) };
        assert_eq!(settle(Claim::RolledBack, &undone()), Settled::RolledBack(unbroken));
    }

    #[test]
    fn a_claim_of_something_else_proves_nothing() {
        let unproven = |claim, testimony| matches!(settle(claim, &testimony), Settled::Unproven(_));
        assert!(unproven(Claim::HandedOver, undone()));
        assert!(unproven(Claim::RolledBack, clean()));
        assert!(unproven(Claim::Broken, undone()));
        assert_eq!(settle(Claim::Broken, &clean()), Settled::NobodyInCharge);
    }

    #[test]
    fn a_drop_outweighs_every_claim_and_every_doubt() {
        let truncated = Testimony { truncated: true, ..dropped() };
        for claim in CLAIMS {
            assert_eq!(settle(claim, &dropped()), Settled::Dropped { at: Seq(25) });
            assert_eq!(settle(claim, &truncated), Settled::Dropped { at: Seq(25) });
        }
    }

    #[test]
    fn no_claim_makes_up_for_a_missing_piece() {
        let truncated = Testimony { truncated: true, ..clean() };
        for claim in CLAIMS {
            assert_eq!(settle(claim, &truncated), Settled::Unproven(Doubt::Truncated));
        }
    }
}
