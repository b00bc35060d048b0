//! A stretch of time, spelt for people.
//!
//! **Invariant:** a [`Span`] is never told longer than it is: what is left over is cut off. What is an upper bound is told as
//! [`AtMost`], and never shorter than it is.

use std::fmt;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A stretch of time by its largest unit, and by the next smaller one if there is something of it: "504 ms", "3.2 s", "10 min 49 s".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.as_secs(), u64::from(self.0.subsec_micros()));
        let (whole, tenths, unit) = match seconds {
            0 if self.0.is_zero() => return f.write_str("0 s"),
            0 if micros < 100 => return f.write_str("under 0.1 ms"),
            0 if micros < 10_000 => (micros / 1_000, micros / 100 % 10, "ms"),
            0 => (micros / 1_000, 0, "ms"),
            1..10 => (seconds, micros / 100_000, "s"),
            10..MINUTE => (seconds, 0, "s"),
            MINUTE..HOUR => return two(f, (seconds / MINUTE, "min"), (seconds % MINUTE, "s")),
            HOUR..DAY => return two(f, (seconds / HOUR, "h"), (seconds % HOUR / MINUTE, "min")),
            DAY.. => return two(f, (seconds / DAY, "d"), (seconds % DAY / HOUR, "h")),
        };
        if tenths == 0 { write!(f, "{whole} {unit}") } else { write!(f, "{whole}.{tenths} {unit}") }
    }
}

/// A stretch of time that was not longer than this: what is left over counts as a whole of the smallest unit told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtMost(pub Duration);

impl fmt::Display for AtMost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.0.as_secs() {
            0 if self.0 < Duration::from_millis(10) => Duration::from_micros(100),
            0 => Duration::from_millis(1),
            1..10 => Duration::from_millis(100),
            10..HOUR => Duration::from_secs(1),
            HOUR..DAY => Duration::from_secs(MINUTE),
            DAY.. => Duration::from_secs(HOUR),
        };
        let over = self.0.as_nanos() % unit.as_nanos();
        let missing = if over == 0 { 0 } else { unit.as_nanos() - over };
        let whole = self.0.saturating_add(Duration::from_nanos(u64::try_from(missing).unwrap_or_default()));
        Span(whole).fmt(f)
    }
}

fn two(f: &mut fmt::Formatter<'_>, large: (u64, &str), small: (u64, &str)) -> fmt::Result {
    write!(f, "{} {}", large.0, large.1)?;
    if small.0 > 0 { write!(f, " {} {}", small.0, small.1) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AtMost, Span};

    fn check(microseconds: u64, expected: &str) {
        assert_eq!(Span(Duration::from_micros(microseconds)).to_string(), expected);
    }

    #[test]
    fn an_upper_bound_is_never_told_shorter_than_it_is() {
        for (microseconds, expected) in [
            (0, "0 s"),
            (1, "0.1 ms"),
            (3_186, "3.2 ms"),
            (9_999, "10 ms"),
            (10_001, "11 ms"),
            (412_000, "412 ms"),
            (999_999, "1 s"),
            (3_200_001, "3.3 s"),
            (59_000_001, "1 min"),
            (90_000_001, "1 min 31 s"),
            (7_260_000_001, "2 h 2 min"),
            (86_400_000_001, "1 d 1 h"),
        ] {
            assert_eq!(AtMost(Duration::from_micros(microseconds)).to_string(), expected, "{microseconds}");
        }
    }

    #[test]
    fn a_span_below_a_minute_has_one_unit() {
        check(0, "0 s");
        check(90, "under 0.1 ms");
        check(250, "0.2 ms");
        check(3_186, "3.1 ms");
        check(10_999, "10 ms");
        check(504_000, "504 ms");
        check(999_999, "999 ms");
        check(6_000_000, "6 s");
        check(3_299_000, "3.2 s");
        check(59_999_999, "59 s");
    }

    #[test]
    fn a_span_from_a_minute_on_has_two_units_unless_one_says_it_all() {
        for (seconds, expected) in
            [(60, "1 min"), (649, "10 min 49 s"), (7_800, "2 h 10 min"), (7_201, "2 h"), (90_000, "1 d 1 h"), (86_400, "1 d")]
        {
            check(seconds * 1_000_000, expected);
        }
    }
}
