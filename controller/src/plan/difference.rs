//! What has changed between a plan that was shown and the same plan made anew.
//!
//! **Invariant:** without a difference the new plan does exactly what was shown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use baton_proto::span::Span;

use super::{Fate, Plan, Planned};
use crate::inventory::{Host, HostName};
use crate::standing::Standing;

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The inventory has no such host any more.
    Gone(HostName),
    /// Something of a host is not as it was.
    Changed {
        /// The host.
        host: HostName,
        /// What.
        what: &'static str,
        /// What it was.
        before: String,
        /// What it is.
        now: String,
    },
    /// A host may take another time than it might.
    HostDeadline {
        /// What it was.
        before: Duration,
        /// What it is.
        now: Duration,
    },
    /// The same hosts go in another order, or within other limits.
    Course,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(host) => write!(f, "{host} is not in the inventory any more"),
            Self::Changed { host, what, before, now } => write!(f, "{host}: {what} was {before}, and is {now}"),
            Self::HostDeadline { before, now } => {
                write!(f, "a host might take {}, and may take {} by the agents' configuration", Span(*before), Span(*now))
            }
            Self::Course => f.write_str("the waves or the limits are others"),
        }
    }
}

/// The hosts of `plan` as the inventory has them now, in the order of the plan, and what of it has changed.
#[must_use]
pub fn find(plan: &Plan, inventory: &[Host]) -> (Vec<Host>, Vec<Difference>) {
    let by_name: BTreeMap<&HostName, &Host> = inventory.iter().map(|host| (&host.name, host)).collect();
    let (mut found, mut differences) = (Vec::new(), Vec::new());
    for planned in plan.hosts() {
        match by_name.get(&planned.host) {
            Some(host) => {
                differences.extend(changed(&planned.host, "the address", &planned.address, &host.address));
                differences.extend(changed(&planned.host, "the zone", or_none(planned.zone.as_deref()), or_none(host.zone())));
                found.push((*host).clone());
            }
            None => differences.push(Difference::Gone(planned.host.clone())),
        }
    }
    (found, differences)
}

/// What has changed from `shown` to `now`, which was made with the same choices.
#[must_use]
pub fn differences(shown: &Plan, now: &Plan) -> Vec<Difference> {
    let by_name: BTreeMap<&HostName, &Planned> = now.hosts().iter().map(|planned| (&planned.host, planned)).collect();
    let mut differences = Vec::new();
    for before in shown.hosts() {
        match by_name.get(&before.host) {
            Some(now) => differences.extend(of_host(before, now)),
            None => differences.push(Difference::Gone(before.host.clone())),
        }
    }
    if !differences.is_empty() {
        return differences;
    }
    let (before, after) = (shown.host_deadline(), now.host_deadline());
    if before != after {
        return vec![Difference::HostDeadline { before, now: after }];
    }
    let names = |plan: &Plan| plan.hosts().iter().map(|planned| planned.host.clone()).collect::<Vec<_>>();
    let course = |plan: &Plan| (names(plan), plan.waves().to_vec(), plan.bounds().clone(), plan.choices().clone());
    if course(shown) == course(now) { differences } else { vec![Difference::Course] }
}

fn of_host(before: &Planned, now: &Planned) -> Vec<Difference> {
    let host = &before.host;
    let mut differences = Vec::new();
    differences.extend(changed(host, "the address", &before.address, &now.address));
    differences.extend(changed(host, "the zone", or_none(before.zone.as_deref()), or_none(now.zone.as_deref())));
    differences.extend(changed(host, "the release", or_none(before.release.as_deref()), or_none(now.release.as_deref())));
    match (&before.fate, &now.fate) {
        (Fate::Restart(before), Fate::Restart(now)) => differences.extend(of_standing(host, before, now)),
        (before, now) if before.word() == now.word() => {}
        (before, now) => differences.push(Difference::Changed {
            host: host.clone(),
            what: "what becomes of it",
            before: before.word().to_owned(),
            now: fate(now),
        }),
    }
    differences
}

