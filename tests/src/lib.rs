//! The harness: real agents, a real controller and real servers, started in a temporary directory and gone with it.
//!
//! - [`fleet`]: hosts with a server and an agent each, and the controller that walks them
//! - [`agent`], [`controller`], [`server`], [`pki`]: the processes of a fleet, and their certificates
//! - [`standing`]: where a host stands, as the controller tells it
//! - [`deployed`]: Unicorn as the files of `deploy/` run it
//! - [`net`]: a network of the fleet's own, with links that can be taken down and relays that can be made deaf
//! - [`killed`]: a controller that is killed at one of its writes
//! - [`load`]: clients that count every failure
//! - [`sandbox`]: the directory of a test, and the leash that ends whatever was started in it
//! - [`binaries`], [`address`], [`notify`], [`wait`], [`clock`], [`http`]: what these need
//! - [`fault`]: what the patient can be told to do wrong
//! - [`testified`]: what an agent has put on record of the last handover
//! - [`ledger`]: the kernel's own record of who locked and unlocked, beside the agent's
//! - [`witnessed`]: one host beside that record
//! - [`dice`]: chance that can be repeated
//! - [`steps`]: a rollout whose steps are read as they come
//! - [`recorded`]: the rollouts that the journal knows, and what each service lived through
//! - [`tidy`]: the architecture, as checks
//!
//! A harness fails by panicking: that is how a test fails. The panic says what was waited for and what was seen last.
//!
//! **Invariant:** the agent and the controller are run as the binaries that are shipped, never called.

pub mod address;
pub mod agent;
pub mod binaries;
pub mod clock;
pub mod controller;
pub mod deployed;
pub mod dice;
pub mod fault;
pub mod fleet;
pub mod http;
pub mod killed;
pub mod ledger;
pub mod load;
pub mod net;
pub mod notify;
pub mod pki;
pub mod quiet;
pub mod recorded;
pub mod restless;
pub mod sandbox;
pub mod server;
pub mod standing;
pub mod steps;
pub mod testified;
pub mod tidy;
pub mod wait;
pub mod witnessed;
