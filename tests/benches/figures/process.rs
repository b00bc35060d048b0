//! What the kernel says of a process: its memory, its sleep, its processor time; and of the machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::process::{Child, Command};
use std::time::Duration;

use baton_tests::controller::{Run, Running};
use baton_tests::wait;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, waitid};

const ENDS_WITHIN: Duration = Duration::from_mins(2);

/// A machine, as far as it matters to a figure.
#[derive(Debug)]
pub(crate) struct Machine {
    /// How many processors we may use.
    pub(crate) cores: usize,
    /// The load averages of 1, 5 and 15 minutes.
    pub(crate) load: String,
    /// The kernel's release.
    pub(crate) kernel: String,
}

/// This machine, now.
pub(crate) fn machine() -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let load: Vec<String> = read("/proc/loadavg").split_whitespace().take(3).map(ToOwned::to_owned).collect();
    Machine {
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        load: load.join(" "),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

/// A line of `/proc/PID/status` that is a number.
pub(crate) fn status(pid: u32, key: &str) -> u64 {
    number(&fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives"), key)
}

fn number(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {key} in {status}"))
}

/// How often each thread of a process went to sleep of itself.
pub(crate) fn voluntary_switches(pid: u32) -> BTreeMap<OsString, u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").flatten();
    // A thread may end between the listing and the look.
    let switches = |thread: DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        Some((thread.file_name(), number(&status, "voluntary_ctxt_switches")))
    };
    threads.filter_map(switches).collect()
}

/// The processor time of all threads of a process, those that have ended too.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid fits"));
    let clock = clock_getcpuclockid(pid).expect("the process is not reaped yet");
    clock_gettime(clock).map(Duration::from).expect("the process is not reaped yet")
}

/// A child, ended and buried when dropped.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A run of `baton` that was right, and its processor time.
#[derive(Debug)]
pub(crate) struct Priced {
    /// The run.
    pub(crate) run: Run,
    /// What it took of the processors.
    pub(crate) processor_time: Duration,
}

/// Waits for the end of a run, which must be a good one, and takes its price.
pub(crate) fn price(running: Running) -> Priced {
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.pid()).expect("a pid fits"));
    // Waits for the end and leaves it to be reaped: until then its clock can be read. The controller has deadlines of its own.
    waitid(WaitId::Pid(pid.expect("a child has a pid")), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("it is our child");
    let processor_time = processor_time(running.pid());
    Priced { run: running.finish(ENDS_WITHIN).expect_code(0), processor_time }
}

/// Waits for the end of a run, which must be a good one: the most memory that it had resident, in kB.
pub(crate) fn weigh(running: Running) -> u64 {
    let mut most = 0;
    wait::until("the run to end", ENDS_WITHIN, || {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("it is not reaped yet");
        // A process that has ended has no memory.
        if !status.contains("VmHWM") {
            return Ok(());
        }
        most = number(&status, "VmHWM");
        Err(format!("it has {most} kB"))
    });
    let _run = running.finish(ENDS_WITHIN).expect_code(0);
    most
}
