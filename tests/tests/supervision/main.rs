//! Services that the agent starts, with real Unicorn: they are started again when they die, and only then; and the agent's own death is
//! nothing to them.
//!
//! What people asked for, by thread: systemd/systemd#6129 (five tries in a second, then given up for ever), Supervisor/supervisor#53 and
//! #1104 (a server that re-forks is lost; an upgrade of the supervisor restarts everything), benoitc/gunicorn#2856 (everything is killed
//! after SIGUSR2), puma/puma#468 (new workers run the old release).

mod host;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use baton_tests::controller::Running;
use baton_tests::deployed::{Site, busy_worker, children, is_alive, signal};
use baton_tests::load::{Load, Mix};
use baton_tests::quiet::wait_until_quiet;
use baton_tests::sandbox::Sandbox;
use baton_tests::{binaries, wait};
use host::{Host, Plan, RUN_WITHIN, SOON, configure, run};
use rustix::process::Signal;
use serde_json::Value;

/// Debian's own, in every installation.
const WWW_DATA: u32 = 33;

/// All of a process's line of descent that is alive, in the order of their pids.
fn family(hold: u32) -> Vec<u32> {
    let mut all: Vec<u32> = children(hold).into_iter().flat_map(family).chain([hold]).collect();
    all.sort_unstable();
    all
}

#[test]
fn it_is_started_and_started_again_when_every_process_is_killed() {
    let host = Host::plain();
    let first = host.wait_until_held(None);
    let status = host.status();
    assert_eq!((&status["epoch"], &status["supervision"]["starts"]), (&0.into(), &1.into()), "{status}");
    let hold = host.hold();
    host.site.kill_server();
    let second = host.wait_until_held(Some(first));
    let status = host.status();
    assert_eq!(status["epoch"], 1, "{status}");
    assert_eq!(status["supervision"]["state"], "running", "{status}");
    assert_eq!(status["supervision"]["starts"], 2, "{status}");
    assert!(status["supervision"]["last_end"].as_str().is_some_and(|end| end.starts_with("the service died")), "{status}");
    assert_ne!(host.hold(), hold);
    // Kill hold, too: the next one starts anew; kill hold alone: the next one adopts.
    let hold = host.hold();
    signal(hold, Signal::KILL);
    wait::until("another hold", SOON, || {
        let status = host.status();
        let next = &status["supervision"]["hold_pid"];
        if next.is_u64() && *next != u64::from(hold) { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(host.site.ask("/").map(|answer| answer.master), Ok(second), "the server lives on");
    assert_eq!(host.status()["epoch"], 1);
    host.site.kill_server();
    host.wait_until_held(Some(second));
    assert_eq!(host.status()["epoch"], 2);
}

/// Supervisor/supervisor#1104, flupke/rainbow-saddle#12.
#[test]
fn the_death_and_the_upgrade_of_the_agent_are_nothing_to_the_service_and_the_next_one_supervises_it() {
    let mut host = Host::plain();
    let master = host.wait_until_held(None);
    let load = Load::start(&[host.site.address()], Mix::default());
    let hold = host.hold();
    let before = family(hold);
    assert!(before.len() >= 4, "hold, a master and two workers: {before:?}");
    host.agent.kill();
    wait::until("some requests without an agent", SOON, || {
        let (served, _) = load.so_far();
        if served > 20 { Ok(()) } else { Err(format!("{served} served")) }
    });
    host.agent.start_again();
    assert_eq!((host.hold(), family(hold)), (hold, before.clone()));
    host.agent.stop();
    host.agent.start_another_binary();
    assert_eq!((host.hold(), family(hold)), (hold, before));
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}");
    assert_eq!(host.status()["epoch"], 0);
    // The agent is not the parent any more, and learns of the end all the same.
    host.site.kill_server();
    host.wait_until_held(Some(master));
    let status = host.status();
    assert_eq!((&status["epoch"], &status["supervision"]["starts"]), (&1.into(), &1.into()), "{status}");
    // What it was, the kernel tells since Linux 6.15.
    let end = status["supervision"]["last_end"].as_str().expect("a sentence");
    assert!(end.starts_with("the service died") || end.ends_with("an earlier run of the agent had started it"), "{end}");
}

#[test]
fn what_dies_while_no_agent_is_there_is_started_by_the_next() {
    let mut host = Host::plain();
    let master = host.wait_until_held(None);
    let hold = host.hold();
    host.agent.kill();
    host.site.kill_server();
    wait::until("hold to end", SOON, || if is_alive(hold) { Err("alive".to_owned()) } else { Ok(()) });
    host.agent.start_again();
    host.wait_until_held(Some(master));
}

#[test]
fn what_is_stopped_on_purpose_stays_so_until_somebody_starts_it() {
    let mut host = Host::plain();
    let first = host.wait_until_held(None);
    let hold = host.hold();
    let stop = host.ask(&["stop", "web"]).expect_code(0);
    assert!(stop.stdout.starts_with("web: stopped, as told\n"), "{stop}");
    assert!(stop.stdout.contains("stopped on purpose; `baton-agent start web` starts it"), "{stop}");
    assert!(!is_alive(hold) && !is_alive(first) && host.site.holders().is_empty());
    assert!(host.agent.log().contains("sending SIGQUIT to process"), "it was let finish its requests");
    let again = host.ask(&["stop", "web"]).expect_code(0);
    assert!(again.stdout.starts_with("web: it was stopped already\n"), "{again}");
    // Neither the next run of the agent starts it.
    for _ in 0..2 {
        host.agent.kill();
        host.agent.start_again();
        let status = host.status();
        assert_eq!(
            (&status["supervision"]["state"], &status["supervision"]["starts"]),
            (&"stopped".into(), &0.into()),
            "{status}"
        );
    }
    let start = host.ask(&["start", "web"]).expect_code(0);
    assert!(start.stdout.contains("held"), "{start}");
    let second = host.site.master().expect("it serves: that was waited for");
    assert_ne!(first, second);
    assert_eq!(host.ask(&["start", "web"]).expect_code(0).stdout.lines().count(), 1, "it runs already");
    assert_eq!(host.wait_until_held(None), second);
    host.site.kill_server();
    host.wait_until_held(Some(second));
}

#[test]
fn a_stop_lets_requests_finish() {
    let host = Host::plain();
    let master = host.wait_until_held(None);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| host.site.ask("/slow?3"));
        wait::until("a worker to be busy", SOON, || busy_worker(master));
        let stop = host.ask(&["stop", "web"]).expect_code(0);
        assert!(stop.stdout.starts_with("web: stopped, as told"), "{stop}");
        assert!(stop.stderr.contains("for the step stop to end"), "nobody waits in silence: {stop}");
        let answer = slow.join().expect("no panic");
        assert_eq!(answer.map(|answer| answer.master), Ok(master));
    });
}

