//! From what an agent told at the end of a handover to the outcome of the host.
//!
//! **Invariant:** the agent's word can make an outcome worse, never better: only the judge's verdict makes it `Proven`.

use baton_proto::custody::{Testimony, Verdict, judge, unbroken};

use super::{DropSeen, Outcome, Proof, Unproven};
use crate::standing::Standing;
use crate::step::Step;

/// All that an agent told of a handover that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What it saw.
    pub testimony: Testimony,
    /// How it says that it ended.
    pub ending: Ending,
}

/// How an agent says that a handover ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which end it was.
    pub result: Result,
    /// What failed.
    pub step: Option<Step>,
    /// Why.
    pub cause: String,
    /// Processes of the old generation that were still there when the drain's deadline passed.
    pub lingering: Vec<u32>,
    /// The generation in charge afterwards.
    pub generation: u64,
}

/// The ends that a handover can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// The new generation is in charge.
    HandedOver,
    /// The old one is.
    RolledBack,
    /// Nobody can tell.
    Broken,
}

/// Weighs an account of a handover of the service that stood like `before`.
#[must_use]
pub fn settle(before: &Standing, account: Account) -> Outcome {
    let Account { testimony, ending } = account;
    if testimony.service != before.service {
        return Outcome::Unproven(Unproven::OtherService(testimony.service));
    }
    match ending.result {
        Result::HandedOver => settle_handed_over(before, &testimony, ending),
        Result::RolledBack => settle_rolled_back(before, &testimony, ending),
        Result::Broken => match judge(&testimony) {
            Verdict::Dropped { at } => Outcome::Dropped(DropSeen::InWindow(at)),
            Verdict::Kept(_) | Verdict::Unproven(_) => {
                Outcome::Unproven(Unproven::Broken { step: ending.step, cause: ending.cause })
            }
        },
    }
}

fn settle_handed_over(before: &Standing, testimony: &Testimony, ending: Ending) -> Outcome {
    let kept = match judge(testimony) {
        Verdict::Kept(kept) => kept,
        verdict @ (Verdict::Dropped { .. } | Verdict::Unproven(_)) => return doubtful(verdict),
    };
    match objection(before, testimony, kept.old) {
        Some(objection) => Outcome::Unproven(objection),
        None => Outcome::Proven(Proof { kept, generation: ending.generation, lingering: ending.lingering }),
    }
}

fn settle_rolled_back(before: &Standing, testimony: &Testimony, ending: Ending) -> Outcome {
    let unbroken = match unbroken(testimony) {
        Ok(unbroken) => unbroken,
        Err(verdict) => return doubtful(verdict),
    };
    match objection(before, testimony, unbroken.master) {
        Some(objection) => Outcome::Unproven(objection),
        None => Outcome::RolledBack { step: ending.step, cause: ending.cause, unbroken },
    }
}

fn doubtful(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Dropped { at } => Outcome::Dropped(DropSeen::InWindow(at)),
        Verdict::Unproven(doubt) => Outcome::Unproven(Unproven::Doubt(doubt)),
        Verdict::Kept(kept) => {
            Outcome::Unproven(Unproven::Malformed(format!("a rollback was told as a handover to {}", kept.new)))
        }
    }
}

/// Why a sound testimony is not about the handover that was asked for.
fn objection(before: &Standing, testimony: &Testimony, old: baton_proto::custody::Process) -> Option<Unproven> {
    if testimony.incarnation.is_empty() {
        return Some(Unproven::Anonymous);
    }
    if testimony.boot != before.boot {
        return Some(Unproven::OtherBoot);
    }
    let master = before.master?;
    (master != old).then_some(Unproven::OtherMaster { before: master, testified: old })
}

#[cfg(test)]
mod tests;
