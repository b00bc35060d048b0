//! Handovers in place of real nginx, Gunicorn and Puma, and by exec of real Puma, HAProxy and uWSGI: what they prove, and what a hook that
//! drops its lock does not.
//!
//! The kernel's own ledger of each lock is kept beside them.

use std::fs;
use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::deployed;
use baton_tests::fleet::{Builder, Fleet, Host, Timing};
use baton_tests::ledger::Ledger;
use baton_tests::load::{Load, Mix, Tally};
use baton_tests::server::{self, Flaw, Kind, Release};
use baton_tests::steps::Steps;
use baton_tests::testified::Testified;
use baton_tests::wait;
use baton_tests::witnessed::{self, reload, was_free};
use nix::sys::signal::Signal;

const HANDOVERS: usize = 6;
const SOON: Duration = Duration::from_secs(30);
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(30), settle: Duration::from_millis(100), drain_within: Duration::from_secs(20) };

/// New connections only: what Puma and uWSGI do to a kept one at a restart is theirs.
const LOAD: Mix = Mix { keep_alive: 0, close: 3, pace: Duration::from_millis(20), long: 0, long_for: Duration::ZERO };

/// A fleet of one host with such a server, beside the ledger.
fn stage(kind: Kind) -> (Ledger, Fleet) {
    stage_of(kind, Fleet::of(1).timing(TIMING))
}

fn stage_of(kind: Kind, fleet: Builder) -> (Ledger, Fleet) {
    witnessed::start(fleet.server(kind))
}

/// One handover to another release that works.
#[track_caller]
fn hand_over(fleet: &Fleet, release: &str) -> (Testified, Run) {
    reload(fleet, &Release::sound(release))
}

/// Handovers under load: all are kept by a marked lock, by one master, and each to the new release; what the clients met.
#[track_caller]
fn all_are_kept(kind: Kind, shape: &str) -> Tally {
    let (mut ledger, fleet) = stage(kind);
    let host = &fleet.hosts[0];
    let master = host.server.master().expect("it serves");
    let load = Load::start(&fleet.targets(), LOAD);
    for number in 0..HANDOVERS {
        let release = format!("v{}", number + 2);
        let (testified, _) = hand_over(&fleet, &release);
        assert!(testified.is_kept_marked(), "{}", testified.judged);
        assert_eq!(
            (&testified.judged["shape"], &testified.judged["pid"]),
            (&shape.into(), &master.into()),
            "{}",
            testified.judged
        );
        assert!(!was_free(&mut ledger, host, &testified), "kept, and free by the ledger: {}", testified.judged);
        let answer = host.server.ask("/").expect("it serves");
        assert_eq!((answer.release, answer.master, host.server.master()), (release, master, Ok(master)));
        assert!(
            testified.judged["new_worker_pid"].is_u64() && testified.judged["new_worker_pid"] != master,
            "{}",
            testified.judged
        );
    }
    let standing = &fleet.standings()[0];
    assert_eq!((standing.epoch, standing.generation), (0, 1 + u64::try_from(HANDOVERS).expect("a few")));
    load.stop()
}

#[test]
fn puma_with_the_hook_of_deploy_is_kept_marked_and_loses_no_request() {
    let tally = all_are_kept(Kind::Puma, "exec");
    assert_eq!(tally.failed(), 0, "{tally}");
}

/// A worker that it ends may close a connection that it has just taken: that is Puma's own, and no more than one for each.
#[test]
fn puma_that_replaces_one_worker_after_the_other_is_kept_marked() {
    let tally = all_are_kept(Kind::PumaPhased, "in_place");
    assert!(tally.failed() <= 2 * u64::try_from(HANDOVERS).expect("a few"), "{tally}");
}

#[test]
fn gunicorn_in_place_is_kept_marked_and_loses_no_request() {
    let tally = all_are_kept(Kind::GunicornHup, "in_place");
    assert_eq!(tally.failed(), 0, "{tally}");
}

