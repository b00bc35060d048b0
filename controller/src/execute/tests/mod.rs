//! The doing, against scripted agents.

mod links;
mod walks;
