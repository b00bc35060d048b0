//! What is waited for, a line for each host: since when, in which step, and when it is given up.

use super::{Colour, Look, NAMES_MAX, line, timed};
use crate::inventory::HostName;
use crate::report::contacts::Contact;
use crate::rollout::Awaited;

/// A line for each host that is waited for, as far as they fit.
pub(in crate::report) fn waiting(awaited: &Awaited, contact: impl Fn(&HostName) -> Option<Contact>, look: &Look) -> String {
    let claims = awaited.claims.iter().map(|host| (host, "for its claim".to_owned()));
    let in_flight = awaited.in_flight.iter().map(|host| (host, in_flight(contact(host))));
    let guards = awaited.guards.iter().map(|host| (host, "for its guard to stand".to_owned()));
    let last_looks = awaited.last_looks.iter().map(|host| (host, "for the last look at it".to_owned()));
    let all = claims.chain(in_flight).chain(guards).chain(last_looks);
    let mut text: String = all
        .take(NAMES_MAX)
        .map(|(host, what)| timed("Waiting", Colour::Plain, look, host, &format!("{what}{}", limit(awaited, host))))
        .collect();
    match awaited.hosts().count().saturating_sub(NAMES_MAX) {
        0 if text.is_empty() => text.push_str(&line("Waiting", Colour::Plain, look, "for nothing")),
        0 => {}
        more => text.push_str(&line("Waiting", Colour::Plain, look, &format!("for {more} more"))),
    }
    text
}

fn in_flight(contact: Option<Contact>) -> String {
    let Some(Contact { step, lost_for }) = contact else { return "for its handover".to_owned() };
    let step = step.map_or_else(|| "for its first step".to_owned(), |step| format!("in {}", step.phrase()));
    let lost = lost_for.map(|lost| format!(", no contact for {} s", lost.as_secs())).unwrap_or_default();
    format!("{step}{lost}")
}

fn limit(awaited: &Awaited, host: &HostName) -> String {
    awaited.deadlines.get(host).map(|deadline| format!("; gives up at {} s", deadline.as_secs())).unwrap_or_default()
}
