//! The texts of /proc, turned into values (`proc(5)`).
//!
//! **Invariant:** every reader is total: a text that it does not understand is `None`, never a guess and never a panic.

use baton_proto::custody::{FileIdentity, Lock};

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Field 3: the state, such as `S` or `Z`.
    pub state: char,
    /// Field 4.
    pub parent: u32,
    /// Field 9: the kernel's flags.
    pub flags: u32,
    /// Field 20: how many threads it has.
    pub threads: u32,
    /// Field 22: the start, in clock ticks after boot.
    pub start_ticks: u64,
    /// Field 28: the address of the bottom of the stack; 0 when the reader may not know.
    pub start_stack: u64,
}

impl Stat {
    /// Whether the process has ended: a zombie, dead, or on its way out. A killed process with much memory is on its way
    /// for long, and keeps its files and locks meanwhile.
    pub fn is_corpse(&self) -> bool {
        const PF_EXITING: u32 = 0x4;
        matches!(self.state, 'Z' | 'X' | 'x') || self.flags & PF_EXITING != 0
    }
}

/// Reads `/proc/PID/stat`. The command's name may hold anything, parentheses and line feeds too; it ends at the last `)`.
pub fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // `nth` counts from here: fields 5 to 8 are skipped, then 10 to 19, then 21, then 23 to 27.
    let flags = fields.nth(4)?.parse().ok()?;
    let threads = fields.nth(10)?.parse().ok()?;
    let start_ticks = fields.nth(1)?.parse().ok()?;
    let start_stack = fields.nth(5)?.parse().ok()?;
    Some(Stat { state, parent, flags, threads, start_ticks, start_stack })
}

/// The status of a process that has ended and that its parent has not waited for yet, as `wait(2)` has it: field 52 of `/proc/PID/stat`.
/// A process whose first thread has ended while others run has no status yet. With it comes when the process started, by which it is known.
pub fn corpse_status(text: &str) -> Option<(u64, i32)> {
    let found = stat(text).filter(|found| found.state == 'Z' && found.threads == 1)?;
    let (_, rest) = text.rsplit_once(')')?;
    let status = rest.split_ascii_whitespace().nth(49)?.parse().ok()?;
    Some((found.start_ticks, status))
}

/// The name of the command in `/proc/PID/stat`: between the first parenthesis and the last.
pub fn command(stat: &str) -> Option<&str> {
    let (name, _) = stat.split_once('(')?.1.rsplit_once(')')?;
    Some(name)
}

/// The address of the 16 random bytes, from `/proc/PID/auxv` of a process of this machine's word size.
pub fn random_address(auxv: &[u8]) -> Option<u64> {
    const AT_RANDOM: u64 = 25;
    let word = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_ne_bytes);
    auxv.chunks_exact(16).find_map(|pair| {
        let (key, value) = pair.split_at(8);
        (word(key)? == AT_RANDOM).then(|| word(value))?
    })
}

/// Whether `/proc/PID/status` says that the process is dumping core: a corpse that may hold its files for seconds.
pub fn is_dumping_core(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("CoreDumping:").is_some_and(|value| value.trim() == "1"))
}

/// Whether a signal whose default is to end a process would end this one, by its `/proc/PID/status`: it neither catches nor ignores it. One
/// that blocks it may wait for it by `sigwait(3)` or `signalfd(2)`.
pub fn is_ended_by(status: &str, signal: i32) -> Option<bool> {
    let heeded = mask(status, "SigBlk:")? | mask(status, "SigIgn:")? | mask(status, "SigCgt:")?;
    Some(heeded & bit(signal)? == 0)
}

/// Whether a signal was sent to a process, by its `/proc/PID/status`, and has not arrived: it is stopped, or blocks it.
pub fn is_pending(status: &str, signal: i32) -> bool {
    let bit = bit(signal).unwrap_or_default();
    ["SigPnd:", "ShdPnd:"].into_iter().filter_map(|name| mask(status, name)).any(|mask| mask & bit != 0)
}

