//! What befell a service: the drops that its agent saw, and the times in which it did not watch.
//!
//! A drop is told with its epoch, who was seen holding last and how that one ended, and who was found holding next. What is known of
//! the time in between has two ends: the lock was free at the moment of the drop, and held at the latest when a holder was found.
//!
//! **Invariant:** a time that nobody watched is never counted as a drop, and never taken for proof that there was none.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::{FileIdentity, Process, Seq};
use crate::span::{AtMost, Span};

/// What befell one service, and what of it is no longer known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The happenings that are kept, oldest first.
    pub happenings: Vec<Happening>,
    /// How many older ones were forgotten.
    pub forgotten: u64,
    /// The drops seen over the service's whole life.
    pub epoch: u64,
}

/// One thing that befell a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When it was noted.
    pub at: Moment,
    /// What it was.
    pub what: What,
}

/// What befell a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Nobody held the lock.
    Drop(Drop),
    /// The agent did not watch for a while, and what it then found does not join what it had left.
    Unwatched(Unwatched),
}

/// The waiter was granted: nobody held the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// The number of the grant.
    pub seq: Seq,
    /// The drops seen so far, this one included.
    pub epoch: u64,
    /// The file that was free.
    pub file: FileIdentity,
    /// The master that was last seen holding.
    pub last: Option<Process>,
    /// Since when it had been seen holding, since boot.
    pub held_since: Option<Duration>,
    /// How it ended, where the kernel tells.
    pub ended: Option<Ended>,
    /// The handover in which it happened.
    pub handover: Option<Handover>,
    /// Who was found holding next.
    pub found: Option<Found>,
}

/// A time in which the agent did not watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwatched {
    /// The last moment at which the agent is known to have watched.
    pub from: Option<Moment>,
    /// The master that was held then.
    pub last: Process,
    /// Who was found holding next.
    pub found: Option<Found>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(i32),
    /// The signal with this number ended it.
    Killed(i32),
}

/// Which handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The rollout that asked.
    pub rollout: String,
    /// Its attempt.
    pub attempt: u32,
}

/// A master that was found holding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The master.
    pub master: Process,
    /// When it was found: it may have held for a while already.
    pub at: Moment,
}

/// When something was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Since boot.
    pub at: Duration,
    /// Which boot.
    pub boot: String,
    /// Since 1970, by a clock that may be set.
    pub wall: Duration,
}

impl Moment {
    /// How long before `later` it was: by the clock that cannot be set, unless the host was booted in between.
    #[must_use]
    pub fn until(&self, later: &Self) -> Duration {
        if self.boot == later.boot { later.at.saturating_sub(self.at) } else { later.wall.saturating_sub(self.wall) }
    }

    /// The wall clock's time in UTC as programs like it (RFC 3339), to the millisecond.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    fn timestamp(&self) -> Timestamp {
        let seconds = i64::try_from(self.wall.as_secs()).unwrap_or(i64::MAX);
        let nanoseconds = i32::try_from(self.wall.subsec_nanos()).unwrap_or_default();
        Timestamp::new(seconds, nanoseconds).unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Moment {
    /// The wall clock's time in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp().strftime("%Y-%m-%d %H:%M:%S%.3f UTC"))
    }
}

impl Happening {
    /// Who was found holding next.
    #[must_use]
    pub fn found(&self) -> Option<&Found> {
        match &self.what {
            What::Drop(drop) => drop.found.as_ref(),
            What::Unwatched(unwatched) => unwatched.found.as_ref(),
        }
    }

    /// Who was found holding next, to be filled in.
    pub fn found_mut(&mut self) -> &mut Option<Found> {
        match &mut self.what {
            What::Drop(drop) => &mut drop.found,
            What::Unwatched(unwatched) => &mut unwatched.found,
        }
    }

    /// What happened, as one sentence; `is_last` when nothing befell the service afterwards.
    #[must_use]
    pub fn sentence(&self, is_last: bool) -> String {
        let text = match &self.what {
            What::Drop(drop) => self.told_of_drop(drop),
            What::Unwatched(unwatched) => self.told_of_absence(unwatched),
        };
        match self.found() {
            Some(found) => format!("{text}{}", self.told_of_next(found)),
            None if is_last => format!("{text}; nobody was found holding since"),
            None => text,
        }
    }

