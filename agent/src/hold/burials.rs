//! How often hold says that a process has ended: a server whose workers die in a loop does not fill the disk with obituaries.
//!
//! **Invariant:** what is not told is counted, and the count is told with the next one that is.

use std::time::Duration;

/// How many are told in one stretch.
const TOLD_MAX: u32 = 20;
/// How long a stretch is.
const STRETCH: Duration = Duration::from_mins(1);

/// Whether an end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hold) enum Telling {
    /// It is, and that so many before it were not.
    Told {
        /// How many.
        untold: u32,
    },
    /// It is not, but counted.
    Untold,
}

/// The ends of this stretch of time.
#[derive(Debug, Default)]
pub(in crate::hold) struct Burials {
    began: Duration,
    told: u32,
    untold: u32,
}

impl Burials {
    /// Another process has ended.
    pub(in crate::hold) fn another(&mut self, now: Duration) -> Telling {
        if now.saturating_sub(self.began) >= STRETCH {
            (self.began, self.told) = (now, 0);
        }
        if self.told == TOLD_MAX {
            self.untold = self.untold.saturating_add(1);
            return Telling::Untold;
        }
        self.told += 1;
        Telling::Told { untold: std::mem::take(&mut self.untold) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Burials, STRETCH, TOLD_MAX, Telling};

    #[test]
    fn a_flood_is_told_in_part_and_then_how_much_was_not() {
        let mut burials = Burials::default();
        let began = Duration::from_hours(1);
        for _ in 0..TOLD_MAX {
            assert_eq!(burials.another(began), Telling::Told { untold: 0 });
        }
        for _ in 0..500 {
            assert_eq!(burials.another(began + STRETCH / 2), Telling::Untold);
        }
        assert_eq!(burials.another(began + STRETCH), Telling::Told { untold: 500 });
        assert_eq!(burials.another(began + STRETCH), Telling::Told { untold: 0 });
    }
}
