//! Two rollouts at once never interleave on a host: the second is refused, and says by whom.

use std::time::Duration;

use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::server::Kind;
use baton_tests::steps::Steps;

#[test]
fn a_second_rollout_is_refused_while_a_handover_is_under_way_and_signals_nothing() {
    let timing = Timing { settle: Duration::from_secs(2), ..Timing::default() };
    let fleet = Fleet::of(1).server(Kind::Patient).timing(timing).start();
    let before = fleet.standings();
    let mut first = Steps::begin(&fleet);
    while first.next_step().expect("it goes on") != "ready" {}
    let second = fleet.baton(&["restart", SERVICE, "--yes"]).expect_code(6);
    assert!(second.stderr.contains("has claimed it"), "{second}");
    let (text, code) = first.finish();
    assert_eq!(code, 0, "{text}");
    assert_eq!(fleet.standings()[0].generation, before[0].generation + 1, "{text}\n{second}");
}

#[test]
fn of_two_rollouts_that_looked_at_the_same_state_only_one_is_served() {
    let fleet = Fleet::of(1).server(Kind::Patient).start();
    let before = fleet.standings();
    let rollouts = [fleet.begin(&["restart", SERVICE, "--yes"]), fleet.begin(&["restart", SERVICE, "--yes"])];
    let codes = rollouts.map(|rollout| rollout.finish(Duration::from_mins(1)).code);
    let proven = u64::try_from(codes.iter().filter(|code| **code == Some(0)).count()).expect("a small number");
    // One after the other is fine too, if the second looked after the first had ended.
    assert!(proven >= 1 && codes.iter().all(|code| matches!(code, Some(0 | 3 | 6))), "{codes:?}");
    assert_eq!(fleet.standings()[0].generation, before[0].generation + proven, "{codes:?}");
}
