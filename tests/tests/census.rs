//! Who holds a lock, and what is amiss: each thing is named in `status`, and refuses a reload where it must.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use baton_tests::controller::{Run, Running};
use baton_tests::deployed::{children, is_alive, signal};
use baton_tests::fleet::{Fleet, Host};
use baton_tests::server::Kind;
use baton_tests::{binaries, wait};
use rustix::process::Signal;
use serde_json::Value;

const RUN_WITHIN: Duration = Duration::from_mins(1);
const SOON: Duration = Duration::from_secs(20);

/// A fleet of one patient.
struct Site {
    fleet: Fleet,
    /// Who was started beside it; killed at the end.
    strangers: Vec<Child>,
}

impl Site {
    fn start() -> Self {
        Self { fleet: Fleet::of(1).server(Kind::Patient).start(), strangers: Vec::new() }
    }

    fn host(&self) -> &Host {
        &self.fleet.hosts[0]
    }

    fn master(&self) -> u32 {
        self.host().server.master().expect("a master")
    }

    fn lock(&self) -> std::path::PathBuf {
        self.host().server.lock()
    }

    /// Runs a local command of the agent.
    #[track_caller]
    fn agent(&self, args: &[&str]) -> Run {
        let mut command = Command::new(binaries::find("baton-agent"));
        command.args(args).arg("--socket").arg(self.host().agent.socket());
        Running::start(command, self.fleet.directory()).finish(RUN_WITHIN)
    }

    #[track_caller]
    fn status(&self, args: &[&str]) -> Value {
        let run = self.agent(&[&["status", "web", "--output", "json"], args].concat()).expect_code(0);
        run.objects().first().cloned().unwrap_or_else(|| panic!("{run}"))
    }

    /// Waits for a finding of this kind, and returns it.
    #[track_caller]
    fn finding(&self, kind: &str) -> Finding {
        wait::until(kind, SOON, || {
            let status = self.status(&[]);
            let found = status["findings"].as_array().into_iter().flatten().find(|finding| finding["kind"] == kind);
            found.map(Finding::read).ok_or_else(|| status.to_string())
        })
    }

    /// Waits until nothing is amiss.
    #[track_caller]
    fn await_peace(&self) {
        wait::until("nothing to be amiss", SOON, || {
            let status = self.status(&[]);
            if status["findings"] == Value::Array(Vec::new()) && status["lock"] == "held" {
                Ok(())
            } else {
                Err(status.to_string())
            }
        });
    }

    /// Starts somebody who holds the lock, and waits until he does.
    fn stranger(&mut self, command: &mut Command) -> u32 {
        let log = File::options().create(true).append(true).open(self.fleet.directory().join("stranger.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        let child = command.spawn().expect("it is installed");
        let pid = child.id();
        self.strangers.push(child);
        wait::until(
            "the stranger to hold the lock",
            SOON,
            || if holds(pid, &self.lock()) { Ok(()) } else { Err(pid.to_string()) },
        );
        pid
    }

    fn flock(&mut self) -> u32 {
        let lock = self.lock();
        self.stranger(Command::new("flock").arg("-s").arg(lock).args(["sleep", "1000"]))
    }

    fn dismiss_strangers(&mut self) {
        for stranger in &mut self.strangers {
            for child in children(stranger.id()) {
                signal(child, Signal::KILL);
            }
            // It may have ended with its child.
            let _ended = stranger.kill().and_then(|()| stranger.wait());
        }
        self.strangers.clear();
    }

    /// Fails the test unless a reload is refused with all these words, and the master is left alone.
    #[track_caller]
    fn refuses(&self, words: &[&str]) {
        let before = self.master();
        let reload = self.agent(&["reload", "web"]).expect_code(3);
        let has = |line: &str| line.contains("Refused [") && words.iter().all(|word| line.contains(word));
        assert!(reload.stdout.lines().any(has), "no line with {words:?}: {reload}");
        assert_eq!(self.master(), before);
        assert!(!Path::new(&format!("{}.oldbin", self.host().server.pidfile().display())).exists(), "it was signalled");
    }

    fn configure(&mut self, from: &str, to: &str) {
        let path = self.host().agent.config();
        let text = fs::read_to_string(&path).expect("a configuration");
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).expect("a file in the sandbox");
        self.fleet.hosts[0].agent.stop();
        self.fleet.hosts[0].agent.start_again();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.dismiss_strangers();
    }
}

#[derive(Debug)]
struct Finding {
    sentence: String,
    pids: Vec<u32>,
    refuses: bool,
}

impl Finding {
    fn read(object: &Value) -> Self {
        let pid = |value: &Value| value.as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid");
        Self {
            sentence: object["sentence"].as_str().expect("a sentence").to_owned(),
            pids: object["pids"].as_array().expect("pids").iter().map(pid).collect(),
            refuses: object["refuses"].as_bool().expect("a flag"),
        }
    }
}

/// Whether a process holds a shared lock on the file that the path names.
fn holds(pid: u32, lock: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let of_it = descriptors.flatten().filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == lock));
    let infos = of_it.filter_map(|entry| fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().display())).ok());
    infos.into_iter().any(|info| info.contains("FLOCK  ADVISORY  READ"))
}

