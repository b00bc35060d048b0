//! Why a plan must not be carried out. A plan with an objection touches nothing.

use std::fmt;

use super::{Fate, Plan};
use crate::inventory::HostName;
use crate::outcome::{Exit, Refusal};

/// One reason why a plan must not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// A chosen host is broken already: who restarts the others takes away what is left.
    Broken {
        /// The host.
        host: HostName,
        /// What is wrong there.
        refusal: Refusal,
    },
    /// Another rollout has a claim on a chosen host.
    Claimed {
        /// The host.
        host: HostName,
        /// Whose, since when and why.
        refusal: Refusal,
    },
    /// There is no host that would be restarted.
    NothingToRestart,
    /// More canaries are wanted than there are hosts.
    TooManyCanaries {
        /// How many are wanted.
        wanted: usize,
        /// How many hosts would be restarted.
        hosts: usize,
    },
    /// So many cannot be available even with one host in flight.
    Floor {
        /// The zone; none for all hosts.
        zone: Option<String>,
        /// How many must be available.
        min: usize,
        /// How many are, while none is in flight.
        available: usize,
    },
}

impl Objection {
    /// Which kind it is, in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Broken { .. } => "broken",
            Self::Claimed { .. } => "claimed",
            Self::NothingToRestart => "nothing_to_restart",
            Self::TooManyCanaries { .. } => "too_many_canaries",
            Self::Floor { .. } => "floor",
        }
    }

    /// The host that it is about, if it is one.
    #[must_use]
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Broken { host, .. } | Self::Claimed { host, .. } => Some(host),
            Self::NothingToRestart | Self::TooManyCanaries { .. } | Self::Floor { .. } => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let others = "`--leave-out-broken` restarts the others";
        match self {
            Self::Broken { host, refusal } | Self::Claimed { host, refusal } => match &refusal.hint {
                Some(hint) => format!("{hint}; {others}"),
                None => format!("`baton status {host}` shows how it stands; {others}"),
            },
            Self::NothingToRestart => "`baton status` shows how every host stands".to_owned(),
            Self::TooManyCanaries { hosts, .. } => format!("`--canary` may be {hosts} at most"),
            Self::Floor { zone: None, available, .. } => {
                format!("`--min-available` may be {} at most", available.saturating_sub(1))
            }
            Self::Floor { zone: Some(zone), available: 0, .. } => {
                format!("mend a host of zone {zone} first, or leave its hosts out of the selector")
            }
            Self::Floor { zone: Some(_), available, .. } => {
                format!("`--min-available-per-zone` may be {} at most", available.saturating_sub(1))
            }
        }
    }

    /// The exit code that it is.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Claimed { .. } => Exit::Claimed,
            Self::Broken { .. } | Self::NothingToRestart | Self::TooManyCanaries { .. } | Self::Floor { .. } => Exit::Usage,
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { host, refusal } => write!(f, "{host} is broken already: {}", refusal.cause),
            Self::Claimed { host, refusal } => write!(f, "{host}: {}", refusal.cause),
            Self::NothingToRestart => f.write_str("no host would be restarted"),
            Self::TooManyCanaries { wanted, hosts } => {
                write!(f, "{wanted} canaries are wanted, and {hosts} would be restarted in all")
            }
            Self::Floor { zone, min, available } => {
                let place = zone.as_ref().map_or_else(String::new, |zone| format!(" in zone {zone}"));
                write!(f, "{min} must be available{place}, and {available} are: none could be in flight")
            }
        }
    }
}

/// All that speaks against `plan`: hosts first, in their order.
pub(super) fn all(plan: &Plan) -> Vec<Objection> {
    let mut objections: Vec<Objection> = plan.hosts().iter().filter_map(of_host).collect();
    let restarted = plan.restarted_in(None);
    let going = plan.hosts().iter().filter(|planned| !planned.is_left_out()).count();
    let canaries = plan.choices().limits.canaries;
    if going == 0 {
        objections.push(Objection::NothingToRestart);
    } else if canaries > going {
        objections.push(Objection::TooManyCanaries { wanted: canaries, hosts: going });
    }
    // What is missing because a host is broken is told of that host.
    if restarted > 0 && restarted == going {
        objections.extend(floor(None, plan.bounds().available_min, restarted));
        let zones = plan.bounds().zones.iter();
        objections
            .extend(zones.filter_map(|(zone, bounds)| floor(Some(zone), bounds.available_min, plan.restarted_in(Some(zone)))));
    }
    objections
}

