//! What is waited for, a line for each host: since when, in which step, and when it is given up.

use super::note::{paused, person, person_briefly, soaking};
use super::{Colour, Look, NAMES_MAX, line, names, timed};
use crate::inventory::HostName;
use crate::report::contacts::Contact;
use crate::report::screen::remaining;
use crate::rollout::{Awaited, Picture};

/// A line for each host that is waited for, as far as they fit; and for whatever else is.
pub(super) fn waiting(awaited: &Awaited, picture: &Picture, look: &Look<'_>) -> String {
    let claims = awaited.claims.iter().map(|host| (host, "for its claim".to_owned()));
    let in_flight = awaited.in_flight.iter().map(|host| (host, in_flight(look.contacts.of(host, look.at))));
    let guards = awaited.guards.iter().map(|host| (host, "for its guard to stand".to_owned()));
    let last_looks = awaited.last_looks.iter().map(|host| (host, "for the last look at it".to_owned()));
    let all = claims.chain(in_flight).chain(guards).chain(last_looks);
    let mut text: String = all
        .take(NAMES_MAX)
        .map(|(host, what)| timed("Waiting", Colour::Plain, look, host, &format!("{what}{}", limit(awaited, host))))
        .collect();
    match awaited.hosts().count().saturating_sub(NAMES_MAX) {
        0 => {}
        more => text.push_str(&line("Waiting", Colour::Plain, look, &format!("for {more} more"))),
    }
    for (verb, what) in held_up(awaited, look) {
        text.push_str(&line(verb, Colour::Plain, look, &what));
    }
    if text.is_empty() {
        text.push_str(&line("Waiting", Colour::Plain, look, "for nothing"));
    }
    text.push_str(&how_far(picture, look));
    text
}

/// What is waited for beside hosts: a verb, and a sentence.
fn held_up(awaited: &Awaited, look: &Look<'_>) -> Vec<(&'static str, String)> {
    let course = look.course;
    let person = awaited.person.map(|wave| person(course, wave));
    soaks(awaited, look).into_iter().chain(person).chain(pauses(awaited, look)).collect()
}

fn soaks(awaited: &Awaited, look: &Look<'_>) -> Option<(&'static str, String)> {
    awaited.soaking.map(|(wave, until)| soaking(look.course, wave, until.saturating_sub(look.at)))
}

fn pauses(awaited: &Awaited, look: &Look<'_>) -> Option<(&'static str, String)> {
    awaited.is_paused.then(|| paused(look.course))
}

/// What is waited for beside the hosts that have moving lines of their own: a verb, and a sentence that is not long.
pub(in crate::report) fn at_a_glance(awaited: &Awaited, picture: &Picture, look: &Look<'_>) -> Vec<(&'static str, String)> {
    let claims = match awaited.claims.as_slice() {
        [] => None,
        claims => Some(("Waiting", format!("for the claim on {}", names(claims)))),
    };
    let last_looks = match awaited.last_looks.as_slice() {
        [] => None,
        hosts => Some(("Waiting", format!("for the last look at {}", names(hosts)))),
    };
    let stopping = picture.is_stopping.then(|| ("Halting", "nothing new starts any more (^C leaves at once)".to_owned()));
    let person = awaited.person.map(|_| person_briefly(look.course));
    let held_up = soaks(awaited, look).into_iter().chain(person).chain(pauses(awaited, look));
    claims.into_iter().chain(last_looks).chain(held_up).chain(stopping).collect()
}

/// How far it is, where there are more hosts than are named.
fn how_far(picture: &Picture, look: &Look<'_>) -> String {
    let (done, total) = picture.done();
    if total <= NAMES_MAX {
        return String::new();
    }
    let mut parts = vec![format!("{done} of {total} done")];
    parts.extend(look.course.wave_name(picture.wave));
    parts.extend(look.eta(picture).map(|eta| remaining(eta, picture)));
    line("Rollout", Colour::Plain, look, &parts.join(", "))
}

fn in_flight(contact: Option<Contact<'_>>) -> String {
    let Some(Contact { step, lost_for, .. }) = contact else { return "for its handover".to_owned() };
    let step = step.map_or_else(|| "for its first step".to_owned(), |step| format!("in {}", step.phrase()));
    let lost = lost_for.map(|lost| format!(", no contact for {} s", lost.as_secs())).unwrap_or_default();
    format!("{step}{lost}")
}

fn limit(awaited: &Awaited, host: &HostName) -> String {
    awaited.deadlines.get(host).map(|deadline| format!("; gives up at {} s", deadline.as_secs())).unwrap_or_default()
}