#[test]
fn a_cron_job_with_the_lock_is_named_and_refuses_a_reload_until_it_is_gone_or_allowed() {
    let mut site = Site::start();
    site.await_peace();
    let flock = site.flock();
    let finding = site.finding("foreign_holder");
    assert!(finding.refuses && finding.pids.contains(&flock), "{finding:?}");
    assert!(finding.sentence.contains(&format!("flock ({flock})")), "{finding:?}");
    site.refuses(&["foreign holder", &format!("flock ({flock})"), "sleep ("]);
    // The operator sees it, too, and a plan refuses the host.
    let status = site.fleet.baton(&["status"]).expect_code(0);
    assert!(status.stdout.contains(&format!("flock ({flock})")), "{status}");
    let plan = site.fleet.baton(&["plan", "web"]).expect_code(2);
    assert!(plan.stdout.contains(&format!("flock ({flock})")), "{plan}");

    site.dismiss_strangers();
    site.await_peace();
    let reload = site.agent(&["reload", "web"]).expect_code(0);
    assert!(reload.stdout.contains("Kept ["), "{reload}");

    let flock = site.flock();
    site.configure("[service.web]\n", "[service.web]\nforeign-holders = \"allow\"\n");
    let finding = site.finding("foreign_holder");
    assert!(!finding.refuses && finding.pids.contains(&flock), "{finding:?}");
    let reload = site.agent(&["reload", "web"]).expect_code(0);
    assert!(reload.stdout.contains("Kept ["), "{reload}");
}

#[test]
fn a_reload_finds_a_stranger_that_nobody_asked_about_before() {
    let mut site = Site::start();
    let lock = site.lock();
    // Its taker is gone: only a look at every process finds it.
    let script = format!("exec 9< '{}'; flock -s 9; echo; while :; do sleep 1000; done", lock.display());
    let shell = site.stranger(Command::new("sh").args(["-c", &script]));
    site.refuses(&["foreign holder", &format!("sh ({shell})")]);
}

#[test]
fn a_census_lists_every_holder_with_its_role_its_mark_and_its_taker() {
    let mut site = Site::start();
    let flock = site.flock();
    let (master, workers) = (site.master(), children(site.master()));
    let status = site.status(&["--census"]);
    let row = |pid: u32| {
        let holder = status["census"].as_array().into_iter().flatten().find(|holder| holder["pid"] == pid);
        let holder = holder.unwrap_or_else(|| panic!("{pid} is not in {status}"));
        let word = |key: &str| holder[key].as_str().expect("a word").to_owned();
        (word("role"), word("command"), holder["mark"] != 0, holder["taker"].as_u64())
    };
    let taker = |pid| Some(u64::from(pid));
    assert_eq!(row(master), ("master".into(), "patient".into(), true, taker(master)));
    assert_eq!(workers.len(), 2);
    for worker in workers {
        assert_eq!(row(worker), ("worker".into(), "patient".into(), true, taker(master)));
    }
    assert_eq!(row(flock), ("foreign".into(), "flock".into(), false, taker(flock)));
    assert_eq!(status["holders"], 5, "{status}");
    let human = site.agent(&["status", "--census"]).expect_code(0);
    assert!(human.stdout.lines().any(|line| line.contains("foreign") && line.contains(&flock.to_string())), "{human}");
}

