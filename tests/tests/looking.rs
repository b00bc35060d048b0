//! Looking at a process without being fooled: by exec, by death, by threads, by namespaces and by file systems.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use baton_agent::dialect::Signal;
use baton_agent::os::lock;
use baton_agent::os::process::{self, Handle, Seen, Unseen};
use baton_agent::procfs;
use baton_proto::custody::FileIdentity;
use baton_tests::restless::mark;
use baton_tests::sandbox::Sandbox;
use baton_tests::{binaries, clock, wait};

const SOON: Duration = Duration::from_secs(20);

/// A process with its log in the sandbox, which puts it on the leash; killed when dropped.
struct Subject {
    child: Child,
    lock: PathBuf,
}

impl Subject {
    fn start(sandbox: &Sandbox, command: &mut Command) -> Self {
        Self::start_with(sandbox, command, lock_of(sandbox))
    }

    fn start_with(sandbox: &Sandbox, command: &mut Command, lock: PathBuf) -> Self {
        let log = File::options().create(true).append(true).open(sandbox.path().join("subject.log")).expect("a log");
        command.current_dir(sandbox.path()).stdin(Stdio::piped()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        Self { child: command.spawn().expect("it is installed"), lock }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn say(&mut self) {
        let input: &mut ChildStdin = self.child.stdin.as_mut().expect("it is piped");
        input.write_all(b"\n").expect("it listens");
    }

    fn look(&self) -> Result<Seen, Unseen> {
        process::look(self.pid(), identity(&self.lock))
    }

    /// Waits until it is seen holding.
    #[track_caller]
    fn seen(&self) -> Seen {
        wait::until("the lock to be seen", SOON, || {
            let file = lock::identity(&self.lock).map_err(|error| error.to_string())?;
            process::look(self.pid(), file).map_err(|unseen| unseen.to_string())
        })
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn lock_of(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("lock")
}

fn identity(path: &Path) -> FileIdentity {
    lock::identity(path).expect("the lock file is there")
}

fn restless(sandbox: &Sandbox) -> Command {
    let mut command = Command::new(binaries::find("restless"));
    command.arg(lock_of(sandbox));
    command
}

fn stat(pid: u32) -> Result<procfs::Stat, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| error.to_string())?;
    procfs::stat(&text).ok_or(text)
}

#[test]
fn a_process_that_calls_exec_again_and_again_is_never_seen_with_the_lock_of_another_image() {
    let sandbox = Sandbox::new();
    let subject = Subject::start(&sandbox, &mut restless(&sandbox));
    subject.seen();
    let (mut images, mut sightings, mut changed) = (HashSet::new(), 0, 0);
    let began = clock::now();
    while began.elapsed() < Duration::from_secs(3) {
        match subject.look() {
            Ok(seen) => {
                sightings += 1;
                assert_eq!(seen.lock.mark, mark(seen.image.random), "a lock of one image was seen with another");
                images.insert(seen.image.random);
            }
            // Between exec and lock it has none.
            Err(Unseen::Unlocked(_)) => {}
            Err(Unseen::Changed(_)) => changed += 1,
            Err(unseen) => panic!("{unseen}"),
        }
    }
    assert!(images.len() > 3, "{} images in {sightings} sightings, {changed} looks in vain", images.len());
}

#[test]
fn exec_is_seen_where_addresses_are_not_random() {
    let sandbox = Sandbox::new();
    let mut command = Command::new("setarch");
    command.arg("-R").arg(binaries::find("restless")).arg(lock_of(&sandbox)).arg("wait");
    let mut subject = Subject::start(&sandbox, &mut command);
    let first = subject.seen();
    subject.say();
    let second = wait::until("the second image", SOON, || {
        let seen = subject.look().map_err(|unseen| unseen.to_string())?;
        if seen.lock.mark == first.lock.mark { Err(format!("{seen:?}")) } else { Ok(seen) }
    });
    assert_eq!(second.lock.mark, mark(second.image.random));
    assert_eq!(second.process, first.process, "exec keeps pid and start");
    assert_eq!(second.image.start_stack, first.image.start_stack, "setarch did not turn the randomness of addresses off");
    assert_ne!(second.image.random, first.image.random);
}

#[test]
fn a_process_whose_leader_thread_has_ended_lives_and_holds() {
    let sandbox = Sandbox::new();
    // exit(2), unlike exit(3), ends one thread.
    let script = format!(
        "lock = File.open('{}', File::RDONLY | File::CREAT); lock.flock(File::LOCK_SH); lock.sysseek(4711); \
         Thread.new {{ sleep }}; STDIN.getc; syscall({}, 0)",
        lock_of(&sandbox).display(),
        if cfg!(target_arch = "x86_64") { 60 } else { 93 },
    );
    let mut subject = Subject::start(&sandbox, Command::new("ruby").args(["-W0", "-e", &script]));
    let before = wait::until("the mark", SOON, || {
        let seen = subject.seen();
        if seen.lock.mark == 4711 { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    subject.say();
    wait::until("the leader to end", SOON, || {
        let stat = stat(subject.pid())?;
        if stat.state == 'Z' && stat.threads > 1 { Ok(()) } else { Err(format!("{stat:?}")) }
    });
    assert!(
        fs::read_dir(format!("/proc/{}/fdinfo", subject.pid())).map_or(0, Iterator::count) == 0,
        "its own entry shows nothing"
    );
    let after = subject.look().expect("it lives and holds");
    assert_eq!(after, before, "it is the same process, image and lock");
    assert_eq!(process::find(subject.pid()).map(|(process, _)| process).ok(), Some(before.process));
    let handle = Handle::open(before.process).expect("it can be held");
    handle.signal(Signal::Kill).expect("it can be signalled");
    wait::until("its death", SOON, || match subject.look() {
        Err(unseen) if unseen.is_dead() => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn a_dying_process_is_never_taken_for_one_that_let_go_of_its_lock() {
    let sandbox = Sandbox::new();
    let (mut held, mut dead) = (0, 0);
    for round in 0..150_u64 {
        let mut subject = Subject::start(&sandbox, restless(&sandbox).arg("wait"));
        subject.seen();
        // Looks before the kill, so that it falls on another moment of a look each time.
        for _ in 0..round % 3 {
            held += u32::from(subject.look().is_ok());
        }
        subject.child.kill().expect("our own child");
        loop {
            match subject.look() {
                Ok(_) => held += 1,
                Err(Unseen::Gone(_) | Unseen::Corpse(_)) => break,
                Err(unseen) => panic!("round {round}: {unseen}"),
            }
        }
        dead += 1;
    }
    assert_eq!(dead, 150);
    assert!(held > 0, "nothing was seen in life");
}

#[test]
fn a_process_that_dumps_core_is_a_corpse() {
    let sandbox = Sandbox::new();
    // Enough memory for the dump to take a while.
    let script = format!(
        "lock = File.open('{}', File::RDONLY | File::CREAT); lock.flock(File::LOCK_SH); memory = Random.bytes(300_000_000); \
         STDIN.getc; Process.setrlimit(Process::RLIMIT_CORE, Process::RLIM_INFINITY); trap('ABRT', 'SYSTEM_DEFAULT'); \
         Process.kill('ABRT', $$); sleep; memory",
        lock_of(&sandbox).display()
    );
    let mut subject = Subject::start(&sandbox, Command::new("ruby").args(["-W0", "-e", &script]));
    subject.seen();
    subject.say();
    let status = format!("/proc/{}/status", subject.pid());
    wait::until("the dump to begin", SOON, || {
        let text = fs::read_to_string(&status).map_err(|error| error.to_string())?;
        if procfs::is_dumping_core(&text) { Ok(()) } else { Err("it does not".to_owned()) }
    });
    // From now on it is dead, and its descriptor still shows the lock for as long as the dump takes.
    let (mut with_lock, file) = (0, identity(&subject.lock));
    loop {
        let shows = locked(subject.pid(), &subject.lock);
        match process::look(subject.pid(), file) {
            Err(unseen) => assert!(unseen.is_dead(), "{unseen}"),
            Ok(seen) => panic!("{seen:?}"),
        }
        if !shows {
            break;
        }
        with_lock += 1;
    }
    assert!(with_lock > 0, "the dump was over before it was looked at");
}

/// Whether a descriptor of it shows a shared lock, dead or alive.
fn locked(pid: u32, lock: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let of_it = descriptors.flatten().filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == lock));
    let infos = of_it.map(|entry| format!("/proc/{pid}/fdinfo/{}", entry.file_name().display()));
    infos.filter_map(|info| fs::read_to_string(info).ok()).any(|info| info.contains("FLOCK  ADVISORY  READ"))
}

#[test]
fn a_lock_whose_taker_is_dead_in_a_pid_namespace_is_a_lock() {
    let sandbox = Sandbox::new();
    let script = "exec 9< lock; flock -s 9; cat /proc/self/fdinfo/9";
    fs::write(lock_of(&sandbox), "").expect("a file in the sandbox");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script]).current_dir(sandbox.path());
    let output = command.output().expect("util-linux is installed");
    assert!(output.status.success(), "this test must be run as root: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let found = procfs::descriptor(&text);
    assert_eq!(found.map(|found| (found.position, found.shared_taker)), Some((0, Some(0))), "{text}");
}

/// A mounted overlay, unmounted when dropped.
struct Overlay {
    merged: PathBuf,
    upper: PathBuf,
}

impl Overlay {
    fn mount(sandbox: &Sandbox) -> Self {
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| sandbox.path().join(name));
        for directory in [&lower, &upper, &work, &merged] {
            fs::create_dir(directory).expect("a directory in the sandbox");
        }
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        let mounted = Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged).status();
        assert!(mounted.is_ok_and(|status| status.success()), "this test must be run as root, on a kernel that has overlayfs");
        Self { merged, upper }
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.merged).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "the overlay stays mounted");
    }
}

#[test]
fn on_an_overlay_the_lock_is_seen_through_the_merged_path_and_the_upper_file_is_another() {
    let sandbox = Sandbox::new();
    let overlay = Overlay::mount(&sandbox);
    let merged = overlay.merged.join("lock");
    let mut command = Command::new(binaries::find("restless"));
    let subject = Subject::start_with(&sandbox, command.arg(&merged).arg("wait"), merged.clone());
    let seen = subject.seen();
    assert_eq!(seen.lock.file, identity(&merged));
    let upper = identity(&overlay.upper.join("lock"));
    assert_ne!(upper, seen.lock.file);
    let looked = process::look(subject.pid(), upper);
    assert!(matches!(looked, Err(Unseen::Unlocked(_))), "{looked:?}");
}
