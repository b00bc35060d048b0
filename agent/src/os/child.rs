//! Children: started clean, and buried when they have ended.
//!
//! **Invariant:** a child begins with no signal blocked and none ignored, whatever this process does to its own: a server
//! that cannot be told to stop is worth nothing.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};

use crate::hold::Ended;

/// Becomes the parent of every descendant whose own parent has ended, so that they can be found and buried.
///
/// # Errors
/// When the kernel refuses, which it has no reason to.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Runs a command with our standard input, output and error, in a process group of its own: what is sent to ours, by a
/// terminal or an init system, is for us alone. In `directory`, if one is given, which PWD names as it is written.
///
/// # Errors
/// When it is not found, cannot be executed, or there is no room for it.
#[expect(unsafe_code, reason = "only between fork and exec can a child be given its own signals")]
pub fn start(program: &OsString, arguments: &[OsString], directory: Option<&Path>, without: &[&str]) -> io::Result<u32> {
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    if let Some(directory) = directory {
        // A shell does both, too; who only changes the directory leaves a PWD behind that names another (`pwd(1)`, -L).
        command.current_dir(directory).env("PWD", directory);
    }
    for variable in without {
        command.env_remove(variable);
    }
    // SAFETY: between fork and exec only what `listen_to_all` does is done.
    unsafe { command.pre_exec(listen_to_all) };
    Ok(command.spawn()?.id())
}

/// Blocks and ignores no signal any more. It makes only calls that are safe in a signal handler, sigprocmask and sigaction
/// (`signal-safety(7)`), and allocates nothing: it may be called between fork and exec.
#[expect(unsafe_code, reason = "the disposition of a signal can be set by no safe call")]
pub(super) fn listen_to_all() -> io::Result<()> {
    for number in Signal::iterator().filter(|number| !matches!(number, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: no handler is installed.
        unsafe { signal(number, SigHandler::SigDfl) }?;
    }
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// Buries every child that has ended, and says how.
pub fn bury() -> Vec<(u32, Ended)> {
    let mut buried = Vec::new();
    // Ends when nobody is dead, or nobody is left (ECHILD).
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        let ended = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Code(code),
            (None, Some(number)) => Ended::Signal(number),
            // Stops and continues are not asked for.
            (None, None) => continue,
        };
        buried.push((pid.as_raw_nonzero().get().unsigned_abs(), ended));
    }
    buried
}
