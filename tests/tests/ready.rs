//! When a new generation counts as ready: each condition against a real server, where it holds and where it does not.
//!
//! Where it does not, the old generation is still there at the end, and the reason is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::deployed::is_alive;
use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Host, SERVICE, Timing};
use baton_tests::sandbox::Sandbox;
use baton_tests::server::{Flaw, Kind, Release};
use baton_tests::testified::{begin, local};
use baton_tests::wait;

const SOON: Duration = Duration::from_secs(20);
const SETTLE: Duration = Duration::from_secs(1);
/// Enough for a boot on a busy machine.
const LONG: Timing = Timing { ready_within: Duration::from_secs(30), settle: SETTLE, drain_within: Duration::from_secs(20) };
/// Enough to see that it does not come.
const SHORT: Timing = Timing { ready_within: Duration::from_secs(4), ..LONG };
/// There, the reason is told.
const LATE: &str = "the new generation was not ready within 4 s: ";

/// A host with such a server, which counts as ready by these conditions. Unicorn listens on a unix socket, too.
fn host(kind: Kind, conditions: &str, timing: Timing) -> Fleet {
    let sandbox = Sandbox::new();
    put(&sandbox, "listens-on-socket", "");
    Fleet::of(1).server(kind).ready(conditions).timing(timing).start_in(sandbox)
}

/// Writes a file beside the server that is to be started.
fn put(sandbox: &Sandbox, name: &str, text: &str) {
    let directory = sandbox.path().join("web-1/server");
    fs::create_dir_all(&directory).expect("a directory in the sandbox can be made");
    fs::write(directory.join(name), text).expect("a file in the sandbox can be written");
}

fn only(fleet: &Fleet) -> &Host {
    &fleet.hosts[0]
}

/// Hands over to this release, which becomes ready.
#[track_caller]
fn is_ready(fleet: &Fleet, release: &str, told: &str) -> Run {
    let host = only(fleet);
    let old = host.server.master().expect("it serves");
    host.server.deploy(&Release::sound(release));
    let run = local(fleet, host, &["reload", SERVICE]).expect_code(0);
    assert!(run.stdout.contains("Kept ["), "{run}");
    assert!(run.text().contains(told), "{told:?} is not told: {run}");
    assert_ne!(host.server.master(), Ok(old), "{run}");
    run
}

/// Hands over to this release, which does not become ready: all is as it was, and the reason is told.
#[track_caller]
fn is_not_ready(fleet: &Fleet, release: &Release, told: &[&str]) -> Run {
    let host = only(fleet);
    let old = host.server.master().expect("it serves");
    host.server.deploy(release);
    let run = local(fleet, host, &["reload", SERVICE]).expect_code(3);
    assert!(run.stdout.contains("RolledBack ["), "{run}");
    for words in told {
        assert!(run.text().contains(words), "{words:?} is not told: {run}");
    }
    assert_eq!(host.server.master(), Ok(old), "{run}");
    assert!(is_alive(old), "{run}");
    run
}

#[test]
fn unicorn_must_give_the_wanted_answer() {
    let http = "http = \"http://{http}/up\"";
    let right = format!("{http}, status = 200, body = \"v2 \", header = \"X-Release: v2\"");
    is_ready(&host(Kind::Unicorn, &right, LONG), "v2", "200 from ");
    for (wanted, told) in [
        ("status = [204, \"301-302\"]", "200 from "),
        ("body = \"v3\"", "200 without \"v3\" in its body, which begins \"v2 "),
        ("header = \"X-Release: v3\"", "200 with \"v2\" where X-Release: \"v3\" is wanted from "),
    ] {
        let fleet = host(Kind::Unicorn, &format!("{http}, {wanted}"), SHORT);
        is_not_ready(&fleet, &Release::sound("v2"), &[LATE, told]);
        assert_eq!(only(&fleet).server.ask("/").expect("it serves").release, "v1");
    }
}

#[test]
fn unicorn_is_asked_over_its_unix_socket() {
    let http = "http = \"unix:{socket}:/up\"";
    let fleet = host(Kind::Unicorn, &format!("{http}, body = \"v2 \""), LONG);
    let new = is_ready(&fleet, "v2", "200 from ");
    // Each master calls listen(2) anew on the one socket, and none of its workers ever does: the answer is a worker's all the same.
    let master = only(&fleet).server.master().expect("it serves");
    assert!(!new.text().contains(&format!("200 from {master}")), "{new}");
    let fleet = host(Kind::Unicorn, http, SHORT);
    is_not_ready(&fleet, &Release::flawed("v2", Flaw::NeverReady), &[LATE, "503 from "]);
}

