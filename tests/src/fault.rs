//! What the patient can be told to do wrong: words in a file that it reads anew in each generation, and at each signal.
//!
//! **Invariant:** what [`fmt::Display`] writes, [`FromStr`] reads.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One thing that the patient does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A new master dies before it takes the lock.
    DieAtBoot,
    /// A new master needs so long before it takes the lock.
    SlowBoot(Duration),
    /// A new master fills so many MiB of memory: its death takes long, and its lock outlives it by that.
    Memory(u32),
    /// The master takes no lock.
    NoLock,
    /// The master takes the lock so long after it has begun to serve.
    LockLate(Duration),
    /// The lock bears no mark.
    NoMark,
    /// A new master unlinks the lock file and makes it anew before it takes the lock.
    UnlinkLock,
    /// A new master renames a file of its own over the lock file before it takes the lock.
    RenameLock,
    /// So long after it has begun to serve, the master unlinks the lock file, makes it anew, and moves its lock to the new one.
    MoveLock(Duration),
    /// At TTIN or HUP the master unlocks its own descriptor and locks it again so long after.
    Relock(Duration),
    /// At HUP the generation closes its lock, as a garbage collector may, and so long after the master takes it anew, as a later hook may.
    Reopen(Duration),
    /// `/up` is answered with 503.
    NeverReady,
    /// The new generation never takes a connection: the old one answers all of them.
    Deaf,
    /// So long after it has begun to serve, the generation closes its listening socket and keeps its lock.
    CloseListener(Duration),
    /// The master dies so long after its workers have started.
    DieAfter(Duration),
    /// The master forks a helper that keeps every descriptor.
    HelperForked,
    /// The master starts `sleep` with its locked descriptor.
    HelperExecuted,
    /// At USR2 the old generation lets go of its lock and leaves; the new one takes it so long after that.
    Gap(Duration),
    /// With a gap: the old master lives on for so long after it has let go.
    LiveOn(Duration),
    /// At USR2 the old master starts a new one, and is killed with its workers.
    DieAtHandover,
    /// At USR2 or HUP the master and its workers are killed, and nothing is started.
    CrashAtHandover,
    /// At USR2 the old master starts two new ones, and at each further USR2 yet another.
    TwoSuccessors,
    /// At USR2 or HUP the old master forks one more worker, which outlives it.
    LateWorker,
    /// At USR2 the master calls exec, and its lock goes through that.
    Exec,
    /// At USR2 the master kills its workers and calls exec, which closes its lock; it takes it anew when it boots.
    ExecDrops,
    /// A new generation forks no workers.
    NoWorkers,
    /// At HUP nothing happens, but for a late worker if there is to be one.
    IgnoreHup,
    /// At QUIT nothing happens.
    IgnoreQuit,
    /// At TERM nothing happens.
    IgnoreTerm,
    /// At QUIT, or when it was replaced, the generation goes on for so long before it begins to leave.
    SlowDrain(Duration),
    /// At QUIT the master forks a process that keeps the lock and never leaves.
    Orphan,
    /// At QUIT the generation unlocks its descriptor, whatever else it does.
    UnlockAtQuit,
}

use Fault::{
    CloseListener, CrashAtHandover, Deaf, DieAfter, DieAtBoot, DieAtHandover, Exec, ExecDrops, Gap, HelperExecuted, HelperForked,
    IgnoreHup, IgnoreQuit, IgnoreTerm, LateWorker, LiveOn, LockLate, Memory, MoveLock, NeverReady, NoLock, NoMark, NoWorkers,
    Orphan, Relock, RenameLock, Reopen, SlowBoot, SlowDrain, TwoSuccessors, UnlinkLock, UnlockAtQuit,
};

/// Words, and what makes the fault of each out of its time.
type Timed<'a> = (&'a str, fn(Duration) -> Fault);

/// The faults that are a word alone.
const PLAIN: [(&str, Fault); 21] = [
    ("die-at-boot", DieAtBoot),
    ("no-lock", NoLock),
    ("no-mark", NoMark),
    ("unlink-lock", UnlinkLock),
    ("rename-lock", RenameLock),
    ("never-ready", NeverReady),
    ("deaf", Deaf),
    ("helper-forked", HelperForked),
    ("helper-executed", HelperExecuted),
    ("die-at-handover", DieAtHandover),
    ("crash-at-handover", CrashAtHandover),
    ("two-successors", TwoSuccessors),
    ("late-worker", LateWorker),
    ("exec", Exec),
    ("exec-drops", ExecDrops),
    ("no-workers", NoWorkers),
    ("ignore-hup", IgnoreHup),
    ("ignore-quit", IgnoreQuit),
    ("ignore-term", IgnoreTerm),
    ("orphan", Orphan),
    ("unlock-at-quit", UnlockAtQuit),
];

/// The faults that are a word and a time in milliseconds.
const MILLISECONDS: [Timed<'_>; 7] = [
    ("slow-boot-ms", SlowBoot),
    ("lock-late-ms", LockLate),
    ("move-lock-ms", MoveLock),
    ("close-listener-ms", CloseListener),
    ("die-after-ms", DieAfter),
    ("live-on-ms", LiveOn),
    ("slow-drain-ms", SlowDrain),
];

