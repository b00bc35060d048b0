//! What a host's agent has put on record of the last handover, and what is judged of it there.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::binaries;
use crate::controller::{Run, Running};
use crate::fleet::{Fleet, Host, SERVICE};

const RUN_WITHIN: Duration = Duration::from_mins(1);

/// Starts a local command of a host's agent.
///
/// # Panics
/// When it does not start.
pub fn begin(fleet: &Fleet, host: &Host, args: &[&str]) -> Running {
    let mut command = Command::new(binaries::find("baton-agent"));
    command.args(args).arg("--socket").arg(host.agent.socket());
    Running::start(command, fleet.directory())
}

/// Runs a local command of a host's agent to its end.
///
/// # Panics
/// When it does not come to its end.
#[track_caller]
pub fn local(fleet: &Fleet, host: &Host, args: &[&str]) -> Run {
    begin(fleet, host, args).finish(RUN_WITHIN)
}

/// A handover on record.
#[derive(Debug, Clone)]
pub struct Testified {
    /// When the first observation of its window was made, since boot.
    pub from: Duration,
    /// When the last one was.
    pub to: Duration,
    /// Such as `kept`.
    pub verdict: String,
    /// The verdict with its basis, or with its doubt.
    pub judged: Value,
}

impl Testified {
    /// Reads the last handover of a host; none when there was none.
    ///
    /// # Panics
    /// When the agent does not tell, or not as we know it.
    #[track_caller]
    pub fn last(fleet: &Fleet, host: &Host) -> Option<Self> {
        let run = local(fleet, host, &["testimony", SERVICE, "--output", "json"]).expect_code(0);
        let objects = run.objects();
        let told = objects.iter().rfind(|object| object["event"] == "testimony")?;
        let observations = told["observations"].as_array().unwrap_or_else(|| panic!("{run}"));
        let times: Vec<Duration> = observations.iter().filter_map(|seen| milliseconds(&seen["at_ms"])).collect();
        let verdict = told["verdict"]["verdict"].as_str().unwrap_or_else(|| panic!("{run}")).to_owned();
        Some(Self { from: *times.first()?, to: *times.last()?, verdict, judged: told["verdict"].clone() })
    }

    /// Whether some generation is said to have held throughout.
    pub fn claims_custody(&self) -> bool {
        ["kept", "unbroken"].contains(&self.verdict.as_str())
    }

    /// Whether it is kept by a lock that bore one mark throughout.
    pub fn is_kept_marked(&self) -> bool {
        self.verdict == "kept" && self.judged["basis"] == "marked"
    }
}

fn milliseconds(value: &Value) -> Option<Duration> {
    value.as_f64().map(|milliseconds| Duration::from_secs_f64(milliseconds / 1_000.0))
}