#[test]
fn a_stop_goes_on_when_the_agent_dies_in_the_middle_of_it() {
    let mut host = Host::plain();
    let master = host.wait_until_held(None);
    std::thread::scope(|scope| {
        let site = &host.site;
        let slow = scope.spawn(|| site.ask("/slow?3"));
        wait::until("a worker to be busy", SOON, || busy_worker(master));
        let mut stop = Command::new(binaries::find("baton-agent"));
        stop.args(["stop", "web", "--socket"]).arg(host.agent.socket());
        let stop = Running::start(stop, site.directory());
        host.wait_for_state("stopping");
        wait::until("hold to be told", SOON, || {
            let log = host.agent.log();
            if log.contains(&format!("sending SIGQUIT to process {master}")) { Ok(()) } else { Err(log) }
        });
        host.agent.kill();
        let _ = stop.finish(RUN_WITHIN).expect_code(1);
        host.agent.start_again();
        assert!(slow.join().expect("no panic").is_ok(), "it was not told twice, and let the request finish");
    });
    host.wait_for_state("stopped");
    assert_eq!(host.site.holders(), [0_u32; 0]);
    assert!(!host.agent.log().contains("sending SIGTERM to"), "nobody was hurried");
}

/// The new hold is told before it can have looked around: that waits for it, and does not end it.
#[test]
fn a_server_whose_hold_was_killed_is_adopted_to_be_stopped() {
    let host = Host::plain();
    let master = host.wait_until_held(None);
    signal(host.hold(), Signal::KILL);
    host.wait_for_state("waiting");
    assert!(is_alive(master));
    let stop = host.ask(&["stop", "web"]).expect_code(0);
    assert!(stop.stdout.starts_with("web: stopped, as told\n"), "{stop}");
    assert!(!is_alive(master) && host.site.holders().is_empty());
    assert!(host.agent.log().contains(&format!("sending SIGQUIT to process {master}")));
}

