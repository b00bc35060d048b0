//! Text for people: a verb in a gutter, then when, who and what.

mod closing;
mod fleet;
mod journal;
mod note;
mod order;
mod plan;
mod sentence;
mod testimony;
mod waiting;

use std::time::Duration;

use super::contacts::Contacts;
use super::course::Course;
use super::eta::Eta;
use super::{Told, claims};
use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::rollout::{Awaited, Picture, Stop};
use crate::text::{NAMES_MAX, day, listed};
pub(super) use closing::Next;
pub use order::ordered;
pub(super) use sentence::outcome as outcome_text;
pub(super) use waiting::at_a_glance;

/// How things are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    /// Since the walk began.
    pub(super) at: Duration,
    /// The length of the longest host name.
    pub(super) host_width: usize,
    /// Whether verbs are coloured.
    pub(super) painted: bool,
    /// The rollout that is told of.
    pub(super) course: &'a Course,
    /// What was last heard of its hosts.
    pub(super) contacts: &'a Contacts,
}

impl Look<'_> {
    /// How long the rollout will still take.
    pub(super) fn eta(&self, picture: &Picture) -> Option<Eta> {
        self.course.eta(picture, self.contacts, self.at)
    }
}

/// What goes where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// To stdout.
    pub(super) result: String,
    /// To stderr.
    pub(super) progress: String,
}

impl Text {
    fn result(result: String) -> Self {
        Self { result, progress: String::new() }
    }

    fn progress(progress: String) -> Self {
        Self { result: String::new(), progress }
    }
}

