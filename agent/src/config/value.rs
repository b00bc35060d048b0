//! What the readers of the tables share: values that must be there, that are one of a few words, that lie between two bounds.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use baton_proto::document::{Notes, Table};

use super::path;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// A text that must be there, as `read` takes it.
pub(super) fn required<T, E: Display>(
    table: &mut Table<'_>,
    notes: &mut Notes,
    key: &str,
    read: impl FnOnce(String) -> Result<T, E>,
) -> Option<T> {
    let given = table.text(notes, key);
    table.require(notes, key, given)?.try_map(notes, read)
}

/// A path that must be there.
pub(super) fn required_path(table: &mut Table<'_>, notes: &mut Notes, key: &str) -> Option<PathBuf> {
    required(table, notes, key, |text| path::absolute(&text, path::LENGTH_MAX))
}

/// A text, as `read` takes it; the default where it is left out.
pub(super) fn text_or<T>(
    table: &mut Table<'_>,
    notes: &mut Notes,
    key: &str,
    default: T,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> T {
    table.text(notes, key).and_then(|given| given.try_map(notes, |text| read(&text))).unwrap_or(default)
}

/// What one of a few words means.
pub(super) fn one_of<T: Copy>(text: &str, meanings: &[(&str, T)]) -> Result<T, String> {
    let found = meanings.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let words: Vec<String> = meanings.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("{:?} is neither {}", path::shown(text), words.join(" nor "))
    })
}

/// A duration between `least` and `most`, or the default.
pub(super) fn bounded(
    table: &mut Table<'_>,
    notes: &mut Notes,
    key: &str,
    default: Duration,
    least: Duration,
    most: Duration,
) -> Duration {
    let Some(given) = table.duration(notes, key) else { return default };
    if given.value < least || given.value > most {
        let (value, least, most) = (given.value.as_secs_f64(), least.as_secs(), most.as_secs());
        notes.wrong(&given, format!("is {value} s, wanted {least} to {most} s"));
    }
    given.value
}
