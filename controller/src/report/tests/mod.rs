//! What people and programs see, word for word.

mod looking;
mod plans;
mod rollout;
mod screen;
mod waiting;

use std::time::Duration;

use super::contacts::Contacts;
use super::course::Course;
use super::human::{self, Look};
use super::{Told, json};
use crate::inventory::HostName;
use crate::rollout::{Picture, Stage, Whereabouts};

fn name(number: usize) -> HostName {
    HostName::parse(&format!("web-{number}")).unwrap()
}

/// Everything told, as one page: stdout after `|`, stderr after `:`.
fn page(told: &[(u64, Told<'_>)]) -> String {
    let mut page = String::new();
    each(told, |told, look| {
        let text = human::render(told, look);
        for (sign, text) in [("|", &text.result), (":", &text.progress)] {
            for line in text.lines() {
                page.push_str(format!("{sign} {line}").trim_end());
                page.push('\n');
            }
        }
    });
    page
}

fn objects(told: &[(u64, Told<'_>)]) -> String {
    let mut lines = String::new();
    each(told, |told, look| lines.push_str(&json::render(told, look)));
    lines
}

/// Each thing, at its tenth of a second, with what is known by then.
fn each(told: &[(u64, Told<'_>)], mut show: impl FnMut(&Told<'_>, &Look<'_>)) {
    let (mut course, mut contacts) = (Course::default(), Contacts::default());
    for (tenths, told) in told {
        let at = Duration::from_millis(tenths * 100);
        course.learn(told);
        contacts.learn(told, at);
        show(told, &Look { at, host_width: 5, painted: false, course: &course, contacts: &contacts });
    }
}

/// A rollout in which each host is where its letter says, as on the map; `c` is confirming.
fn picture(letters: &str) -> Picture {
    let whereabouts = |letter| match letter {
        '=' => Whereabouts::Guarded,
        '.' => Whereabouts::Waiting,
        '>' => Whereabouts::InFlight,
        'c' => Whereabouts::Confirming,
        '~' => Whereabouts::Redialling,
        '!' => Whereabouts::RolledBack,
        '?' => Whereabouts::Unknown,
        'X' => Whereabouts::Dropped,
        _ => Whereabouts::LeftOut,
    };
    let hosts: Vec<Whereabouts> = letters.chars().map(whereabouts).collect();
    let open = hosts.iter().enumerate().filter(|(_, host)| host.is_open()).map(|(place, _)| (place, name(place + 1))).collect();
    Picture { hosts, open, wave: 0, stage: Stage::Walking, is_paused: false, is_stopping: false, starts_max: None }
}
