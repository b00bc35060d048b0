//! Whoever else holds the lock while the server is gone: the waiter is blind then, and yet nothing is called kept.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Host, Timing};
use baton_tests::server::Kind;
use baton_tests::wait;
use nix::sys::signal::Signal;

use crate::trial::{Ending, Serves, TIMING, Trial, on};

const NO_OVERLAP: &str = "no overlap was seen: the old master was not seen holding after the new one was";
/// A host that is told to live with whoever else holds the lock: what is proven is the same.
const ALLOWED: &str = "foreign-holders = \"allow\"\n";
const SOON: Duration = Duration::from_secs(20);
/// Somebody of the old generation outlives it.
const SHORT: Timing = Timing { drain_within: Duration::from_secs(1), ..TIMING };

/// Far longer than any gap that a waiter misses.
fn gone() -> Trial {
    Trial::of(&[Fault::Gap(Duration::from_millis(300))], Ending::Unproven).because(NO_OVERLAP)
}

/// As a cron job does it that must not run while nobody serves.
fn flock(host: &Host) -> Child {
    let log = host.server.lock().with_extension("cron.log");
    let log = File::create(log).expect("a file in the sandbox can be made");
    let mut command = Command::new("flock");
    command.arg("--shared").arg(host.server.lock()).args(["sh", "-c", "echo held; exec sleep 86400"]);
    command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn().expect("util-linux is installed")
}

#[test]
fn a_helper_of_the_app_that_keeps_the_lock_does_not_prove_that_the_server_was_there() {
    for helper in [Fault::HelperExecuted, Fault::HelperForked] {
        let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).faults(&[helper]).start();
        on(&fleet, &[gone()]);
        assert!(fleet.hosts[0].server.log().contains("keeps the lock"), "{helper}: {}", fleet.hosts[0].server.log());
        assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the helper did not keep the lock");
    }
}

#[test]
fn a_cron_job_that_keeps_the_lock_does_not_prove_that_the_server_was_there() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).more(ALLOWED).start();
    let host = &fleet.hosts[0];
    let mut job = flock(host);
    wait::until("the job to have its lock", SOON, || {
        let log = fs::read_to_string(host.server.lock().with_extension("cron.log")).unwrap_or_default();
        if log.contains("held") { Ok(()) } else { Err(log) }
    });
    on(&fleet, &[gone()]);
    assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the job did not keep the lock");
    assert_eq!(job.try_wait().ok(), Some(None), "the job was gone in the meantime");
    job.kill().and_then(|()| job.wait().map(drop)).expect("a job can be killed");
}

#[test]
fn a_shell_that_starts_the_server_again_and_keeps_the_lock_does_not_prove_that_the_server_was_there() {
    let fleet = Fleet::of(1).server(Kind::PatientWrapped).timing(TIMING).more(ALLOWED).start();
    let crash = Trial::of(&[Fault::CrashAtHandover, Fault::SlowBoot(Duration::from_millis(300))], Ending::Unproven);
    on(&fleet, &[crash.because(NO_OVERLAP)]);
    assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the shell did not keep the lock");
}

#[test]
fn a_worker_that_the_old_master_forked_after_the_signal_does_not_prove_that_the_server_was_there() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).start();
    let faults = [Fault::LateWorker, Fault::DieAtHandover, Fault::SlowBoot(Duration::from_millis(300))];
    // It serves both during the gap and after it, and has the lock: but nobody would start another one.
    on(&fleet, &[Trial::of(&faults, Ending::Unproven).because(NO_OVERLAP).serves(Serves::BothAfterLosses)]);
    assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the worker did not keep the lock");
}

#[test]
fn an_orphan_of_an_earlier_generation_does_not_prove_that_the_server_was_there() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(SHORT).drain("lingering = 2").more(ALLOWED).start();
    let host = &fleet.hosts[0];
    Trial::of(&[Fault::Orphan], Ending::Kept("marked")).because("1 of the old generation still there").expect_on(&fleet, host);
    // What it keeps is the lock of a generation that has left.
    Trial::of(&[Fault::Gap(Duration::from_millis(300))], Ending::Unproven).because(NO_OVERLAP).expect_on(&fleet, host);
    assert_eq!(fleet.standings()[0].epoch, 0, "the waiter saw a drop: the orphan did not keep the lock");
}

#[test]
fn a_service_of_which_only_a_helper_is_left_is_refused() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).faults(&[Fault::HelperForked]).start();
    let host = &fleet.hosts[0];
    host.server.signal(Signal::SIGKILL);
    wait::until("the workers to leave", SOON, || host.server.ask("/").map_or(Ok(()), |answer| Err(format!("{answer:?}"))));
    let run = fleet.baton(&["restart", "web"]).expect_code(2);
    assert!(run.stderr.contains("is broken already: the lock is held, but not by a master"), "{run}");
    let status = fleet.baton(&["status"]);
    assert_ne!(status.code, Some(0), "{status}");
}

#[test]
fn a_master_whose_death_takes_long_does_not_prove_that_the_server_was_there() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).faults(&[Fault::Memory(512)]).start();
    on(&fleet, &[Trial::of(&[Fault::DieAtHandover], Ending::NeverKept)]);
}

#[test]
fn two_services_on_one_lock_file_are_refused() {
    let twin = "\n[service.twin]\ndialect = \"unicorn\"\npidfile = \"{pidfile}.twin\"\nlock = \"{lock}.twin\"\n\
                ready = { http = \"http://{http}/up\" }\n";
    let fleet = Fleet::of(1).server(Kind::Patient).timing(TIMING).more(twin).start_unheld();
    let server = &fleet.hosts[0].server;
    let before = server.master();
    // Of two paths that are one, the configuration would have been refused; a link is seen only on the host.
    let alias = server.pidfile().with_extension("pid.lock.twin");
    fs::hard_link(server.lock(), alias).expect("a file can have two names");
    let also = "is also that of the service twin";
    wait::until("the agent to see that the files are one", SOON, || {
        let status = fleet.baton(&["status"]);
        if status.text().contains(also) { Ok(()) } else { Err(status.to_string()) }
    });
    let run = fleet.baton(&["restart", "web"]).expect_code(2);
    assert!(run.stderr.contains(also), "{run}");
    assert_eq!(server.master(), before, "{run}");
}

#[test]
fn an_orphan_of_the_generation_before_is_named_and_a_restart_is_refused_for_it() {
    let fleet = Fleet::of(1).server(Kind::Patient).timing(SHORT).start();
    let host = &fleet.hosts[0];
    Trial::of(&[Fault::Orphan], Ending::Kept("marked")).because("1 of the old generation still there").expect_on(&fleet, host);
    let before = host.server.master();
    let run = fleet.baton(&["restart", "web"]).expect_code(2);
    assert!(run.stderr.contains("is broken already: generation 1 was told to leave and is there still"), "{run}");
    assert_eq!(host.server.master(), before, "{run}");
}
