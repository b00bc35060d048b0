//! An attempt that is asked for again signals nothing: it is joined while it is under way, and told again when it is over.

use std::time::Duration;

use baton_tests::fleet::{Fleet, Timing};
use tonic::Code;

use crate::caller::{Caller, executions};

#[test]
fn an_attempt_is_joined_while_it_is_under_way_and_told_again_when_it_is_over() {
    let timing = Timing { settle: Duration::from_secs(1), ..Timing::default() };
    let mut fleet = Fleet::of(1).timing(timing).start();
    let caller = Caller::of(&fleet);
    let claim = caller.claim("r-1", "s-1").expect("it is free");
    let first = caller.reload("r-1", 1, claim.fence).expect("it is accepted");
    // Whoever joins begins nothing, and needs no claim for it.
    let joined = caller.reload("r-1", 1, 0).expect("it is joined");
    let first = caller.hear(first);
    assert_eq!(caller.hear(joined), first, "both hear the same from the beginning");
    caller.release(claim);
    let again = caller.hands_over("r-1", 1, 7);
    assert_eq!(again, first);
    assert_eq!(executions(&fleet), 1, "it was signalled once");

    // The agent remembers over its own death.
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    fleet.await_held();
    let caller = Caller::of(&fleet);
    assert_eq!(caller.hands_over("r-1", 1, 1), first);
    assert_eq!(executions(&fleet), 1, "it was signalled once");
}

#[test]
fn attempts_of_one_rollout_only_grow_whatever_died_in_between() {
    let mut fleet = Fleet::of(1).start();
    let caller = Caller::of(&fleet);
    let claim = caller.claim("r-1", "s-1").expect("it is free");
    caller.hands_over("r-1", 2, claim.fence);
    let is_refused = |caller: &Caller| {
        let refused = caller.reload("r-1", 1, claim.fence).expect_err("an attempt of before");
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("attempt 1 of rollout r-1"), "{refused}");
    };
    is_refused(&caller);
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    fleet.await_held();
    let caller = Caller::of(&fleet);
    is_refused(&caller);
    assert_eq!(executions(&fleet), 1, "it was signalled once");
    caller.hands_over("r-1", 3, claim.fence);
    assert_eq!(executions(&fleet), 2);
}
