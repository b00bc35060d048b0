//! How long a rollout will still take, as far as that can be told.
//!
//! Every host is taken to need as long as the others needed. Of `n` slots the next host gets the one that is free first; since
//! all take equally long, the slots take turns, and no walk over the hosts is needed.
//!
//! **Invariant:** what is not known is not told: there is no estimate before a host is done, nor beyond the wave that a person
//! has to look at.

use std::time::Duration;

use crate::plan::Then;

/// One of the waves that are not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ahead {
    /// How many of its hosts have not started.
    pub(super) waiting: usize,
    /// For how long each of those has been under way that are.
    pub(super) open: Vec<Duration>,
    /// How many may be under way at once.
    pub(super) at_once: usize,
    /// What comes when its last host is done; nothing, where that is over or not due.
    pub(super) then: Then,
}

/// How long it will still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Eta {
    /// So long.
    pub(super) left: Duration,
    /// Whether it is not the end that comes then, but the question to a person.
    pub(super) person: bool,
}

/// Estimates how long the waves ahead take, of which hosts take `usual` and no more than `starts_max` start.
pub(super) fn estimate(usual: Option<Duration>, ahead: &[Ahead], starts_max: Option<usize>) -> Option<Eta> {
    let mut starts_left = starts_max.unwrap_or(usize::MAX);
    let mut left = Duration::ZERO;
    for (index, wave) in ahead.iter().enumerate() {
        let starts = wave.waiting.min(starts_left);
        starts_left -= starts;
        if starts > 0 || !wave.open.is_empty() {
            left = left.saturating_add(hosts(usual?, starts, wave));
        }
        let is_cut_off = starts < wave.waiting;
        match wave.then {
            _ if is_cut_off => break,
            Then::Soak(soak) => left = left.saturating_add(soak),
            Then::Person if index + 1 < ahead.len() => return told(left, true),
            Then::Person | Then::GoOn => {}
        }
    }
    told(left, false)
}

fn told(left: Duration, person: bool) -> Option<Eta> {
    (!left.is_zero()).then_some(Eta { left, person })
}

/// How long the hosts of a wave take, of which so many start.
fn hosts(usual: Duration, starts: usize, wave: &Ahead) -> Duration {
    let mut slots: Vec<Duration> = wave.open.iter().map(|elapsed| usual.saturating_sub(*elapsed)).collect();
    slots.resize(wave.at_once.max(slots.len()).max(1), Duration::ZERO);
    slots.sort_unstable();
    let last_open = slots.last().copied().unwrap_or_default();
    let Some(last) = starts.checked_sub(1) else { return last_open };
    let rounds = u32::try_from(last / slots.len() + 1).unwrap_or(u32::MAX);
    slots[last % slots.len()].saturating_add(usual.saturating_mul(rounds)).max(last_open)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ahead, estimate};
    use crate::plan::Then;

    const GO_ON: Then = Then::GoOn;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn wave(waiting: usize, open: &[u64], at_once: usize, then: Then) -> Ahead {
        Ahead { waiting, open: open.iter().copied().map(seconds).collect(), at_once, then }
    }

    /// Hosts take ten seconds each.
    fn check(ahead: &[Ahead], expected: &str) {
        check_with(Some(10), None, ahead, expected);
    }

    fn check_with(usual: Option<u64>, starts_max: Option<usize>, ahead: &[Ahead], expected: &str) {
        let eta = estimate(usual.map(seconds), ahead, starts_max);
        let text =
            eta.map_or_else(String::new, |eta| format!("{}{}", eta.left.as_secs(), if eta.person { " to a person" } else { "" }));
        assert_eq!(text, expected, "{ahead:?}");
    }

    #[test]
    fn hosts_take_as_long_as_the_others_did_so_many_at_once() {
        check(&[wave(1, &[], 1, GO_ON)], "10");
        check(&[wave(5, &[], 1, GO_ON)], "50");
        check(&[wave(5, &[], 2, GO_ON)], "30");
        check(&[wave(4, &[], 2, GO_ON)], "20");
        check(&[wave(9_999, &[], 100, GO_ON)], "1000");
    }

    #[test]
    fn what_is_under_way_has_taken_some_of_it_already() {
        check(&[wave(0, &[4], 1, GO_ON)], "6");
        check(&[wave(1, &[4], 1, GO_ON)], "16");
        check(&[wave(1, &[4, 9], 2, GO_ON)], "11");
        check(&[wave(2, &[4, 9], 2, GO_ON)], "16");
        check(&[wave(3, &[4, 9], 2, GO_ON)], "21");
        check(&[wave(1, &[0], 2, GO_ON)], "10");
        check(&[wave(1, &[25], 1, GO_ON)], "10");
    }

    #[test]
    fn waves_and_soaks_come_one_after_the_other() {
        check(&[wave(1, &[], 5, Then::Soak(seconds(30))), wave(10, &[], 5, GO_ON)], "60");
        check(&[wave(0, &[], 5, Then::Soak(seconds(7))), wave(10, &[], 5, Then::Soak(seconds(30)))], "57");
    }

    #[test]
    fn nothing_is_told_of_what_comes_after_a_person() {
        check(&[wave(2, &[], 1, Then::Person), wave(10, &[], 1, GO_ON)], "20 to a person");
        check(&[wave(2, &[], 1, Then::Person)], "20");
        check(&[wave(0, &[], 1, Then::Person), wave(10, &[], 1, GO_ON)], "");
    }

    #[test]
    fn only_as_many_hosts_count_as_are_wanted() {
        check_with(Some(10), Some(3), &[wave(2, &[], 1, GO_ON), wave(5, &[], 1, Then::Soak(seconds(30)))], "30");
        check_with(Some(10), Some(0), &[wave(5, &[4], 1, Then::Soak(seconds(30)))], "6");
    }

    #[test]
    fn nothing_is_told_rather_than_nonsense() {
        check_with(None, None, &[wave(1, &[], 1, GO_ON)], "");
        check_with(None, None, &[wave(0, &[5], 1, GO_ON)], "");
        check_with(None, None, &[wave(0, &[], 1, Then::Soak(seconds(20)))], "20");
        check(&[], "");
        check(&[wave(0, &[25], 1, GO_ON)], "");
        check_with(Some(u64::MAX), None, &[wave(usize::MAX, &[], 1, GO_ON)], &u64::MAX.to_string());
    }
}