/// ray-project/ray#64063: the old process answers the probe, over the socket that both have.
#[test]
fn the_old_generation_that_answers_is_not_the_new_one_that_boots() {
    for conditions in ["http = \"unix:{socket}:/up\"", "tcp = \"unix:{socket}\""] {
        let fleet = host(Kind::Unicorn, conditions, SHORT);
        is_not_ready(&fleet, &Release::flawed("v2", Flaw::HangsAtBoot), &[LATE, " of the old generation"]);
    }
}

/// benoitc/gunicorn#1374: the pid file is written before the workers boot. So does Unicorn.
#[test]
fn a_pid_file_is_no_sign_of_workers() {
    let fleet = host(Kind::Unicorn, "workers = 2", SHORT);
    let run = is_not_ready(&fleet, &Release::flawed("v2", Flaw::HangsAtBoot), &[LATE, "workers: 0 of 2 hold the lock"]);
    assert!(run.text().contains("is named by the pid file"), "{run}");
}

#[test]
fn a_process_of_the_new_generation_must_accept_the_connection() {
    is_ready(&host(Kind::Unicorn, "tcp = \"unix:{socket}\"", LONG), "v2", "was accepted from ");
    // Unicorn has the kernel keep a silent connection for a second.
    is_ready(&host(Kind::Unicorn, "tcp = \"{http}\"", LONG), "v2", "was accepted from ");
    is_ready(&host(Kind::Patient, "tcp = \"{http}\"", LONG), "v2", "was accepted from ");
    let fleet = host(Kind::Patient, "tcp = \"{http}\"", SHORT);
    only(&fleet).server.set_faults(&[Fault::Deaf]);
    let old = only(&fleet).server.master().expect("it serves");
    let run = local(&fleet, only(&fleet), &["reload", SERVICE]).expect_code(3);
    assert!(run.text().contains("tcp: a connection to ") && run.text().contains(" of the old generation"), "{run}");
    assert_eq!(only(&fleet).server.master(), Ok(old), "{run}");
}

#[test]
fn as_many_workers_as_wanted_must_hold_and_stay() {
    let fleet = host(Kind::Unicorn, "workers = 2", LONG);
    is_ready(&fleet, "v2", "2 workers hold the lock");
    let fleet = host(Kind::Unicorn, "workers = 3", SHORT);
    is_not_ready(&fleet, &Release::sound("v2"), &[LATE, "workers: 2 of 3 hold the lock"]);
}

/// A master of Unicorn whose workers load the application themselves forks them again and again.
#[test]
fn workers_that_crash_and_are_forked_again_never_count() {
    let fleet = host(Kind::UnicornLazy, "workers = 2", SHORT);
    is_not_ready(&fleet, &Release::flawed("v2", Flaw::RaisesAtBoot), &[LATE, "workers: "]);
    assert_eq!(only(&fleet).server.ask("/").expect("it serves").release, "v1");
}

/// A worker that is killed in the settle time is forked again: there are as many as before, and not the same.
#[test]
fn a_worker_that_is_replaced_begins_the_settle_time_anew() {
    let timing = Timing { settle: Duration::from_secs(4), ..LONG };
    let fleet = host(Kind::Unicorn, "workers = 2", timing);
    let server = &only(&fleet).server;
    let old = server.master().expect("it serves");
    server.deploy(&Release::sound("v2"));
    let reload = begin(&fleet, only(&fleet), &["reload", SERVICE]);
    reload.wait_to_read(&["2 workers hold the lock", "it must stay so for 4 s"], SOON);
    let new = server.master().expect("the new one has written it");
    assert_ne!(new, old);
    let worker = wait::until("a worker of the new generation to answer", SOON, || match server.ask("/") {
        Ok(answer) if answer.master == new => Ok(answer.pid),
        other => Err(format!("{other:?}")),
    });
    baton_tests::server::signal(worker, nix::sys::signal::Signal::SIGKILL);
    let run = reload.finish(Duration::from_mins(1)).expect_code(0);
    assert!(run.stdout.contains("Kept ["), "{run}");
    let begun = run.stderr.matches("2 workers hold the lock; it must stay so for 4 s").count();
    assert_eq!(begun, 2, "{run}");
    let told = local(&fleet, only(&fleet), &["testimony", SERVICE]).expect_code(0);
    assert!(told.text().contains(&worker.to_string()), "the one that left is not named: {told}");
}

