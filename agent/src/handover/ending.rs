//! The ends that a handover comes to.

use baton_proto::step::Step;

/// The ends that a handover can come to on the host. What that proves is not decided here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The new generation is in charge.
    HandedOver,
    /// The old generation is in charge, and the new one is gone or never came.
    RolledBack,
    /// Neither.
    Broken,
}

/// How a handover ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which end it was.
    pub outcome: Outcome,
    /// The step that failed, if one did.
    pub failed_step: Option<Step>,
    /// Why; empty when nothing failed.
    pub cause: String,
}
