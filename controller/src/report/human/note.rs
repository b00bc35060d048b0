//! How far the walk is, and what holds it up, in sentences.

use std::time::Duration;

use baton_proto::span::Span;

use super::{Colour, Look, line};
use crate::report::course::Course;
use crate::rollout::Note;

/// A line for how far the walk is. Where there is but one wave, it is not told of.
pub(super) fn noted(note: Note, look: &Look<'_>) -> String {
    let course = look.course;
    let wave = |place: usize, what: &str| course.wave_name(place).map(|name| ("Wave", format!("{}{what}", number(&name))));
    let told = match note {
        Note::WaveBegins(place) => wave(place, " begins"),
        Note::WaveEnds(place) => wave(place, " is done"),
        Note::Soaking { wave, until } => Some(soaking(course, wave, until.saturating_sub(look.at))),
        Note::AwaitingPerson { wave } => Some(person(course, wave)),
        Note::Paused => Some(paused(course)),
        Note::GoingOn => Some(("Resumed", "it goes on".to_owned())),
    };
    told.map(|(verb, text)| line(verb, Colour::Plain, look, &text)).unwrap_or_default()
}

/// That a wave must stand for a while, and for how long.
pub(in crate::report) fn soaking(course: &Course, wave: usize, left: Duration) -> (&'static str, String) {
    let wave = course.wave_name(wave).unwrap_or_else(|| "all that is done".to_owned());
    // Never told as shorter than it is.
    let left = Span(Duration::from_secs(left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)));
    ("Soaking", format!("{wave} must stand; {left} left"))
}

/// That a person has to say that it may go on, and how.
pub(in crate::report) fn person(course: &Course, wave: usize) -> (&'static str, String) {
    let wave = course.wave_name(wave).unwrap_or_else(|| "a wave".to_owned());
    let rollout = &course.rollout;
    ("Waiting", format!("{wave} is done, and waits for you: `baton resume {rollout}` goes on, `baton abort {rollout}` ends it"))
}

/// The same in a line that may not be long.
pub(super) fn person_briefly(course: &Course) -> (&'static str, String) {
    ("Waiting", format!("for you: `baton resume {}` goes on", course.rollout))
}

/// That nothing starts until it is resumed, and how.
pub(in crate::report) fn paused(course: &Course) -> (&'static str, String) {
    ("Paused", format!("nothing new starts until `baton resume {}`", course.rollout))
}

/// The name without the verb that stands before it.
fn number(name: &str) -> &str {
    name.strip_prefix("wave ").unwrap_or(name)
}
