//! Releases side by side and a link to the one in use: switched before the signal, switched back on failure, and every process
//! of the new generation is seen to run the one that was wanted.
//!
//! What a user would have to do by hand otherwise: puma/puma#478 polls `/release`; puma/puma#468, #776, #878 and #3290 are
//! reloads that called themselves a success while the new workers ran the old release.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Flaw, Kind, Release};
use baton_tests::testified::{begin, local};
use baton_tests::wait;
use rustix::fs::OFlags;
use rustix::io::Errno;

const RUN_WITHIN: Duration = Duration::from_mins(1);
const RELEASES: &str = "release = { directory = \"{directory}/releases\", link = \"{directory}/current\" }\n";
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(6), settle: Duration::from_millis(200), drain_within: Duration::from_secs(20) };

/// One host whose server runs release v1 of those that lie there: v1 and v2.
fn fleet(kind: Kind, more: &str) -> Fleet {
    let fleet = Fleet::of(1).server(kind).timing(TIMING).more(&format!("{RELEASES}{more}")).start();
    fleet.deploy(&Release::sound("v2"));
    fleet
}

#[track_caller]
fn agent(fleet: &Fleet, args: &[&str]) -> Run {
    local(fleet, &fleet.hosts[0], args)
}

fn link(fleet: &Fleet) -> PathBuf {
    fs::read_link(fleet.hosts[0].server.link()).expect("the link is there")
}

fn served(fleet: &Fleet) -> String {
    fleet.hosts[0].server.ask("/").expect("it serves").release
}

