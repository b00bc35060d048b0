//! The controller's real doing against the agents' real RPC, over pipes instead of TCP and TLS, on a clock that stands still while
//! anybody has something to do.
//!
//! - [`scenario`]: from a seed to what will happen
//! - [`network`], [`relay`]: pipes that are cut, silent, slow, or not to be had
//! - [`host`], [`service`], [`account`]: an agent's real RPC and claims, before a service that is simulated; it dies and comes back
//! - [`operator`], [`ledger`]: a controller that is cut down, also in the middle of a write, and walked on from its journal
//! - [`trace`], [`laws`]: what the services saw, and what must be true of it
//!
//! `BATON_SEED=7` replays one seed and prints all that was seen; `BATON_SEEDS=0..5000` tries others than the usual ones.
//!
//! **Invariant:** one thread, no clock but the runtime's, and of our own no chance but the seed's. A replay is not exact in every seed
//! all the same: what lies beneath chooses by itself between things that are ready at once.

mod account;
mod host;
mod laws;
mod ledger;
mod network;
mod operator;
mod relay;
mod scenario;
mod seeds;
mod service;
mod trace;
