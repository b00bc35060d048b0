//! The local commands of `baton-agent`, with a real agent and real Unicorn: what is printed, and the exit code.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use baton_tests::binaries;
use baton_tests::controller::{Run, Running};
use baton_tests::fleet::Fleet;
use baton_tests::server::{Flaw, Release};

const RUN_WITHIN: Duration = Duration::from_mins(1);
const NOBODY: u32 = 65_534;

/// Runs a local command of the only host's agent.
#[track_caller]
fn agent(fleet: &Fleet, args: &[&str]) -> Run {
    run(fleet, Command::new(binaries::find("baton-agent")), args)
}

#[track_caller]
fn run(fleet: &Fleet, mut command: Command, args: &[&str]) -> Run {
    command.args(args).arg("--socket").arg(fleet.hosts[0].agent.socket());
    Running::start(command, fleet.directory()).finish(RUN_WITHIN)
}

fn master(fleet: &Fleet) -> u32 {
    fleet.hosts[0].server.master().expect("a master")
}

/// Fails the test unless a line has all these words.
#[track_caller]
fn says(run: &Run, text: &str, words: &[&str]) {
    assert!(text.lines().any(|line| words.iter().all(|word| line.contains(word))), "no line with {words:?}: {run}");
}

#[test]
fn a_service_is_shown_handed_over_and_testified_of() {
    let fleet = Fleet::of(1).start();
    let old = master(&fleet);
    let status = agent(&fleet, &["status"]).expect_code(0);
    says(&status, &status.stdout, &["web", "held", "unicorn", &format!("master {old} for"), "generation 1, epoch 0, marked"]);

    let none = agent(&fleet, &["testimony", "web"]).expect_code(0);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("web on web-1, epoch 0: no drop was seen\n", "no handover of web is on record\n")
    );
    let before_the_fleet = fleet.baton(&["testimony", "web-1", "web"]).expect_code(3);
    assert_eq!(before_the_fleet.stdout, none.stdout, "{before_the_fleet}");
    says(&before_the_fleet, &before_the_fleet.stderr, &["error: web-1 has no handover of web on record"]);

    let reload = agent(&fleet, &["reload", "web"]).expect_code(0);
    let new = master(&fleet);
    let passed = format!("{old} -> {new}");
    says(&reload, &reload.stdout, &["Kept [", "web", &passed, "overlap", "marked"]);
    assert_eq!(reload.stdout.lines().count(), 1, "progress is not the result: {reload}");
    for step in ["open: ", "signal: ", "appear: ", "ready: ", "overlap: ", "retire: ", "drain: "] {
        says(&reload, &reload.stderr, &["Step [", step]);
    }

    let status = agent(&fleet, &["status", "web"]).expect_code(0);
    says(&status, &status.stdout, &[&format!("master {new} for"), "generation 2, epoch 0, marked"]);
    let testimony = agent(&fleet, &["testimony", "web"]).expect_code(0);
    says(&testimony, &testimony.stdout, &["web on web-1, rollout local-", " attempt 1"]);
    says(&testimony, &testimony.stdout, &[&format!("SIGUSR2 sent to {old}")]);
    says(&testimony, &testimony.stdout, &[&format!("new master {new} holds the lock")]);
    says(&testimony, &testimony.stdout, &["verdict  kept (marked): ", &passed, "overlap"]);
}

#[test]
fn a_release_that_cannot_boot_is_undone_and_the_exit_code_says_so() {
    let fleet = Fleet::of(1).start();
    let old = master(&fleet);
    fleet.deploy(&Release::flawed("v2", Flaw::RaisesAtBoot));
    let reload = agent(&fleet, &["reload", "web"]).expect_code(3);
    says(&reload, &reload.stdout, &["RolledBack [", "web", &format!("{old} still serves, its lock unbroken, marked")]);
    assert_eq!(master(&fleet), old);
    let answer = fleet.hosts[0].server.ask("/").expect("the old generation serves");
    assert_eq!((answer.master, answer.release.as_str()), (old, "v1"));
    let testimony = agent(&fleet, &["testimony", "web"]).expect_code(0);
    says(&testimony, &testimony.stdout, &["verdict  unbroken (marked): ", &format!("{old} held throughout")]);
}