#[test]
fn haproxy_that_hold_hands_the_lock_down_to_is_kept_marked_and_loses_no_request() {
    let tally = all_are_kept(Kind::Haproxy, "exec");
    assert_eq!(tally.failed(), 0, "{tally}");
}

#[test]
fn php_fpm_that_hold_hands_the_lock_down_to_is_kept_marked_and_loses_no_request() {
    let tally = all_are_kept(Kind::PhpFpm, "exec");
    assert_eq!(tally.failed(), 0, "{tally}");
}

#[test]
fn uwsgi_that_hold_hands_the_lock_down_to_is_kept_marked_and_loses_no_request() {
    let tally = all_are_kept(Kind::Uwsgi, "exec");
    assert_eq!(tally.failed(), 0, "{tally}");
}

#[test]
fn nginx_that_hold_hands_the_lock_down_to_is_kept_marked_and_loses_no_request() {
    let tally = all_are_kept(Kind::Nginx, "in_place");
    assert_eq!(tally.failed(), 0, "{tally}");
}

/// It keeps what it runs, and every worker: nothing was replaced.
#[test]
fn a_configuration_that_nginx_refuses_is_rolled_back_unbroken() {
    let (mut ledger, fleet) =
        stage_of(Kind::Nginx, Fleet::of(1).timing(Timing { ready_within: Duration::from_secs(2), ..TIMING }));
    let (testified, answer) = hand_over_to_a_release_that_cannot_boot(&fleet);
    assert_eq!((testified.verdict.as_str(), answer.code), ("unbroken", Some(3)), "{answer}");
    assert!(!was_free(&mut ledger, &fleet.hosts[0], &testified));
    assert_eq!(fleet.hosts[0].server.ask("/").expect("it serves").release, "v1");
}

/// A child of nginx that is no worker: it reads what is in the cache, once, and ends by itself a minute after nginx has started.
fn cache_loader(host: &Host) -> Option<u32> {
    let master = host.server.master().ok()?;
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).ok()?;
    let is_loader =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("cache loader"));
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_loader)
}

/// While nobody new has come, one who is gone was not replaced.
#[test]
fn a_cache_loader_that_ends_meanwhile_is_no_worker_that_was_replaced() {
    let (_, fleet) = stage_of(Kind::Nginx, Fleet::of(1).timing(Timing { ready_within: Duration::from_secs(2), ..TIMING }));
    let host = &fleet.hosts[0];
    host.server.deploy(&Release::flawed("v2", Flaw::RefusedConfiguration));
    let loader = cache_loader(host).expect("it has been started just now");
    let mut rollout = Steps::begin(&fleet);
    while rollout.next_step().expect("it is told") != "ready" {}
    server::signal(loader, Signal::SIGTERM);
    wait::until("the cache loader to end", SOON, || cache_loader(host).map_or(Ok(()), |pid| Err(pid.to_string())));
    let (text, code) = rollout.finish();
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("\"verdict\":\"unbroken\""), "{text}");
    assert_eq!(host.server.ask("/").expect("it serves").release, "v1");
}

/// Its first new worker ends again and again; the ones that were not replaced serve on. Not all is as it was, and that is said.
#[test]
fn a_release_that_cannot_boot_leaves_half_of_a_puma_that_replaces_one_worker_after_the_other() {
    let (mut ledger, fleet) =
        stage_of(Kind::PumaPhased, Fleet::of(1).timing(Timing { ready_within: Duration::from_secs(5), ..TIMING }));
    let host = &fleet.hosts[0];
    let (testified, answer) = hand_over_to_a_release_that_cannot_boot(&fleet);
    assert_eq!(answer.code, Some(4), "{answer}");
    assert!(answer.text().contains("it cannot be undone: its worker"), "{answer}");
    assert!(!was_free(&mut ledger, host, &testified), "{answer}");
    assert_eq!(host.server.ask("/").expect("the other worker serves").release, "v1");
    let (testified, _) = hand_over(&fleet, "v3");
    assert!(testified.is_kept_marked(), "{}", testified.judged);
}