/// The faults that are a word and a time in microseconds.
const MICROSECONDS: [Timed<'_>; 3] = [("gap-us", Gap), ("relock-us", Relock), ("reopen-us", Reopen)];

impl Fault {
    fn time(self) -> Option<Duration> {
        match self {
            SlowBoot(time) | LockLate(time) | MoveLock(time) | Relock(time) | Reopen(time) | CloseListener(time)
            | DieAfter(time) | Gap(time) | LiveOn(time) | SlowDrain(time) => Some(time),
            DieAtBoot | Memory(_) | NoLock | NoMark | UnlinkLock | RenameLock | NeverReady | Deaf | HelperForked
            | HelperExecuted | DieAtHandover | CrashAtHandover | Exec | ExecDrops | NoWorkers | IgnoreHup | TwoSuccessors
            | LateWorker | IgnoreQuit | IgnoreTerm | Orphan | UnlockAtQuit => None,
        }
    }

    /// The word of `table` that stands for this fault, with its time.
    fn timed<'a>(self, table: &[Timed<'a>]) -> Option<(&'a str, Duration)> {
        let time = self.time()?;
        table.iter().find(|(_, fault)| fault(time) == self).map(|(word, _)| (*word, time))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((word, _)) = PLAIN.iter().find(|(_, fault)| fault == self) {
            return f.write_str(word);
        }
        if let Some((word, time)) = self.timed(&MILLISECONDS) {
            return write!(f, "{word} {}", time.as_millis());
        }
        if let Some((word, time)) = self.timed(&MICROSECONDS) {
            return write!(f, "{word} {}", time.as_micros());
        }
        if let Memory(mebibytes) = self { write!(f, "memory-mib {mebibytes}") } else { Err(fmt::Error) }
    }
}

/// Why a line names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fault such as \"gap-us 100\" or \"die-at-boot\"")]
pub struct NotAFault(String);

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(line: &str) -> Result<Self, NotAFault> {
        let named = |line: &str| {
            if let Some((_, fault)) = PLAIN.iter().find(|(word, _)| *word == line) {
                return Some(*fault);
            }
            let (word, number) = line.split_once(' ')?;
            let find = |table: &[Timed<'_>]| table.iter().find(|row| row.0 == word).map(|row| row.1);
            if word == "memory-mib" {
                return number.parse().ok().map(Memory);
            }
            let number = number.parse().ok()?;
            let milliseconds = find(&MILLISECONDS).map(|fault| fault(Duration::from_millis(number)));
            milliseconds.or_else(|| find(&MICROSECONDS).map(|fault| fault(Duration::from_micros(number))))
        };
        named(line).ok_or_else(|| NotAFault(line.to_owned()))
    }
}

/// What the patient was told to do wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Whether this one is among them.
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    /// The time of the fault that this makes, if it is among them.
    pub fn time(&self, fault: fn(Duration) -> Fault) -> Option<Duration> {
        self.0.iter().find_map(|found| found.time().filter(|time| fault(*time) == *found))
    }

    /// How many MiB a new master is to fill.
    pub fn mebibytes(&self) -> Option<u32> {
        self.0.iter().find_map(|fault| if let Memory(mebibytes) = fault { Some(*mebibytes) } else { None })
    }
}

/// Reads the lines of a fault file.
///
/// # Errors
/// The first line that names no fault.
pub fn read(text: &str) -> Result<Faults, NotAFault> {
    text.lines().filter(|line| !line.is_empty()).map(str::parse).collect::<Result<_, _>>().map(Faults)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, Faults, MICROSECONDS, MILLISECONDS, PLAIN, read};

    /// Each fault once, the timed ones with times of their own.
    fn all() -> Vec<Fault> {
        let plain = PLAIN.iter().map(|(_, fault)| *fault);
        let milliseconds = (1..).zip(MILLISECONDS).map(|(number, (_, fault))| fault(Duration::from_millis(number)));
        let microseconds = (100..).zip(MICROSECONDS).map(|(number, (_, fault))| fault(Duration::from_micros(number)));
        plain.chain(milliseconds).chain(microseconds).chain([Fault::Memory(64)]).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let text = all().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(read(&text), Ok(Faults(all())));
    }

    #[test]
    fn what_is_asked_for_is_found() {
        let faults = Faults(all());
        assert!(all().iter().all(|fault| faults.has(*fault)));
        assert_eq!(faults.time(Fault::SlowBoot), Some(Duration::from_millis(1)));
        assert_eq!(faults.time(Fault::Relock), Some(Duration::from_micros(101)));
        assert_eq!(faults.mebibytes(), Some(64));
        assert_eq!((Faults::default().time(Fault::Gap), Faults::default().mebibytes()), (None, None));
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["gap-us", "gap-us soon", "die", "die-after-ms -1", "die-at-boot 1", "memory-mib", "memory-mib much"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