/// Renders one thing.
pub(super) fn render(told: &Told<'_>, look: &Look<'_>) -> Text {
    match told {
        Told::Asking { answered, total } => Text::progress(line(
            "Waiting",
            Colour::Plain,
            look,
            &format!("{} of {total} hosts have not answered yet", total - answered),
        )),
        Told::Planned { plan, rollout: Some(rollout) } => Text::result(plan::briefly(plan, rollout, look)),
        Told::Planned { plan, rollout: None } => Text { result: plan::in_full(plan, look), progress: plan::hints(plan) },
        Told::NotUndone { host, why } => Text::result(line("Left", Colour::Plain, look, &format!("{host}: {why}"))),
        Told::PlanWritten { path } => {
            let what = format!("{}; `baton restart --plan FILE` does exactly that", path.display());
            Text::result(line("Written", Colour::Plain, look, &what))
        }
        Told::MayNotRestart { identity } => {
            Text::result(line("Warning", Colour::Yellow, look, &format!("{identity} may look, and may not restart")))
        }
        Told::Started { .. } => Text::default(),
        Told::Step { host, step, detail } => {
            Text::progress(timed("Step", Colour::Plain, look, host, &joined(&step.to_string(), detail)))
        }
        Told::Retrying { host, cause } => Text::progress(timed("Retrying", Colour::Yellow, look, host, cause)),
        Told::Regained { host } => {
            Text::progress(timed("Regained", Colour::Green, look, host, "its guard stands again, with no drop seen meanwhile"))
        }
        Told::Outcome { host, outcome } => {
            let (verb, colour) = verb(outcome);
            Text::result(timed(verb, colour, look, host, &sentence::outcome(outcome)))
        }
        Told::Stopping { stop, awaited } => Text::progress(stopping(stop, awaited, look)),
        Told::Note { note } => Text::progress(note::noted(*note, look)),
        Told::Waiting { awaited, picture } => Text::progress(waiting::waiting(awaited, picture, look)),
        Told::Finished { service, rollout, summary } => closing::finished(service, rollout, summary, look),
        Told::Claims { rows } => Text::result(claims::table(rows)),
        Told::Fleet { rows } => Text::result(fleet::table(rows)),
        Told::Testimony { host, service, record } => Text::result(testimony::render(host, service, record)),
        Told::History(chronicle) => Text::result(testimony::chronicle(chronicle)),
        Told::Journal(told) => journal::render(told, look),
        Told::Certified { identity, fleet, files, until, cut_short } => {
            let who = identity.map_or_else(|| format!("the authority of {fleet}"), ToString::to_string);
            let why = if *cut_short { " (its authority is valid no longer)" } else { "" };
            let (certificate, key) = (files.certificate.display(), files.key.display());
            Text::result(line(
                "Issued",
                Colour::Plain,
                look,
                &format!("{who}, until {}{why}: {certificate} and {key}", day(*until)),
            ))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Plain,
    Green,
    Yellow,
    Red,
}

fn verb(outcome: &Outcome) -> (&'static str, Colour) {
    match outcome {
        Outcome::Proven(_) => ("Kept", Colour::Green),
        Outcome::Refused(_) => ("Refused", Colour::Yellow),
        Outcome::RolledBack { .. } => ("RolledBack", Colour::Yellow),
        Outcome::Unproven(_) => ("Unproven", Colour::Red),
        Outcome::Dropped(_) => ("Dropped", Colour::Red),
        Outcome::Unknown(_) => ("Unknown", Colour::Red),
    }
}

fn gutter(verb: &str, colour: Colour, look: &Look<'_>) -> String {
    let code = match colour {
        Colour::Green => "1;32",
        Colour::Yellow => "1;33",
        Colour::Red => "1;31",
        Colour::Plain => "1",
    };
    if look.painted { format!("\u{1b}[{code}m{verb:>12}\u{1b}[0m") } else { format!("{verb:>12}") }
}

fn line(verb: &str, colour: Colour, look: &Look<'_>, text: &str) -> String {
    format!("{}   {text}\n", gutter(verb, colour, look))
}

fn clock(look: &Look<'_>) -> String {
    format!("[{:>6.1}s]", look.at.as_secs_f64())
}

fn timed(verb: &str, colour: Colour, look: &Look<'_>, host: &HostName, text: &str) -> String {
    let width = look.host_width;
    format!("{} {}   {host:<width$}   {text}\n", gutter(verb, colour, look), clock(look))
}

fn joined(one: &str, other: &str) -> String {
    if other.is_empty() { one.to_owned() } else { format!("{one}: {other}") }
}

/// Some names, and how many more.
fn names(hosts: &[HostName]) -> String {
    listed(hosts.iter().map(HostName::as_str))
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn stopping(stop: &Stop, awaited: &Awaited, look: &Look<'_>) -> String {
    // What is over is told by the last line.
    if awaited.is_empty() {
        return String::new();
    }
    let why = because(stop);
    let again = match stop {
        Stop::Interrupted => " (^C again leaves at once)",
        Stop::Doubt(_)
        | Stop::PastBudget { .. }
        | Stop::Claimed(_)
        | Stop::Floor { .. }
        | Stop::StopAfter(_)
        | Stop::Deadline
        | Stop::Aborted => "",
    };
    line("Halting", Colour::Yellow, look, &format!("nothing new starts, {why}; waiting {}{again}", sentence::awaited(awaited)))
}

/// Why nothing new starts.
pub(super) fn because(stop: &Stop) -> String {
    match stop {
        Stop::Doubt(host) => format!("because of {host}"),
        Stop::PastBudget { host, max: 0, zone } => format!("because {host} failed{}", within(zone.as_deref())),
        Stop::PastBudget { host, max, zone } => {
            format!("because {host} failed{}, after {max} that were tolerated", within(zone.as_deref()))
        }
        Stop::Claimed(host) => format!("because {host} is claimed by another rollout"),
        Stop::Floor { host, min, zone } => {
            format!("because with {host} fewer than {min} would be available{}", within(zone.as_deref()))
        }
        Stop::StopAfter(count) => format!("after {} as asked", self::count(*count, "host")),
        Stop::Deadline => "because the rollout's deadline has passed".to_owned(),
        Stop::Aborted => "as ordered".to_owned(),
        Stop::Interrupted => "as asked".to_owned(),
    }
}

fn within(zone: Option<&str>) -> String {
    zone.map(|zone| format!(" in zone {zone}")).unwrap_or_default()
}
