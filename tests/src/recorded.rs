//! The rollouts that the controller's journal knows, and what each service lived through while they were walked.

use std::collections::BTreeSet;

use crate::controller::Run;
use crate::fleet::{Fleet, SERVICE};
use crate::standing::Standing;

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
pub fn way_on(fleet: &Fleet, known: &BTreeSet<String>, walk: &[&str]) -> Vec<String> {
    let rollouts = rollouts(fleet);
    let words: Vec<&str> = match rollouts.difference(known).next() {
        Some(id) => vec!["resume", id, "--yes"],
        None => ["restart", SERVICE, "--yes"].iter().chain(walk).copied().collect(),
    };
    words.into_iter().map(ToOwned::to_owned).collect()
}

/// Goes that way to its end.
///
/// # Panics
/// When `baton` does not end.
#[track_caller]
pub fn go_on(fleet: &Fleet, known: &BTreeSet<String>, walk: &[&str]) -> Run {
    let mut words = way_on(fleet, known, walk);
    words.extend(["--output".to_owned(), "json".to_owned()]);
    fleet.baton(&words.iter().map(String::as_str).collect::<Vec<_>>())
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

/// Fails the test if a rollout still holds a claim.
///
/// # Panics
/// When one does.
#[track_caller]
pub fn nothing_is_claimed(fleet: &Fleet, what: &str) {
    let run = fleet.baton(&["claims", "--output", "json"]).expect_code(0);
    let held: Vec<_> = run.objects().into_iter().filter(|object| object["rollout"].is_string()).collect();
    assert!(held.is_empty(), "{what}: {held:?}");
}
