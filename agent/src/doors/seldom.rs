//! Keeps strangers from flooding the log: a line of one kind is told at once, and then once a minute at most.
//!
//! **Invariant:** no timer: times are compared when there is something to tell.

use std::time::Duration;

/// How long a kind stays quiet once it was told.
const QUIET_FOR: Duration = Duration::from_mins(1);

/// What strangers can make us say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All places of a door are taken.
    Full,
    /// Too many shake hands at once.
    Crowd,
    /// One identity has all the places that it may have.
    Share,
    /// A client's certificate is none, or not good.
    Certificate,
    /// A client refused ours, or broke off otherwise with an alert.
    Alert,
    /// Another user called on the unix socket.
    Stranger,
}

/// What was told when.
#[derive(Debug, Default)]
pub(super) struct Seldom(Vec<Told>);

#[derive(Debug)]
struct Told {
    kind: Kind,
    at: Duration,
    untold: u64,
}

impl Seldom {
    /// Whether a line of this kind is to be told now, and if so how many were not since the last.
    pub(super) fn due(&mut self, kind: Kind, now: Duration) -> Option<u64> {
        let Some(told) = self.0.iter_mut().find(|told| told.kind == kind) else {
            self.0.push(Told { kind, at: now, untold: 0 });
            return Some(0);
        };
        if now.saturating_sub(told.at) < QUIET_FOR {
            told.untold = told.untold.saturating_add(1);
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Kind, Seldom};

    #[test]
    fn each_kind_is_told_once_a_minute_with_the_number_of_those_that_were_not() {
        let mut seldom = Seldom::default();
        for (kind, second, expected) in [
            (Kind::Full, 0, Some(0)),
            (Kind::Full, 1, None),
            (Kind::Share, 1, Some(0)),
            (Kind::Full, 59, None),
            (Kind::Full, 60, Some(2)),
            (Kind::Full, 61, None),
            (Kind::Full, 600, Some(1)),
        ] {
            assert_eq!(seldom.due(kind, Duration::from_secs(second)), expected, "{kind:?} at {second} s");
        }
    }
}
