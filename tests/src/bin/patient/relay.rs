//! A gap made to measure: the old master tells its successor when the lock was let go, the successor takes it so long after.
//!
//! ```text
//! old master |== lock ==|closed, at T|  leaves
//! successor     connects |.... reads T, spins until T + gap ....|== lock ==
//! ```
//!
//! **Invariant:** the successor takes the lock only after it was told that the old one is closed: the two never overlap.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_tests::clock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The old master's end, open before the successor starts.
#[derive(Debug)]
pub(crate) struct Relay {
    listener: UnixListener,
    path: PathBuf,
}

impl Relay {
    /// Opens the old master's end.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self { listener: UnixListener::bind(path)?, path: path.to_owned() })
    }

    /// Waits until the successor has come to the point where it would take the lock.
    pub(crate) fn await_successor(self, within_milliseconds: u16) -> io::Result<UnixStream> {
        let mut readable = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut readable, PollTimeout::from(within_milliseconds))? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the successor did not come to its lock"));
        }
        let (stream, _) = self.listener.accept()?;
        fs::remove_file(&self.path)?;
        Ok(stream)
    }
}

/// Lets go of the lock, of which this must be the last copy, and tells the successor when that was.
pub(crate) fn let_go(lock: Option<File>, mut successor: &UnixStream) -> io::Result<Duration> {
    drop(lock);
    let free_since = clock::monotonic()?;
    let nanoseconds = u64::try_from(free_since.as_nanos()).map_err(io::Error::other)?;
    successor.write_all(&nanoseconds.to_ne_bytes())?;
    Ok(free_since)
}

/// The successor's end: returns `gap` after the old master let go.
pub(crate) fn await_turn(path: &Path, gap: Duration) -> io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    wait_until(Duration::from_nanos(u64::from_ne_bytes(bytes)) + gap)
}

/// Returns at a time of CLOCK_MONOTONIC, and hardly later.
pub(crate) fn wait_until(turn: Duration) -> io::Result<()> {
    // All but the last two milliseconds are slept: a sleep may be late by that, a spin is not.
    let asleep = turn.saturating_sub(clock::monotonic()?).saturating_sub(Duration::from_millis(2));
    if !asleep.is_zero() {
        std::thread::sleep(asleep);
    }
    while clock::monotonic()? < turn {
        std::hint::spin_loop();
    }
    Ok(())
}
