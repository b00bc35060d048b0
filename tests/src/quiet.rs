//! How often processes have gone to sleep: one whose number stands still was not woken.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::{clock, wait};

/// Threads that helped with something leave after ten seconds without work.
const QUIET: Duration = Duration::from_secs(12);
const QUIET_WITHIN: Duration = Duration::from_secs(40);

/// How often each thread of a process has gone to sleep.
pub type Switches = BTreeMap<String, u64>;

fn switches(pid: u32) -> Result<Switches, String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
    threads.flatten().map(|thread| switches_of(&thread)).collect()
}

fn switches_of(thread: &fs::DirEntry) -> Result<(String, u64), String> {
    let status = fs::read_to_string(thread.path().join("status")).map_err(|error| error.to_string())?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok());
    let name = format!("{} {}", thread.file_name().display(), status.lines().next().unwrap_or_default());
    Ok((name, count.ok_or(status)?))
}

/// Waits until the numbers of all these processes have stood still for a while, and returns them.
///
/// # Panics
/// When they never do.
#[track_caller]
pub fn wait_until_quiet(pids: &[u32]) -> Vec<Switches> {
    let mut last = (switches_of_all(pids), clock::now());
    wait::until("quiet", QUIET_WITHIN, || {
        let now = switches_of_all(pids);
        if now != last.0 {
            last = (now, clock::now());
        }
        if last.1.elapsed() >= QUIET { Ok(last.0.clone()) } else { Err(format!("{:?}", last.0)) }
    })
}

/// The numbers of each of these processes.
///
/// # Panics
/// When one of them is gone.
#[track_caller]
pub fn switches_of_all(pids: &[u32]) -> Vec<Switches> {
    pids.iter().map(|pid| switches(*pid).expect("it runs")).collect()
}
