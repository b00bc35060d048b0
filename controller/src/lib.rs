//! baton: the judge and the hand. It knows the fleet, asks its agents, and judges what they saw.
//!
//! ```text
//! args ─▶ run ─▶ execute (tokio, tonic, rustls), store (sqlx) ─▶ report (the only place that prints)
//!                  │
//!                  ▼ decides nothing itself:
//!         inventory   text -> Fleet; selectors and shares
//!         plan        Fleet + answers + Limits -> Plan
//!         rollout     (state, event, now) -> actions
//!         journal     entries -> what a later run must know
//!         outcome     how a host ends, how a run ends; the exit codes
//! ```
//!
//! **Invariant:** everything in the lower half is pure: values in, values out; no clock, no network, no file.

pub mod args;
pub mod control;

pub mod execute;
pub mod inventory;
pub mod journal;
pub mod outcome;
pub mod pki;
pub mod plan;
pub mod record;
pub mod report;
pub mod rollout;
mod run;
pub mod standing;
pub mod step;
pub mod store;
pub mod text;
pub mod unknown;

pub use run::{RunError, Surroundings, run};
