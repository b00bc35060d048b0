//! What it takes to undo a rollout: for each host that it touched, the release to go back to, or why it is left as it is.
//!
//! **Invariant:** a host is taken back only from what this rollout left there: what others deployed since stays.

use std::collections::BTreeMap;

use super::{Entry, fold};
use crate::inventory::HostName;
use crate::outcome::{Outcome, Refusal};
use crate::plan::Releases;
use crate::rollout::PastHost;
use crate::standing::Standing;

/// What becomes of a host when its rollout is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// It goes back to this release.
    Back(String),
    /// It is left as it is.
    Leave(Why),
}

/// Why a host is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nobody knew what it ran.
    #[error("which release it ran before is not known")]
    NoneKnown,
    /// Nothing is to be undone.
    #[error("it runs {0}, as before")]
    AsBefore(String),
    /// Somebody else deployed since.
    #[error("it runs {now}, and this rollout left {left}: somebody deployed since")]
    Another {
        /// What it runs now.
        now: String,
        /// What the rollout left there.
        left: String,
    },
    /// Nobody knows what it runs.
    #[error("which release it runs now is not known")]
    NowUnknown,
    /// It gives no answer.
    #[error("it cannot be looked at: {0}")]
    NoAnswer(String),
}

impl Why {
    /// Whether there is nothing to be undone.
    #[must_use]
    pub fn is_as_wanted(&self) -> bool {
        match self {
            Self::AsBefore(_) => true,
            Self::NoneKnown | Self::Another { .. } | Self::NowUnknown | Self::NoAnswer(_) => false,
        }
    }
}

/// What becomes of each host that the rollout to `releases` touched, by its journal and by how the hosts stand now.
///
/// A host without a standing was not looked at, and is left.
#[must_use]
pub fn choose(
    entries: &[Entry],
    releases: &Releases,
    now: &BTreeMap<HostName, Result<Standing, Refusal>>,
) -> Vec<(HostName, Undo)> {
    let (past, before) = (fold(entries), before(entries));
    let of = |(host, before): (&HostName, &str)| {
        let known = past.hosts.get(host)?;
        Some((host.clone(), undo(before, left(known, releases.of(host)), now.get(host))))
    };
    before.into_iter().filter_map(of).collect()
}

/// The release that each host ran before it was touched: by the first look, whatever the later attempts found.
fn before(entries: &[Entry]) -> BTreeMap<&HostName, &str> {
    let mut before = BTreeMap::new();
    for entry in entries {
        if let Entry::Asked { host, before: standing, .. } = entry {
            before.entry(host).or_insert(standing.release.as_str());
        }
    }
    before
}

fn undo(before: &str, left: Option<&str>, now: Option<&Result<Standing, Refusal>>) -> Undo {
    if before.is_empty() {
        return Undo::Leave(Why::NoneKnown);
    }
    let now = match now {
        Some(Ok(standing)) => standing.release.as_str(),
        Some(Err(refusal)) => return Undo::Leave(Why::NoAnswer(refusal.cause.clone())),
        None => return Undo::Leave(Why::NoAnswer("it was not asked".into())),
    };
    if now.is_empty() {
        return Undo::Leave(Why::NowUnknown);
    }
    if now == before {
        return Undo::Leave(Why::AsBefore(now.to_owned()));
    }
    // A rollout to no release left what was there.
    let left = left.unwrap_or(before);
    if left == now {
        Undo::Back(before.to_owned())
    } else {
        Undo::Leave(Why::Another { now: now.to_owned(), left: left.to_owned() })
    }
}

/// The release that the rollout left there: the proven one, else the one that it wanted.
fn left<'a>(known: &'a PastHost, release: Option<&'a str>) -> Option<&'a str> {
    match &known.settled {
        Some(Outcome::Proven(proof)) if !proof.release.is_empty() => Some(&proof.release),
        Some(
            Outcome::Proven(_)
            | Outcome::Refused(_)
            | Outcome::RolledBack { .. }
            | Outcome::Unproven(_)
            | Outcome::Dropped(_)
            | Outcome::Unknown(_),
        )
        | None => release,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Undo, choose};
    use crate::inventory::HostName;
    use crate::journal::Entry;
    use crate::outcome::samples::{proven, rolled_back};
    use crate::outcome::{Outcome, Proof};
    use crate::plan::Releases;
    use crate::standing::Standing;
    use crate::standing::samples::healthy;

    fn on(release: &str) -> Standing {
        Standing { release: release.into(), ..healthy() }
    }

    /// The last of the releases `before` its attempts, `outcome` of the last attempt, and what runs `now`.
    fn check(before: &[&str], outcome: Option<&Outcome>, to: Option<&str>, now: Option<&str>, expected: &str) {
        let host = HostName::parse("web-1").unwrap();
        let mut entries: Vec<Entry> = Vec::new();
        for (attempt, release) in (1..).zip(before) {
            entries.push(Entry::Asked { host: host.clone(), attempt, before: Box::new(on(release)) });
            let outcome = outcome.cloned();
            entries.extend(outcome.map(|outcome| Entry::Settled { host: host.clone(), attempt, outcome, evidence: None }));
        }
        let now = now.map_or_else(|| Err("connection refused".into()), |release| Ok(on(release)));
        let releases = to.map_or(Releases::Current, |release| Releases::One(release.to_owned()));
        let chosen = choose(&entries, &releases, &BTreeMap::from([(host, now)]));
        let told: Vec<String> = chosen
            .into_iter()
            .map(|(_, undo)| match undo {
                Undo::Back(release) => format!("back to {release}"),
                Undo::Leave(why) => why.to_string(),
            })
            .collect();
        assert_eq!(told.join("\n"), expected);
    }

    #[test]
    fn a_host_goes_back_to_what_it_ran_before_the_first_attempt() {
        check(&["v1"], Some(&proven()), Some("v2"), Some("v2"), "back to v1");
        check(&["v1", "v2"], Some(&proven()), Some("v2"), Some("v2"), "back to v1");
        check(&["v1"], None, Some("v2"), Some("v2"), "back to v1");
        check(&["v1"], Some(&Outcome::Unknown("lost".into())), Some("v2"), Some("v2"), "back to v1");
        let Outcome::Proven(proof) = proven() else { panic!("it is proven") };
        let followed = Outcome::Proven(Proof { release: "v2".into(), ..proof });
        check(&["v1"], Some(&followed), None, Some("v2"), "back to v1");
    }

    #[test]
    fn a_host_is_left_that_runs_what_this_rollout_did_not_leave() {
        check(&["v1"], Some(&proven()), Some("v2"), Some("v3"), "it runs v3, and this rollout left v2: somebody deployed since");
        check(&["v1"], Some(&proven()), None, Some("v3"), "it runs v3, and this rollout left v1: somebody deployed since");
        check(&["v1"], Some(&rolled_back()), Some("v2"), Some("v1"), "it runs v1, as before");
        check(&["v1"], Some(&proven()), None, Some("v1"), "it runs v1, as before");
    }

    #[test]
    fn a_host_is_left_where_a_release_is_not_known() {
        check(&[""], Some(&proven()), Some("v2"), Some("v2"), "which release it ran before is not known");
        check(&["v1"], Some(&proven()), Some("v2"), Some(""), "which release it runs now is not known");
        check(&["v1"], Some(&proven()), Some("v2"), None, "it cannot be looked at: connection refused");
        check(&[], None, Some("v2"), Some("v2"), "");
    }
}
