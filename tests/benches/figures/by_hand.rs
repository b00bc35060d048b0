//! A handover as a careful person would script it, without looking at locks: the baseline of the orchestration.
//!
//! It never sleeps for a fixed time: the pid file is awaited by inotify, the end of the old master by its pidfd, and the new
//! generation is asked again the moment that the old one has answered.

use std::os::fd::AsFd;
use std::time::Duration;

use baton_tests::clock;
use baton_tests::server::Server;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

const SOON: Duration = Duration::from_secs(20);
const SOON_MILLISECONDS: u16 = 20_000;

/// How long each part of a handover took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stages {
    /// From USR2 to the new master's name in the pid file.
    pub(crate) appear: Duration,
    /// From there to the first answer of the new generation.
    pub(crate) ready: Duration,
    /// From QUIT to the exit of the old master, which is its generation's last.
    pub(crate) drain: Duration,
    /// All of it.
    pub(crate) whole: Duration,
}

/// Hands one server over.
pub(crate) fn hand_over(server: &Server) -> Stages {
    let began = clock::now();
    let old = server.master().expect("it serves");
    let pid = i32::try_from(old).ok().and_then(Pid::from_raw).expect("a pid fits");
    let master = pidfd_open(pid, PidfdFlags::empty()).expect("it lives");
    let changes = Inotify::init(InitFlags::IN_CLOEXEC).expect("there is inotify");
    let pidfile = server.pidfile();
    let directory = pidfile.parent().expect("a file lies in a directory");
    changes.add_watch(directory, AddWatchFlags::IN_MOVED_TO).expect("the directory is there");
    let signalled = clock::now();
    pidfd_send_signal(&master, Signal::USR2).expect("it lives");
    let new = loop {
        readable(&changes, "the pid file to change");
        changes.read_events().expect("inotify can be read");
        match server.master() {
            Ok(named) if named != old => break named,
            Ok(_) | Err(_) => {}
        }
    };
    let appeared = clock::now();
    while server.ask("/up").is_ok_and(|answer| answer.master != new) {
        assert!(appeared.elapsed() < SOON, "the new generation does not answer");
    }
    let ready = clock::now();
    pidfd_send_signal(&master, Signal::QUIT).expect("it lives");
    readable(&master, "the old master to leave");
    let gone = clock::now();
    Stages { appear: appeared - signalled, ready: ready - appeared, drain: gone - ready, whole: gone - began }
}

fn readable(file: &impl AsFd, what: &str) {
    let mut wanted = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    let found = poll(&mut wanted, PollTimeout::from(SOON_MILLISECONDS)).expect("it can be waited for");
    assert!(found > 0, "waited {SOON:?} for {what}");
}
