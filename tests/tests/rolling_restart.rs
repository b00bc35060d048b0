//! The main job: a fleet of real Unicorns is restarted, host by host, under load, with proof.

use std::time::Duration;

use baton_tests::fleet::Fleet;
use baton_tests::load::{Load, Mix};
use baton_tests::server::Release;

/// Keeping connections, making new ones, and requests that are longer than a handover.
const MIX: Mix = Mix { keep_alive: 3, close: 3, pace: Duration::from_millis(30), long: 1, long_for: Duration::from_millis(700) };

#[test]
fn three_rolling_restarts_in_a_row_lose_no_request_and_prove_every_host() {
    let fleet = Fleet::of(3).start();
    let load = Load::start(&fleet.targets(), MIX);
    let mut before = fleet.standings();
    let first = before.clone();
    for release in ["v2", "v3", "v4"] {
        fleet.deploy(&Release::sound(release));
        let run = fleet.baton(&["restart", "web", "--output", "json"]).expect_code(0);
        let outcomes = run.outcomes();
        assert_eq!(outcomes.len(), fleet.hosts.len(), "{run}");
        assert!(outcomes.iter().all(|outcome| outcome.is_proven("marked")), "{run}");
        let after = fleet.standings();
        for (before, after) in before.iter().zip(&after) {
            assert_ne!(before.master, after.master, "{run}");
            assert_eq!(before.generation + 1, after.generation, "{run}");
        }
        before = after;
    }
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "{tally}");
    for ((host, first), last) in fleet.hosts.iter().zip(&first).zip(&before) {
        assert_eq!(first.epoch, last.epoch, "{last:?}");
        let target = host.server.address();
        assert_eq!(tally.releases(target).into_iter().collect::<Vec<_>>(), ["v1", "v2", "v3", "v4"], "{tally}");
        assert_eq!(tally.masters(target).len(), 4, "{tally}");
    }
}
