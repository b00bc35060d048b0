//! The clock of the tests.

use std::time::{Duration, Instant};

/// The present moment, for measuring and for deadlines.
#[expect(clippy::disallowed_methods, reason = "the tests crate reads the clock here and nowhere else")]
pub fn now() -> Instant {
    Instant::now()
}

/// CLOCK_MONOTONIC, which all processes of a machine share.
///
/// # Errors
/// When the kernel has no such clock.
pub fn monotonic() -> nix::Result<Duration> {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from)
}

/// CLOCK_BOOTTIME, by which agents tell their times.
///
/// # Errors
/// When the kernel has no such clock.
pub fn since_boot() -> nix::Result<Duration> {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(Duration::from)
}
