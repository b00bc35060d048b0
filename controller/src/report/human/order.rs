//! What whoever gives an order is told: what the rollout does now.

use super::sentence;
use crate::rollout::{Awaited, Order};

/// What came of an order.
#[must_use]
pub fn ordered(order: Order, is_taken: bool, awaited: &Awaited) -> String {
    let waiting =
        if awaited.hosts().next().is_none() { String::new() } else { format!("; waiting {}", sentence::awaited(awaited)) };
    let what = match (order, is_taken) {
        (Order::Pause, true) => "paused: nothing new starts until it is resumed",
        (Order::Resume, true) => "it goes on",
        (Order::Abort, true) => "aborted: nothing new starts any more",
        (Order::Pause, false) if awaited.is_paused => "it is paused already",
        (Order::Resume, false) => "it is neither paused nor waits for a person",
        (Order::Pause | Order::Abort, false) => "nothing new starts any more as it is",
    };
    format!("{what}{waiting}")
}