/// A set of signals in `/proc/PID/status`.
fn mask(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

/// The place of a signal in such a set.
fn bit(signal: i32) -> Option<u64> {
    1_u64.checked_shl(u32::try_from(signal.checked_sub(1)?).ok()?)
}

/// A flock, as `/proc/PID/fdinfo/FD` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// `pos:`.
    pub position: u64,
    /// `ino:`, which the kernel tells from 5.14 on.
    pub inode: Option<u64>,
    /// The taker in the line of a shared flock, if there is one.
    pub shared_taker: Option<u32>,
}

impl Descriptor {
    /// The shared lock that it shows, if it shows one, which is on this file.
    pub fn lock(self, file: FileIdentity) -> Option<Lock> {
        Some(Lock { file, mark: self.position, taker: self.shared_taker? })
    }
}

/// Reads `/proc/PID/fdinfo/FD`. Only a granted shared flock counts; a waiting request (`->`) does not.
pub fn descriptor(text: &str) -> Option<Descriptor> {
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok();
    let (position, inode) = (field("pos:")?, field("ino:"));
    let shared_taker = text.lines().filter_map(|line| line.strip_prefix("lock:")).find_map(shared_flock);
    Some(Descriptor { position, inode, shared_taker })
}

/// `1: FLOCK  ADVISORY  READ 1234 fe:00:5678 0 EOF`
fn shared_flock(line: &str) -> Option<u32> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    match fields.as_slice() {
        [_, "FLOCK", "ADVISORY", "READ", taker, ..] => taker.parse().ok(),
        _ => None,
    }
}

/// The takers of the shared flocks on one file in `/proc/locks`: those who called flock, also where they are dead.
pub fn takers(locks: &str, major: u32, minor: u32, inode: u64) -> Vec<u32> {
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let is_on_it = |line: &&str| line.split_ascii_whitespace().nth(5) == Some(file.as_str());
    let mut takers: Vec<u32> = locks.lines().filter(is_on_it).filter_map(shared_flock).collect();
    takers.sort_unstable();
    takers.dedup();
    takers
}

/// The path of the one cgroup, from the root of the second version's hierarchy, in `/proc/PID/cgroup`.
pub fn cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The pids in `/proc/PID/task/TID/children`, and those in a `cgroup.procs`.
pub fn children(text: &str) -> Vec<u32> {
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The ranges of addresses, in `/proc/PID/smaps`, that show what a file holds and nothing else: they may not be written, and no
/// page of them was (as relocations are, before their pages are made read-only).
pub fn plain_files(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut present = None;
    for line in smaps.lines() {
        if let Some(mapping) = mapping(line) {
            present = Some(mapping);
        } else if line.strip_prefix("Anonymous:").is_some_and(|value| value.trim() == "0 kB") {
            found.extend(present.take().filter(|mapping| mapping.is_constant).map(|mapping| mapping.range));
        }
    }
    found
}

struct Mapping {
    range: (usize, usize),
    /// Of a file, private, and not writable.
    is_constant: bool,
}

/// `55d0b000-55d0f000 r-xp 00001000 fe:00 131 /usr/bin/cat`
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let is_read_only = matches!(fields.next()?, "r-xp" | "r--p");
    // For what is no file, such as [vdso], the inode is 0.
    let is_file = fields.nth(2)? != "0" && fields.next().is_some_and(|path| path.starts_with('/'));
    Some(Mapping { range: (start, end), is_constant: is_read_only && is_file && start < end })
}

