//! How much memory a generation uses, and how much there is for another one: the reading of it, which may take milliseconds.
//!
//! **Invariant:** called from a thread of its own: to sum up a large process the kernel walks all its pages.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use baton_proto::custody::Process;

use crate::memory::{Figures, Room, available, group, most, proportional, resident, shortage};
use crate::os::process;
use crate::procfs;

/// Where the hierarchy of control groups of the second version is mounted: alone, or beside that of the first.
const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// A control group is not deeper than that.
const GROUPS_MAX: usize = 32;

/// Looks at a master and all processes below it, at the host, and at the control groups that the master is in. What they use is told
/// exactly only where it matters: where there is no room for the most that it can be, and for the reserve.
pub fn measure(master: Process, reserve: u64) -> Figures {
    let members = [vec![master], process::descendants(master.pid, None)].concat();
    let rooms = rooms(master);
    let sum = |used: fn(Process) -> Option<u64>| {
        let used: Vec<u64> = members.iter().filter_map(|member| used(*member)).collect();
        Figures { rooms: rooms.clone(), used: used.iter().sum(), processes: used.len() }
    };
    let figures = sum(used_at_most);
    if shortage(&figures, reserve).is_none() { figures } else { sum(used) }
}

/// Looks at the host alone, and at the control groups that the master is in.
pub fn measure_rooms(master: Process) -> Figures {
    Figures { rooms: rooms(master), used: 0, processes: 0 }
}

/// The most that a process can use; none when it is gone.
fn used_at_most(process: Process) -> Option<u64> {
    most(&read(process, "status")?)
}

/// What a process uses; none when it is gone or may not be looked at.
fn used(process: Process) -> Option<u64> {
    read(process, "smaps_rollup").and_then(|text| proportional(&text)).or_else(|| resident(&read(process, "status")?))
}

fn read(process: Process, name: &str) -> Option<String> {
    read_to_string(format!("/proc/{}/{name}", process.pid)).ok()
}

fn rooms(master: Process) -> Vec<Room> {
    let host = read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let host = host.map(|available| Room { group: None, available });
    let groups = read(master, "cgroup");
    let path = groups.as_deref().and_then(procfs::cgroup).unwrap_or("/");
    let groups = HIERARCHIES.into_iter().flat_map(|hierarchy| groups_above(Path::new(hierarchy), path));
    host.into_iter().chain(groups).collect()
}

/// A control group and those above it, where they have a limit.
fn groups_above(hierarchy: &Path, path: &str) -> Vec<Room> {
    let is_below = |path: &&Path| path.components().count() > 1;
    let groups = Path::new(path).ancestors().take_while(is_below).take(GROUPS_MAX);
    let room = |path: &Path| {
        let directory: PathBuf = hierarchy.join(path.strip_prefix("/").ok()?);
        let read = |name| read_to_string(directory.join(name)).ok();
        let available = group(&read("memory.max")?, &read("memory.current")?, &read("memory.stat")?)?;
        Some(Room { group: Some(path.display().to_string()), available })
    };
    groups.filter_map(room).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use baton_proto::custody::Process;

    use super::{groups_above, measure};
    use crate::memory::Room;
    use crate::os::process;

    #[test]
    fn a_process_and_the_host_have_figures() {
        let (own, _) = process::find(std::process::id()).expect("we live");
        let figures = measure(own, u64::MAX);
        let roughly = measure(own, 0);
        assert!(roughly.used > figures.used, "what is shared counts whole: {roughly:?}, {figures:?}");
        assert!(figures.processes >= 1 && figures.used > 100 << 10, "{figures:?}");
        assert!(figures.rooms.iter().any(|room| room.group.is_none() && room.available > 1 << 20), "{figures:?}");
        assert_eq!(measure(Process { pid: u32::MAX, start_ticks: 1 }, 0).used, 0);
    }

    #[test]
    fn a_group_and_each_above_it_that_has_a_limit_is_looked_at() {
        let hierarchy = tempfile::tempdir().expect("directory");
        let put = |path: &str, max: &str| {
            let directory = hierarchy.path().join(path);
            fs::create_dir_all(&directory).expect("directory");
            for (name, text) in [("memory.max", max), ("memory.current", "60\n"), ("memory.stat", "inactive_file 10\n")] {
                fs::write(directory.join(name), text).expect("file");
            }
        };
        put("a", "100\n");
        put("a/b", "max\n");
        put("a/b/c", "80\n");
        let room = |path: &str, available| Room { group: Some(path.to_owned()), available };
        assert_eq!(groups_above(hierarchy.path(), "/a/b/c"), [room("/a/b/c", 30), room("/a", 50)]);
        assert_eq!(groups_above(hierarchy.path(), "/"), []);
        assert_eq!(groups_above(hierarchy.path(), "/d"), []);
    }
}
