//! Handovers of real Gunicorn, of real nginx by USR2, and of a server that only the configuration knows, to a new master beside the old one.
//!
//! The kernel's own ledger of each lock is kept beside them.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_tests::fleet::{Fleet, Host, SERVICE, Timing};
use baton_tests::http;
use baton_tests::ledger::Ledger;
use baton_tests::load::{Load, Mix};
use baton_tests::server::{self, Flaw, Kind, Release};
use baton_tests::testified::local;
use baton_tests::wait;
use baton_tests::witnessed::{self, reload, was_free};
use nix::sys::signal::Signal;

const HANDOVERS: usize = 5;
const SOON: Duration = Duration::from_secs(30);
/// Longer than the two seconds after which a release that dies after its boot is dead.
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(5), settle: Duration::from_millis(300), drain_within: Duration::from_secs(20) };
/// New connections, and long requests: what a server does to a kept connection when it leaves is its own.
const LOAD: Mix = Mix { keep_alive: 0, close: 3, pace: Duration::from_millis(20), long: 1, long_for: Duration::from_millis(700) };
/// nginx answers by itself, at once.
const LOAD_SHORT: Mix = Mix { long: 0, long_for: Duration::ZERO, ..LOAD };

/// A fleet of one host with such a server, beside the ledger.
fn stage(kind: Kind, timing: Timing) -> (Ledger, Fleet) {
    witnessed::start(Fleet::of(1).server(kind).timing(timing))
}

/// The pid file of the other master, while there are two.
fn other_pid_file(host: &Host, suffix: &str) -> PathBuf {
    host.server.pidfile().with_extension(format!("pid{suffix}"))
}

/// Handovers under load, each asked for as soon as the last one is over: all are kept by marked locks, each has a new master whom
/// the pid file names, and each serves the new release; no request is lost.
#[track_caller]
fn all_are_kept(kind: Kind, suffix: &str, load: Mix) {
    let (mut ledger, fleet) = stage(kind, TIMING);
    let host = &fleet.hosts[0];
    let load = Load::start(&fleet.targets(), load);
    for number in 0..HANDOVERS {
        let before = host.server.master().expect("it serves");
        let release = format!("v{}", number + 2);
        let (testified, answer) = reload(&fleet, &Release::sound(&release));
        assert!(testified.is_kept_marked(), "{}\n{answer}", testified.judged);
        assert!(!was_free(&mut ledger, host, &testified), "kept, and free by the ledger: {}", testified.judged);
        let after = host.server.master().expect("the pid file names the new master when it is over");
        assert_ne!(after, before, "{answer}");
        let served = host.server.ask("/").expect("it serves");
        assert_eq!((served.release, served.master), (release, after), "{answer}");
        assert!(!other_pid_file(host, suffix).exists(), "{answer}");
        let standing = &fleet.standings()[0];
        assert_eq!((standing.epoch, standing.master), (0, u64::from(after)), "{answer}");
    }
    assert_eq!(fleet.standings()[0].generation, 1 + u64::try_from(HANDOVERS).expect("a few"));
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}");
}

#[test]
fn gunicorn_with_the_hook_of_deploy_is_kept_marked_and_loses_no_request() {
    all_are_kept(Kind::Gunicorn, ".2", LOAD);
}

#[test]
fn nginx_that_is_upgraded_is_kept_marked_and_loses_no_request() {
    all_are_kept(Kind::NginxUpgrade, ".oldbin", LOAD_SHORT);
}

#[test]
fn a_server_that_the_configuration_describes_is_kept_marked_and_loses_no_request() {
    all_are_kept(Kind::PatientGeneric, ".oldbin", LOAD);
}

