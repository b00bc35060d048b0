//! The lock file is replaced: two masters hold two files, and neither proves anything of the other.

use std::fs;
use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::server::Kind;

use crate::trial::{Ending, TIMING, Trial, side_by_side};

const SETTLING: Timing = Timing { settle: Duration::from_secs(1), ..TIMING };
/// After it was first seen with the lock, and before it is looked at again.
const SOON: Duration = Duration::from_millis(600);

#[test]
fn a_new_master_on_a_lock_file_of_its_own_is_sent_away_and_the_old_one_stays() {
    let trial = |fault| {
        let trial = Trial::of(&[fault], Ending::RolledBack).because("the new master was never seen holding the lock: process");
        trial.because("lives but does not hold the lock")
    };
    side_by_side(&[trial(Fault::UnlinkLock), trial(Fault::RenameLock)]);
}

#[test]
fn a_new_master_that_moves_to_another_lock_file_between_two_looks_is_not_kept() {
    side_by_side(&[
        Trial::of(&[Fault::MoveLock(SOON)], Ending::RolledBack)
            .because("the new master was not seen at the closing of the window: process")
            .timing(SETTLING),
        // The old one is gone when it is found out.
        Trial::of(&[Fault::MoveLock(SOON), Fault::SlowDrain(Duration::from_secs(2))], Ending::Unproven)
            .because("the handover broke at step close: process")
            .because("lives but does not hold the lock"),
    ]);
}

#[test]
fn a_lock_file_that_was_replaced_under_a_master_is_refused_before_anything_is_signalled() {
    let fleet = Fleet::of(2).server(Kind::Patient).timing(TIMING).start();
    let [unlinked, renamed] = [&fleet.hosts[0], &fleet.hosts[1]].map(|host| host.server.lock());
    fs::remove_file(&unlinked).expect("a lock file can be unlinked");
    fs::write(&unlinked, "").expect("a file can be made");
    fs::write(renamed.with_extension("new"), "").expect("a file can be made");
    fs::rename(renamed.with_extension("new"), &renamed).expect("a file can be renamed");
    for host in &fleet.hosts {
        let before = host.server.master();
        let run = fleet.baton(&["restart", "web", &host.name]).expect_code(2);
        assert!(run.stderr.contains("is broken already: the lock file "), "{run}");
        assert!(run.stderr.contains(" was replaced: "), "{run}");
        assert_eq!(host.server.master(), before, "{run}");
        assert!(host.server.ask("/").is_ok(), "{run}");
        // It is no secret before somebody asks for a restart.
        let status = fleet.baton(&["status", &host.name]);
        assert!(status.text().contains(" was replaced"), "{status}");
    }
}
