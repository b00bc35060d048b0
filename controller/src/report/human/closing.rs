//! The last lines of a rollout: what is proven, who is not and why, who is untouched, and the next command to type.

use std::fmt::Write as _;

use super::{Colour, Look, Text, because, clock, gutter, names, sentence};
use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::report::course::Course;
use crate::rollout::{Stop, Summary};

/// The last lines.
pub(super) fn finished(service: &str, rollout: &str, summary: &Summary, look: &Look<'_>) -> Text {
    let (verb, colour) = match &summary.stop {
        Some(Stop::Doubt(_) | Stop::PastBudget { .. } | Stop::Claimed(_) | Stop::Floor { .. } | Stop::Deadline) => {
            ("Halted", Colour::Red)
        }
        Some(Stop::StopAfter(_)) => ("Stopped", Colour::Yellow),
        Some(Stop::Aborted) => ("Aborted", Colour::Yellow),
        Some(Stop::Interrupted) => ("Interrupted", Colour::Yellow),
        None => ("Done", Colour::Green),
    };
    let result = format!("{} {}   {}\n", gutter(verb, colour, look), clock(look), tally(summary, look.course));
    let mut progress = String::new();
    if let Some((error, hint)) = complaint(service, rollout, summary) {
        write!(progress, "\nerror: {error}\nhint: {hint}\n").expect("writing to a string cannot fail");
    }
    for hint in Next::after(rollout, summary, look.course).hints(summary) {
        writeln!(progress, "hint: {hint}").expect("writing to a string cannot fail");
    }
    Text { result, progress }
}

/// The error that it ends with, and what to do about it.
fn complaint(service: &str, rollout: &str, summary: &Summary) -> Option<(String, String)> {
    if let Some((host, outcome)) = summary.gravest() {
        return Some(sentence::complaint(host, service, outcome));
    }
    let stop = summary.stop.as_ref()?;
    let hint = match stop {
        Stop::Claimed(host) => format!("`baton claims {host}` shows whose it is, since when and why"),
        Stop::Floor { .. } => "`baton status` shows which hosts are not available".to_owned(),
        Stop::Deadline => format!("`baton show {rollout}` tells how long each host took"),
        Stop::Doubt(_) | Stop::PastBudget { .. } | Stop::StopAfter(_) | Stop::Aborted | Stop::Interrupted => return None,
    };
    Some((format!("nothing new was started, {}", because(stop)), hint))
}

/// How many are proven, who is not and why not, and who was not touched.
fn tally(summary: &Summary, course: &Course) -> String {
    let proven = summary.hosts.iter().filter(|(_, outcome)| matches!(outcome, Some(Outcome::Proven(_)))).count();
    let mut parts = vec![format!("{proven} of {} proven", summary.hosts.len())];
    let (left_out, chosen): (Vec<_>, Vec<_>) = summary.hosts.iter().partition(|(host, _)| course.left_out.contains(host));
    for word in ["rolled back", "refused", "unproven", "unknown", "dropped"] {
        let ended = chosen.iter().filter(|(_, outcome)| outcome.as_ref().is_some_and(|outcome| outcome.word() == word));
        let hosts: Vec<HostName> = ended.map(|(host, _)| host.clone()).collect();
        if !hosts.is_empty() {
            parts.push(format!("{} {word}", names(&hosts)));
        }
    }
    let left_out: Vec<HostName> = left_out.into_iter().map(|(host, _)| host.clone()).collect();
    if !left_out.is_empty() {
        parts.push(format!("{} left out", names(&left_out)));
    }
    let untouched: Vec<HostName> = summary.untouched().cloned().collect();
    if summary.hosts.iter().all(|(_, outcome)| matches!(outcome, Some(Outcome::Refused(_)) | None)) {
        parts.push("nothing was touched".to_owned());
    } else if !untouched.is_empty() {
        parts.push(format!("{} untouched", names(&untouched)));
    }
    parts.join("; ")
}

/// The commands that a rollout leaves to be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Next {
    /// Goes on with what was not touched, and asks again where nobody knows.
    pub(in crate::report) resume: Option<String>,
    /// Does so, and tries those that failed again.
    pub(in crate::report) retry: Option<String>,
    /// Takes the hosts back to the release that they had.
    pub(in crate::report) undo: Option<String>,
}

impl Next {
    /// What can be done after `rollout` has ended so. One that was aborted never goes on.
    pub(in crate::report) fn after(rollout: &str, summary: &Summary, course: &Course) -> Self {
        let is_aborted = summary.stop == Some(Stop::Aborted);
        let any = |is_such: fn(&Outcome) -> bool| {
            let chosen = summary.hosts.iter().filter(|(host, _)| !course.left_out.contains(host));
            chosen.filter_map(|(_, outcome)| outcome.as_ref()).any(is_such)
        };
        let goes_on = summary.untouched().next().is_some() || any(is_unknown);
        let resume = format!("baton resume {rollout}");
        Self {
            resume: (!is_aborted && goes_on).then(|| resume.clone()),
            retry: (!is_aborted && any(has_failed)).then(|| format!("{resume} --retry-failed")),
            undo: (course.switches_release && any(is_touched)).then(|| format!("baton undo {rollout}")),
        }
    }

    fn hints(&self, summary: &Summary) -> Vec<String> {
        let once = match &summary.stop {
            Some(Stop::Claimed(_)) => "once the other rollout is over, ",
            Some(Stop::Floor { .. }) => "once more hosts are available, ",
            Some(Stop::Interrupted | Stop::StopAfter(_) | Stop::Deadline | Stop::Aborted) => "",
            Some(Stop::Doubt(_) | Stop::PastBudget { .. }) | None => "once that is mended, ",
        };
        let untouched = summary.untouched().next().map(|_| "goes on with the hosts that were not touched");
        let unknown = summary.hosts.iter().any(|(_, outcome)| outcome.as_ref().is_some_and(is_unknown));
        let unknown = unknown.then_some("asks again where nobody knows");
        let does = untouched.into_iter().chain(unknown).collect::<Vec<_>>().join(" and ");
        let resume = match (&self.resume, &self.retry) {
            (Some(resume), None) => Some(format!("{once}`{resume}` {does}")),
            (Some(resume), Some(_)) => {
                Some(format!("{once}`{resume}` {does}; add --retry-failed to try those that failed again"))
            }
            (None, Some(retry)) => Some(format!("{once}`{retry}` tries those that failed again")),
            (None, None) => None,
        };
        let undo =
            self.undo.as_ref().map(|undo| format!("`{undo}` takes the hosts that were switched back to the release they had"));
        resume.into_iter().chain(undo).collect()
    }
}

fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown(_))
}

/// Whether it is tried again only where that is asked for.
fn has_failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused(_) | Outcome::RolledBack { .. } | Outcome::Unproven(_) | Outcome::Dropped(_) => true,
        Outcome::Proven(_) | Outcome::Unknown(_) => false,
    }
}

/// Whether another release may run there.
fn is_touched(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Proven(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_) => true,
        Outcome::Refused(_) | Outcome::RolledBack { .. } => false,
    }
}