/// Where the master stays, its new workers are counted, and those of before are not.
#[test]
fn workers_are_counted_in_place_too() {
    for kind in [Kind::Nginx, Kind::Haproxy] {
        let fleet =
            Fleet::of(1).server(kind).ready(if kind == Kind::Nginx { "workers = 2" } else { "workers = 1" }).timing(LONG).start();
        let host = only(&fleet);
        host.server.deploy(&Release::sound("v2"));
        let run = local(&fleet, host, &["reload", SERVICE]).expect_code(0);
        assert!(run.stdout.contains("Kept [") && run.text().contains("workers hold the lock"), "{kind:?} {run}");
        assert_eq!(host.server.ask("/").expect("it serves").release, "v2");
    }
    let fleet = Fleet::of(1).server(Kind::Nginx).ready("workers = 2").timing(SHORT).start();
    let host = only(&fleet);
    host.server.deploy(&Release::flawed("v2", Flaw::RaisesAtBoot));
    let run = local(&fleet, host, &["reload", SERVICE]).expect_code(3);
    assert!(run.text().contains("no new worker was ready within 4 s: workers: 0 of 2 hold the lock"), "{run}");
}

/// A program in the sandbox.
fn program(sandbox: &Sandbox, script: &str) -> PathBuf {
    let path = sandbox.path().join("check");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file in the sandbox can be written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
    path
}

/// A host with Unicorn, which counts as ready when this script ends with 0.
fn checked(script: &str, timing: Timing) -> Fleet {
    let sandbox = Sandbox::new();
    let conditions = format!("exec = [\"{}\", \"{{pidfile}}\", \"{{directory}}\"]", program(&sandbox, script).display());
    Fleet::of(1).ready(&conditions).timing(timing).start_in(sandbox)
}

#[test]
fn a_program_decides_and_is_told_whom_to_ask() {
    // It is the new master that the pid file names, and the old one that its other file does.
    let script = "test \"$BATON_SERVICE\" = web && test $(cat $1) = $BATON_NEW_MASTER && test $(cat $1.oldbin) = $BATON_OLD_MASTER \
                  && echo they are both there";
    is_ready(&checked(script, LONG), "v2", "check ended with 0: they are both there (whom it asked is not known)");
    let fleet = checked("echo first; echo the cache is cold >&2; exit 7", SHORT);
    is_not_ready(&fleet, &Release::sound("v2"), &[LATE, "exec: ", "check ended with 7: the cache is cold"]);
}

/// Unitech/pm2#1155: "successfully reloaded" when the time was over.
#[test]
fn a_program_that_hangs_is_no_success_and_is_killed() {
    let fleet = checked("echo $$ > $2/check.pid.draft && mv $2/check.pid.draft $2/check.pid; sleep 1000; true", SHORT);
    is_not_ready(&fleet, &Release::sound("v2"), &[LATE]);
    let written = fs::read_to_string(only(&fleet).server.directory().join("check.pid")).expect("it was run");
    let pid = written.trim().parse().expect("a pid");
    wait::until("the program to be killed", SOON, || if is_alive(pid) { Err(format!("{pid} lives")) } else { Ok(()) });
}

#[test]
fn a_grpc_server_must_say_that_it_serves() {
    let grpc = |service: &str| format!("grpc = \"{{http}}\", grpc-service = \"{service}\"");
    is_ready(&host(Kind::PatientGrpc, &grpc("patient"), LONG), "v2", "SERVING from ");
    is_ready(&host(Kind::PatientGrpc, "grpc = \"{http}\"", LONG), "v2", "SERVING from ");
    let fleet = host(Kind::PatientGrpc, &grpc("patient"), SHORT);
    is_not_ready(&fleet, &Release::flawed("v2", Flaw::NeverReady), &[LATE, "grpc: NOT_SERVING from "]);
    let fleet = host(Kind::PatientGrpc, &grpc("nobody"), SHORT);
    is_not_ready(&fleet, &Release::sound("v2"), &[LATE, "grpc: NotFound ("]);
    let fleet = host(Kind::PatientGrpc, &grpc("patient"), SHORT);
    only(&fleet).server.set_faults(&[Fault::Deaf]);
    let run = local(&fleet, only(&fleet), &["reload", SERVICE]).expect_code(3);
    assert!(run.text().contains("grpc: SERVING from ") && run.text().contains(" of the old generation"), "{run}");
    // It speaks HTTP/1, and so is no such server.
    let fleet = host(Kind::Patient, &grpc("patient"), SHORT);
    is_not_ready(&fleet, &Release::sound("v2"), &[LATE, "grpc: "]);
}

