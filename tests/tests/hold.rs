//! `baton-agent hold` with real Unicorn: it ends when the service ends, and never before.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use baton_tests::deployed::{Site, busy_worker, is_alive, named, signal};
use baton_tests::sandbox::Sandbox;
use baton_tests::{binaries, clock, wait};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(20);
/// From the death of the last holder to the end of hold. The aim is a moment; the machine may be busy.
const MOMENT: Duration = Duration::from_secs(2);

const STOPPED: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const DIED: i32 = 3;
const NEVER_HELD: i32 = 4;
const TOO_LATE: i32 = 5;
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// What hold says when it is granted the lock.
const THE_END: &str = "the service is dead";

/// hold at a site, and what it said.
struct Hold<'a> {
    site: &'a Site,
    child: Child,
}

impl<'a> Hold<'a> {
    fn start(site: &'a Site, options: &[&str], command: &[String]) -> Self {
        Self { site, child: site.run(&mut line(site, options, command), "hold.log") }
    }

    /// hold with Unicorn in the foreground.
    fn of_unicorn(site: &'a Site) -> Self {
        Self::start(site, &[], &site.unicorn())
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Fails the test unless hold sleeps on, and has not believed its service dead: it would end with the same code as later.
    #[track_caller]
    fn assert_holds_on(&mut self) {
        wait::until("both threads to sleep", SOON, || asleep(self.pid()));
        assert!(self.is_running());
        let log = self.site.log("hold.log");
        assert!(!log.contains(THE_END), "{log}");
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Waits until hold has said this.
    #[track_caller]
    fn wait_to_hear(&self, words: &str) {
        wait::until(words, SOON, || {
            let log = self.site.log("hold.log");
            if log.contains(words) { Ok(()) } else { Err(log) }
        });
    }

    #[track_caller]
    fn wait_until_held(&self) -> u32 {
        let master = self.site.wait_until_served(None);
        self.wait_to_hear("waiting until nobody does");
        master
    }

    #[track_caller]
    fn exit_within(&mut self, within: Duration) -> Option<i32> {
        wait::until("hold to exit", within, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status.code()),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }
}

fn line(site: &Site, options: &[&str], command: &[String]) -> Command {
    let mut line = Command::new(binaries::find("baton-agent"));
    line.arg("hold").arg("--lock").arg(site.lock()).arg("--pidfile").arg(site.pidfile());
    line.args(options).arg("--").args(command);
    line
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn it_lives_through_handovers_and_exits_when_everybody_is_dead() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let first = hold.wait_until_held();
    let second = site.hand_over();
    let third = site.hand_over();
    assert!(first != second && second != third);
    hold.assert_holds_on();
    site.kill_server();
    assert_eq!(hold.exit_within(MOMENT), Some(DIED));
    hold.wait_to_hear("its service lives on");
    hold.wait_to_hear(THE_END);
}

#[test]
fn the_command_begins_with_no_signal_blocked_or_ignored() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    // `sleep` says of its signals what it was given; Unicorn changes its own.
    let mut line = line(&site, &[], &words("sleep 60"));
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP INT QUIT CHLD; exec \"$0\" \"$@\""]).arg(line.get_program()).args(line.get_args());
    line = nohup;
    let child = site.run(&mut line, "hold.log");
    let hold = Hold { site: &site, child };
    hold.wait_to_hear("started the command");
    let pid = child_of(hold.pid());
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    assert!(status.starts_with("Name:\tsleep"), "{status}");
    for name in ["SigBlk:\t", "SigIgn:\t"] {
        let mask = status.lines().find_map(|line| line.strip_prefix(name)).expect("every process has masks");
        let mask = u64::from_str_radix(mask, 16).expect("a mask is hexadecimal");
        // Signals 32 and above are not for telling servers things, and 32 and 33 are the C library's own.
        assert_eq!(mask & 0x7fff_ffff, 0, "{status}");
    }
}