/// Who is asked to start what runs, and is not held by a master that anybody knows, is not kept waiting for ever.
#[test]
fn a_start_of_what_runs_without_a_known_master_says_so_in_time() {
    let mut host = Host::start(|_, plan| plan.more = "within = \"3s\"".to_owned());
    let master = host.wait_until_held(None);
    let pidfile = host.site.pidfile();
    let aside = host.site.directory().join("aside.pid");
    fs::rename(&pidfile, &aside).expect("it is there");
    host.agent.kill();
    host.agent.start_again();
    let start = host.ask(&["start", "web"]).expect_code(3);
    assert!(
        start.stderr.contains("its hold runs, but no master of it was seen holding the lock in time: the pid file"),
        "{start}"
    );
    fs::rename(&aside, &pidfile).expect("it is there");
    assert_eq!(host.wait_until_held(None), master);
    let _ = host.ask(&["start", "web"]).expect_code(0);
}

/// puma/puma#468, #776: after a reload the old release is served, because PWD names it.
#[test]
fn a_handover_of_a_started_server_goes_to_the_release_that_the_link_names() {
    let host = Host::start(|site, plan| {
        for release in ["v1", "v2"] {
            let folder = site.directory().join(release);
            fs::create_dir(&folder).expect("a directory in the sandbox");
            fs::copy(site.directory().join("config.ru"), folder.join("config.ru")).expect("a file in the sandbox");
            fs::write(folder.join("release"), release).expect("a file in the sandbox");
            // No `working_directory`, no absolute path: all that it knows is PWD.
            fs::write(folder.join("unicorn.rb"), WITHOUT_A_DIRECTORY).expect("a file in the sandbox");
        }
        let link = site.directory().join("current");
        symlink(site.directory().join("v1"), &link).expect("a link in the sandbox");
        plan.directory = link;
        plan.command = ["unicorn", "-c", "unicorn.rb", "-E", "none"].map(str::to_owned).to_vec();
    });
    let old = host.wait_until_held(None);
    assert_eq!(host.site.ask("/").map(|answer| answer.release), Ok("v1".to_owned()));
    let link = host.site.directory().join("current");
    let draft = host.site.directory().join("draft");
    symlink(host.site.directory().join("v2"), &draft).and_then(|()| fs::rename(&draft, &link)).expect("a link in the sandbox");
    let hold = host.hold();
    let reload = host.ask(&["reload", "web"]).expect_code(0);
    assert!(reload.stdout.contains("Kept ["), "{reload}");
    let answer = host.site.ask("/").expect("it serves");
    assert_eq!(answer.release, "v2");
    assert_ne!(answer.master, old);
    assert_eq!((host.hold(), host.supervision("starts")), (hold, 1.into()), "a handover is no crash");
}

const WITHOUT_A_DIRECTORY: &str = r##"
listen ENV.fetch("WEB_LISTEN")
worker_processes 2
preload_app true
pid "#{ENV.fetch("WEB_RUN")}/unicorn.pid"
before_fork do |_server, _worker|
  $baton_lock ||= File.open("#{ENV.fetch("WEB_RUN")}/unicorn.pid.lock", File::RDWR | File::CREAT, 0o640).tap do |lock|
    lock.flock(File::LOCK_SH)
    lock.sysseek(Random.new.rand((1 << 32)...(1 << 43)))
  end
end
"##;

/// systemd/systemd#6129.
#[test]
fn a_service_that_dies_at_boot_is_tried_with_growing_waits_and_given_up_in_so_many_words() {
    let host = Host::start(|site, plan| {
        site.put("config.ru", "raise 'no database'");
        plan.more = "tries = 3".to_owned();
    });
    let status = wait::until("a wait", SOON, || {
        let status = host.status();
        let is_waiting = status["supervision"]["next_start_in_ms"].as_u64().is_some_and(|wait| wait <= 1_500);
        if is_waiting { Ok(status) } else { Err(status.to_string()) }
    });
    assert_eq!(status["supervision"]["state"], "waiting", "{status}");
    assert!(status["trouble"].as_str().is_some_and(|text| text.starts_with("it ended, and is started again soon: ")), "{status}");
    let status = host.wait_for_state("given_up");
    assert_eq!(status["supervision"]["starts"], 3, "{status}");
    let trouble = status["trouble"].as_str().expect("a sentence");
    for words in ["given up after 3 starts", "nobody ever held the lock", "`baton-agent start web`"] {
        assert!(trouble.contains(words), "{trouble}");
    }
    let log = host.agent.log();
    assert!(log.contains("ERROR") && log.contains("the service is given up"), "{log}");
    // A start says why not, and begins anew; when it is mended, it serves.
    let start = host.ask(&["start", "web"]).expect_code(3);
    let told = "the agent refused: the command ended, and nobody ever held the lock; what it said is in the agent's log";
    assert!(start.stderr.contains(told), "{start}");
    host.wait_for_state("waiting");
    host.site.put("config.ru", include_str!("../../unicorn/site.ru"));
    let start = host.ask(&["start", "web"]).expect_code(0);
    assert!(start.stdout.contains("held"), "{start}");
    assert_eq!(host.supervision("starts"), 1);
}

