//! The directory of a test, and the leash that ends whatever was started in it.
//!
//! Everything that a test starts has one of its standard streams in the sandbox, and so has whatever that forks, execs or
//! daemonises. The leash is a small process of its own: when its standard input ends, because it is let go or because the test is
//! dead in whatever way, it kills all of these and removes the directory.
//!
//! **Invariant:** a process is killed only through a pidfd that was opened before its files were looked at, so no stranger is hit.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tempfile::TempDir;

use crate::{binaries, wait};

const SWEEP_WITHIN: Duration = Duration::from_secs(20);

/// A temporary directory; what was started in it ends with it.
#[derive(Debug)]
pub struct Sandbox {
    path: PathBuf,
    leash: Leash,
}

/// The other end of the leash. All copies are one.
#[derive(Debug, Clone)]
pub struct Leash(Arc<Mutex<Child>>);

impl Leash {
    /// Ends everything and removes the directory; true when nothing is left.
    pub fn let_go(&self) -> bool {
        let mut process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(process.stdin.take());
        process.wait().is_ok_and(|status| status.success())
    }
}

impl Sandbox {
    /// A new directory, and its leash.
    ///
    /// # Panics
    /// When either cannot be made.
    pub fn new() -> Self {
        let path = TempDir::with_prefix("baton-").expect("a temporary directory can be made").keep();
        let leash = Command::new(binaries::find("leash"))
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the leash starts");
        Self { path, leash: Leash(Arc::new(Mutex::new(leash))) }
    }

    /// Where the test's files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For whoever must end everything without waiting for the sandbox to be dropped.
    pub fn leash(&self) -> Leash {
        self.leash.clone()
    }

    /// Prints all logs when a test is failing: they are about to be removed.
    fn print_logs(&self) {
        for log in logs(&self.path) {
            report(&log);
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        let swept = self.leash.let_go();
        assert!(swept || std::thread::panicking(), "something in {} outlived its sandbox", self.path.display());
    }
}

/// The files that end in `.log`, in `folder` and below.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(logs(&path));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
fn report(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(100)..];
    if !shown.is_empty() {
        eprintln!("--- the end of {}\n{}", log.display(), shown.join("\n"));
    }
}

/// Kills all that has a standard stream or a log in `folder`, until nothing has.
///
/// # Errors
/// When something is still there at the deadline.
pub fn sweep(folder: &Path) -> Result<(), wait::TimedOut> {
    wait::look("all processes to end", SWEEP_WITHIN, || match kill_all(folder) {
        Ok(0) => Ok(()),
        Ok(found) => Err(format!("{found} processes")),
        Err(error) => Err(error.to_string()),
    })
}

fn kill_all(folder: &Path) -> io::Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        // Whatever cannot be opened or looked at is gone, or somebody else's.
        let Some(pid) = pid else { continue };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if has_stream_in(pid, folder) && pidfd_send_signal(pidfd, Signal::KILL).is_ok() {
            found += 1;
        }
    }
    Ok(found)
}

/// Where `hold` hands a lock down.
const HANDED_DOWN: u32 = 1_025;
/// A log is opened early.
const DESCRIPTORS_LOOKED_AT: u32 = 12;

fn has_stream_in(pid: Pid, folder: &Path) -> bool {
    let pid = pid.as_raw_nonzero();
    let target = |number: u32| fs::read_link(format!("/proc/{pid}/fd/{number}")).ok().filter(|target| target.starts_with(folder));
    let is_log = |target: PathBuf| target.extension().is_some_and(|extension| extension == "log");
    // A worker may have closed its streams, and keep its log; one of a daemon may have nothing left but the lock that it was handed.
    (0..3).chain([HANDED_DOWN]).any(|number| target(number).is_some())
        || (3..DESCRIPTORS_LOOKED_AT).any(|number| target(number).is_some_and(is_log))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};

    use super::sweep;

    #[test]
    fn what_writes_into_a_folder_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("sleep.log")).unwrap();
        let mut inside = Command::new("sleep").arg("60").stdout(log).spawn().unwrap();
        let mut outside = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        sweep(folder.path()).unwrap();
        assert!(!inside.wait().unwrap().success());
        assert!(outside.try_wait().unwrap().is_none());
        outside.kill().unwrap();
        outside.wait().unwrap();
    }
}
