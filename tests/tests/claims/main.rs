//! Claims on a real agent: one rollout at a time may reload, whoever comes late may not, and nobody is held up by the dead.

mod caller;
mod repeated;

use std::process::Command;
use std::time::Duration;

use baton_tests::fleet::{Fleet, OPERATOR, SERVICE, Timing};
use baton_tests::steps::Steps;
use baton_tests::{binaries, clock, wait};

use caller::{Caller, executions};

/// A lease is 10 s.
const LEASE_AT_LEAST: Duration = Duration::from_secs(9);
/// The lease of a claim of before begins when the agent is started, some time before it is ready.
const LEASE_AFTER_START_AT_LEAST: Duration = Duration::from_secs(6);
const LEASE_WITHIN: Duration = Duration::from_secs(25);

/// Waits until a rollout is granted a claim: its fence, and for how long it was refused.
#[track_caller]
fn granted_at_last(caller: &Caller, rollout: &str) -> (u64, Duration) {
    let began = clock::now();
    let claim = wait::until("the claim", LEASE_WITHIN, || caller.claim(rollout, "s-1").map_err(|refused| refused.to_string()));
    (claim.fence, began.elapsed())
}

#[test]
fn whoever_finds_a_service_claimed_is_told_whose_it_is_and_signals_nothing() {
    let fleet = Fleet::of(1).start();
    let caller = Caller::of(&fleet);
    let _claim = caller.claim("r-1", "s-1").expect("it is free");
    let told = caller.is_refused("r-2", "s-9");
    assert!(told.starts_with("rollout r-1 of uid ") && told.contains("(the test of r-1)"), "{told}");
    let refused = fleet.baton(&["restart", SERVICE, "--yes"]);
    assert_ne!(refused.code, Some(0));
    refused.says(&["web-1", "rollout r-1 of uid ", "(the test of r-1)"]);
    assert!(refused.text().contains("untouched") || refused.text().contains("nothing was touched"), "{refused}");
    let by_hand = on_the_host(&fleet, &["reload", SERVICE]);
    assert!(by_hand.contains("rollout r-1 of uid ") && by_hand.contains("nothing was touched"), "{by_hand}");
    assert_eq!(executions(&fleet), 0);

    let claims = fleet.baton(&["claims"]).expect_code(0);
    claims.says(&["web-1", "web", "r-1", "uid ", "the test of r-1"]);
    let claims = fleet.baton(&["claims", "--output", "json"]).expect_code(0).objects();
    assert_eq!((claims[0]["rollout"].as_str(), claims[0]["fence"].as_u64()), (Some("r-1"), Some(1)));
    let status = on_the_host(&fleet, &["status"]);
    assert!(status.contains("rollout r-1 of uid ") && status.contains("unless it is renewed"), "{status}");
}

