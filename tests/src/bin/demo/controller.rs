//! The controller on the stage: `baton`, run for all to see.
//!
//! On a terminal it shows its progress as it always does. Elsewhere each step of each handover would be a line: then all but these
//! are shown.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use baton_tests::fleet::Fleet;

use crate::report;

/// The folder of a sandbox in which the controller has its standard input, and nobody else: by this it is found.
pub(crate) fn folder(sandbox: &Path) -> PathBuf {
    sandbox.join("controller")
}

/// Whether the steps of a handover are shown.
pub(crate) fn shows_steps() -> bool {
    io::stderr().is_terminal()
}

/// Runs `baton` with `args` to its end.
pub(crate) fn run(fleet: &Fleet, args: &[&str]) -> io::Result<ExitStatus> {
    let folder = folder(fleet.directory());
    fs::create_dir_all(&folder)?;
    let mut command = fleet.command();
    // In a group of its own it does not get our `^C`: we end it.
    command.args(args).stdin(File::create(folder.join("input"))?).process_group(0);
    if shows_steps() { command.status() } else { without_steps(&mut command) }
}

fn without_steps(command: &mut Command) -> io::Result<ExitStatus> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(progress) = child.stderr.take() {
        let lines = BufReader::new(progress).lines().map_while(Result::ok);
        lines.filter(|line| !is_step(line)).for_each(|line| report::progress(&line));
    }
    child.wait()
}

fn is_step(line: &str) -> bool {
    line.trim_start().starts_with("Step [")
}