    fn told_of_drop(&self, drop: &Drop) -> String {
        let last = match drop.last {
            None => "; which master held it last is not known".to_owned(),
            Some(last) => {
                let since = drop.held_since.and_then(|since| self.at.at.checked_sub(since));
                let since = since.map(|held| format!(" (seen for {})", Span(held))).unwrap_or_default();
                format!("; last master {last}{since}, {}", Ending(drop.ended))
            }
        };
        let during = match &drop.handover {
            Some(Handover { rollout, attempt }) => format!(" in the handover of rollout {rollout} attempt {attempt}"),
            None => String::new(),
        };
        format!("the lock was free{during}{last}")
    }

    fn told_of_absence(&self, unwatched: &Unwatched) -> String {
        let how_long = match &unwatched.from {
            Some(from) => format!("for at most {}", AtMost(from.until(&self.at))),
            None => "for a time that is not known".to_owned(),
        };
        let was_booted = unwatched.from.as_ref().is_some_and(|from| from.boot != self.at.boot);
        let booted = if was_booted { ", and the host was booted" } else { "" };
        let last = unwatched.last;
        format!(
            "the agent did not watch {how_long}{booted}; before, the master was {last}; whether the lock was free is not known"
        )
    }

    fn told_of_next(&self, found: &Found) -> String {
        let Found { master, at } = found;
        match &self.what {
            What::Drop(_) => format!("; found held by {master} within {}", AtMost(self.at.until(at))),
            What::Unwatched(Unwatched { last, .. }) if last == master && self.at.boot == at.boot => {
                format!("; then {master} again, with another program image or lock")
            }
            What::Unwatched(_) => format!("; then found held by {master}"),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Killed(number) => write!(f, "killed by {}", signal_name(*number)),
        }
    }
}

/// How a process ended, or that it is not known.
struct Ending(Option<Ended>);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ended) => ended.fmt(f),
            None => f.write_str("how it ended is not known"),
        }
    }
}

/// The first signals of Linux by number, from 1 on, as on x86 and ARM (`signal(7)`).
const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// A signal by its name, or by its number where it has none.
pub(super) fn signal_name(number: i32) -> String {
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    match place.and_then(|place| SIGNALS.get(place)) {
        Some(name) => (*name).to_owned(),
        None => format!("signal {number}"),
    }
}

