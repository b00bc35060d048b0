//! `baton-agent hold` and processes that it did not start itself: workers that outlive their master, a server that forks while it is
//! killed; and the directory that its command runs in.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Command};
use std::time::Duration;

use baton_tests::deployed::{Site, signal};
use baton_tests::sandbox::Sandbox;
use baton_tests::server::{Kind, Release, Server};
use baton_tests::{address, binaries, wait};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(20);

const STOPPED: i32 = 0;
const FAILED: i32 = 1;
const NEVER_HELD: i32 = 4;

/// hold at a site, and what it said.
struct Hold<'a> {
    site: &'a Site,
    child: Child,
}

impl<'a> Hold<'a> {
    fn start(site: &'a Site, options: &[&str], command: &[String]) -> Self {
        let mut line = Command::new(binaries::find("baton-agent"));
        line.arg("hold").arg("--lock").arg(site.lock()).arg("--pidfile").arg(site.pidfile());
        line.args(options).arg("--").args(command);
        Self { site, child: site.run(&mut line, "hold.log") }
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
    fn exit(&mut self) -> Option<i32> {
        wait::until("hold to exit", SOON, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status.code()),
            other => Err(format!("{other:?}")),
        })
    }
}

/// php-fpm, nginx and Apache keep their workers when their master is killed: these hold and serve for ever, and no pid file names anybody.
#[test]
fn workers_of_nginx_that_outlive_their_master_are_ended_by_a_stop() {
    let sandbox = Sandbox::new();
    let server = Server::start(Kind::Nginx, &sandbox.path().join("web"), address::next(), &Release::sound("v1"));
    let master = server.master().expect("it serves");
    signal(master, Signal::KILL);
    wait::until("hold to bury the master", SOON, || {
        let log = server.log();
        if log.contains("the command was ended by signal 9; its service lives on") { Ok(()) } else { Err(log) }
    });
    assert!(server.ask("/").is_ok_and(|answer| answer.release == "v1"), "its workers serve on");
    assert!(!server.log().contains("the service is dead"), "{}", server.log());
    signal(server.launcher(), Signal::TERM);
    assert_eq!(server.launcher_ended(SOON).code(), Some(STOPPED));
    assert!(server.ask("/").is_err());
    let log = server.log();
    // Two workers, and the cache's manager and loader, if these are there yet.
    assert!(log.matches(" of the service ended with exit code 0").count() >= 2, "how each worker ended is said: {log}");
}

/// A server that forks while it is looked at and killed, as Apache did: whoever the first round misses is found by the next.
#[test]
fn a_server_that_forks_faster_than_it_is_looked_at_is_ended_all_the_same() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let script = "trap '' QUIT TERM; while :; do (trap '' QUIT TERM; exec sleep 1000) & sleep 0.005; done";
    let mut hold = Hold::start(&site, &["--carry", "--stop-within", "1s"], &["sh".into(), "-c".into(), script.into()]);
    hold.wait_to_hear("waiting until nobody does");
    wait::until("a crowd", SOON, || {
        let holders = site.holders().len();
        if holders > 20 { Ok(()) } else { Err(format!("{holders} holders")) }
    });
    for words in ["sending SIGQUIT", "sending SIGTERM to", "sending SIGKILL to"] {
        signal(hold.child.id(), Signal::TERM);
        hold.wait_to_hear(words);
    }
    assert_eq!(hold.exit(), Some(STOPPED));
    assert_eq!(site.holders(), [0_u32; 0]);
    // So many ends are not all told.
    let told = site.log("hold.log").matches(" was ended by signal 9").count();
    assert!((1..=25).contains(&told), "{told}");
}

#[test]
fn the_command_runs_in_the_directory_as_it_is_written() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let (release, link) = (site.directory().join("v1"), site.directory().join("current"));
    fs::create_dir(&release).expect("a directory in the sandbox");
    symlink(&release, &link).expect("a link in the sandbox");
    let in_link = ["--directory", &link.to_string_lossy()].map(str::to_owned);
    let options: Vec<&str> = in_link.iter().map(String::as_str).collect();
    let mut hold = Hold::start(&site, &options, &["sh", "-c", "env > seen"].map(str::to_owned));
    assert_eq!(hold.exit(), Some(NEVER_HELD));
    let seen = fs::read_to_string(release.join("seen")).expect("it ran there");
    assert!(seen.lines().any(|line| line == format!("PWD={}", link.display())), "{seen}");
    fs::remove_file(&link).expect("it is there");
    let mut hold = Hold::start(&site, &options, &["true".to_owned()]);
    assert_eq!(hold.exit(), Some(FAILED));
    hold.wait_to_hear(&format!("cannot change into the directory {}", link.display()));
}