/// The release in the agent's status.
fn told(fleet: &Fleet) -> String {
    let status = agent(fleet, &["status", "web", "--output", "json"]).expect_code(0);
    let status: serde_json::Value = serde_json::from_str(status.stdout.trim()).expect("JSON");
    status["release"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_fleet_is_restarted_to_a_release_that_lies_there() {
    let fleet = Fleet::of(3).server(Kind::UnicornReleased { stale: false }).timing(TIMING).more(RELEASES).start();
    fleet.deploy(&Release::sound("v2"));
    let load = Load::start(&fleet.targets(), Mix { long: 1, long_for: Duration::from_millis(700), ..Mix::default() });

    let run = fleet.baton(&["restart", "web", "--release", "v2"]).expect_code(0);

    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}\n{run}");
    run.says(&["web to release v2 on 3 hosts"]);
    run.says(&["3 of 3 processes run release v2"]);
    for host in &fleet.hosts {
        assert_eq!(host.server.ask("/").expect("it serves").release, "v2", "{run}");
        assert_eq!(fs::read_link(host.server.link()).expect("a link"), host.server.directory().join("releases/v2"));
    }
    assert_eq!(told(&fleet), "v2");
    agent(&fleet, &["status"]).expect_code(0).says(&["generation 2, release v2"]);
    fleet.baton(&["status"]).expect_code(0).says(&["  held  2 (v2) "]);
    fleet.baton(&["plan", "web"]).expect_code(0).says(&["generation 2 (v2), master "]);
}

#[test]
fn a_release_that_does_not_boot_leaves_the_link_and_the_old_release_as_they_were() {
    let fleet = fleet(Kind::UnicornReleased { stale: false }, "");
    let before = link(&fleet);
    assert_eq!(before, Path::new("releases/v1"), "it was relative");
    for flaw in [Flaw::RaisesAtBoot, Flaw::NeverReady] {
        fleet.deploy(&Release::flawed("v3", flaw));
        let run = agent(&fleet, &["reload", "web", "--release", "v3"]).expect_code(3);
        run.says(&["names releases/v1 as before"]);
        assert_eq!((link(&fleet), served(&fleet), told(&fleet)), (before.clone(), "v1".into(), "v1".into()), "{run}");
    }
    let run = agent(&fleet, &["reload", "web", "--release", "v2"]).expect_code(0);
    assert_eq!((served(&fleet), told(&fleet)), ("v2".into(), "v2".into()), "{run}");
}

#[test]
fn a_release_that_is_not_there_is_refused_before_anything_is_done() {
    let fleet = fleet(Kind::UnicornReleased { stale: false }, "");
    let before = (link(&fleet), fleet.standings());
    fs::write(fleet.hosts[0].server.directory().join("releases/v4"), "").expect("a file");
    for name in ["v9", "v4"] {
        let run = fleet.baton(&["restart", "web", "--release", name]).expect_code(3);
        run.says(&[&format!("there is no release {name} on this host")]);
    }
    for name in ["../v1", "v1/..", ".", "", "-v"] {
        let run = fleet.baton(&["restart", "web", &format!("--release={name}")]).expect_code(2);
        run.says(&["is not a release name"]);
    }
    assert_eq!((link(&fleet), fleet.standings()), before);
}

#[test]
fn a_server_that_stays_in_its_old_release_is_found_out_and_rolled_back() {
    let fleet = fleet(Kind::UnicornReleased { stale: true }, "");
    let run = agent(&fleet, &["reload", "web", "--release", "v2"]).expect_code(3);
    run.says(&["RolledBack", "run release v1 where v2 is wanted"]);
    assert_eq!((link(&fleet), served(&fleet)), (PathBuf::from("releases/v1"), "v1".into()), "{run}");
}

#[test]
fn a_link_that_was_switched_by_hand_is_followed_and_looked_after() {
    let fleet = fleet(Kind::UnicornReleased { stale: false }, "");
    let link = fleet.hosts[0].server.link();
    fs::remove_file(&link).and_then(|()| std::os::unix::fs::symlink("releases/v2", &link)).expect("a link");
    let run = agent(&fleet, &["reload", "web"]).expect_code(0);
    run.says(&["3 of 3 processes run release v2"]);
    assert_eq!((served(&fleet), told(&fleet)), ("v2".into(), "v2".into()), "{run}");
}

#[test]
fn a_hook_or_a_check_that_fails_stops_the_handover_before_the_signal() {
    let script = "[ \"$BATON_RELEASE\" != v3 ] || { echo \"$BATON_SERVICE: $BATON_RELEASE_BEFORE to $BATON_RELEASE is not wanted\" >&2; exit 7; }";
    for key in ["hooks = { before = [\"/bin/sh\", \"-c\", '{}'] }", "check = { command = [\"/bin/sh\", \"-c\", '{}'] }"] {
        let fleet = fleet(Kind::UnicornReleased { stale: false }, &format!("{}\n", key.replace("{}", script)));
        fleet.deploy(&Release::sound("v3"));
        let before = fleet.standings();

        let run = agent(&fleet, &["reload", "web", "--release", "v3"]).expect_code(3);

        run.says(&["RolledBack", "ended with 7: web: v1 to v3 is not wanted"]);
        assert!(!run.text().contains("SIGUSR2"), "{run}");
        assert_eq!((link(&fleet), served(&fleet)), (PathBuf::from("releases/v1"), "v1".into()), "{run}");
        let now = fleet.standings();
        assert_eq!((&now[0].master, now[0].generation), (&before[0].master, before[0].generation), "{run}");
        let run = agent(&fleet, &["reload", "web", "--release", "v2"]).expect_code(0);
        assert_eq!(served(&fleet), "v2", "{run}");
    }
}

#[test]
fn a_hook_that_hangs_is_ended_with_its_group_and_the_hook_after_is_told_the_result() {
    let more = "hooks = { before = [\"/bin/sh\", \"-c\", '[ $BATON_RELEASE = v2 ] || sleep 1000'], \
                after = [\"/bin/sh\", \"-c\", 'echo $BATON_RELEASE $BATON_RESULT >> {directory}/after'], within = \"2s\" }\n";
    let fleet = fleet(Kind::UnicornReleased { stale: false }, more);
    fleet.deploy(&Release::sound("v3"));
    let run = agent(&fleet, &["reload", "web", "--release", "v3"]).expect_code(3);
    run.says(&["/bin/sh did not end within 2 s"]);
    let run = agent(&fleet, &["reload", "web", "--release", "v2"]).expect_code(0);
    let after = fs::read_to_string(fleet.hosts[0].server.directory().join("after")).expect("it was run");
    assert_eq!(after, "v3 rolled-back\nv2 handed-over\n", "{run}");
}

#[test]
fn an_agent_that_dies_while_its_hook_runs_switches_back_and_never_signals() {
    let more = "hooks = { before = [\"/bin/sh\", \"-c\", 'echo begun > {directory}/hook; read nothing < {directory}/gate'] }\n";
    let mut fleet = fleet(Kind::UnicornReleased { stale: false }, more);
    let directory = fleet.hosts[0].server.directory().to_owned();
    for fifo in ["hook", "gate"] {
        nix::unistd::mkfifo(&directory.join(fifo), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    }
    let running = begin(&fleet, &fleet.hosts[0], &["reload", "web", "--release", "v2"]);
    assert_eq!(fs::read_to_string(directory.join("hook")).expect("the hook runs"), "begun\n");
    assert_eq!(link(&fleet), directory.join("releases/v2"));

    fleet.hosts[0].agent.kill();
    // Without its agent nobody would end the hook in time: it does not outlive it. It reads the gate, or nobody does.
    let ask = || fs::File::options().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(directory.join("gate"));
    wait::until("the hook to be gone", RUN_WITHIN, || match ask() {
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    fleet.hosts[0].agent.start_again();

    let run = running.finish(RUN_WITHIN).expect_code(3);
    run.says(&["RolledBack", "the agent was restarted before the signal"]);
    assert_eq!((link(&fleet), served(&fleet)), (PathBuf::from("releases/v1"), "v1".into()), "{run}");
}