fn of_host(planned: &super::Planned) -> Option<Objection> {
    match &planned.fate {
        Fate::Restart(_) | Fate::LeaveOut(_) => None,
        Fate::Refuse(refusal) => {
            let (host, refusal) = (planned.host.clone(), refusal.clone());
            Some(if refusal.is_claimed { Objection::Claimed { host, refusal } } else { Objection::Broken { host, refusal } })
        }
    }
}

fn floor(zone: Option<&String>, min: usize, available: usize) -> Option<Objection> {
    let is_kept = min == 0 || available > min;
    (!is_kept).then(|| Objection::Floor { zone: zone.cloned(), min, available })
}

#[cfg(test)]
mod tests {
    use crate::outcome::Exit;
    use crate::plan::samples::{Builder, builder};

    #[track_caller]
    fn check(plan: Builder, expected: &[&str]) -> Exit {
        let plan = plan.plan();
        let told: Vec<String> = plan.objections().iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
        plan.exit()
    }

    #[test]
    fn a_sound_plan_has_none() {
        assert_eq!(check(builder("+++").available(2).canaries(3), &[]), Exit::Proven);
        assert_eq!(check(builder("+x+").leave_out(), &[]), Exit::Proven);
    }

    #[test]
    fn a_host_that_is_broken_already_is_one_unless_it_is_left_out() {
        assert_eq!(check(builder("+x+"), &["web-2 is broken already: connection refused"]), Exit::Usage);
        let two = ["web-1 is broken already: connection refused", "web-2 is broken already: the lock is not held"];
        assert_eq!(check(builder("xf+"), &two), Exit::Usage);
    }

    #[test]
    fn an_agent_that_grants_no_claims_is_to_be_upgraded() {
        let sentence = "web-1 is broken already: its agent is of version 0.0.9 and grants no claims (level 0, wanted 1)";
        assert_eq!(check(builder("o"), &[sentence]), Exit::Usage);
        assert!(builder("o").plan().objections()[0].hint().starts_with("upgrade the agent there; "));
    }

    #[test]
    fn a_claim_of_another_is_told_with_whose_since_when_and_why_and_has_its_own_exit_code() {
        let claimed = "web-2: rollout r-9 of ada has claimed it 12 s ago (a hot fix)";
        assert_eq!(check(builder("+c+"), &[claimed]), Exit::Claimed);
        assert_eq!(check(builder("xc"), &["web-1 is broken already: connection refused", claimed]), Exit::Claimed);
        assert_eq!(check(builder("+c").leave_out(), &[]), Exit::Proven);
    }

    #[test]
    fn there_must_be_something_to_restart() {
        assert_eq!(check(builder("xx").leave_out(), &["no host would be restarted"]), Exit::Usage);
        assert_eq!(check(builder("xx").leave_out().canaries(9), &["no host would be restarted"]), Exit::Usage);
    }

    #[test]
    fn there_cannot_be_more_canaries_than_hosts() {
        assert_eq!(check(builder("++").canaries(3), &["3 canaries are wanted, and 2 would be restarted in all"]), Exit::Usage);
        let left_out = builder("++x").leave_out().canaries(3);
        assert_eq!(check(left_out, &["3 canaries are wanted, and 2 would be restarted in all"]), Exit::Usage);
    }

    #[test]
    fn a_floor_must_leave_room_for_one_in_flight() {
        check(builder("+++").available(3), &["3 must be available, and 3 are: none could be in flight"]);
        check(builder("++x").leave_out().available(2), &["2 must be available, and 2 are: none could be in flight"]);
        let floor = |builder: Builder| builder.limits(|limits| limits.min_available_per_zone = "1".parse().unwrap());
        check(floor(builder("+++").zones("a a b")), &["1 must be available in zone b, and 1 are: none could be in flight"]);
        let gone = floor(builder("+++x").zones("a a a b").leave_out());
        check(gone, &["1 must be available in zone b, and 0 are: none could be in flight"]);
    }
}
