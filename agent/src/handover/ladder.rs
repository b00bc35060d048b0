//! The ladder by which an old generation leaves: left to finish its requests, then told to leave at once, then made to.
//!
//! **Invariant:** nobody is hurried before the drain's own deadline has passed, and nobody at all unless the configuration says so.

use std::time::Duration;

use baton_proto::span::Span;

use crate::config::{RUNG, Then};
use crate::dialect::Signal;

/// Where on the ladder an old generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rung {
    /// It finishes its requests.
    Asked,
    /// What was left of it was told to leave.
    Told,
    /// What was left of it then was killed.
    Made,
}

impl Rung {
    /// How long this rung lasts, where the first one lasts so long.
    pub(super) fn waited(self, within: Duration) -> Span {
        match self {
            Self::Asked => Span(within),
            Self::Told | Self::Made => Span(RUNG),
        }
    }

    /// What is done when the time on this rung is over; none when what is left may linger.
    pub(super) fn next(self, then: Then) -> Option<(Self, Signal)> {
        match (self, then) {
            (Self::Asked, Then::Term | Then::Kill) => Some((Self::Told, Signal::Term)),
            (Self::Told, Then::Kill) => Some((Self::Made, Signal::Kill)),
            (Self::Asked, Then::Wait) | (Self::Told, Then::Wait | Then::Term) | (Self::Made, _) => None,
        }
    }
}
