//! The demo, as a newcomer sees it: its story comes true, and it leaves nothing behind, ^C included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use baton_tests::controller::{Run, Running};
use baton_tests::{binaries, deployed};
use rustix::process::Signal;
use tempfile::TempDir;

const PLAYED_WITHIN: Duration = Duration::from_mins(3);
const ENDED_WITHIN: Duration = Duration::from_mins(1);

/// A run of the demo, and the only place where it may leave something.
struct Demo {
    running: Running,
    stage: TempDir,
    _output: TempDir,
}

impl Demo {
    fn start() -> Self {
        Self::with(Command::new(binaries::find("demo")))
    }

    fn with(mut command: Command) -> Self {
        let (stage, output) = (temporary("demo-"), temporary("out-"));
        command.env("TMPDIR", stage.path());
        Self { running: Running::start(command, output.path()), stage, _output: output }
    }

    /// Waits for its end, and fails the test if it left anything behind.
    #[track_caller]
    fn finish(self, within: Duration) -> Run {
        let run = self.running.finish(within);
        let left: Vec<PathBuf> = fs::read_dir(self.stage.path()).expect("ours").flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?}: {run}");
        assert_eq!(processes_at(self.stage.path()), [0_u32; 0], "{run}");
        run
    }
}

fn temporary(prefix: &str) -> TempDir {
    TempDir::with_prefix(prefix).expect("a temporary directory can be made")
}

/// All processes that name a place in their arguments, work there or have a file there open.
fn processes_at(place: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id() && is_at(*pid, place)).collect()
}

fn is_at(pid: u32, place: &Path) -> bool {
    let own = PathBuf::from(format!("/proc/{pid}"));
    let name = place.to_str().expect("a temporary directory has a name that is text");
    let arguments = fs::read(own.join("cmdline")).unwrap_or_default();
    let files = fs::read_dir(own.join("fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut links = files.chain([own.join("cwd")]);
    String::from_utf8_lossy(&arguments).contains(name)
        || links.any(|link| fs::read_link(link).is_ok_and(|target| target.starts_with(place)))
}

/// Fails the test unless both acts went as the story says.
#[track_caller]
fn came_true(run: &Run) {
    let kept = run.stdout.lines().filter(|line| line.contains(" Kept [")).count();
    assert_eq!(kept, 5, "{run}");
    assert_eq!(run.stdout.matches(": kept, marked").count(), 5, "{run}");
    assert_eq!(run.stdout.matches("; 0 failed; ").count(), 2, "{run}");
    assert!(run.stdout.contains("Halted ["), "{run}");
    assert!(run.stdout.contains("web-2, web-3, web-4 and web-5 untouched"), "{run}");
    assert_eq!(run.stdout.matches("still in charge").count(), 5, "{run}");
}

#[test]
fn both_acts_come_true_and_nothing_is_left() {
    let run = Demo::start().finish(PLAYED_WITHIN).expect_code(0);
    assert!(run.stdout.contains("5 hosts with Unicorn"), "{run}");
    came_true(&run);
}

#[test]
fn without_unicorn_it_is_played_with_the_patient() {
    let empty = temporary("path-");
    let mut command = Command::new(binaries::find("demo"));
    command.env("PATH", empty.path());
    let run = Demo::with(command).finish(PLAYED_WITHIN).expect_code(0);
    assert!(run.stdout.contains("5 hosts with the patient"), "{run}");
    came_true(&run);
}

#[test]
fn interrupted_in_the_middle_of_act_one_it_ends_everything() {
    let demo = Demo::start();
    demo.running.wait_to_read(&["Kept [", "web-1"], PLAYED_WITHIN);
    assert!(processes_at(demo.stage.path()).len() > 10, "the test would not see what is left");
    deployed::signal(demo.running.pid(), Signal::INT);
    let run = demo.finish(ENDED_WITHIN).expect_code(130);
    assert!(run.stdout.contains("Interrupted"), "{run}");
    assert!(!run.stdout.contains("Act two"), "{run}");
}
