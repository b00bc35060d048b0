//! Unicorn as `deploy/unicorn.conf.rb` configures it, in the directory of a test: what the deployed files are tested with.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::http::{self, Answer};
use crate::sandbox::{self, Sandbox};
use crate::{address, wait};

const SERVES_WITHIN: Duration = Duration::from_secs(30);
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

const APPLICATION: &str = include_str!("../unicorn/site.ru");

/// A file of `deploy/`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// The place of one deployed service: its application, its pid file, its lock.
#[derive(Debug)]
pub struct Site {
    directory: PathBuf,
    address: SocketAddr,
    configuration: PathBuf,
}

impl Site {
    /// A site in the sandbox, with nothing running.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn new(sandbox: &Sandbox) -> Self {
        let directory = sandbox.path().join("web");
        fs::create_dir_all(&directory).expect("a directory in the sandbox can be made");
        let address = address::with_free_port(address::next()).expect("an address of our own has free ports");
        let site = Self { directory, address, configuration: file("unicorn.conf.rb") };
        site.put("config.ru", APPLICATION);
        site.put("release", "v1");
        site
    }

    /// Has another configuration used, which is written into the site.
    pub fn configure(&mut self, text: &str) {
        self.put("unicorn.rb", text);
        self.configuration = self.directory.join("unicorn.rb");
    }

    /// Writes a file of the site.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.directory.join(name), text).expect("a file in the sandbox can be written");
    }

    /// Where everything is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where it serves HTTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The configuration in use.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// The pid file.
    pub fn pidfile(&self) -> PathBuf {
        self.directory.join("unicorn.pid")
    }

    /// The lock file.
    pub fn lock(&self) -> PathBuf {
        self.directory.join("unicorn.pid.lock")
    }

    /// The words that start Unicorn.
    pub fn unicorn(&self) -> Vec<String> {
        ["unicorn", "-c", &self.configuration.to_string_lossy(), "-E", "none"].map(str::to_owned).to_vec()
    }

    /// Runs a command at the site, in a process group of its own, with its output in `log`.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn run(&self, command: &mut Command, log: &str) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.directory.join(log)).expect("a log can be opened");
        let errors = log.try_clone().expect("a descriptor can be had");
        command.current_dir(&self.directory).stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        command.env("WEB_ROOT", &self.directory).env("WEB_RUN", &self.directory).env("WEB_WORKERS", "2");
        command.env("WEB_LISTEN", self.address.to_string()).env("PWD", &self.directory);
        command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", command.get_program().display()))
    }

    /// What a log says so far.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).unwrap_or_default()
    }

    /// The master that the pid file names.
    ///
    /// # Errors
    /// When it names none.
    pub fn master(&self) -> Result<u32, String> {
        named(&self.pidfile())
    }

    /// Who answers.
    ///
    /// # Errors
    /// When nobody does, or not as our application does.
    pub fn ask(&self, path: &str) -> Result<Answer, String> {
        let connect = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
            Ok(stream)
        };
        let stream = connect().map_err(|error| error.to_string())?;
        let reply = http::exchange(&stream, path, false).map_err(|error| error.to_string())?;
        Answer::read(&reply.body).ok_or(reply.body)
    }

    /// Waits until the master that the pid file names serves, other than `old`, and returns it.
    ///
    /// # Panics
    /// When it does not come to serve.
    #[track_caller]
    pub fn wait_until_served(&self, old: Option<u32>) -> u32 {
        wait::until("a master to serve", SERVES_WITHIN, || {
            let master = self.master()?;
            let answer = self.ask("/")?;
            let is_it = answer.master == master && Some(master) != old && self.holders().contains(&master);
            if is_it { Ok(master) } else { Err(format!("the pid file names {master}, before it was {old:?}; {answer:?}")) }
        })
    }

    /// Hands over as a person would: USR2, then QUIT when the new master serves; returns the new master.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn hand_over(&self) -> u32 {
        let old = self.master().expect("a master is there");
        signal(old, Signal::USR2);
        let new = self.wait_until_served(Some(old));
        signal(old, Signal::QUIT);
        wait::until("the old master to leave", SERVES_WITHIN, || if is_alive(old) { Err(old.to_string()) } else { Ok(()) });
        new
    }

    /// Everybody who holds the shared lock.
    pub fn holders(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| held(*pid, &self.lock()).is_some()).collect()
    }

    /// The mark of the lock that a process holds: the offset of its descriptor.
    pub fn mark(&self, pid: u32) -> Option<u64> {
        let info = held(pid, &self.lock())?;
        info.lines().find_map(|line| line.strip_prefix("pos:"))?.trim().parse().ok()
    }

    /// Kills every process that has its output at the site, but hold: `kill -9`, until none is left.
    ///
    /// # Panics
    /// When something survives.
    pub fn kill_server(&self) {
        wait::until("all holders to end", SERVES_WITHIN, || {
            let holders = self.holders();
            for pid in &holders {
                signal(*pid, Signal::KILL);
            }
            if holders.is_empty() { Ok(()) } else { Err(format!("{holders:?}")) }
        });
    }

    /// Kills everything at the site.
    ///
    /// # Panics
    /// When something survives.
    pub fn kill_all(&self) {
        sandbox::sweep(&self.directory).expect("nothing survives SIGKILL");
    }
}

/// The pid that a pid file names.
///
/// # Errors
/// When it names none.
pub fn named(path: &Path) -> Result<u32, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("no pid file: {error}"))?;
    text.trim().parse().map_err(|_| format!("the pid file says {text:?}"))
}

/// Sends a signal; that the process is gone is no failure.
///
/// # Panics
/// When the kernel refuses.
#[track_caller]
pub fn signal(pid: u32, signal: Signal) {
    match kill_process(of(pid), signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("{pid} cannot be signalled: {error}"),
    }
}

/// A worker of Unicorn that reads a connection: it has one more socket than those that wait.
///
/// # Errors
/// When there is none: how many sockets each has.
pub fn busy_worker(master: u32) -> Result<(), String> {
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).map_err(|error| error.to_string())?;
    let sockets = |pid: &str| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors
            .filter(|entry| {
                fs::read_link(entry.path())
                    .is_ok_and(|target| target.starts_with("socket:") || target.to_string_lossy().starts_with("socket:"))
            })
            .count()
    };
    let counts: Vec<usize> = children.split_whitespace().map(sockets).collect();
    if counts.iter().max() > counts.iter().min() { Ok(()) } else { Err(format!("{counts:?} sockets")) }
}

/// The children of a process; none when it is gone.
pub fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether there is such a process, and it is no zombie.
pub fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let is_zombie = state.is_some_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")));
    test_kill_process(of(pid)).is_ok() && !is_zombie
}

fn of(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid is a small positive number")
}

/// What the kernel says of the descriptor by which a process holds the lock.
fn held(pid: u32, lock: &Path) -> Option<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let names = descriptors.flatten().filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == lock));
    let infos = names.filter_map(|entry| {
        let info = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(entry.file_name());
        fs::read_to_string(info).ok()
    });
    infos.into_iter().find(|info| info.contains("FLOCK  ADVISORY  READ"))
}