#[test]
fn what_cannot_be_run_is_given_up_at_once_with_the_reason() {
    for (line, reason) in [
        ("command = [\"no-such-server\"]", "the command was not found"),
        ("command = [\"/etc/passwd\"]", "the command cannot be executed"),
        ("command = [\"unicorn\"]\nuser = \"nobody-of-that-name\"", "there is no user \"nobody-of-that-name\" on this host"),
        ("command = [\"unicorn\"]\ngroup = \"none-of-that-name\"", "there is no group \"none-of-that-name\" on this host"),
    ] {
        let host = Host::start(|_, plan| {
            let (command, more) = line.split_once('\n').unwrap_or((line, ""));
            plan.command = vec![command.split('"').nth(1).expect("a word").to_owned()];
            plan.more = more.to_owned();
        });
        let status = host.wait_for_state("given_up");
        assert!(status["trouble"].as_str().is_some_and(|text| text.contains(reason)), "{line}: {status}");
        assert_eq!(status["supervision"]["starts"], 1, "{line}: {status}");
    }
}

/// What a line of `/proc/PID/status` says.
fn told(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("every process has this line");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Gives the site to another user, who must find the way to it.
fn give_away(site: &Site, sandbox: &Path) {
    fs::set_permissions(sandbox, Permissions::from_mode(0o755)).expect("our own");
    chown(site.directory(), Some(WWW_DATA), Some(WWW_DATA)).expect("root may");
}

#[test]
fn it_runs_as_its_user_in_its_own_session_with_its_limits_and_environment_and_is_handed_over_so() {
    let host = Host::start(|site, plan| {
        give_away(site, site.directory().parent().expect("it is in the sandbox"));
        // Who it runs as must reach the files of the repository, wherever that is.
        fs::copy(site.configuration(), site.directory().join("own.rb")).expect("a file in the sandbox");
        plan.command[2] = site.directory().join("own.rb").display().to_string();
        plan.environment.insert("RAILS_ENV".into(), "a b\"c".into());
        plan.more = format!(
            "user = \"www-data\"\numask = \"027\"\nlimits = {{ nofile = 4000, core = 0, stack = \"unlimited\" }}\noutput = \"{}\"",
            site.directory().join("out.log").display()
        );
    });
    let first = host.wait_until_held(None);
    let hold = host.hold();
    let assert_is_as_configured = |pid: u32| {
        assert_eq!(told(pid, "Uid:"), "33 33 33 33");
        assert_eq!(told(pid, "Gid:"), "33 33 33 33");
        assert_eq!(told(pid, "Groups:"), "33");
        assert_eq!(told(pid, "Umask:"), "0027");
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
        for wanted in [["Max open files", "4000 4000"], ["Max core file size", "0 0"], ["Max stack size", "unlimited unlimited"]]
        {
            let line = limits.lines().find_map(|line| line.strip_prefix(wanted[0])).expect("a limit");
            let words: Vec<&str> = line.split_whitespace().take(2).collect();
            assert_eq!(words.join(" "), wanted[1], "{limits}");
        }
        let environment = fs::read(format!("/proc/{pid}/environ")).expect("it lives");
        let text = String::from_utf8_lossy(&environment).into_owned();
        let variables: BTreeMap<&str, &str> = text.split('\0').filter_map(|pair| pair.split_once('=')).collect();
        for (name, value) in [("USER", "www-data"), ("LOGNAME", "www-data"), ("HOME", "/var/www"), ("RAILS_ENV", "a b\"c")] {
            assert_eq!(variables.get(name), Some(&value), "{variables:?}");
        }
        // What the agent has is not the server's.
        for name in ["RUST_LOG", "NOTIFY_SOCKET", "CARGO_PKG_NAME"] {
            assert!(!variables.contains_key(name), "{variables:?}");
        }
        assert_eq!(fs::read_link(format!("/proc/{pid}/fd/0")).expect("it lives"), Path::new("/dev/null"));
        assert_eq!(fs::read_link(format!("/proc/{pid}/fd/1")).expect("it lives"), host.site.directory().join("out.log"));
    };
    assert_is_as_configured(hold);
    assert_is_as_configured(first);
    let session = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(3).map(str::to_owned)).expect("a session")
    };
    assert_eq!((session(hold), session(first)), (hold.to_string(), hold.to_string()));
    // Nothing of the agent is open in it: two or three descriptors of its own beside the standard three.
    let open = fs::read_dir(format!("/proc/{hold}/fd")).expect("it lives").flatten();
    let targets: Vec<PathBuf> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    assert!(targets.iter().all(|target| !target.starts_with(host.agent.state())), "{targets:?}");
    assert!(targets.iter().all(|target| !target.to_string_lossy().starts_with("socket:")), "{targets:?}");

    let _ = host.ask(&["reload", "web"]).expect_code(0);
    let second = host.wait_until_held(Some(first));
    assert_eq!(told(second, "Uid:"), "33 33 33 33");
    let _ = host.ask(&["stop", "web"]).expect_code(0);
    assert_eq!(host.site.holders(), [0_u32; 0]);
}

