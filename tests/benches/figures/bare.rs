//! The smallest holder of a lock, and the smallest waiter for it: processes of `bare`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use baton_tests::{binaries, clock, wait};

use crate::process::Owned;

const SOON: Duration = Duration::from_secs(20);

/// A lock with its pid file, in a directory of its own.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
}

impl Place {
    /// Makes the directory and the lock file.
    pub(crate) fn make(directory: &Path) -> Self {
        fs::create_dir_all(directory).expect("a directory in the sandbox can be made");
        let place = Self { directory: directory.to_owned() };
        File::create(place.lock()).expect("a file in the sandbox can be made");
        place
    }

    /// The lock file.
    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.join("server.pid.lock")
    }

    /// The pid file.
    pub(crate) fn pidfile(&self) -> PathBuf {
        self.directory.join("server.pid")
    }

    /// Where what is started here writes its complaints; that also puts it on the sandbox's leash.
    pub(crate) fn log(&self) -> File {
        File::options().create(true).append(true).open(self.directory.join("bare.log")).expect("a log can be opened")
    }

    /// The command that holds the lock until it is killed.
    pub(crate) fn holding(&self) -> Command {
        let mut command = Command::new(binaries::find("bare"));
        command.arg("hold").arg(self.lock()).arg(self.pidfile()).stdin(Stdio::null()).stdout(self.log()).stderr(self.log());
        command
    }

    /// Waits until somebody is blocked in an exclusive flock on the lock file.
    pub(crate) fn await_waiter(&self) {
        await_waiter(&self.lock());
    }
}

/// Waits until somebody is blocked in an exclusive flock on this file.
pub(crate) fn await_waiter(lock: &Path) {
    let inode = fs::metadata(lock).expect("the lock file is there").ino();
    let wanted = format!(":{inode} ");
    wait::until("a waiter to be blocked", SOON, || {
        let locks = fs::read_to_string("/proc/locks").map_err(|error| error.to_string())?;
        let blocked = |line: &str| line.contains("->") && line.contains("WRITE") && line.contains(&wanted);
        if locks.lines().any(blocked) { Ok(()) } else { Err(locks) }
    });
}

/// A process that holds a lock and does nothing else.
#[derive(Debug)]
pub(crate) struct Holder(Owned);

impl Holder {
    /// Starts it and waits until it holds.
    pub(crate) fn start(place: &Place) -> Self {
        let child = Owned::start(place.holding());
        let own = child.pid().to_string();
        wait::until("the holder to write its pid file", SOON, || match fs::read_to_string(place.pidfile()) {
            Ok(text) if text.trim() == own => Ok(()),
            other => Err(format!("{other:?}")),
        });
        Self(child)
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// `kill -9`; answers when that was, by CLOCK_BOOTTIME.
    pub(crate) fn kill(&mut self) -> Duration {
        let at = clock::since_boot().expect("there is such a clock");
        self.0.0.kill().expect("a child can be killed");
        at
    }
}

/// A process that waits for one lock, again and again.
#[derive(Debug)]
pub(crate) struct Waiter {
    _child: Owned,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Waiter {
    /// Starts it. It ends with its standard input.
    pub(crate) fn start(place: &Place) -> Self {
        let mut command = Command::new(binaries::find("bare"));
        command.arg("wait").arg(place.lock()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(place.log());
        let mut child = Owned::start(command);
        let asked = child.0.stdin.take().expect("it is piped");
        let told = BufReader::new(child.0.stdout.take().expect("it is piped"));
        Self { _child: child, asked, told }
    }

    /// Lets it wait once, from now on.
    pub(crate) fn arm(&mut self) {
        self.asked.write_all(b"\n").expect("the waiter listens");
    }

    /// When it was granted, by CLOCK_BOOTTIME.
    pub(crate) fn granted(&mut self) -> Duration {
        let mut line = String::new();
        self.told.read_line(&mut line).expect("the waiter answers");
        Duration::from_nanos(line.trim().parse().unwrap_or_else(|_| panic!("the waiter said {line:?}")))
    }
}