/// A host with Unicorn whose masters or workers say that they are ready.
fn notifying(kind: Kind, who: &str, timing: Timing) -> Fleet {
    let sandbox = Sandbox::new();
    let socket = notices(sandbox.path());
    let fleet = Fleet::of(1).server(kind).ready("notify = true, workers = 2").timing(timing).start_in(sandbox);
    assert!(socket.exists(), "{}", socket.display());
    fs::write(only(&fleet).server.directory().join("notifies"), format!("{who} {}", socket.display())).expect("a file");
    fleet
}

/// Where the agent listens.
fn notices(sandbox: &Path) -> PathBuf {
    sandbox.join("web-1/agent/state/web.notify")
}

#[test]
fn a_process_of_the_new_generation_must_say_that_it_is_ready() {
    let fleet = notifying(Kind::Unicorn, "worker", LONG);
    is_ready(&fleet, "v2", "; READY=1 from ");
    is_ready(&notifying(Kind::Unicorn, "master", LONG), "v2", "; READY=1 from ");
}

/// HAProxy's one master says so when it has called exec and read its configuration: it is its new program that counts.
#[test]
fn a_master_that_stays_must_say_it_anew() {
    let sandbox = Sandbox::new();
    put(&sandbox, "notifies", &notices(sandbox.path()).display().to_string());
    let fleet = Fleet::of(1).server(Kind::Haproxy).ready("notify = true, workers = 1").timing(LONG).start_in(sandbox);
    let host = only(&fleet);
    let master = host.server.master().expect("it serves");
    for release in ["v2", "v3"] {
        host.server.deploy(&Release::sound(release));
        let run = local(&fleet, host, &["reload", SERVICE]).expect_code(0);
        assert!(run.text().contains(&format!("; READY=1 from {master}")), "{run}");
        assert_eq!(host.server.ask("/").expect("it serves").release, release);
    }
}

/// gunicorn sends it when its application is broken, and dies a moment later: so does this one, its masters or its workers.
#[test]
fn who_says_that_it_is_ready_and_dies_is_not() {
    let fleet = notifying(Kind::Unicorn, "master", SHORT);
    is_not_ready(&fleet, &Release::flawed("v2", Flaw::RaisesAtBoot), &[]);
    let fleet = notifying(Kind::UnicornLazy, "worker", SHORT);
    is_not_ready(&fleet, &Release::flawed("v2", Flaw::RaisesAtBoot), &[LATE]);
}

/// Has this test, which is not of the service, say that it is ready as often as it can.
fn flooded(fleet: &Fleet, check: impl FnOnce(&Fleet)) {
    let socket = notices(fleet.directory());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let client = UnixDatagram::unbound().expect("a socket");
            client.set_write_timeout(Some(Duration::from_millis(100))).expect("a timeout");
            let mut sent = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                sent += u64::from(client.send_to(b"READY=1", &socket).is_ok());
            }
            sent
        });
        let end = End(&is_over);
        check(fleet);
        drop(end);
        assert!(flood.join().expect("a thread") > 100);
    });
}

/// The kernel tells who has sent it.
#[test]
fn what_a_stranger_says_does_not_count() {
    let fleet = host(Kind::Unicorn, "notify = true, http = \"http://{http}/up\"", SHORT);
    let told = [LATE, "notify: READY=1 from ", "which is not seen to be of the service"];
    flooded(&fleet, |fleet| drop(is_not_ready(fleet, &Release::sound("v2"), &told)));
}

#[test]
fn a_flood_of_notices_drowns_neither_the_agent_nor_those_that_count() {
    let fleet = notifying(Kind::Unicorn, "worker", LONG);
    flooded(&fleet, |fleet| drop(is_ready(fleet, "v2", "; READY=1 from ")));
}

/// Ends the flood, however the test ends.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two conditions, of which one holds: the other names itself.
#[test]
fn all_conditions_must_hold() {
    let fleet = host(Kind::Unicorn, "workers = 2, http = \"http://{http}/up\"", LONG);
    is_ready(&fleet, "v2", "2 workers hold the lock; 200 from ");
    let fleet = host(Kind::Unicorn, "workers = 2, tcp = \"unix:{socket}\", http = \"http://{http}/up\"", SHORT);
    is_not_ready(&fleet, &Release::flawed("v2", Flaw::NeverReady), &[LATE, "503 from "]);
}