#[test]
fn what_is_run_around_a_handover_runs_as_the_service() {
    let host = Host::start(|site, plan| {
        give_away(site, site.directory().parent().expect("it is in the sandbox"));
        fs::copy(site.configuration(), site.directory().join("own.rb")).expect("a file in the sandbox");
        plan.command[2] = site.directory().join("own.rb").display().to_string();
        plan.environment.insert("RAILS_ENV".into(), "staging".into());
        plan.more = "user = \"www-data\"".into();
        let told =
            |name: &str| format!("[\"/bin/sh\", \"-c\", 'echo $(id -un) $PWD $RAILS_ENV $BATON_SERVICE $RUST_LOG > {name}']");
        plan.ready = format!(", exec = {}", told("exec"));
        plan.service = format!("hooks = {{ before = {} }}\ncheck = {{ command = {} }}", told("before"), told("check"));
    });
    host.wait_until_held(None);
    let _ = host.ask(&["reload", "web"]).expect_code(0);
    let directory = host.site.directory();
    for name in ["before", "check", "exec"] {
        let told = fs::read_to_string(directory.join(name)).expect("it was run");
        assert_eq!(told, format!("www-data {} staging web\n", directory.display()), "{name}");
    }
}

#[test]
fn a_server_that_is_to_say_that_it_is_ready_is_told_where() {
    let host = Host::start(|_, plan| plan.ready = ", notify = true".into());
    let master = host.wait_until_held(None);
    let environment = fs::read(format!("/proc/{master}/environ")).expect("it lives");
    let socket = format!("NOTIFY_SOCKET={}", host.agent.state().join("web.notify").display());
    assert!(environment.split(|byte| *byte == 0).any(|pair| pair == socket.as_bytes()), "{socket}");
}

#[test]
fn nothing_wakes_an_agent_and_the_hold_that_it_has_started_while_nothing_happens() {
    let host = Host::start(|_, plan| plan.ready = ", notify = true".into());
    host.wait_until_held(None);
    let pids = [host.agent.pid(), host.hold()];
    // It returns when they were quiet for as long as most timers are; then once more as long.
    let before = wait_until_quiet(&pids);
    assert_eq!(wait_until_quiet(&pids), before);
}

#[test]
fn a_directory_that_the_servers_user_may_not_write_in_is_named() {
    let host = Host::start(|site, plan| {
        fs::set_permissions(site.directory().parent().expect("the sandbox"), Permissions::from_mode(0o755)).expect("our own");
        plan.more = "user = \"www-data\"".to_owned();
    });
    let wanted = format!("the user www-data may not write in {}", host.site.directory().display());
    let status = wait::until("the reason", SOON, || {
        let status = host.status();
        if status["trouble"].as_str().is_some_and(|text| text.contains(&wanted)) { Ok(status) } else { Err(status.to_string()) }
    });
    // It may be mended while it is tried.
    assert_eq!(status["supervision"]["state"], "waiting", "{status}");
}