/// The pid in a pid file: one positive number and nothing else.
pub fn pid_file(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|pid| *pid > 0 && i32::try_from(*pid).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Descriptor, Stat, cgroup, children, command, corpse_status, descriptor, is_dumping_core, is_ended_by, is_pending,
        pid_file, plain_files, random_address, stat, takers,
    };

    #[test]
    fn stat_is_read_whatever_the_command_is_called() {
        let line = |name: &str| {
            format!(
                "77 ({name}) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 7391 5 6 18446744073709551615 1 2 140722 3 4 0 0"
            )
        };
        for name in ["ruby", "a b", ") S 9 9 (", "x\ny"] {
            assert_eq!(
                stat(&line(name)),
                Some(Stat { state: 'S', parent: 1, flags: 4_194_560, threads: 1, start_ticks: 7391, start_stack: 140_722 }),
                "{name}"
            );
            assert_eq!(command(&line(name)), Some(name));
        }
        assert_eq!(command("77 ruby"), None);
        assert_eq!(stat("77 (ruby) S 1"), None);
        assert_eq!(stat(""), None);
    }

    #[test]
    fn the_status_of_a_corpse_is_its_last_field_and_nobody_elses() {
        let line = |state: &str, threads: &str| {
            format!("77 (a) b) {state} {} {threads} 0 7391 {} 139", ["0"; 16].join(" "), ["0"; 29].join(" "))
        };
        assert_eq!(corpse_status(&line("Z", "1")), Some((7391, 139)));
        assert_eq!(corpse_status(&line("Z", "2")), None);
        assert_eq!(corpse_status(&line("S", "1")), None);
        assert_eq!(corpse_status("77 (a) Z 1 2 3"), None);
    }

    #[test]
    fn a_signal_ends_a_process_that_does_nothing_about_it() {
        let status = |blocked: u64, ignored: u64, caught: u64| {
            format!("SigPnd:\tffffffffffffffff\nSigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n")
        };
        let usr2 = 1 << 11;
        for heeded in [status(usr2, 0, 0), status(0, usr2, 0), status(0, 0, usr2)] {
            assert_eq!(is_ended_by(&heeded, 12), Some(false), "{heeded}");
            assert_eq!(is_ended_by(&heeded, 10), Some(true), "{heeded}");
        }
        assert_eq!(is_ended_by("SigCgt:\t0000000000000000\n", 12), None);
        assert_eq!(is_ended_by(&status(0, 0, 0), 0), None);
        assert_eq!(is_ended_by(&status(0, 0, 0), 65), None);
    }

    #[test]
    fn a_signal_that_has_not_arrived_is_pending() {
        let status = "SigPnd:\t0000000000000200\nShdPnd:\t0000000000000800\n";
        for (signal, is_so) in [(10, true), (12, true), (1, false), (0, false), (65, false)] {
            assert_eq!(is_pending(status, signal), is_so, "{signal}");
        }
    }

    #[test]
    fn the_random_bytes_are_found_in_auxv() {
        let auxv: Vec<u8> = [6_u64, 4096, 25, 0x7ffd, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
        assert_eq!(random_address(&auxv), Some(0x7ffd));
        assert_eq!(random_address(&auxv[..16]), None);
        assert_eq!(random_address(&auxv[..31]), None);
    }

    #[test]
    fn only_a_granted_shared_flock_is_a_lock() {
        let check = |lock: &str, shared_taker| {
            let text = format!("pos:\t4711\nflags:\t0100002\nmnt_id:\t28\nino:\t12\n{lock}");
            assert_eq!(descriptor(&text), Some(Descriptor { position: 4711, inode: Some(12), shared_taker }), "{lock}");
        };
        check("lock:\t1: FLOCK  ADVISORY  READ 1234 fe:00:12 0 EOF\n", Some(1234));
        check("lock:\t1: FLOCK  ADVISORY  READ 0 fe:00:12 0 EOF\n", Some(0));
        check("lock:\t1: FLOCK  ADVISORY  WRITE 1234 fe:00:12 0 EOF\n", None);
        check("lock:\t1: -> FLOCK  ADVISORY  READ 1234 fe:00:12 0 EOF\n", None);
        check("lock:\t1: POSIX  ADVISORY  READ 1234 fe:00:12 0 EOF\n", None);
        check("", None);
        assert_eq!(descriptor("flags:\t0\n"), None);
    }

    #[test]
    fn the_takers_of_a_file_are_found_among_all_locks() {
        let locks = "1: FLOCK  ADVISORY  READ 12 fe:00:77 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  READ 14 fe:01:77 0 EOF\n3: POSIX  ADVISORY  READ 15 fe:00:77 0 EOF\n\
                     4: FLOCK  ADVISORY  READ 11 fe:00:77 0 EOF\n5: FLOCK  ADVISORY  READ 12 fe:00:77 0 EOF\n\
                     6: FLOCK  ADVISORY  WRITE 16 fe:00:77 0 EOF\n7: FLOCK  ADVISORY  READ 17 fe:00:7 0 EOF\nx\n";
        assert_eq!(takers(locks, 0xfe, 0, 77), [11, 12]);
        assert_eq!(takers("", 0xfe, 0, 77), [0_u32; 0]);
        assert_eq!(takers("1: FLOCK  ADVISORY  READ 12 08:12:77 0 EOF", 8, 0x12, 77), [12]);
    }

    #[test]
    fn small_texts_are_read() {
        assert_eq!(cgroup("1:name=systemd:/a\n0::/system.slice/web.service\n"), Some("/system.slice/web.service"));
        assert_eq!(cgroup("4:memory:/a\n"), None);
        assert!(is_dumping_core("Name:\tx\nCoreDumping:\t1\nTHP_enabled:\t1\n"));
        assert!(!is_dumping_core("Name:\tx\nCoreDumping:\t0\n"));
        assert_eq!(children("12 13 \n"), [12, 13]);
        for (text, pid) in
            [("123\n", Some(123)), (" 9 ", Some(9)), ("", None), ("0", None), ("-1", None), ("12 13", None), ("4294967295", None)]
        {
            assert_eq!(pid_file(text), pid, "{text:?}");
        }
    }

    #[test]
    fn only_what_a_file_holds_is_a_plain_file() {
        let check = |line: &str, anonymous: &str, expected: &[(usize, usize)]| {
            let smaps = format!("{line}\nSize: 16 kB\nRss: 16 kB\nAnonymous: {anonymous} kB\nVmFlags: rd ex mr mw me\n");
            assert_eq!(plain_files(&smaps), expected, "{smaps}");
            assert_eq!(plain_files(&smaps.repeat(2)).len(), expected.len() * 2);
        };
        let range = [(0x55d0_b000, 0x55d0_f000)];
        check("55d0b000-55d0f000 r-xp 00001000 fe:00 131 /usr/bin/a b", "0", &range);
        check("55d0b000-55d0f000 r--p 00001000 fe:00 131 /usr/bin/a b (deleted)", "0", &range);
        check("55d0b000-55d0f000 r--p 00001000 fe:00 131 /usr/bin/a b", "4", &[]);
        check("55d0b000-55d0f000 rw-p 00001000 fe:00 131 /usr/bin/a b", "0", &[]);
        check("55d0b000-55d0f000 rwxp 00001000 fe:00 131 /usr/bin/a b", "0", &[]);
        check("55d0b000-55d0f000 r--s 00001000 fe:00 131 /usr/bin/a b", "0", &[]);
        check("7ffc1000-7ffc3000 r-xp 00000000 00:00 0 [vdso]", "0", &[]);
        check("7ffc3000-7ffc4000 r-xp 00000000 00:00 0", "0", &[]);
        assert_eq!(plain_files("nonsense\n-\n1-2 r-xp\nAnonymous: 0 kB"), []);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (stat(&text), descriptor(&text), children(&text), pid_file(&text), is_dumping_core(&text));
            let _ = (random_address(&bytes), plain_files(&text), takers(&text, 1, 2, 3), cgroup(&text), command(&text));
        }
    }
}
