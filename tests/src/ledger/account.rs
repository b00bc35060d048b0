//! What the ledger of one file comes to: when nobody had a shared lock.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::{Deed, Entry, Inode};

/// When a lock was held and when it was free, as far as the ledger was taken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    free: Vec<Free>,
    shared: usize,
    exclusive: usize,
    holders: usize,
}

/// A stretch of time in which nobody had a shared lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// When the last one was gone, since boot.
    pub from: Duration,
    /// When the next one was taken; none where it was still free at the end.
    pub to: Option<Duration>,
}

impl Free {
    fn meets(&self, from: Duration, to: Duration) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }
}

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(f, "free from {:?} for {:?}", self.from, to.saturating_sub(self.from)),
            None => write!(f, "free from {:?} on", self.from),
        }
    }
}

impl Account {
    /// The account of `inode`, from a ledger that was opened before anybody held it.
    pub fn of(inode: Inode, entries: &[Entry]) -> Self {
        let mut own: Vec<&Entry> = entries.iter().filter(|entry| entry.inode == inode).collect();
        // Each processor has a buffer of its own; lines of one instant stay as the kernel put them together.
        own.sort_by_key(|entry| entry.at);
        let mut account = Self { free: vec![Free { from: Duration::ZERO, to: None }], shared: 0, exclusive: 0, holders: 0 };
        let mut holders = BTreeSet::new();
        for entry in own {
            account.enter(entry, &mut holders);
        }
        account.holders = holders.len();
        account
    }

    fn enter<'a>(&mut self, entry: &'a Entry, holders: &mut BTreeSet<&'a str>) {
        match entry.deed {
            Deed::Shared => {
                self.shared += 1;
                if holders.is_empty()
                    && let Some(last) = self.free.last_mut()
                {
                    last.to = Some(entry.at);
                }
                holders.insert(&entry.owner);
            }
            Deed::Exclusive | Deed::Deferred | Deed::Unlocked => {
                self.exclusive += usize::from(entry.deed == Deed::Exclusive);
                if holders.remove(entry.owner.as_str()) && holders.is_empty() {
                    self.free.push(Free { from: entry.at, to: None });
                }
            }
        }
    }

    /// The stretches in which the lock was free that meet the time from `from` to `to`, both included.
    pub fn free_within(&self, from: Duration, to: Duration) -> Vec<Free> {
        self.free.iter().filter(|free| free.meets(from, to)).copied().collect()
    }

    /// How many open files have a shared lock at the end.
    pub fn holders(&self) -> usize {
        self.holders
    }

    /// How many shared locks were granted.
    pub fn shared(&self) -> usize {
        self.shared
    }

    /// How many exclusive ones: a waiter has one each time that it wakes.
    pub fn exclusive(&self) -> usize {
        self.exclusive
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Account, Free};
    use crate::ledger::{Deed, Entry, Inode};

    const FILE: Inode = Inode { major: 8, minor: 1, number: 42 };

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// What a ledger comes to in which at this time this open file did this.
    fn account(deeds: &[(u64, &str, Deed)]) -> Account {
        let entry =
            |(at, owner, deed): &(u64, &str, Deed)| Entry { at: ms(*at), inode: FILE, owner: (*owner).to_owned(), deed: *deed };
        Account::of(FILE, &deeds.iter().map(entry).collect::<Vec<_>>())
    }

    /// The stretches after the first lock, in milliseconds.
    fn free(deeds: &[(u64, &str, Deed)]) -> Vec<(u64, Option<u64>)> {
        let number = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let found = account(deeds).free_within(ms(11), ms(1_000));
        found.into_iter().map(|free| (number(free.from), free.to.map(number))).collect()
    }

    #[test]
    fn a_lock_that_is_passed_on_is_never_free() {
        assert_eq!(free(&[(10, "a", Deed::Shared), (20, "b", Deed::Shared), (30, "a", Deed::Unlocked)]), []);
    }

    #[test]
    fn it_is_free_from_the_last_unlock_to_the_next_lock() {
        assert_eq!(free(&[(10, "a", Deed::Shared), (20, "a", Deed::Unlocked), (30, "b", Deed::Shared)]), [(20, Some(30))]);
        assert_eq!(free(&[(10, "a", Deed::Shared), (20, "a", Deed::Unlocked), (20, "a", Deed::Shared)]), [(20, Some(20))]);
        assert_eq!(free(&[(10, "a", Deed::Shared), (20, "a", Deed::Unlocked)]), [(20, None)]);
    }

    #[test]
    fn who_held_nothing_lets_nothing_go() {
        assert_eq!(free(&[(10, "a", Deed::Shared), (20, "b", Deed::Unlocked), (30, "c", Deed::Deferred)]), []);
    }

    #[test]
    fn a_second_lock_of_one_open_file_is_one_lock() {
        assert_eq!(free(&[(10, "a", Deed::Shared), (20, "a", Deed::Shared), (30, "a", Deed::Unlocked)]), [(30, None)]);
    }

    #[test]
    fn who_asks_for_more_has_let_go() {
        for deed in [Deed::Exclusive, Deed::Deferred] {
            assert_eq!(free(&[(10, "a", Deed::Shared), (20, "a", deed)]), [(20, None)]);
        }
    }

    #[test]
    fn lines_are_put_in_the_order_of_their_times() {
        assert_eq!(free(&[(30, "a", Deed::Unlocked), (10, "a", Deed::Shared), (20, "b", Deed::Shared)]), []);
    }

    #[test]
    fn another_file_is_another_account() {
        let other = Inode { number: 43, ..FILE };
        let entry = Entry { at: ms(20), inode: other, owner: "a".to_owned(), deed: Deed::Shared };
        let account = Account::of(FILE, &[entry]);
        assert_eq!((account.shared(), account.free_within(ms(0), ms(100)).len()), (0, 1));
    }

    #[test]
    fn a_window_meets_what_touches_it() {
        let account =
            account(&[(10, "a", Deed::Shared), (20, "a", Deed::Unlocked), (30, "a", Deed::Shared), (40, "w", Deed::Exclusive)]);
        let gap = Free { from: ms(20), to: Some(ms(30)) };
        for (from, to) in [(12, 20), (22, 25), (30, 40), (12, 40)] {
            assert_eq!(account.free_within(ms(from), ms(to)), [gap], "{from} to {to}");
        }
        assert_eq!(account.free_within(ms(11), ms(19)), []);
        assert_eq!(account.free_within(ms(31), ms(99)), []);
        assert_eq!((account.shared(), account.exclusive(), account.holders()), (2, 1, 1));
    }
}
