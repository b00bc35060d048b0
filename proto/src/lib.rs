//! What both sides of Baton must agree on: the wire, the testimony and its judge, and who a certificate is.
//!
//! **Invariant:** this crate imports neither the agent nor the controller, and does no input or output: everything here
//! is values in, values out.

pub mod claim;
pub mod codec;
pub mod custody;
pub mod document;
pub mod finding;
pub mod identity;
pub mod name;
pub mod span;
pub mod step;
pub mod wire;

/// The wire types, generated from `baton/agent/v1/agent.proto`, where each is documented.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::large_enum_variant,
    reason = "generated; the documentation is in the .proto, and a watcher's events are boxed whole"
)]
pub mod v1 {
    tonic::include_proto!("baton.agent.v1");
}
