//! A network namespace without a name: it lasts for as long as somebody has it open or is in it.
//!
//! **Invariant:** a thread is in a namespace only for the time of one call, and is back where it was also after a panic.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

const OWN: &str = "/proc/thread-self/ns/net";

/// An open namespace. All copies are one.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<File>);

impl Namespace {
    /// A new one, with nothing in it.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn create() -> Self {
        // A thread of its own is the first to be in it, and ends at once.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("root can make a network namespace");
            own()
        });
        Self(Arc::new(made.join().expect("the thread does not panic")))
    }

    /// A path by which other programs open it, while this process lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// The same program with the same arguments and environment, in here. It is the process that is started.
    pub fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net={}", self.path().display())).arg("--").arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    /// Does something in it: sockets that are opened, threads and processes that are started meanwhile are in it for as long as they
    /// last.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _back = Back(own());
        setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).expect("root can enter a network namespace");
        work()
    }
}

/// The way back.
struct Back(File);

impl Drop for Back {
    fn drop(&mut self) {
        setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).expect("whoever was in a namespace can go back to it");
    }
}

fn own() -> File {
    File::open(OWN).expect("a thread is in a network namespace")
}
