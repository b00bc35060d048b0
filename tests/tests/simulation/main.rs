//! The rollout in a simulated world, and its eight promises as laws over what that world saw.
//!
//! - [`scenario`], [`plans`]: from a seed to what will happen
//! - [`world`], [`network`], [`agent`], [`look`], [`sample`]: virtual time, messages that go astray, hosts and their agents, written from the contract
//! - [`controller`], [`shell`], [`tasks`]: the real machine and its journal in a simulated process, which may be killed at each step
//! - [`trace`], [`laws`]: what was seen, and the promises written a second time
//!
//! `BATON_SEED=7` replays one seed and prints all that was seen; `BATON_SEEDS=0..1000` tries others than the usual ones.
//!
//! **Invariant:** a law reads the trace alone; it knows nothing of the machine.

mod agent;
mod controller;
mod laws;
mod look;
mod network;
mod plans;
mod sample;
mod scenario;
mod seeds;
mod shell;
mod tasks;
mod trace;
mod world;