#[test]
fn workers_that_outlive_their_master_are_orphans_and_a_stranger_after_them_is_found() {
    let mut site = Site::start();
    site.await_peace();
    let before = site.master();
    site.host().server.kill();
    // The patient's workers end with their master; these stay.
    let script = format!(
        "lock = File.open('{lock}', File::RDONLY | File::CREAT); lock.flock(File::LOCK_SH); 2.times {{ fork {{ sleep }} }}; \
         File.write('{pidfile}', $$); sleep",
        lock = site.lock().display(),
        pidfile = site.host().server.pidfile().display(),
    );
    let master = site.stranger(Command::new("ruby").args(["-e", &script]));
    wait::until("the other server to be in charge", SOON, || {
        let status = site.status(&[]);
        if status["master_pid"] == master && status["holders"] == 3 { Ok(()) } else { Err(status.to_string()) }
    });
    assert_ne!(before, master);
    let mut workers = children(master);
    workers.sort_unstable();
    signal(master, Signal::KILL);
    let orphans = site.finding("orphans");
    let mut pids = orphans.pids.clone();
    pids.sort_unstable();
    assert_eq!(pids, workers, "{orphans:?}");
    assert!(orphans.sentence.contains("a signal restarts nobody"), "{orphans:?}");
    assert_eq!(site.status(&[])["lock"], "orphaned");
    // The pid file is left behind.
    let stale = site.finding("stale_pid_file");
    assert_eq!(stale.pids, [master]);
    site.refuses(&["orphans: ", "no master any more"]);
    let flock = site.flock();
    assert_eq!(workers.len(), 2);
    for worker in &workers {
        signal(*worker, Signal::KILL);
    }
    wait::until("the workers to end", SOON, || {
        if workers.iter().any(|pid| is_alive(*pid)) { Err("alive".to_owned()) } else { Ok(()) }
    });
    let foreign = site.finding("foreign_holder");
    assert!(foreign.pids.contains(&flock), "{foreign:?}");
}

#[test]
fn a_lock_file_that_was_replaced_or_removed_is_told_and_refuses_a_reload() {
    let site = Site::start();
    site.await_peace();
    let (lock, kept) = (site.lock(), site.fleet.directory().join("kept"));
    fs::hard_link(&lock, &kept).expect("a link in the sandbox");
    fs::remove_file(&lock).expect("it is there");
    assert!(site.finding("lock_unlinked").refuses);
    site.refuses(&["is gone", "unicorn.pid.lock"]);
    fs::write(&lock, "").expect("a file in the sandbox");
    assert!(site.finding("lock_replaced").refuses);
    site.refuses(&["was replaced", "unicorn.pid.lock"]);
    assert_eq!(site.status(&[])["lock"], "held", "it holds what it has");
    fs::rename(&kept, &lock).expect("a name in the sandbox");
    site.await_peace();
    let reload = site.agent(&["reload", "web"]).expect_code(0);
    assert!(reload.stdout.contains("Kept ["), "{reload}");
}

#[test]
fn a_pid_file_that_names_somebody_else_is_told_with_the_master_that_holds() {
    let mut site = Site::start();
    site.await_peace();
    let (master, pidfile) = (site.master(), site.host().server.pidfile());
    let mut another = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("it is installed");
    fs::write(&pidfile, another.id().to_string()).expect("a file in the sandbox");
    site.fleet.hosts[0].agent.stop();
    site.fleet.hosts[0].agent.start_again();
    let finding = site.finding("pid_file_names_no_holder");
    assert_eq!(finding.pids, [another.id()]);
    assert!(finding.sentence.contains("(sleep), which does not hold the lock"), "{finding:?}");
    wait::until("the master to be found", SOON, || {
        let finding = site.finding("pid_file_names_no_holder");
        if finding.sentence.contains(&format!("patient ({master})")) { Ok(()) } else { Err(finding.sentence) }
    });
    site.refuses_without_master(&["not serving"]);
    another.kill().and_then(|()| another.wait()).expect("our own child");
    let stale = site.finding("stale_pid_file");
    assert_eq!(stale.pids, [another.id()], "{stale:?}");
    fs::write(&pidfile, master.to_string()).expect("a file in the sandbox");
    site.await_peace();
}

impl Site {
    #[track_caller]
    fn refuses_without_master(&self, words: &[&str]) {
        let reload = self.agent(&["reload", "web"]).expect_code(3);
        assert!(words.iter().all(|word| reload.stdout.contains(word)), "{reload}");
    }
}

#[test]
fn a_pid_file_older_than_the_process_that_it_names_is_stale() {
    let mut site = Site::start();
    site.await_peace();
    site.host().server.kill();
    let pidfile = site.host().server.pidfile();
    let another = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("it is installed");
    let pid = another.id();
    site.strangers.push(another);
    fs::write(&pidfile, pid.to_string()).expect("a file in the sandbox");
    let touched = Command::new("touch").args(["-d", "1 hour ago"]).arg(&pidfile).status();
    assert!(touched.is_ok_and(|status| status.success()));
    let stale = site.finding("stale_pid_file");
    assert_eq!(stale.pids, [pid]);
    assert!(stale.sentence.contains("started after the file was written"), "{stale:?}");
    let human = site.agent(&["status", "web"]).expect_code(0);
    let told = human.stdout.lines().filter(|line| line.contains(&format!("process {pid}"))).count();
    assert_eq!(told, 1, "one thing is said once: {human}");
}

