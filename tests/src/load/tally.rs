//! What a load counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::http::Answer;

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Nobody listened.
    Refused,
    /// The connection was reset while connecting or on its first request.
    ResetOnFresh,
    /// The connection was reset on a later request, or while it was idle.
    ResetOnReused,
    /// The connection ended without an answer to its first request.
    EndOnFresh,
    /// The connection ended without an answer to a later request.
    EndOnReused,
    /// The connection ended in the middle of an answer.
    EndWithin,
    /// No answer came in time.
    Timeout,
    /// An answer came, with another status than 200.
    BadStatus(u16),
    /// An answer came that our applications never give.
    Malformed,
    /// Anything else that the kernel reports.
    Other,
}

/// Who served how many requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// On which target.
    pub target: SocketAddr,
    /// By whom.
    pub by: Answer,
}

/// Everything that was counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    served: BTreeMap<Served, u64>,
    failed: BTreeMap<(SocketAddr, Failure), u64>,
    idle_closes: u64,
    slowest: Duration,
}

impl Tally {
    pub(super) fn count_served(&mut self, target: SocketAddr, by: Answer, took: Duration) {
        *self.served.entry(Served { target, by }).or_default() += 1;
        self.slowest = self.slowest.max(took);
    }

    pub(super) fn count_failed(&mut self, target: SocketAddr, failure: Failure) {
        *self.failed.entry((target, failure)).or_default() += 1;
    }

    pub(super) fn count_idle_close(&mut self) {
        self.idle_closes += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (by, count) in other.served {
            *self.served.entry(by).or_default() += count;
        }
        for (failure, count) in other.failed {
            *self.failed.entry(failure).or_default() += count;
        }
        self.idle_closes += other.idle_closes;
        self.slowest = self.slowest.max(other.slowest);
    }

    /// How many requests were answered as they should.
    pub fn served(&self) -> u64 {
        self.served.values().sum()
    }

    /// How many were not.
    pub fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// How many connections were found closed in good order before anything was sent on them. These are no failures.
    pub fn idle_closes(&self) -> u64 {
        self.idle_closes
    }

    /// How long the slowest answer took.
    pub fn slowest(&self) -> Duration {
        self.slowest
    }

    /// How many requests failed in this way.
    pub fn failed_by(&self, failure: Failure) -> u64 {
        self.failed.iter().filter(|((_, found), _)| *found == failure).map(|(_, count)| count).sum()
    }

    /// The releases that served on a target.
    pub fn releases(&self, target: SocketAddr) -> BTreeSet<&str> {
        self.served_on(target).map(|by| by.release.as_str()).collect()
    }

    /// The masters whose workers served on a target.
    pub fn masters(&self, target: SocketAddr) -> BTreeSet<u32> {
        self.served_on(target).map(|by| by.master).collect()
    }

    /// How many requests a release served on a target.
    pub fn served_by(&self, target: SocketAddr, release: &str) -> u64 {
        let by = self.served.iter().filter(|(served, _)| served.target == target && served.by.release == release);
        by.map(|(_, count)| count).sum()
    }

    fn served_on(&self, target: SocketAddr) -> impl Iterator<Item = &Answer> {
        self.served.keys().filter(move |served| served.target == target).map(|served| &served.by)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} served, {} failed", self.served(), self.failed())?;
        for ((target, failure), count) in &self.failed {
            write!(f, "; {count} {failure:?} on {target}")?;
        }
        write!(f, "; {} idle closes; slowest {:?}", self.idle_closes, self.slowest)
    }
}
