//! When to look next: soon after an event, then at doubling distances, so that a quiet hour costs a dozen looks.
//!
//! No event announces a lock: the file is opened, and somewhat later flock is called.
//!
//! **Invariant:** an event only ever brings the next look nearer, so a storm of events cannot put it off.

use std::time::Duration;

/// How long after an event the first look comes.
pub(in crate::hold) const FIRST: Duration = Duration::from_millis(5);

/// The series of looks after the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hold) struct Looks {
    due: Duration,
    distance: Duration,
    made: u32,
}

impl Looks {
    /// A series that begins now.
    pub(in crate::hold) fn after(now: Duration) -> Self {
        Self { due: now + FIRST, distance: FIRST, made: 0 }
    }

    /// Something happened: the series begins anew.
    pub(in crate::hold) fn restart(&mut self, now: Duration) {
        *self = Self { due: self.due.min(now + FIRST), distance: FIRST, made: 0 };
    }

    /// When the next look is due.
    pub(in crate::hold) fn due(&self) -> Duration {
        self.due
    }

    /// How many looks have been made since the last event.
    pub(in crate::hold) fn made(&self) -> u32 {
        self.made
    }

    /// A look was made.
    pub(in crate::hold) fn made_one(&mut self, now: Duration) {
        self.distance = self.distance.saturating_mul(2);
        self.due = now.saturating_add(self.distance);
        self.made = self.made.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Looks;

    fn check(events_ms: &[u64], until_ms: u64, expected: &[u64]) {
        let mut looks = Looks::after(Duration::ZERO);
        let mut made = Vec::new();
        for now in (0..=until_ms).map(Duration::from_millis) {
            if events_ms.iter().any(|event| Duration::from_millis(*event) == now) {
                looks.restart(now);
            }
            if looks.due() <= now {
                looks.made_one(now);
                made.push(u64::try_from(now.as_millis()).expect("a short test"));
            }
        }
        assert_eq!(made, expected);
    }

    #[test]
    fn looks_come_at_doubling_distances() {
        check(&[], 400, &[5, 15, 35, 75, 155, 315]);
    }

    #[test]
    fn an_event_begins_them_anew() {
        check(&[100], 150, &[5, 15, 35, 75, 105, 115, 135]);
    }

    #[test]
    fn a_storm_of_events_does_not_put_them_off() {
        check(&[10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20], 30, &[5, 15, 21]);
    }

    #[test]
    fn a_minute_costs_few_looks() {
        let mut looks = Looks::after(Duration::ZERO);
        while looks.due() < Duration::from_mins(1) {
            looks.made_one(looks.due());
        }
        assert_eq!(looks.made(), 13);
    }
}