#[test]
fn two_masters_by_hand_are_told_and_refuse_a_reload() {
    let site = Site::start();
    site.await_peace();
    let old = site.master();
    signal(old, Signal::USR2);
    let new = wait::until("a new master", SOON, || {
        site.host().server.master().and_then(|pid| if pid == old { Err("the old one".to_owned()) } else { Ok(pid) })
    });
    let finding = site.finding("two_masters");
    let mut pids = finding.pids.clone();
    pids.sort_unstable();
    assert_eq!(pids, [old.min(new), old.max(new)], "{finding:?}");
    assert_eq!(site.finding("predecessor").pids, [old]);
    let reload = site.agent(&["reload", "web"]).expect_code(3);
    assert!(reload.stdout.contains("two masters hold the lock"), "{reload}");
    signal(old, Signal::QUIT);
    site.await_peace();
}

#[test]
fn a_wrapper_shell_that_keeps_the_lock_is_told_and_refuses_a_reload() {
    let mut site = Site::start();
    site.await_peace();
    let server = &site.host().server;
    server.kill();
    let directory = server.lock().parent().expect("a directory").to_owned();
    // The shell has the lock on a descriptor of its own, and stays.
    let script = format!(
        "exec 9< '{lock}'; flock -s 9; '{patient}' --listen {address} --pidfile '{pidfile}' --release '{directory}/release' --faults '{directory}/faults' 9<&-; true",
        lock = server.lock().display(),
        patient = binaries::find("patient").display(),
        address = server.address(),
        pidfile = server.pidfile().display(),
        directory = directory.display(),
    );
    let shell = site.stranger(Command::new("sh").args(["-c", &script]).current_dir(directory));
    let finding = site.finding("wrapper");
    assert_eq!(finding.pids, [shell], "{finding:?}");
    assert!(finding.sentence.contains(&format!("sh ({shell}), above the master")), "{finding:?}");
    site.refuses(&["a wrapper", &format!("sh ({shell})")]);
}

/// The default of the reload signal is to end whoever gets it: a master that does not listen for it yet is not to be told.
#[test]
fn a_master_that_would_end_by_the_reload_signal_is_not_sent_it() {
    let mut site = Site::start();
    site.host().server.kill();
    let lock = site.lock();
    let deaf = site.stranger(Command::new("flock").args(["--no-fork", "--shared"]).arg(lock).args(["sleep", "1000"]));
    fs::write(site.host().server.pidfile(), format!("{deaf}\n")).expect("a file in the sandbox");
    site.await_peace();
    site.refuses(&[&format!("SIGUSR2 would end the master {deaf}, which does not listen for it")]);
    assert!(is_alive(deaf));
}

/// It listened when the handover was accepted, and does no more when the signal is to be sent.
#[test]
fn a_master_that_stops_listening_before_the_signal_is_not_sent_it() {
    let hook = "hooks = { before = [\"/bin/sh\", \"-c\", 'kill -HUP $BATON_MASTER; until [ -e {directory}/deaf ]; do sleep 0.01; done'] }\n";
    let fleet = Fleet::of(1).server(Kind::Patient).more(hook).start();
    let mut site = Site { fleet, strangers: Vec::new() };
    site.host().server.kill();
    let (lock, directory) = (site.lock(), site.host().server.directory().to_owned());
    let script = "import signal\n\
                  def deafen(*_):\n    signal.signal(signal.SIGUSR2, signal.SIG_DFL)\n    open('deaf', 'w').close()\n\
                  signal.signal(signal.SIGUSR2, lambda *_: None)\nsignal.signal(signal.SIGHUP, deafen)\n\
                  open('listens', 'w').close()\nwhile True:\n    signal.pause()";
    let mut command = Command::new("flock");
    command.args(["--no-fork", "--shared"]).arg(lock).args(["python3", "-c", script]).current_dir(&directory);
    let master = site.stranger(&mut command);
    wait::until("it to listen", SOON, || if directory.join("listens").exists() { Ok(()) } else { Err("it boots".to_owned()) });
    fs::write(site.host().server.pidfile(), format!("{master}\n")).expect("a file in the sandbox");
    site.await_peace();
    let reload = site.agent(&["reload", "web"]).expect_code(3);
    assert!(reload.stdout.contains("RolledBack"), "{reload}");
    assert!(reload.stdout.contains(&format!("SIGUSR2 would end the master {master}, which does not listen for it")), "{reload}");
    assert!(is_alive(master));
}

/// Whoever may write the pid file's directory may put there what no open comes back from.
#[test]
fn a_fifo_in_the_place_of_the_pid_file_hangs_nobody() {
    let site = Site::start();
    let pidfile = site.host().server.pidfile();
    fs::remove_file(&pidfile).expect("a file in the sandbox");
    let made = Command::new("mkfifo").arg(&pidfile).status().expect("it is installed");
    assert!(made.success());
    let reload = site.agent(&["reload", "web"]).expect_code(3);
    assert!(reload.stdout.contains("names no pid"), "{reload}");
}
