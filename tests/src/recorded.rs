//! The rollouts that the controller's journal knows, and what each service lived through while they were walked.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::controller::{Run, Running};
use crate::fleet::{Fleet, SERVICE};
use crate::standing::Standing;
use crate::wait;

/// A lease is 10 s.
const LEASE_WITHIN: Duration = Duration::from_secs(15);

/// The rollouts that `baton history` lists.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn rollouts(fleet: &Fleet) -> BTreeSet<String> {
    let run = fleet.baton(&["history", "--output", "json"]).expect_code(0);
    run.objects().iter().filter_map(|object| object["rollout"].as_str().map(ToOwned::to_owned)).collect()
}

/// What to type to go on with the rollout that is in the journal and is not among the `known`; where it never came into the journal,
/// that is to begin.
///
/// # Panics
/// When `baton history` does not tell.
#[track_caller]
fn way_on(fleet: &Fleet, known: &BTreeSet<String>, walk: &[&str]) -> Vec<String> {
    let rollouts = rollouts(fleet);
    let words: Vec<&str> = match rollouts.difference(known).next() {
        Some(id) => vec!["resume", id],
        None => ["restart", SERVICE, "--yes"].iter().chain(walk).copied().collect(),
    };
    words.into_iter().map(ToOwned::to_owned).collect()
}

/// Goes that way.
///
/// # Panics
/// When `baton history` does not tell.
#[track_caller]
pub fn go_on(fleet: &Fleet, known: &BTreeSet<String>, walk: &[&str]) -> Running {
    let words = way_on(fleet, known, walk);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--output", "json"]).collect();
    fleet.begin(&words)
}

/// Fails the test unless a run ended as one that nobody disturbs does.
///
/// # Panics
/// When it did not: with `what` had been done to it.
#[track_caller]
pub fn is_as_undisturbed(run: &Run, what: &str) {
    assert_eq!(run.code, Some(0), "{what}: {run}");
}

/// Where each service of patients is, and how often each was signalled.
#[derive(Debug, Clone)]
pub struct Lived {
    standings: Vec<Standing>,
    asked: Vec<usize>,
}

impl Lived {
    /// As it is now.
    ///
    /// # Panics
    /// When `baton status` does not tell.
    #[track_caller]
    pub fn of(fleet: &Fleet) -> Self {
        Self { standings: fleet.standings(), asked: fleet.hosts.iter().map(|host| host.server.handovers_asked()).collect() }
    }

    /// Fails the test unless each service was signalled once since, by which it came to its next generation, and lost nothing.
    ///
    /// # Panics
    /// When one was not: with `what` had been done to it.
    #[track_caller]
    pub fn is_followed_by_one_handover_of_each(&self, now: &Self, what: &str) {
        let before = self.standings.iter().zip(&self.asked);
        for ((before, asked_before), (now, asked_now)) in before.zip(now.standings.iter().zip(&now.asked)) {
            let host = &before.host;
            assert_eq!(asked_now - asked_before, 1, "{what}: {host} was not signalled once");
            assert_eq!(now.generation, before.generation + 1, "{what}: {host}");
            assert_eq!(now.epoch, before.epoch, "{what}: {host} dropped its lock");
        }
    }
}

/// Waits until no rollout holds a claim any more: one that was killed when all was done leaves them to their leases.
///
/// # Panics
/// When one does for longer than that.
#[track_caller]
pub fn nothing_is_claimed(fleet: &Fleet, what: &str) {
    wait::until("nothing to be claimed", LEASE_WITHIN, || {
        let run = fleet.baton(&["claims", "--output", "json"]).expect_code(0);
        let held: Vec<_> = run.objects().into_iter().filter(|object| object["rollout"].is_string()).collect();
        if held.is_empty() { Ok(()) } else { Err(format!("{what}: {held:?}")) }
    });
}
