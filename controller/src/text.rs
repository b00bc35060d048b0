//! Text that came from another machine, made fit for people's eyes; and dates.
//!
//! **Invariant:** what passed here cannot steer a terminal, and has a bearable length.

use std::time::Duration;

use jiff::Timestamp;

/// The longest text that is taken from elsewhere, in characters.
const LENGTH_MAX: usize = 500;

/// The text, without control characters, cut to a bearable length.
#[must_use]
pub fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    text.chars().take(LENGTH_MAX).map(plain).collect::<String>().trim().to_owned()
}

/// Characters that turn the direction of text or take no room: with them a text can look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How many names are spelt out in one line.
pub const NAMES_MAX: usize = 10;

/// Some names, and how many more: "web-1, web-2 and web-3", or "nothing".
#[must_use]
pub fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let rest = format!("{} more", names.len().saturating_sub(NAMES_MAX));
    let has_more = names.len() > NAMES_MAX;
    let mut shown: Vec<&str> = names.take(NAMES_MAX).collect();
    if has_more {
        shown.push(&rest);
    }
    match shown.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// The day in UTC, such as `2026-11-24`, of a time since 1970.
#[must_use]
pub fn day(since_1970: Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{day, plain};

    #[test]
    fn a_day_is_told_in_utc() {
        assert_eq!(day(Duration::ZERO), "1970-01-01");
        assert_eq!(day(Duration::from_mins(29_924_981)), "2026-11-24");
        assert_eq!(day(Duration::MAX), "9999-12-30");
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
        assert_eq!(plain(&"x".repeat(10_000)).len(), 500);
    }
}
