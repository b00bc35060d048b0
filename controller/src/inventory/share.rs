//! A limit given as a number of hosts or as a percentage of those chosen.

use std::fmt;
use std::str::FromStr;

/// So many hosts, or such a part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// A number of hosts.
    Count(usize),
    /// A percentage of the chosen hosts, at most 100.
    Percent(usize),
}

impl Share {
    /// How many of `total` that is, rounded down.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => total.saturating_mul(percent) / 100,
        }
    }
}

impl Share {
    /// How many of `total` that is, rounded up.
    #[must_use]
    pub fn rounded_up(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => total.saturating_mul(percent).div_ceil(100),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Why a text is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAShare {
    /// It is of another form.
    #[error("{0:?} is neither a number of hosts nor a percentage such as \"10%\"")]
    Malformed(String),
    /// There are at most 100 parts in a hundred.
    #[error("{0}% is more than all")]
    MoreThanAll(usize),
    /// No host could ever be restarted.
    #[error("0 hosts in flight would never restart anything; at least 1 is wanted")]
    NoneInFlight,
}

impl FromStr for Share {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        let malformed = || NotAShare::Malformed(text.chars().take(40).collect());
        let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let number: usize = digits.parse().map_err(|_| malformed())?;
        match (percent, number) {
            (true, 101..) => Err(NotAShare::MoreThanAll(number)),
            (true, _) => Ok(Self::Percent(number)),
            (false, _) => Ok(Self::Count(number)),
        }
    }
}

/// Reads a limit of hosts in flight, which cannot be none.
///
/// # Errors
/// When it is no share, or `0`.
pub fn in_flight(text: &str) -> Result<Share, NotAShare> {
    match text.parse()? {
        Share::Count(0) => Err(NotAShare::NoneInFlight),
        share @ (Share::Count(_) | Share::Percent(_)) => Ok(share),
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAShare, Share, in_flight};

    #[test]
    fn a_percentage_is_rounded_down() {
        for (text, total, hosts) in [("3", 100, 3), ("10%", 50, 5), ("10%", 59, 5), ("10%", 5, 0), ("100%", 7, 7), ("0", 5, 0)] {
            assert_eq!(text.parse::<Share>().map(|share| share.of(total)), Ok(hosts), "{text} of {total}");
        }
    }

    #[test]
    fn a_floor_is_rounded_up() {
        for (text, total, hosts) in [("3", 100, 3), ("80%", 10, 8), ("80%", 59, 48), ("1%", 5, 1), ("0%", 5, 0), ("100%", 7, 7)] {
            assert_eq!(text.parse::<Share>().map(|share| share.rounded_up(total)), Ok(hosts), "{text} of {total}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "%", "-1", "+1", "1.5", "ten", "10 %", "99999999999999999999"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        assert_eq!("101%".parse::<Share>(), Err(NotAShare::MoreThanAll(101)));
        assert_eq!(in_flight("0"), Err(NotAShare::NoneInFlight));
        assert_eq!(in_flight("0%"), Ok(Share::Percent(0)));
    }
}
