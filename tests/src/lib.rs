//! The harness: real agents, a real controller and real servers, started in a temporary directory and gone with it.
//!
//! **Invariant:** nothing here imports the agent or the controller: they are run as the binaries that are shipped.

pub mod clock;
pub mod fault;