/// The fate, with its reason.
fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Restart(_) => fate.word().to_owned(),
        Fate::LeaveOut(refusal) | Fate::Refuse(refusal) => format!("{} ({})", fate.word(), refusal.cause),
    }
}

fn of_standing(host: &HostName, before: &Standing, now: &Standing) -> Vec<Difference> {
    let master = |standing: &Standing| {
        standing.master.map_or_else(|| "none".to_owned(), |master| format!("{} of {} ticks", master.pid, master.start_ticks))
    };
    let mut all: Vec<Difference> = Vec::new();
    all.extend(changed(host, "the boot", &before.boot, &now.boot));
    all.extend(changed(host, "the generation", &before.generation.to_string(), &now.generation.to_string()));
    all.extend(changed(host, "the count of drops", &before.epoch.to_string(), &now.epoch.to_string()));
    all.extend(changed(host, "the master", &master(before), &master(now)));
    all
}

fn changed(host: &HostName, what: &'static str, before: &str, now: &str) -> Option<Difference> {
    (before != now).then(|| Difference::Changed { host: host.clone(), what, before: before.to_owned(), now: now.to_owned() })
}

fn or_none(text: Option<&str>) -> &str {
    text.unwrap_or("none")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_proto::custody::Process;

    use super::{differences, find};
    use crate::inventory::samples::host;
    use crate::plan::samples::{Builder, builder};
    use crate::standing::Standing;

    #[track_caller]
    fn check(shown: Builder, now: Builder, expected: &[&str]) {
        let told: Vec<String> = differences(&shown.plan(), &now.plan()).iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    }

    fn standing(change: impl Fn(&mut Standing) + 'static) -> Builder {
        builder("++").standing(2, change)
    }

    #[test]
    fn the_same_plan_has_none_whatever_has_nothing_to_do_with_it() {
        check(builder("++"), builder("++"), &[]);
        let elsewhere = standing(|standing| {
            standing.held_for = None;
            standing.incarnation = "run-2".into();
            standing.fence = 99;
        });
        check(builder("++"), elsewhere.certificate_ends(1, Duration::ZERO), &[]);
        check(builder("+x").leave_out(), builder("+f").leave_out(), &[]);
    }

    #[test]
    fn whoever_restarted_a_host_by_hand_is_found_out() {
        let restarted = standing(|standing| {
            standing.generation = 4;
            standing.master = Some(Process { pid: 200, start_ticks: 9_000 });
        });
        let sentences =
            ["web-2: the generation was 3, and is 4", "web-2: the master was 100 of 5000 ticks, and is 200 of 9000 ticks"];
        check(builder("++"), restarted, &sentences);
        check(builder("++"), standing(|standing| standing.epoch = 3), &["web-2: the count of drops was 2, and is 3"]);
        let booted = standing(|standing| standing.boot = "boot-2".into());
        check(builder("++"), booted, &["web-2: the boot was boot-1, and is boot-2"]);
    }

    #[test]
    fn another_fate_is_told_with_its_reason() {
        let sentence = "web-2: what becomes of it was restart, and is refuse (connection refused)";
        check(builder("++"), builder("+x"), &[sentence]);
        check(builder("+x").leave_out(), builder("++").leave_out(), &["web-2: what becomes of it was leave_out, and is restart"]);
    }

    #[test]
    fn another_course_is_told() {
        check(builder("++").zones("a b"), builder("++").zones("a c"), &["web-2: the zone was b, and is c"]);
        check(builder("++"), builder("++").canaries(1), &["the waves or the limits are others"]);
        let slow = builder("++").handover_within(1, Duration::from_hours(1));
        check(builder("++"), slow, &["a host might take 10 min, and may take 1 h by the agents' configuration"]);
    }

    #[test]
    fn a_host_that_is_gone_from_the_inventory_or_has_moved_in_it_is_named() {
        let plan = builder("+++").zones("a a a").plan();
        let inventory = [host("web-3", "b"), host("web-1", "a"), host("web-9", "a")];
        let (found, differences) = find(&plan, &inventory);
        let names: Vec<&str> = found.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["web-1", "web-3"]);
        let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["web-2 is not in the inventory any more", "web-3: the zone was a, and is b"]);
    }
}