/// What `baton-agent` says on the host.
fn on_the_host(fleet: &Fleet, arguments: &[&str]) -> String {
    let mut command = Command::new(binaries::find("baton-agent"));
    command.args(arguments).arg("--socket").arg(fleet.hosts[0].agent.socket());
    let output = command.output().expect("it starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

#[test]
fn another_session_of_a_rollout_takes_over_at_once_and_the_one_before_reloads_no_more() {
    let fleet = Fleet::of(1).start();
    let (crashed, resumed) = (Caller::of(&fleet), Caller::of(&fleet));
    let old = crashed.claim("r-1", "s-1").expect("it is free");
    let old_fence = old.fence;
    let new = resumed.claim("r-1", "s-2").expect("it is the same rollout's");
    assert_eq!((old_fence, new.fence), (1, 2));
    assert_eq!(crashed.is_lost(old), "another session of rollout r-1 has taken the claim over");
    crashed.is_aborted("r-1", 1, old_fence);
    assert_eq!(executions(&fleet), 0);
    resumed.hands_over("r-1", 1, new.fence);
    assert_eq!(executions(&fleet), 1);
}

#[test]
fn a_reload_that_comes_late_with_an_old_fence_or_a_guessed_one_or_none_never_signals() {
    let fleet = Fleet::of(1).start();
    let caller = Caller::of(&fleet);
    assert!(caller.is_aborted("r-1", 1, 0).contains("no claim was granted with the fence 0"));
    let first = caller.claim("r-1", "s-1").expect("it is free");
    let late = first.fence;
    caller.release(first);
    assert!(caller.is_aborted("r-1", 1, late).contains("was released"));
    let second = caller.claim("r-2", "s-1").expect("it was given back");
    assert_eq!(second.fence, late + 1);
    let told = caller.is_aborted("r-1", 1, late);
    assert!(told.contains("rollout r-2 of uid "), "{told}");
    caller.is_aborted("r-1", 1, second.fence);
    caller.is_aborted("r-2", 1, second.fence + 1);
    assert_eq!(executions(&fleet), 0);
    let log = fleet.hosts[0].agent.log();
    for line in ["a claim was granted", "a claim was released", "a reload was refused"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn a_claim_whose_connection_is_cut_without_a_word_frees_itself_after_its_lease() {
    let fleet = Fleet::of(1).start();
    let (dead, next) = (Caller::of(&fleet), Caller::of(&fleet));
    let mut claim = dead.claim("r-1", "s-1").expect("it is free");
    dead.renew(&mut claim).expect("it stands");
    drop(dead);
    let (fence, after) = granted_at_last(&next, "r-2");
    assert_eq!(fence, 2);
    assert!(after >= LEASE_AT_LEAST, "{after:?}");
    next.is_aborted("r-1", 1, 1);
    assert!(fleet.hosts[0].agent.log().contains("a claim has expired"));
    assert_eq!(executions(&fleet), 0);
}

#[test]
fn over_the_death_of_the_agent_a_claim_stands_for_its_session_and_no_fence_goes_back() {
    let mut fleet = Fleet::of(1).start();
    let before = Caller::of(&fleet);
    assert_eq!(before.claim("r-1", "s-1").expect("it is free").fence, 1);
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    fleet.await_held();
    let caller = Caller::of(&fleet);
    assert!(caller.is_refused("r-2", "s-1").starts_with("rollout r-1 of uid "));
    let claim = caller.claim("r-1", "s-1").expect("it is its own");
    assert_eq!(claim.fence, 1);
    caller.hands_over("r-1", 1, claim.fence);
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    let caller = Caller::of(&fleet);
    let (fence, after) = granted_at_last(&caller, "r-2");
    assert_eq!(fence, 2);
    assert!(after >= LEASE_AFTER_START_AT_LEAST, "{after:?}");
    assert_eq!(executions(&fleet), 1);
}

#[test]
fn while_a_handover_is_under_way_only_its_own_rollout_may_claim() {
    let timing = Timing { settle: Duration::from_secs(3), ..Timing::default() };
    let fleet = Fleet::of(1).timing(timing).start();
    let caller = Caller::of(&fleet);
    let claim = caller.claim("r-1", "s-1").expect("it is free");
    let stream = caller.reload("r-1", 1, claim.fence).expect("it is accepted");
    caller.release(claim);
    let told = caller.is_refused("r-2", "s-1");
    assert!(told.starts_with("a handover of rollout r-1 is under way"), "{told}");
    let resumed = caller.claim("r-1", "s-2").expect("it is its own");
    let joined = caller.hands_over("r-1", 1, resumed.fence);
    assert_eq!(caller.hear(stream), joined);
    assert_eq!(executions(&fleet), 1);
    caller.release(resumed);
    assert_eq!(caller.status().claim, None);
    assert!(caller.claim("r-2", "s-1").is_ok());
}

#[test]
fn a_controller_that_was_killed_holds_nobody_up_for_longer_than_a_lease() {
    let timing = Timing { settle: Duration::from_secs(2), ..Timing::default() };
    let fleet = Fleet::of(1).timing(timing).start();
    let mut rollout = Steps::begin(&fleet);
    while rollout.next_step().expect("it goes on") != "ready" {}
    let caller = Caller::of(&fleet);
    let claim = caller.status().claim.expect("it is claimed");
    assert_eq!((claim.operator.as_str(), claim.reason.as_str()), (OPERATOR, "a restart of web"));
    // Its end is `kill -9`.
    drop(rollout);
    let told = caller.is_refused("r-2", "s-1");
    assert!(
        told.contains(&format!("of {OPERATOR} has claimed it")) && told.contains("10 s after its controller has gone"),
        "{told}"
    );
    let (fence, _) = granted_at_last(&caller, "r-2");
    assert_eq!(fence, claim.fence + 1);
    caller.hands_over("r-2", 1, fence);
    assert_eq!(executions(&fleet), 2);
}
