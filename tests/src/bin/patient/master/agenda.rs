//! What a master does at an hour that was fixed before.

use std::time::{Duration, Instant};

use baton_tests::fault::{Fault, Faults};

/// Something to do at its hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Die without a word to the workers.
    Die,
    /// Take the lock.
    TakeLock,
    /// Replace the lock file, and move the lock to the new one.
    MoveLock,
    /// Close the listening socket.
    CloseListener,
    /// Let the workers finish, and leave.
    Finish,
    /// Let the workers that were replaced finish.
    Retire,
}

/// The deeds that are still to be done.
#[derive(Debug, Default)]
pub(crate) struct Agenda(Vec<(Instant, Deed)>);

impl Agenda {
    /// Adds what a generation that begins to serve now was told.
    pub(crate) fn follow(&mut self, faults: &Faults, now: Instant) {
        let mut add = |after: Option<Duration>, deed| self.0.extend(after.map(|after| (now + after, deed)));
        add(faults.time(Fault::DieAfter), Deed::Die);
        add(faults.time(Fault::LockLate), Deed::TakeLock);
        add(faults.time(Fault::MoveLock), Deed::MoveLock);
        add(faults.time(Fault::CloseListener), Deed::CloseListener);
    }

    /// Adds one.
    pub(crate) fn add(&mut self, at: Instant, deed: Deed) {
        self.0.push((at, deed));
    }

    /// How long nothing is to be done.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        self.0.iter().map(|(at, _)| at.saturating_duration_since(now)).min()
    }

    /// Takes one whose hour has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Deed> {
        let index = self.0.iter().position(|(at, _)| *at <= now)?;
        Some(self.0.swap_remove(index).1)
    }
}
