//! The moving lines on a terminal, as text: who is in flight, what is waited for, how far it is.
//!
//! **Invariant:** no line is wider than the terminal, and all together are not higher: nothing wraps, nothing scrolls away.
//! **Invariant:** a character that may be shown wider than one column is not shown.

use std::time::Duration;

use baton_proto::span::Span;

use super::contacts::Contact;
use super::eta::Eta;
use super::map::{Sign, legend, map};
use crate::rollout::{Picture, Stage, Whereabouts};

/// How many hosts have a line of their own.
const HOSTS_MAX: usize = 16;

/// The width of what comes before the text of a line.
const GUTTER: usize = 12;

/// How wide a terminal must be for a map.
const MAP_MIN: usize = 2 * GUTTER;

/// What turns while something is going on.
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// A terminal's size, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A host that something is going on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flight<'a> {
    pub(super) host: &'a str,
    pub(super) whereabouts: Whereabouts,
    /// What was last heard of it; none where nothing was.
    pub(super) contact: Option<Contact<'a>>,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) picture: &'a Picture,
    pub(super) flights: &'a [Flight<'a>],
    /// What is waited for beside them: a verb, and a sentence.
    pub(super) waits: &'a [(&'static str, String)],
    /// The wave that it is at, where there are several.
    pub(super) wave: Option<&'a str>,
    pub(super) eta: Option<Eta>,
    pub(super) host_width: usize,
    pub(super) frame: usize,
}

/// How the lines are to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) size: Size,
    pub(super) painted: bool,
}

/// The lines, the topmost first.
pub(super) fn lines(scene: &Scene<'_>, canvas: Canvas) -> Vec<String> {
    let mut below: Vec<String> = scene.waits.iter().map(|(verb, text)| canvas.line(verb, "   ", text)).collect();
    below.push(bar(scene, canvas));
    if scene.picture.hosts.len() > HOSTS_MAX && canvas.size.width >= MAP_MIN {
        let map = mapped(&scene.picture.hosts, canvas);
        // The bar says more than a map that hides the hosts in flight.
        if below.len() + map.len() + 3 <= canvas.size.height {
            below.extend(map);
        }
    }
    // A line is left for the cursor of whoever writes above.
    let room = canvas.size.height.saturating_sub(below.len() + 1);
    let mut lines = flights(scene, canvas, room);
    lines.extend(below);
    let surplus = lines.len().saturating_sub(canvas.size.height);
    lines.split_off(surplus)
}

fn flights(scene: &Scene<'_>, canvas: Canvas, room: usize) -> Vec<String> {
    let most = HOSTS_MAX.min(room);
    let shown = if scene.flights.len() > most { most.saturating_sub(1) } else { scene.flights.len() };
    let mut lines: Vec<String> = scene.flights.iter().take(shown).map(|flight| in_flight(flight, scene, canvas)).collect();
    let more = scene.flights.len() - shown;
    if more > 0 && most > 0 {
        lines.push(canvas.line("", "   ", &format!("and {more} more")));
    }
    lines
}

fn in_flight(flight: &Flight<'_>, scene: &Scene<'_>, canvas: Canvas) -> String {
    let spinner = SPINNER[scene.frame % SPINNER.len()].to_string();
    let clock = flight.contact.map_or_else(|| " ".repeat(9), |contact| format!("[{:>6.1}s]", contact.elapsed.as_secs_f64()));
    let width = scene.host_width;
    canvas.line(&spinner, " ", &format!("{clock}   {:<width$}   {}", flight.host, doing(flight)))
}

/// What is going on with a host.
fn doing(flight: &Flight<'_>) -> String {
    match flight.whereabouts {
        Whereabouts::Looking => "is looked at once more".to_owned(),
        Whereabouts::Confirming => "is done; its guard is set up".to_owned(),
        Whereabouts::Redialling => "its guard was lost, and is sought again".to_owned(),
        Whereabouts::InFlight
        | Whereabouts::LeftOut
        | Whereabouts::Guarded
        | Whereabouts::Waiting
        | Whereabouts::RolledBack
        | Whereabouts::Refused
        | Whereabouts::Unknown
        | Whereabouts::Unproven
        | Whereabouts::Dropped => heard(flight.contact),
    }
}