#[test]
fn an_unknown_service_and_a_dead_agent_are_told_with_what_to_do() {
    let mut fleet = Fleet::of(1).start();
    let old = master(&fleet);
    let unknown = agent(&fleet, &["reload", "wbe"]).expect_code(2);
    says(&unknown, &unknown.stderr, &["error:", "no service \"wbe\" on this host; known: web"]);
    says(&unknown, &unknown.stderr, &["hint: `baton-agent status` lists the services"]);
    fleet.hosts[0].agent.kill();
    let dead = agent(&fleet, &["reload", "web"]).expect_code(3);
    says(&dead, &dead.stderr, &["error: failed to reach the agent at", "agent.sock"]);
    says(&dead, &dead.stderr, &["hint: is it running"]);
    assert_eq!(master(&fleet), old);
}

#[test]
fn as_json_every_event_is_a_line_of_the_result_in_the_controllers_words() {
    let fleet = Fleet::of(1).start();
    let old = master(&fleet);
    let reload = agent(&fleet, &["reload", "web", "--output", "json"]).expect_code(0);
    let new = master(&fleet);
    assert_eq!(reload.stderr, "", "{reload}");
    let objects = reload.objects();
    let (outcome, steps) = objects.split_last().expect("an outcome");
    assert!(steps.iter().all(|step| ["step", "waiting"].iter().any(|word| step["event"] == *word)), "{reload}");
    assert!(steps.iter().all(|step| step["at_ms"].as_u64().is_some_and(|at| at < 60_000)), "{reload}");
    assert_eq!(
        (&outcome["event"], &outcome["outcome"], &outcome["verdict"]),
        (&"outcome".into(), &"proven".into(), &"kept".into())
    );
    assert_eq!((&outcome["old_pid"], &outcome["new_pid"]), (&old.into(), &new.into()), "{reload}");

    let here = agent(&fleet, &["testimony", "web", "--output", "json"]).expect_code(0);
    let there = fleet.baton(&["testimony", "web-1", "web", "--output", "json"]).expect_code(0);
    assert_eq!(here.objects(), there.objects(), "{here}{there}");
    let events: Vec<_> = here.objects().iter().map(|object| object["event"].clone()).collect();
    assert_eq!(events, ["testimony", "history"], "{here}");

    let status = agent(&fleet, &["status", "--output", "json"]).expect_code(0);
    let told = &fleet.baton(&["status", "--output", "json"]).expect_code(0).objects()[0];
    for field in ["event", "service", "dialect", "lock", "generation", "master_pid", "epoch", "step", "fence", "trouble"] {
        assert_eq!(status.objects()[0][field], told[field], "{field}: {status}");
    }
}

/// Lets everybody go through a directory that is in the sandbox, and the sandbox itself.
fn open_up(mut directory: &Path, sandbox: &Path) {
    loop {
        fs::set_permissions(directory, Permissions::from_mode(0o755)).expect("ours");
        match directory.parent() {
            Some(parent) if directory != sandbox => directory = parent,
            Some(_) | None => return,
        }
    }
}

/// A copy of `baton-agent` where everybody can run it.
fn for_everybody(fleet: &Fleet) -> PathBuf {
    let copy = fleet.directory().join("baton-agent");
    fs::copy(binaries::find("baton-agent"), &copy).expect("a file in the sandbox can be written");
    copy
}

#[test]
fn another_user_is_refused_with_a_sentence() {
    assert!(rustix::process::geteuid().is_root(), "only root can become another user; type `sudo make test`");
    let fleet = Fleet::of(1).start();
    let (socket, copy, old) = (fleet.hosts[0].agent.socket(), for_everybody(&fleet), master(&fleet));
    open_up(socket.parent().expect("it is in a directory"), fleet.directory());
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new(&copy);
        command.uid(NOBODY).gid(NOBODY);
        run(&fleet, command, args).expect_code(3)
    };
    for args in [&["status"][..], &["reload", "web"], &["testimony", "web"]] {
        let shut = as_nobody(args);
        says(&shut, &shut.stderr, &["error: failed to reach the agent at", "agent.sock"]);
        says(&shut, &shut.stderr, &["Permission denied"]);
        says(&shut, &shut.stderr, &["hint:", "Ask as root or as its user"]);
    }
    // The file's mode is the first lock on this door, and not the only one.
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("ours");
    for args in [&["status"][..], &["reload", "web"], &["testimony", "web"]] {
        let refused = as_nobody(args);
        says(&refused, &refused.stderr, &["error:", "uid 65534 may not use this socket: only root and uid 0"]);
    }
    assert_eq!(master(&fleet), old);
    let log = fleet.hosts[0].agent.log();
    assert!(log.lines().any(|line| line.contains("audit") && line.contains("uid 65534")), "{log}");
}