fn child_of(pid: u32) -> u32 {
    wait::until("a child that has called exec", SOON, || {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).map_err(|error| error.to_string())?;
        let child: u32 = children.trim().parse().map_err(|_| format!("children: {children:?}"))?;
        let own = fs::read_link(format!("/proc/{pid}/exe")).map_err(|error| error.to_string())?;
        let its = fs::read_link(format!("/proc/{child}/exe")).map_err(|error| error.to_string())?;
        if own == its { Err("not yet".to_owned()) } else { Ok(child) }
    })
}

#[test]
fn while_it_holds_nothing_wakes_it() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    hold.wait_until_held();
    let before = wait::until("both threads to sleep", SOON, || asleep(hold.pid()));
    let began = clock::now();
    wait::until("four seconds to pass", SOON, || {
        if began.elapsed() >= Duration::from_secs(4) { Ok(()) } else { Err(format!("{:?}", began.elapsed())) }
    });
    assert_eq!(asleep(hold.pid()).as_deref(), Ok(&before[..]));
    site.kill_server();
    assert_eq!(hold.exit_within(MOMENT), Some(DIED));
}

/// The voluntary and involuntary context switches of all threads, once there are two and both sleep.
fn asleep(pid: u32) -> Result<Vec<String>, String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
    let statuses: Vec<String> =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok()).collect();
    if statuses.len() != 2 || statuses.iter().any(|status| !status.contains("State:\tS")) {
        return Err(statuses.join("\n"));
    }
    let lines = statuses.iter().flat_map(|status| status.lines().filter(|line| line.contains("ctxt_switches")));
    Ok(lines.map(str::to_owned).collect())
}

#[test]
fn a_server_that_daemonises_is_held() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::start(&site, &[], &[site.unicorn(), words("-D")].concat());
    hold.wait_until_held();
    hold.wait_to_hear("the command ended with exit code 0");
    site.hand_over();
    hold.assert_holds_on();
    site.kill_server();
    assert_eq!(hold.exit_within(MOMENT), Some(DIED));
}

/// Unicorn as it comes, without a lock hook.
const WITHOUT_A_HOOK: &str = r##"
working_directory ENV.fetch("WEB_ROOT")
listen ENV.fetch("WEB_LISTEN")
worker_processes 2
preload_app true
pid "#{ENV.fetch("WEB_RUN")}/unicorn.pid"
"##;

#[test]
fn a_lock_that_is_carried_passes_through_every_generation_of_a_server_without_a_hook() {
    let sandbox = Sandbox::new();
    let mut site = Site::new(&sandbox);
    site.configure(WITHOUT_A_HOOK);
    let mut hold = Hold::start(&site, &["--carry"], &site.unicorn());
    let first = hold.wait_until_held();
    let mark = site.mark(first).expect("the master holds what it inherited");
    assert_ne!(mark, 0);
    let second = site.hand_over();
    let third = site.hand_over();
    assert!(first != second && second != third);
    // One open file description, from the first generation to the last; and hold has no part in it.
    assert_eq!(site.mark(third), Some(mark));
    assert!(!site.holders().contains(&hold.pid()));
    hold.assert_holds_on();
    site.kill_server();
    assert_eq!(hold.exit_within(MOMENT), Some(DIED));
}

#[test]
fn a_lock_that_cannot_be_carried_starts_nothing_and_says_why() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let marker = site.directory().join("started");
    let touch = words(&format!("touch {}", marker.display()));
    let refused = |hold: &mut Hold<'_>, words: &str| {
        assert_eq!(hold.exit_within(SOON), Some(FAILED));
        hold.wait_to_hear(words);
        assert!(!marker.exists(), "the command was started");
    };
    let mut limited = Command::new("sh");
    let carrying = line(&site, &["--carry"], &touch);
    limited.args(["-c", "ulimit -n 512; exec \"$0\" \"$@\""]).arg(carrying.get_program()).args(carrying.get_args());
    let mut hold = Hold { site: &site, child: site.run(&mut limited, "hold.log") };
    refused(&mut hold, "the hard limit of descriptors must be above it");
    let exclusive = fs::File::create(site.lock()).expect("a file in the sandbox");
    exclusive.lock().expect("nobody has it");
    let mut hold = Hold::start(&site, &["--carry"], &touch);
    refused(&mut hold, "somebody holds the lock exclusively");
}

