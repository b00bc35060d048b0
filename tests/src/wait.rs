//! Waiting for a condition, with a deadline.
//!
//! **Invariant:** this is the only place of the harness that sleeps.

use std::time::Duration;

use crate::clock;

const STEP_FIRST: Duration = Duration::from_millis(1);
const STEP_MAX: Duration = Duration::from_millis(50);

/// What was waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {within:?} for {what}; last seen: {last}")]
pub struct TimedOut {
    what: String,
    within: Duration,
    last: String,
}

/// Looks again and again, in small growing steps, until there is something to see.
///
/// # Errors
/// When the deadline passes first: what was waited for, and what was seen last.
pub fn look<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T, TimedOut> {
    let deadline = clock::now() + within;
    let mut step = STEP_FIRST;
    loop {
        let last = match look() {
            Ok(seen) => return Ok(seen),
            Err(last) => last,
        };
        if clock::now() >= deadline {
            return Err(TimedOut { what: what.to_owned(), within, last });
        }
        std::thread::sleep(step);
        step = (step * 2).min(STEP_MAX);
    }
}

/// As [`look`], for a test: what does not come fails it.
///
/// # Panics
/// When the deadline passes first.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, condition: impl FnMut() -> Result<T, String>) -> T {
    match look(what, within, condition) {
        Ok(seen) => seen,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::look;

    #[test]
    fn what_comes_is_returned() {
        let mut looks = 0;
        let seen = look("three looks", Duration::from_secs(5), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("{looks} looks")) }
        });
        assert_eq!(seen, Ok(3));
    }

    #[test]
    fn what_does_not_come_is_told_with_what_was_seen_last() {
        let error = look::<()>("rain", Duration::from_millis(3), || Err("sun".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "waited 3ms for rain; last seen: sun");
    }
}