/// A release that does not come to serve leaves the old master in charge, and its files as they were; the next one is handed over to.
#[track_caller]
fn is_rolled_back(kind: Kind, suffix: &str, flaw: Flaw, told: &[&str]) {
    let (mut ledger, fleet) = stage(kind, TIMING);
    let host = &fleet.hosts[0];
    let before = host.server.master().expect("it serves");
    let load = Load::start(&fleet.targets(), LOAD_SHORT);
    let (testified, answer) = reload(&fleet, &Release::flawed("v2", flaw));
    assert_eq!((testified.verdict.as_str(), answer.code), ("unbroken", Some(3)), "{answer}");
    assert!(told.iter().any(|told| answer.text().contains(told)), "{answer}");
    assert!(!was_free(&mut ledger, host, &testified));
    assert_eq!(host.server.master(), Ok(before), "{answer}");
    let served = host.server.ask("/").expect("it serves");
    assert_eq!((served.release.as_str(), served.master), ("v1", before), "{answer}");
    // Gunicorn may leave its file: when it was killed, and when two of its workers fail at once. It names nobody.
    assert!(kind == Kind::Gunicorn || !other_pid_file(host, suffix).exists(), "{answer}");
    wait::until("the file to name nobody", SOON, || match fs::read_to_string(other_pid_file(host, suffix)) {
        Ok(pid) if Path::new("/proc").join(pid.trim()).exists() => Err(pid),
        Ok(_) | Err(_) => Ok(()),
    });
    let (testified, answer) = reload(&fleet, &Release::sound("v3"));
    assert!(testified.is_kept_marked(), "{}\n{answer}", testified.judged);
    assert_eq!(host.server.ask("/").expect("it serves").release, "v3");
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}");
}

#[test]
fn a_release_that_raises_at_boot_leaves_the_old_gunicorn_in_charge() {
    is_rolled_back(Kind::Gunicorn, ".2", Flaw::RaisesAtBoot, &["exited before it was ready", "exited while it booted"]);
}

/// It is dead before it has written its pid file: nothing but its birth and death tells.
#[test]
fn a_configuration_that_gunicorn_refuses_leaves_the_old_one_in_charge() {
    is_rolled_back(Kind::Gunicorn, ".2", Flaw::RefusedConfiguration, &["exited before it was ready", "exited while it booted"]);
}

#[test]
fn a_gunicorn_that_hangs_at_boot_is_ended_and_the_old_one_stays() {
    is_rolled_back(Kind::Gunicorn, ".2", Flaw::HangsAtBoot, &["not ready within 5 s"]);
}

#[test]
fn a_gunicorn_that_is_never_ready_is_ended_and_the_old_one_stays() {
    is_rolled_back(Kind::Gunicorn, ".2", Flaw::NeverReady, &["503"]);
}

#[test]
fn a_configuration_that_nginx_refuses_when_it_is_upgraded_leaves_the_old_one_in_charge() {
    let told = ["exited before it was ready", "exited while it booted"];
    is_rolled_back(Kind::NginxUpgrade, ".oldbin", Flaw::RefusedConfiguration, &told);
}

#[test]
fn a_release_that_raises_at_boot_leaves_the_old_server_of_the_configuration_in_charge() {
    let told = ["exited before it was ready", "exited while it booted"];
    is_rolled_back(Kind::PatientGeneric, ".oldbin", Flaw::RaisesAtBoot, &told);
}

/// Somebody else's USR2: two masters, and the server would ignore ours.
#[test]
fn a_new_gunicorn_that_somebody_else_has_started_is_named_and_refuses_a_reload() {
    let (_, fleet) = stage(Kind::Gunicorn, TIMING);
    let host = &fleet.hosts[0];
    let old = host.server.master().expect("it serves");
    host.server.signal(Signal::SIGUSR2);
    let new: u32 = wait::until("the new master's pid file", SOON, || {
        let text = fs::read_to_string(other_pid_file(host, ".2")).map_err(|error| error.to_string())?;
        text.trim().parse().map_err(|_| text)
    });
    wait::until("a refusal that names it", SOON, || {
        let answer = local(&fleet, host, &["reload", SERVICE]);
        assert_eq!(answer.code, Some(3), "{answer}");
        let status = local(&fleet, host, &["status"]);
        let is_told = status.text().contains(&format!("unicorn.pid.2 names the living process {new}"));
        if is_told { Ok(()) } else { Err(format!("{answer}{status}")) }
    });
    assert_eq!(host.server.master(), Ok(old));
    // He goes through with it: whoever is left is in charge, and is handed over from.
    server::signal(old, Signal::SIGTERM);
    wait::until("the new master to be in charge", SOON, || {
        let standing = fleet.standings().swap_remove(0);
        if standing.master == u64::from(new) && standing.epoch == 0 { Ok(()) } else { Err(format!("{standing:?}")) }
    });
    wait::until("its pid file", SOON, || {
        host.server.master().and_then(|pid| if pid == new { Ok(()) } else { Err(pid.to_string()) })
    });
    let (testified, answer) = reload(&fleet, &Release::sound("v2"));
    assert!(testified.is_kept_marked(), "{}\n{answer}", testified.judged);
}