#[test]
fn a_lock_that_is_taken_late_on_a_file_that_does_not_exist_yet_is_waited_for() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    site.put("boot-seconds", "2");
    let mut hold = Hold::of_unicorn(&site);
    assert!(!site.lock().exists());
    hold.wait_until_held();
    site.kill_server();
    assert_eq!(hold.exit_within(MOMENT), Some(DIED));
}

#[test]
fn the_old_master_killed_in_mid_handover_is_not_the_end() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let old = hold.wait_until_held();
    signal(old, Signal::USR2);
    site.wait_until_served(Some(old));
    signal(old, Signal::KILL);
    hold.wait_to_hear("the command was ended by signal 9; its service lives on");
    wait::until("the old generation to be gone", SOON, || {
        if is_alive(old) { Err("alive") } else { Ok(()) }.map_err(str::to_owned)
    });
    hold.assert_holds_on();
    assert!(site.ask("/").is_ok());
    site.kill_server();
    assert_eq!(hold.exit_within(MOMENT), Some(DIED));
}

#[test]
fn the_next_hold_waits_for_a_new_master_that_still_boots() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let old = hold.wait_until_held();
    site.put("boot-seconds", "3");
    signal(old, Signal::USR2);
    let new = wait::until("the new master's pid file", SOON, || {
        site.master().and_then(|pid| if pid == old { Err("old".to_owned()) } else { Ok(pid) })
    });
    // Nobody holds the lock now, and the new master has not taken it: that is the end, and it is told at once.
    signal(old, Signal::KILL);
    assert_eq!(hold.exit_within(SOON), Some(DIED));
    let mut next = Hold::start(&site, &[], &site.unicorn());
    // Its Unicorn finds the new master and leaves: `Already running on PID`.
    next.wait_to_hear("the command ended with exit code 1; nobody holds");
    next.wait_to_hear(&format!("process {new} holds"));
    assert!(next.is_running());
    assert_eq!(site.wait_until_served(None), new);
    site.kill_server();
    assert_eq!(next.exit_within(MOMENT), Some(DIED));
}

#[test]
fn its_own_death_touches_nothing_and_the_next_one_adopts_the_server() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let master = hold.wait_until_held();
    hold.kill();
    assert_eq!(site.ask("/").map(|answer| answer.master), Ok(master));
    let mut next = Hold::of_unicorn(&site);
    next.wait_to_hear(&format!("process {master} holds"));
    next.wait_to_hear("it is adopted, and the command not started");
    site.hand_over();
    assert!(next.is_running());
    signal(next.pid(), Signal::TERM);
    assert_eq!(next.exit_within(SOON), Some(STOPPED));
    assert_eq!(site.holders(), [0_u32; 0]);
}

#[test]
fn a_living_server_whose_pid_file_is_gone_is_adopted_and_no_second_one_started() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let master = hold.wait_until_held();
    hold.kill();
    fs::remove_file(site.pidfile()).expect("it is there");
    let mut next = Hold::of_unicorn(&site);
    next.wait_to_hear(&format!("process {master} holds"));
    next.wait_to_hear("adopted");
    assert_eq!(site.ask("/").map(|answer| answer.master), Ok(master));
    signal(next.pid(), Signal::TERM);
    next.wait_to_hear(&format!("sending SIGQUIT to process {master};"));
    assert_eq!(next.exit_within(SOON), Some(STOPPED));
    assert_eq!(site.holders(), [0_u32; 0]);
}

#[test]
fn in_mid_handover_without_a_pid_file_of_its_own_the_old_master_is_adopted() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let old = hold.wait_until_held();
    hold.kill();
    // As if the new master had not written its own yet.
    fs::rename(site.pidfile(), site.directory().join("unicorn.pid.oldbin")).expect("it is there");
    let mut next = Hold::of_unicorn(&site);
    next.wait_to_hear(&format!("process {old} holds"));
    next.wait_to_hear("adopted");
    site.kill_server();
    assert_eq!(next.exit_within(MOMENT), Some(DIED));
}