#[test]
fn what_has_no_start_is_neither_started_nor_stopped() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let directory = sandbox.path().join("agent");
    fs::create_dir(&directory).expect("a directory in the sandbox");
    configure(&directory, &site, "unicorn", "", "");
    let host = Host { agent: run(&directory), site, _sandbox: sandbox };
    for verb in ["start", "stop"] {
        let run = host.ask(&[verb, "web"]).expect_code(3);
        assert!(run.stderr.contains("the agent does not run web: its configuration has no `start`"), "{run}");
        let run = host.ask(&[verb, "api"]).expect_code(2);
        assert!(run.stderr.contains("no service \"api\" on this host; known: web"), "{run}");
    }
    assert_eq!(host.status()["supervision"], Value::Null);
}

#[test]
fn in_the_middle_of_a_handover_a_stop_is_refused_and_nothing_is_started() {
    let host = Host::plain();
    let old = host.wait_until_held(None);
    host.site.put("boot-seconds", "2");
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| host.ask(&["reload", "web"]));
        wait::until("the handover", SOON, || {
            let status = host.status();
            if status["step"].is_string() { Ok(()) } else { Err(status.to_string()) }
        });
        let stop = host.ask(&["stop", "web"]).expect_code(3);
        assert!(stop.stderr.contains("a handover is under way (step "), "{stop}");
        let _ = host.ask(&["start", "web"]).expect_code(0);
        // With its hold dead it is to be started again, and that has to wait, whoever asks.
        signal(host.hold(), Signal::KILL);
        host.wait_for_state("waiting");
        let start = host.ask(&["start", "web"]).expect_code(3);
        assert!(start.stderr.contains("a handover is under way (step "), "{start}");
        let _ = reload.join().expect("no panic").expect_code(0);
    });
    host.wait_until_held(Some(old));
    host.wait_for_state("running");
    let _ = host.ask(&["stop", "web"]).expect_code(0);
}

/// Who dies while the hook after a handover runs is not left dead until that has ended.
#[test]
fn a_hook_that_takes_its_time_holds_up_no_start() {
    let host = Host::start(|site, plan| {
        let begun = site.directory().join("begun");
        let script = format!("echo > {}; exec sleep 15", begun.display());
        plan.service = format!("hooks = {{ after = [\"/bin/sh\", \"-c\", {script:?}] }}\n");
    });
    let old = host.wait_until_held(None);
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| host.ask(&["reload", "web"]));
        wait::until("the hook", SOON, || {
            if host.site.directory().join("begun").exists() { Ok(()) } else { Err(host.status().to_string()) }
        });
        let new = host.site.wait_until_served(Some(old));
        host.site.kill_server();
        host.site.wait_until_served(Some(new));
        assert!(host.status()["step"].is_string(), "the hook is over already: {}", host.status());
        let _ = reload.join().expect("no panic").expect_code(5);
    });
    host.wait_until_held(Some(old));
    assert_eq!(host.status()["epoch"], 1);
}

#[test]
fn orphans_of_nginx_are_ended_by_a_stop() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let address = site.address();
    site.put("listen.conf", &format!("listen {address}; set $master 0;"));
    site.put("answer.conf", "location / { return 200 \"v1 $pid 0\\n\"; }\n");
    let nginx = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx/nginx.conf");
    fs::copy(nginx, site.directory().join("nginx.conf")).expect("a file in the sandbox");
    let prefix = format!("{}/", site.directory().display());
    let configuration = site.directory().join("nginx.conf").display().to_string();
    let words = ["nginx", "-p", &prefix, "-e", "stderr", "-c", &configuration, "-g", "user root;"];
    let plan = Plan { command: words.map(str::to_owned).to_vec(), ..Plan::of(&site) };
    let directory = sandbox.path().join("agent");
    fs::create_dir(&directory).expect("a directory in the sandbox");
    configure(&directory, &site, "nginx", "", &plan.text());
    let host = Host { agent: run(&directory), site, _sandbox: sandbox };
    let start = host.ask(&["start", "web"]).expect_code(0);
    assert!(start.stdout.contains("held") && start.stdout.contains("marked"), "{start}");
    signal(host.site.master().expect("it runs"), Signal::KILL);
    wait::until("the agent to miss the master", SOON, || {
        let status = host.status();
        if status["lock"] == "orphaned" { Ok(()) } else { Err(status.to_string()) }
    });
    assert!(host.site.holders().len() >= 2, "its workers serve on, and its cache manager");
    let start = host.ask(&["start", "web"]).expect_code(3);
    assert!(start.stderr.contains("it runs without a master: ") && start.stderr.contains("`baton-agent stop web`"), "{start}");
    let _ = host.ask(&["stop", "web"]).expect_code(0);
    assert_eq!(host.site.holders(), [0_u32; 0]);
}
