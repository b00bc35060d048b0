//! An offset that comes of writing to the lock file is no mark: it is the same again after the lock was let go and taken anew.

use std::time::Duration;

use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::server::{Kind, Release};
use baton_tests::testified::{Testified, local};

/// The program with a lock of its own outlives the handover, and is not to be waited for.
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(30), settle: Duration::from_millis(100), drain_within: Duration::from_secs(1) };

#[test]
fn puma_that_notes_its_pid_in_the_lock_file_is_not_kept_by_the_length_of_it() {
    // The other holder blinds the waiter.
    let fleet = Fleet::of(1).timing(TIMING).more("foreign-holders = \"allow\"\n").server(Kind::PumaNoting).start();
    let host = &fleet.hosts[0];
    fleet.await_held();
    host.server.deploy(&Release::sound("v2"));
    let answer = local(&fleet, host, &["reload", SERVICE]);
    let testified = Testified::last(&fleet, host).unwrap_or_else(|| panic!("{answer}"));
    assert_eq!((testified.verdict.as_str(), answer.code), ("unproven", Some(4)), "{}", testified.judged);
    let doubt = testified.judged["doubt"].as_str().unwrap_or_default();
    assert!(doubt.contains("the master called exec and its lock bears no mark"), "{}", testified.judged);
}