#[test]
fn without_a_pid_file_masters_are_the_topmost_holders() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let bare = |site: &Site| {
        let mut line = Command::new(binaries::find("baton-agent"));
        line.arg("hold").arg("--lock").arg(site.lock()).arg("--").args(site.unicorn());
        line
    };
    let mut hold = Hold { site: &site, child: site.run(&mut bare(&site), "hold.log") };
    let master = hold.wait_until_held();
    hold.kill();
    let mut next = Hold { site: &site, child: site.run(&mut bare(&site), "hold.log") };
    next.wait_to_hear("adopted");
    signal(next.pid(), Signal::TERM);
    next.wait_to_hear(&format!("sending SIGQUIT to process {master};"));
    assert_eq!(next.exit_within(SOON), Some(STOPPED));
    assert_eq!(site.holders(), [0_u32; 0]);
}

#[test]
fn told_to_stop_it_lets_requests_finish() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let master = hold.wait_until_held();
    thread::scope(|scope| {
        let slow = scope.spawn(|| site.ask("/slow?2"));
        wait::until("a worker to be busy", SOON, || busy_worker(master));
        signal(hold.pid(), Signal::TERM);
        hold.wait_to_hear("sending SIGQUIT");
        let answer = slow.join().expect("no panic");
        assert_eq!(answer.map(|answer| answer.master), Ok(master));
    });
    assert_eq!(hold.exit_within(SOON), Some(STOPPED));
    assert!(!is_alive(master));
}

#[test]
fn told_to_stop_in_mid_handover_it_leaves_nobody_behind() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let old = hold.wait_until_held();
    site.put("boot-seconds", "20");
    signal(old, Signal::USR2);
    let new = wait::until("the new master", SOON, || {
        named(&site.directory().join("unicorn.pid.oldbin"))?;
        site.master().and_then(|pid| if pid == old { Err("old".to_owned()) } else { Ok(pid) })
    });
    signal(hold.pid(), Signal::TERM);
    assert_eq!(hold.exit_within(SOON), Some(STOPPED));
    assert!(!is_alive(old) && !is_alive(new));
}

#[test]
fn told_again_it_does_not_wait_for_requests() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let master = hold.wait_until_held();
    thread::scope(|scope| {
        let slow = scope.spawn(|| site.ask("/slow?30"));
        wait::until("a worker to be busy", SOON, || busy_worker(master));
        signal(hold.pid(), Signal::INT);
        hold.wait_to_hear("sending SIGQUIT");
        assert!(hold.is_running());
        signal(hold.pid(), Signal::TERM);
        assert_eq!(hold.exit_within(SOON), Some(STOPPED));
        assert!(slow.join().expect("no panic").is_err());
    });
}

#[test]
fn told_again_by_an_agent_it_waits_for_requests_all_the_same() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let master = hold.wait_until_held();
    thread::scope(|scope| {
        let slow = scope.spawn(|| site.ask("/slow?2"));
        wait::until("a worker to be busy", SOON, || busy_worker(master));
        signal(hold.pid(), Signal::POWER);
        hold.wait_to_hear("sending SIGQUIT");
        signal(hold.pid(), Signal::POWER);
        assert_eq!(slow.join().expect("no panic").map(|answer| answer.master), Ok(master));
    });
    assert_eq!(hold.exit_within(SOON), Some(STOPPED));
    assert!(!site.log("hold.log").contains("sending SIGTERM"));
}

#[test]
fn a_server_that_will_not_go_is_killed() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    fs::write(site.lock(), "").expect("a file in the sandbox");
    let script = format!("exec 9< {}; trap '' QUIT TERM; flock -s 9; while :; do sleep 1; done", site.lock().display());
    let mut hold = Hold::start(&site, &["--stop-within", "1s"], &["sh".into(), "-c".into(), script]);
    hold.wait_to_hear("waiting until nobody does");
    signal(hold.pid(), Signal::TERM);
    hold.wait_to_hear("sending SIGTERM to");
    assert_eq!(hold.exit_within(SOON), Some(STOPPED));
    hold.wait_to_hear("sending SIGKILL to");
    assert_eq!(site.holders(), [0_u32; 0]);
}

