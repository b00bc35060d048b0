//! An old generation that does not leave as it should, or leaves too early.

use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::Timing;

use crate::trial::{Ending, Serves, TIMING, Trial, side_by_side};

const IMPATIENT: Timing = Timing { drain_within: Duration::from_secs(1), ..TIMING };

#[test]
fn an_old_generation_that_stays_is_kept_and_named() {
    side_by_side(&[
        Trial::of(&[Fault::IgnoreQuit], Ending::Kept("marked"))
            .because("3 of the old generation still there")
            .serves(Serves::Both)
            .timing(IMPATIENT),
        Trial::of(&[Fault::SlowDrain(Duration::from_secs(1))], Ending::Kept("marked")),
        Trial::of(&[Fault::SlowDrain(Duration::from_hours(1))], Ending::Kept("marked"))
            .because("3 of the old generation still there")
            .serves(Serves::Both)
            .timing(IMPATIENT),
        // It was forked after the signal, and goes on to serve when its master has left.
        Trial::of(&[Fault::LateWorker], Ending::Kept("marked"))
            .because("1 of the old generation still there")
            .serves(Serves::Both)
            .timing(IMPATIENT),
    ]);
}

#[test]
fn a_new_generation_that_does_not_want_to_go_is_made_to() {
    let timing = Timing { ready_within: Duration::from_secs(1), ..IMPATIENT };
    side_by_side(&[
        Trial::of(&[Fault::NeverReady, Fault::IgnoreQuit], Ending::RolledBack)
            .because("not ready within 1 s")
            .seen("not ready: 503 from")
            .timing(timing),
        Trial::of(&[Fault::NeverReady, Fault::IgnoreQuit, Fault::IgnoreTerm], Ending::RolledBack)
            .because("not ready within 1 s")
            .seen("not ready: 503 from")
            .timing(timing),
    ]);
}

#[test]
fn an_old_generation_that_is_killed_before_the_new_one_has_the_lock_is_never_kept() {
    let boot = Fault::SlowBoot(Duration::from_millis(500));
    side_by_side(&[
        Trial::of(&[Fault::DieAtHandover, boot], Ending::Dropped).because("dropped its lock: "),
        Trial::of(&[Fault::Gap(Duration::from_millis(500))], Ending::Dropped).because("dropped its lock: "),
    ]);
}

#[test]
fn a_new_master_that_dies_is_not_kept_whenever_it_dies() {
    let settling = Timing { settle: Duration::from_secs(2), ..TIMING };
    let dies = Fault::DieAfter(Duration::from_millis(700));
    side_by_side(&[
        // Before the old one was told to leave.
        Trial::of(&[dies], Ending::RolledBack).because("after it was ready").timing(settling),
        // While the old one drains, which has let go already.
        Trial::of(&[dies, Fault::UnlockAtQuit, Fault::SlowDrain(Duration::from_secs(2))], Ending::Dropped)
            .because("dropped its lock: the lock was free at #")
            .serves(Serves::Nobody),
    ]);
}