/// Above the soft limit of descriptors the lock survives by chance; below it, only by `--safe-fd`.
#[test]
fn uwsgi_that_is_not_told_to_leave_the_descriptor_alone_drops_its_lock() {
    let (mut ledger, fleet) = stage(Kind::UwsgiUnsafe);
    let (testified, _) = hand_over(&fleet, "v2");
    assert_eq!(testified.verdict, "dropped", "{}", testified.judged);
    assert!(was_free(&mut ledger, &fleet.hosts[0], &testified));
}

/// Handovers of Puma with a hook that drops its lock at each exec: the verdict of each, and what else was judged.
#[track_caller]
fn drop_at_each_exec(marked: bool, helped: bool, mut judge: impl FnMut(&Testified, bool)) {
    let fleet = Fleet::of(1).timing(TIMING);
    // Such a holder is refused before the signal, unless the host's operator has decided otherwise.
    let fleet = if helped { fleet.more("foreign-holders = \"allow\"\n") } else { fleet };
    let (mut ledger, fleet) = stage_of(Kind::PumaPlain { marked, helped }, fleet);
    let host = &fleet.hosts[0];
    for number in 0..HANDOVERS {
        fleet.await_held();
        let release = format!("v{}", number + 2);
        let (testified, answer) = hand_over(&fleet, &release);
        // A program that the master has started itself outlives the handover, and is not waited for.
        assert!(!answer.text().contains("the workers of before are not gone"), "{answer}");
        let was_free = was_free(&mut ledger, host, &testified);
        judge(&testified, was_free);
        // It was a handover all the same.
        wait::until("the new release", SOON, || match host.server.ask("/") {
            Ok(answer) if answer.release == release => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

/// The lock is free for as long as Ruby takes to come to its configuration: a fifth of a second and more.
#[track_caller]
fn is_dropped(marked: bool) {
    drop_at_each_exec(marked, false, |testified, was_free| {
        assert_eq!((testified.verdict.as_str(), was_free), ("dropped", true), "{}", testified.judged);
    });
}

/// While somebody else holds the lock too, it is never free and the waiter sees nothing: what is known is the mark alone.
#[track_caller]
fn is_unproven(marked: bool, doubt: &str) {
    drop_at_each_exec(marked, true, |testified, was_free| {
        assert_eq!((testified.verdict.as_str(), was_free), ("unproven", false), "{}", testified.judged);
        assert!(testified.judged["doubt"].as_str().is_some_and(|told| told.contains(doubt)), "{}", testified.judged);
    });
}

#[test]
fn puma_whose_hook_takes_the_lock_anew_is_dropped_every_time() {
    is_dropped(false);
}

#[test]
fn puma_whose_hook_takes_the_lock_anew_and_marks_it_is_dropped_every_time() {
    is_dropped(true);
}

#[test]
fn puma_whose_hook_takes_the_lock_anew_is_unproven_where_another_holder_blinds_the_waiter() {
    is_unproven(false, "the master called exec and its lock bears no mark");
}

#[test]
fn puma_whose_hook_marks_anew_is_unproven_where_another_holder_blinds_the_waiter() {
    is_unproven(true, "the master let go of its lock and took it again");
}

/// What is judged of a release that cannot boot, and the agent's answer; nobody serves it.
#[track_caller]
fn hand_over_to_a_release_that_cannot_boot(fleet: &Fleet) -> (Testified, Run) {
    let (testified, answer) = reload(fleet, &Release::flawed("v2", Flaw::RaisesAtBoot));
    assert!(!testified.is_kept_marked(), "{}", testified.judged);
    (testified, answer)
}

/// Its old workers are gone by then, and so is the master: nothing can be undone, and it is said as it is.
#[track_caller]
fn is_an_outage(kind: Kind) {
    let (_, fleet) = stage(kind);
    let (testified, answer) = hand_over_to_a_release_that_cannot_boot(&fleet);
    assert_eq!((testified.verdict.as_str(), answer.code), ("dropped", Some(5)), "{answer}");
    assert!(fleet.hosts[0].server.ask("/").is_err());
}

#[test]
fn a_release_that_cannot_boot_is_an_outage_at_puma_and_told_as_a_drop() {
    is_an_outage(Kind::Puma);
}

#[test]
fn a_release_that_cannot_boot_is_an_outage_at_gunicorn_in_place_and_told_as_a_drop() {
    is_an_outage(Kind::GunicornHup);
}

#[test]
fn a_configuration_that_php_fpm_refuses_is_an_outage_and_told_as_a_drop() {
    is_an_outage(Kind::PhpFpm);
}

/// Nobody can follow it from one pid to the other: it is said that the master is gone, and then who is in charge.
#[test]
fn php_fpm_as_a_daemon_comes_back_under_another_pid_and_that_is_told() {
    let (mut ledger, fleet) = stage(Kind::PhpFpmDaemon);
    let host = &fleet.hosts[0];
    let before = host.server.master().expect("it serves");
    let (testified, answer) = hand_over(&fleet, "v2");
    assert_eq!(answer.code, Some(4), "{answer}");
    assert!(answer.text().contains(&format!("the master {before} exited before a new worker was ready")), "{answer}");
    assert!(!was_free(&mut ledger, host, &testified), "{answer}");
    fleet.await_held();
    let served = wait::until("the new release", SOON, || match host.server.ask("/") {
        Ok(answer) if answer.release == "v2" => Ok(answer),
        other => Err(format!("{other:?}")),
    });
    let standing = &fleet.standings()[0];
    assert!(served.master != before && standing.master == u64::from(served.master), "{standing:?}, {served:?}");
    assert_eq!((standing.epoch, standing.generation), (0, 2));
}

#[test]
fn a_release_that_cannot_boot_is_an_outage_at_uwsgi_and_told_as_a_drop() {
    is_an_outage(Kind::Uwsgi);
}

#[test]
fn a_configuration_that_haproxy_refuses_leaves_the_old_worker_in_charge() {
    let (mut ledger, fleet) =
        stage_of(Kind::Haproxy, Fleet::of(1).timing(Timing { ready_within: Duration::from_secs(5), ..TIMING }));
    let host = &fleet.hosts[0];
    let before = host.server.ask("/").expect("it serves");
    let (testified, answer) = hand_over_to_a_release_that_cannot_boot(&fleet);
    assert_eq!(host.server.ask("/").ok(), Some(before), "{answer}");
    assert!(!was_free(&mut ledger, host, &testified), "{answer}");
    assert_eq!((testified.verdict.as_str(), answer.code), ("unproven", Some(4)), "{answer}");
    assert!(answer.text().contains("no new worker was ready within 5 s: 200 from"), "{answer}");
    // It is no worse for it.
    let (testified, _) = hand_over(&fleet, "v3");
    assert!(testified.is_kept_marked(), "{}", testified.judged);
}

/// The commands of the runbook are those by which these servers are started here.
#[test]
fn the_runbook_starts_them_as_the_tests_do() {
    let runbook = fs::read_to_string(deployed::file("RUNBOOK.md")).expect("it is there");
    for (dialect, server, more) in [
        ("haproxy", "haproxy", "-W"),
        ("nginx", "nginx", "daemon off;"),
        ("php-fpm", "php-fpm8.2", "-F"),
        ("uwsgi", "uwsgi", "--safe-fd 1025"),
        ("uwsgi", "uwsgi", "--chdir /srv/app/current"),
        ("puma", "puma", "-C /srv/web/current/config/puma.rb"),
    ] {
        let hold = format!("    baton-agent hold --dialect {dialect} --lock ");
        let line = runbook.lines().find(|line| line.starts_with(&hold)).unwrap_or_else(|| panic!("no line begins with {hold:?}"));
        let (_, command) = line.split_once(" -- ").expect("it starts a command");
        assert!(command.starts_with(server) && command.contains(more), "{line}");
    }
}
