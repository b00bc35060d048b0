//! From what an agent told at the end of a handover to the outcome of the host.
//!
//! **Invariant:** the agent's word can make an outcome worse, never better: only the judge's verdict makes it `Proven`.

use baton_proto::custody::{self, Claim, Doubt, Process, Settled, Testimony};

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
    pub claim: Claim,
    /// What failed.
    pub step: Option<Step>,
    /// Why.
    pub cause: String,
    /// Processes of the old generation that were still there when the drain's deadline passed.
    pub lingering: Vec<u32>,
    /// The generation in charge afterwards.
    pub generation: u64,
    /// The release that it runs; empty where that is not known.
    pub release: String,
}

/// Weighs an account of a handover of the service that stood like `before`.
#[must_use]
pub fn settle(before: &Standing, account: Account) -> Outcome {
    let Account { testimony, ending } = account;
    if testimony.service != before.service {
        return Outcome::Unproven(Unproven::OtherService(testimony.service));
    }
    let unless_objected = |old, outcome| objection(before, &testimony, old).map_or(outcome, Outcome::Unproven);
    match custody::settle(ending.claim, &testimony) {
        Settled::Proven(kept) => {
            let proof = Proof { kept, generation: ending.generation, release: ending.release, lingering: ending.lingering };
            unless_objected(kept.before(), Outcome::Proven(proof))
        }
        Settled::RolledBack(unbroken) => {
            unless_objected(unbroken.master, Outcome::RolledBack { step: ending.step, cause: ending.cause, unbroken })
        }
        Settled::Dropped { at } => Outcome::Dropped(DropSeen::InWindow(at)),
        Settled::Unproven(doubt) => Outcome::Unproven(doubted(doubt, ending)),
        Settled::NobodyInCharge => Outcome::Unproven(Unproven::Broken { step: ending.step, cause: ending.cause }),
    }
}

/// What is missing, beside what the agent itself says of the ending.
fn doubted(doubt: Doubt, Ending { claim, step, cause, .. }: Ending) -> Unproven {
    match claim {
        Claim::HandedOver => Unproven::Doubt(doubt),
        Claim::RolledBack => Unproven::Undone { doubt, step, cause },
        Claim::Broken => Unproven::Broken { step, cause },
    }
}

/// Why a sound testimony is not about the handover that was asked for.
fn objection(before: &Standing, testimony: &Testimony, old: Process) -> Option<Unproven> {
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
