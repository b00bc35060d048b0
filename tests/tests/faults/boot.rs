//! A new generation that comes to its lock in another way than it should, or does not serve.

use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::Timing;

use crate::trial::{Ending, TIMING, Trial, side_by_side};

/// Long enough to be sure that it is still so when it is looked at.
const LONG: Duration = Duration::from_hours(1);
const SHORT: Timing = Timing { ready_within: Duration::from_secs(2), drain_within: Duration::from_secs(1), ..TIMING };

#[test]
fn a_new_master_that_is_not_seen_with_the_lock_is_sent_away_and_the_old_one_stays() {
    let never = "the new master was never seen holding the lock: process";
    side_by_side(&[
        Trial::of(&[Fault::NoLock], Ending::RolledBack).because(never).because("lives but does not hold the lock"),
        Trial::of(&[Fault::LockLate(LONG)], Ending::RolledBack).because(never).because("lives but does not hold the lock"),
    ]);
}

#[test]
fn a_new_master_that_dies_or_does_not_serve_is_sent_away_and_the_old_one_stays() {
    side_by_side(&[
        Trial::of(&[Fault::DieAtBoot], Ending::RolledBack).because("exited"),
        Trial::of(&[Fault::NeverReady], Ending::RolledBack)
            .because("not ready within 2 s")
            .seen("not ready: 503 from")
            .timing(SHORT),
        Trial::of(&[Fault::Deaf], Ending::RolledBack)
            .because("not ready within 2 s: 200 from")
            .because("of the old generation")
            .timing(SHORT),
        Trial::of(&[Fault::SlowBoot(LONG)], Ending::RolledBack).because("not ready within 2 s").timing(SHORT),
    ]);
}

#[test]
fn a_new_master_that_is_slow_or_bears_no_mark_is_kept() {
    side_by_side(&[
        Trial::of(&[Fault::SlowBoot(Duration::from_secs(1))], Ending::Kept("marked")),
        Trial::of(&[Fault::LockLate(Duration::from_millis(50))], Ending::Kept("marked")),
        Trial::of(&[Fault::NoMark], Ending::Kept("contract")).because("contract"),
        Trial::of(&[Fault::Memory(128)], Ending::Kept("marked")),
    ]);
}