/// What was last heard of a host in flight.
fn heard(contact: Option<Contact<'_>>) -> String {
    let asked = || "is asked for its handover".to_owned();
    let Some(Contact { step, detail, lost_for, .. }) = contact else { return asked() };
    match (step, lost_for) {
        (None, Some(lost)) => format!("no contact for {} s", lost.as_secs()),
        (Some(step), Some(lost)) => format!("no contact for {} s; last in {}", lost.as_secs(), step.phrase()),
        (Some(step), None) if detail.is_empty() => step.to_string(),
        (Some(step), None) => format!("{step}  {detail}"),
        (None, None) => asked(),
    }
}

fn bar(scene: &Scene<'_>, canvas: Canvas) -> String {
    let inner = if canvas.size.width >= 72 { 16 } else { 7 };
    let (done, total) = scene.picture.done();
    let filled = (inner * done).checked_div(total).unwrap_or_default();
    let tip = if filled < inner && !scene.picture.open.is_empty() { ">" } else { "" };
    let rest = inner - filled - tip.len();
    let mut parts: Vec<String> = scene.wave.map(str::to_owned).into_iter().collect();
    parts.extend(scene.eta.map(|eta| remaining(eta, scene.picture)));
    let text = format!("[{}{tip}{}]  {done}/{total}   {}", "=".repeat(filled), " ".repeat(rest), parts.join(", "));
    canvas.line("Rollout", " ", text.trim_end())
}

/// How long it still takes.
pub(super) fn remaining(eta: Eta, picture: &Picture) -> String {
    let is_held_up = picture.is_paused || picture.stage == Stage::Person;
    // An estimate is not told in milliseconds.
    let left = Span(Duration::from_secs(eta.left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)));
    match (is_held_up, eta.person) {
        (true, _) => format!("then {left} more"),
        (false, false) => format!("ETA {left}"),
        (false, true) => format!("a person is asked in {left}"),
    }
}

fn mapped(hosts: &[Whereabouts], canvas: Canvas) -> Vec<String> {
    let map = map(hosts, canvas.size.width.saturating_sub(GUTTER + 4));
    let mut lines: Vec<String> = Vec::new();
    for (index, row) in map.rows.iter().enumerate() {
        let signs: String = row.chunk_by(|one, other| one == other).map(|signs| canvas.signs(signs)).collect();
        lines.push(format!("{}   {signs}", canvas.verb(if index == 0 { "Map" } else { "" })));
    }
    lines.push(canvas.line("", "   ", &legend(hosts, map.hosts_a_sign)));
    lines
}

impl Canvas {
    /// A line with a verb in its gutter, cut to the width of the terminal.
    fn line(self, verb: &str, between: &str, text: &str) -> String {
        let room = self.size.width.saturating_sub(GUTTER + between.len() + 1);
        if room == 0 {
            return cut(&format!("{verb}{between}{text}"), self.size.width);
        }
        format!("{}{between}{}", self.verb(verb), cut(text, room))
    }

    fn verb(self, verb: &str) -> String {
        self.paint(&format!("{verb:>GUTTER$}"), "1")
    }

    /// Several equal signs.
    fn signs(self, signs: &[Sign]) -> String {
        let text: String = signs.iter().map(|sign| sign.letter()).collect();
        match signs.first() {
            Some(Sign::Kept) => self.paint(&text, "32"),
            Some(Sign::InFlight) => self.paint(&text, "1"),
            Some(Sign::Redialling | Sign::Failed) => self.paint(&text, "1;33"),
            Some(Sign::Doubted | Sign::Dropped) => self.paint(&text, "1;31"),
            Some(Sign::Waiting | Sign::LeftOut) | None => text,
        }
    }

    fn paint(self, text: &str, code: &str) -> String {
        if self.painted && !text.trim().is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The text, in so many columns at most, and in characters that take one each.
fn cut(text: &str, width: usize) -> String {
    let narrow = |c: char| if c.is_control() || c >= '\u{300}' { '?' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(narrow).collect();
    }
    let kept = text.chars().take(width.saturating_sub(3)).map(narrow);
    kept.chain("...".chars()).take(width).collect()
}
