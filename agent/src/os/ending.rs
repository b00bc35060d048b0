//! How a process ended that is no child of ours.
//!
//! As long as its parent has not waited for it, `/proc/PID/stat` tells (`proc_pid_stat(5)`, field 52). From then on a pidfd that is kept
//! does, since Linux 6.15 (`PIDFD_GET_INFO` with `PIDFD_INFO_EXIT`, include/uapi/linux/pidfd.h).

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd};

use baton_proto::custody::{Ended, Process};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use super::process::Handle;
use crate::procfs;

/// `struct pidfd_info`, as it was first published (`PIDFD_INFO_SIZE_VER0`): a later kernel fills in no more than it is given room for.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct Info {
    /// What is wanted; then, what was filled in.
    mask: u64,
    cgroup: u64,
    /// Pids and ids, of which we want none.
    ids: [u32; 11],
    /// As `wait(2)` has it.
    exit_code: i32,
}

const PIDFD_GET_INFO: Opcode = opcode::read_write::<Info>(0xFF, 11);
/// `PIDFD_INFO_EXIT`.
const EXIT: u64 = 1 << 3;

/// How a process ended, if it has and the kernel tells.
pub fn of(handle: &Handle) -> Option<Ended> {
    // In this order: a corpse that is buried in between is told of by its pidfd.
    of_corpse(handle.process()).or_else(|| of_buried(handle.as_fd()))
}

/// How a process ended whose parent has not waited for it.
fn of_corpse(process: Process) -> Option<Ended> {
    let (start_ticks, status) = procfs::corpse_status(&fs::read_to_string(format!("/proc/{}/stat", process.pid)).ok()?)?;
    (start_ticks == process.start_ticks).then(|| ended(status))
}

/// How a process ended whose parent has waited for it.
#[expect(unsafe_code, reason = "neither rustix nor nix has this call")]
fn of_buried(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    let mut info = Info { mask: EXIT, ..Info::default() };
    // SAFETY: the number says that 64 bytes are read and written, which is what `Info` is, in the layout of the kernel's struct;
    // any bytes are valid in it. A kernel that does not know the number answers ENOTTY and writes nothing.
    let asked = unsafe { ioctl(pidfd, Updater::<PIDFD_GET_INFO, Info>::new(&mut info)) };
    (asked.is_ok() && info.mask & EXIT != 0).then(|| ended(info.exit_code))
}

/// Reads a status as `wait(2)` has it: the signal in the low seven bits, the exit code in the next byte.
fn ended(status: i32) -> Ended {
    match status & 0x7f {
        0 => Ended::Exited(status >> 8 & 0xff),
        signal => Ended::Killed(signal),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::process::{Command, Stdio};

    use baton_proto::custody::Ended;
    use rustix::event::{PollFd, PollFlags, poll};

    use super::{ended, of, of_buried, of_corpse};
    use crate::os::process::{self, Handle};

    #[test]
    fn a_status_is_read_as_wait_has_it() {
        assert_eq!(ended(3 << 8), Ended::Exited(3));
        assert_eq!(ended(9), Ended::Killed(9));
        // With a core dump.
        assert_eq!(ended(0x8b), Ended::Killed(11));
    }

    /// Whether this kernel tells at all: from 6.15 on it must.
    fn tells() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("proc is mounted");
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(6), Some(15))
    }

    #[test]
    fn the_end_of_a_process_is_told_before_and_after_its_parent_has_waited_for_it() {
        for (script, how) in [("read line; exit 7", Ended::Exited(7)), ("read line; kill -TERM $$", Ended::Killed(15))] {
            let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("sh");
            let (process, _) = process::find(child.id()).expect("it lives");
            let handle = Handle::open(process).expect("it is our child");
            assert_eq!(of(&handle), None, "it lives");
            drop(child.stdin.take());
            let mut exited = [PollFd::new(&handle, PollFlags::IN)];
            poll(&mut exited, None).expect("it ends");
            assert_eq!((of_corpse(process), of_buried(handle.as_fd())), (Some(how), None));
            child.wait().expect("it has ended");
            assert_eq!((of_corpse(process), of_buried(handle.as_fd())), (None, tells().then_some(how)));
        }
    }
}