/// Until it is gone the pid file names it, and Gunicorn ignores another USR2.
#[test]
fn an_old_gunicorn_with_a_long_request_is_not_in_charge_although_the_pid_file_names_it() {
    let (_, mut fleet) = stage(Kind::Gunicorn, Timing { drain_within: Duration::from_secs(1), ..TIMING });
    let server = &fleet.hosts[0].server;
    let (old, address) = (server.master().expect("it serves"), server.address());
    let long = std::thread::spawn(move || {
        let stream = TcpStream::connect(address).expect("it listens");
        http::exchange(&stream, "/slow?ms=8000", false).map(|reply| reply.body)
    });
    let (testified, answer) = reload(&fleet, &Release::sound("v2"));
    assert!(testified.is_kept_marked(), "{}\n{answer}", testified.judged);
    assert!(answer.text().contains("the old generation is not gone within 1 s"), "{answer}");
    let new = fleet.standings()[0].master;
    assert!(new != u64::from(old) && fleet.hosts[0].server.master() == Ok(old), "{answer}");
    let refused = local(&fleet, &fleet.hosts[0], &["reload", SERVICE]).expect_code(3);
    assert!(refused.text().contains("is there still") && refused.text().contains(&old.to_string()), "{refused}");
    let status = local(&fleet, &fleet.hosts[0], &["status"]);
    assert!(status.text().contains("is there still, ") && status.text().contains(&old.to_string()), "{status}");
    // Another run of the agent knows it, too.
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    assert_eq!(fleet.standings()[0].master, new);
    let body = long.join().expect("it does not panic").expect("it was answered to its end");
    assert!(body.starts_with("v1 ") && body.trim().ends_with(&old.to_string()), "{body}");
    let server = &fleet.hosts[0].server;
    wait::until("the new master's pid file", SOON, || {
        server.master().and_then(|pid| if pid == old { Err("old".into()) } else { Ok(()) })
    });
    let (testified, answer) = reload(&fleet, &Release::sound("v3"));
    assert!(testified.is_kept_marked(), "{}\n{answer}", testified.judged);
    assert_eq!((fleet.standings()[0].epoch, fleet.standings()[0].generation), (0, 3));
}

/// In the foreground below whoever started it, it takes itself for the new one of two: nothing comes, and nothing is lost.
#[test]
fn an_nginx_in_the_foreground_that_ignores_the_signal_is_left_as_it_is() {
    let timing = Timing { ready_within: Duration::from_secs(1), ..TIMING };
    let fleet = Fleet::of(1).server(Kind::Nginx).timing(timing).more("signal = \"USR2\"\n").start();
    let host = &fleet.hosts[0];
    let before = host.server.master().expect("it serves");
    let (testified, answer) = reload(&fleet, &Release::sound("v2"));
    assert_eq!((testified.verdict.as_str(), answer.code), ("unbroken", Some(3)), "{answer}");
    assert!(answer.text().contains("at step appear: no new master appeared within 1 s"), "{answer}");
    let served = host.server.ask("/").expect("it serves");
    assert_eq!((served.release.as_str(), served.master), ("v1", before), "{answer}");
}
