//! What a master needs before it serves.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_tests::clock;
use baton_tests::fault::{self, Fault, Faults};

use nix::unistd::{dup2_stdin, dup2_stdout};

use crate::lock::{self, Marking};
use crate::pidfile::suffixed;
use crate::{Args, Failed, relay, say};

const MEBIBYTE: usize = 1 << 20;
/// No two pages are alike, so that the kernel cannot share them; one byte a page is enough to have it.
const PAGE: usize = 4096;

/// The listening socket: the old master's, or a new one.
pub(crate) fn listener(args: &Args) -> io::Result<TcpListener> {
    let listener = if args.inherited {
        let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
        // One descriptor of it is enough: whoever closes that has closed the socket.
        dup2_stdin(File::open("/dev/null")?)?;
        listener
    } else {
        TcpListener::bind(args.listen)?
    };
    // Several processes accept from one socket: who comes too late must not block.
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What it is told to do wrong, as the file says now.
pub(crate) fn faults(path: &Path) -> Result<Faults, Failed> {
    let read = || fault::read(&fs::read_to_string(path)?).map_err(io::Error::other);
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Faults::default()),
        read => read.map_err(Failed::at("read the faults")),
    }
}

/// The release, as the file says now.
pub(crate) fn release(args: &Args) -> Result<String, Failed> {
    Ok(fs::read_to_string(&args.release).map_err(Failed::at("read the release"))?.trim().to_owned())
}

/// So many MiB, each page of them touched.
pub(crate) fn memory(mebibytes: u32) -> Vec<u8> {
    let length = usize::try_from(mebibytes).unwrap_or(0) * MEBIBYTE;
    let mut memory = vec![0_u8; length];
    for page in memory.chunks_mut(PAGE) {
        page[0] = 1;
    }
    memory
}

/// Takes the lock as a new master does: after its turn has come, and after it has done to the file what it was told.
pub(crate) fn take_lock(args: &Args, faults: &Faults) -> Result<File, Failed> {
    if let Some(gap) = args.gap_us {
        relay::await_turn(&relay_path(&args.pidfile), Duration::from_micros(gap)).map_err(Failed::at("await the turn"))?;
    }
    if args.carried {
        return carried_lock().map_err(Failed::at("take over the lock that was carried through exec"));
    }
    let path = lock_path(&args.pidfile);
    if faults.has(Fault::UnlinkLock) {
        lock::unlink(&path).map_err(Failed::at("unlink the lock file"))?;
    }
    if faults.has(Fault::RenameLock) {
        lock::rename_over(&path).map_err(Failed::at("rename over the lock file"))?;
    }
    let marking = if faults.has(Fault::NoMark) { Marking::None } else { Marking::Random };
    let lock = lock::take(&path, marking).map_err(Failed::at("take the lock"))?;
    let at = clock::monotonic().map_err(Failed::at("read the clock"))?;
    say(&format!("took the lock at {} ns", at.as_nanos()));
    Ok(lock)
}

/// The lock that went through exec as standard output, to which nobody writes here.
fn carried_lock() -> io::Result<File> {
    let lock = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Whoever is started from here on would inherit it.
    dup2_stdout(io::stderr())?;
    Ok(lock)
}

/// Where the lock is.
pub(crate) fn lock_path(pidfile: &Path) -> PathBuf {
    suffixed(pidfile, ".lock")
}

/// Where an old master tells its successor that it has let go.
pub(crate) fn relay_path(pidfile: &Path) -> PathBuf {
    suffixed(pidfile, ".relay")
}