#[test]
fn signals_that_servers_know_are_not_for_hold() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let master = hold.wait_until_held();
    for (number, name) in [(Signal::HUP, "SIGHUP"), (Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")] {
        signal(hold.pid(), number);
        hold.wait_to_hear(&format!("{name} is ignored here"));
    }
    assert!(hold.is_running());
    assert_eq!(site.master(), Ok(master));
}

#[test]
fn a_command_that_ends_without_a_lock_is_told_from_a_service_that_died() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    for command in ["true", "false"] {
        assert_eq!(Hold::start(&site, &[], &words(command)).exit_within(SOON), Some(NEVER_HELD), "{command}");
    }
}

#[test]
fn without_a_lock_by_the_deadline_the_command_is_stopped() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::start(&site, &["--first-holder-within", "300ms"], &words("sleep 60"));
    let command = child_of(hold.pid());
    assert_eq!(hold.exit_within(SOON), Some(TOO_LATE));
    assert!(!is_alive(command));
    hold.wait_to_hear("hint: does the server's configuration take this lock");
}

#[test]
fn what_cannot_be_run_has_the_codes_that_shells_use() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let plain = site.directory().join("plain");
    fs::write(&plain, "no program").expect("a file in the sandbox");
    let cases = [(words("no-such-command"), NOT_FOUND), (vec![plain.display().to_string()], NOT_EXECUTABLE)];
    for (command, code) in cases {
        assert_eq!(Hold::start(&site, &[], &command).exit_within(SOON), Some(code), "{command:?}");
    }
    assert_eq!(Hold::start(&site, &["--stop-within", "soon"], &words("true")).exit_within(SOON), Some(USAGE));
}

#[test]
fn a_directory_that_is_missing_is_said() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut line = Command::new(binaries::find("baton-agent"));
    line.args(["hold", "--lock", "/nowhere/at/all.lock", "--", "true"]);
    let mut hold = Hold { site: &site, child: site.run(&mut line, "hold.log") };
    assert_eq!(hold.exit_within(SOON), Some(FAILED));
    hold.wait_to_hear("cannot watch /nowhere/at");
}

#[test]
fn the_init_system_is_told_when_the_service_is_there() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let path = site.directory().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket in the sandbox");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    let mut line = line(&site, &[], &site.unicorn());
    line.env("NOTIFY_SOCKET", &path);
    let mut hold = Hold { site: &site, child: site.run(&mut line, "hold.log") };
    let mut message = [0; 64];
    let length = socket.recv(&mut message).expect("a message");
    assert_eq!(message[..length].trim_ascii(), b"READY=1");
    let master = site.master().expect("it is there");
    assert!(site.holders().contains(&master));
    let environment = fs::read(format!("/proc/{master}/environ")).expect("our own");
    assert!(!String::from_utf8_lossy(&environment).contains("NOTIFY_SOCKET"));
    site.kill_server();
    assert_eq!(hold.exit_within(MOMENT), Some(DIED));
}

#[test]
fn a_stop_of_its_process_group_reaches_hold_alone() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut hold = Hold::of_unicorn(&site);
    let master = hold.wait_until_held();
    thread::scope(|scope| {
        let slow = scope.spawn(|| site.ask("/slow?1"));
        wait::until("a worker to be busy", SOON, || busy_worker(master));
        // As Upstart and terminals do. Unicorn would drop its requests at SIGTERM.
        let status = Command::new("kill")
            .args(["-TERM", "--", &format!("-{}", hold.pid())])
            .stdin(Stdio::null())
            .process_group(0)
            .status();
        assert!(status.is_ok_and(|status| status.success()));
        assert!(slow.join().expect("no panic").is_ok());
    });
    assert_eq!(hold.exit_within(SOON), Some(STOPPED));
}