impl History {
    /// All of it for people, oldest first, a line each; nothing when nothing happened.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let forgotten = (self.forgotten > 0).then(|| {
            let (count, s) = (self.forgotten, if self.forgotten == 1 { "" } else { "s" });
            format!("{count} older happening{s} forgotten: only the last {} are kept", self.happenings.len())
        });
        let last = self.happenings.len().saturating_sub(1);
        let told = self.happenings.iter().enumerate().map(|(place, happening)| {
            let name = match &happening.what {
                What::Drop(drop) => format!("epoch {}", drop.epoch),
                What::Unwatched(_) => "unwatched".to_owned(),
            };
            format!("{name:<10} {}   {}", happening.at, happening.sentence(place == last))
        });
        forgotten.into_iter().chain(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Drop, Ended, Found, Handover, Happening, History, Moment, Unwatched, What, signal_name};
    use crate::custody::samples::FILE;
    use crate::custody::{Process, Seq};

    const OLD: Process = Process { pid: 4117, start_ticks: 5 };
    const NEW: Process = Process { pid: 4390, start_ticks: 9 };

    /// So many milliseconds after ten days of uptime, on 2026-11-24 at 08:31:07.
    fn moment(milliseconds: u64) -> Moment {
        let at = Duration::from_hours(240) + Duration::from_millis(milliseconds);
        Moment { at, boot: "boot-1".into(), wall: Duration::from_secs(1_795_509_067) + Duration::from_millis(milliseconds) }
    }

    fn found(milliseconds: u64) -> Found {
        Found { master: NEW, at: moment(milliseconds) }
    }

    fn drop() -> Drop {
        Drop {
            seq: Seq(9),
            epoch: 3,
            file: FILE,
            last: Some(OLD),
            held_since: Some(Duration::from_hours(240 - 76)),
            ended: Some(Ended::Killed(9)),
            handover: None,
            found: Some(found(412)),
        }
    }

    fn check(what: What, expected: &str) {
        assert_eq!(Happening { at: moment(0), what }.sentence(true), expected);
    }

    #[test]
    fn a_drop_says_who_held_last_how_it_ended_and_who_held_next() {
        check(
            What::Drop(drop()),
            "the lock was free; last master 4117 (seen for 3 d 4 h), killed by SIGKILL; found held by 4390 within 412 ms",
        );
        check(
            What::Drop(Drop { ended: Some(Ended::Exited(0)), held_since: None, found: None, ..drop() }),
            "the lock was free; last master 4117, exited with 0; nobody was found holding since",
        );
        let handover = Some(Handover { rollout: "r-1".into(), attempt: 2 });
        check(
            What::Drop(Drop { ended: None, held_since: None, handover, ..drop() }),
            "the lock was free in the handover of rollout r-1 attempt 2; last master 4117, how it ended is not known; \
             found held by 4390 within 412 ms",
        );
        check(
            What::Drop(Drop { last: None, ..drop() }),
            "the lock was free; which master held it last is not known; found held by 4390 within 412 ms",
        );
    }

    #[test]
    fn a_time_that_nobody_watched_says_that_nothing_is_known() {
        let from = Some(Moment { at: Duration::from_hours(239), ..moment(0) });
        let unwatched = Unwatched { from, last: OLD, found: Some(found(0)) };
        let told = |unwatched: &Unwatched, expected| check(What::Unwatched(unwatched.clone()), expected);
        told(
            &unwatched,
            "the agent did not watch for at most 1 h; before, the master was 4117; whether the lock was free is not known; \
             then found held by 4390",
        );
        let same = Some(Found { master: OLD, at: moment(0) });
        told(
            &Unwatched { found: same, from: None, ..unwatched.clone() },
            "the agent did not watch for a time that is not known; before, the master was 4117; whether the lock was free is not \
             known; then 4117 again, with another program image or lock",
        );
        let wall = moment(0).wall.saturating_sub(Duration::from_mins(5));
        let from = Some(Moment { at: Duration::from_hours(900), boot: "boot-0".into(), wall });
        told(
            &Unwatched { from, found: None, ..unwatched },
            "the agent did not watch for at most 5 min, and the host was booted; before, the master was 4117; whether the lock \
             was free is not known; nobody was found holding since",
        );
    }

    #[test]
    fn a_history_is_a_line_each_and_says_what_is_forgotten() {
        let open = Happening { at: moment(0), what: What::Drop(Drop { found: None, ended: None, held_since: None, ..drop() }) };
        let later =
            Happening { at: moment(60_000), what: What::Drop(Drop { epoch: 4, ended: Some(Ended::Killed(34)), ..drop() }) };
        let unwatched = What::Unwatched(Unwatched { from: None, last: NEW, found: None });
        let last = Happening { at: moment(90_123), what: unwatched };
        let history = History { happenings: vec![open, later, last], forgotten: 1, epoch: 4 };
        let expected = "
1 older happening forgotten: only the last 3 are kept
epoch 3    2026-11-24 08:31:07.000 UTC   the lock was free; last master 4117, how it ended is not known
epoch 4    2026-11-24 08:32:07.000 UTC   the lock was free; last master 4117 (seen for 3 d 4 h), killed by signal 34; found held by 4390 within 0 s
unwatched  2026-11-24 08:32:37.123 UTC   the agent did not watch for a time that is not known; before, the master was 4390; \
            whether the lock was free is not known; nobody was found holding since";
        assert_eq!(format!("\n{}", history.lines().join("\n")), expected);
        assert_eq!(History::default().lines(), Vec::<String>::new());
    }

    #[test]
    fn a_signal_has_its_name() {
        for (number, name) in [(1, "SIGHUP"), (9, "SIGKILL"), (15, "SIGTERM"), (31, "SIGSYS"), (34, "signal 34"), (0, "signal 0")]
        {
            assert_eq!(signal_name(number), name);
        }
    }
}
