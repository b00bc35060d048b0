//! A rollout whose steps are read as they come, so that a test can act between one step and the next.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::fleet::{Fleet, SERVICE};
use crate::wait;

const END_WITHIN: Duration = Duration::from_mins(2);

/// `baton restart` under way.
#[derive(Debug)]
pub struct Steps {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Steps {
    /// Starts to restart the whole fleet.
    ///
    /// # Panics
    /// When `baton` does not start.
    pub fn begin(fleet: &Fleet) -> Self {
        Self::begin_with(fleet, &["restart", SERVICE, "--yes"])
    }

    /// Starts `baton` with `args`, and to tell what happens as JSON.
    ///
    /// # Panics
    /// When it does not start.
    pub fn begin_with(fleet: &Fleet, args: &[&str]) -> Self {
        let mut command = fleet.command();
        command.args(args).args(["--output", "json"]);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("baton starts");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, lines }
    }

    /// The next thing that is told; none when the rollout is over.
    ///
    /// # Panics
    /// When a line is no JSON.
    pub fn next_event(&mut self) -> Option<Value> {
        let line = self.lines.next()?;
        Some(serde_json::from_str(&line.expect("a line")).expect("JSON"))
    }

    /// The next step that a host tells of; none when the rollout is over.
    ///
    /// # Panics
    /// When a line is no JSON.
    pub fn next_step(&mut self) -> Option<String> {
        loop {
            let event = self.next_event()?;
            if event["event"] == "step" {
                return Some(event["step"].as_str().expect("a step's name").to_owned());
            }
        }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(mut self) {
        self.process.kill().and_then(|()| self.process.wait().map(drop)).expect("our own child can be killed");
    }

    /// Reads on to the end: what was printed from here on, and the exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn finish(mut self) -> (String, i32) {
        let text: Vec<String> = self.lines.by_ref().map(|line| line.expect("a line")).collect();
        let ended = wait::until("baton to end", END_WITHIN, || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        (text.join("\n"), ended.code().expect("an exit code"))
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _dead = self.process.kill().and_then(|()| self.process.wait());
    }
}
