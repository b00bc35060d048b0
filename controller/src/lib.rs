//! baton: the judge and the hand.

pub mod inventory;
pub mod outcome;
pub mod pki;
pub mod plan;
pub mod rollout;
pub mod standing;
pub mod step;
