//! Running `baton` to its end.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::standing::HostOutcome;
use crate::{binaries, wait};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A run of `baton` that has ended.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exit code, or none when a signal ended it.
    pub code: Option<i32>,
    /// The result.
    pub stdout: String,
    /// Progress, logs and errors.
    pub stderr: String,
}

impl Run {
    /// Fails the test unless the run ended with `code`.
    ///
    /// # Panics
    /// When it did not: with everything that it printed.
    #[track_caller]
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails the test unless a line has all these words.
    ///
    /// # Panics
    /// When none has: with everything that was printed.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        let text = self.text();
        assert!(text.lines().any(|line| words.iter().all(|word| line.contains(word))), "no line with {words:?}: {self}");
    }

    /// The objects of `--output json`.
    ///
    /// # Panics
    /// When a line is none.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"));
        self.stdout.lines().map(read).collect()
    }

    /// How each host ended.
    ///
    /// # Panics
    /// When a line of the output is no JSON.
    #[track_caller]
    pub fn outcomes(&self) -> Vec<HostOutcome> {
        self.objects().iter().filter_map(HostOutcome::read).collect()
    }

    /// Everything that was printed.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A run of `baton` under way, with its output in files of the sandbox.
#[derive(Debug)]
pub struct Running {
    process: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// `baton`, with the configuration of a fleet, and with a journal of its own beside it.
pub fn command(config: &Path) -> Command {
    let mut command = Command::new(binaries::find("baton"));
    command.env("BATON_CONFIG", config).env("BATON_STATE", config.with_file_name("state"));
    command
}

impl Running {
    /// Starts `command`, with its output in new files of `directory`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(mut command: Command, directory: &Path) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (stdout, stderr) =
            (directory.join(format!("baton-{number}.out.log")), directory.join(format!("baton-{number}.err.log")));
        let open = |path: &Path| File::create(path).expect("a file in the sandbox can be made");
        let process = command.stdin(Stdio::null()).stdout(open(&stdout)).stderr(open(&stderr)).spawn().expect("baton starts");
        Self { process, stdout, stderr }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has printed so far, both streams.
    pub fn text(&self) -> String {
        [&self.stdout, &self.stderr].map(|path| read(path).unwrap_or_default()).concat()
    }

    /// Waits until it has printed a line with all these words.
    ///
    /// # Panics
    /// When it does not within the deadline.
    #[track_caller]
    pub fn wait_to_read(&self, words: &[&str], within: Duration) {
        wait::until(&format!("a line with {words:?}"), within, || {
            let text = self.text();
            let is_there = text.lines().any(|line| words.iter().all(|word| line.contains(word)));
            if is_there { Ok(()) } else { Err(text) }
        });
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come within the deadline.
    #[track_caller]
    pub fn finish(mut self, within: Duration) -> Run {
        let ended = wait::look("baton to end", within, || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        match ended {
            Ok(status) => self.ended(status),
            Err(error) => panic!("{error}; it printed:\n{}", self.text()),
        }
    }

    fn ended(&self, status: ExitStatus) -> Run {
        let text = |path| read(path).expect("the output is text");
        let code = if status.signal().is_some() { None } else { status.code() };
        Run { code, stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _dead = self.process.kill().and_then(|()| self.process.wait());
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}
