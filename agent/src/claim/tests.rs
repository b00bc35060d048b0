use std::time::Duration;

use baton_proto::custody::Moment;

use super::{ATTEMPTED_MAX, Attempted, Claimant, Claims, Kept, LEASE, Opened, reason};

fn at(seconds: u64) -> Moment {
    let at = Duration::from_secs(seconds);
    Moment { at, boot: "boot-1".into(), wall: Duration::from_secs(1_795_509_067) + at }
}

fn by(rollout: &str, session: &str) -> Claimant {
    let (rollout, session) = (rollout.to_owned(), session.to_owned());
    Claimant { rollout, session, operator: "ada".into(), reason: "deploy v42".into() }
}

fn free() -> Claims {
    Claims::restored(Kept::default(), Duration::ZERO)
}

/// Claimed at 100 s by the session s-1 of r-1, with the fence 1.
fn claimed() -> Claims {
    let mut claims = free();
    assert_eq!(claims.open(&at(100), by("r-1", "s-1"), None), Ok(Opened { fence: 1, takes_over: false }));
    claims
}

#[track_caller]
fn is_no_claim(claims: &mut Claims, seconds: u64, rollout: &str, fence: u64, expected: &str) {
    let why = claims.admit(&at(seconds), rollout, fence).expect_err("it does not stand");
    assert_eq!(why.to_string(), format!("{expected}; nothing was begun"));
}

#[test]
fn what_is_claimed_is_refused_to_others_with_whose_it_is_since_when_and_why() {
    let taken = claimed().open(&at(109), by("r-2", "s-9"), None).expect_err("it is claimed");
    assert_eq!(
        taken.to_string(),
        "rollout r-1 of ada has claimed it 9 s ago (deploy v42); the claim is renewed and ends 10 s after its controller has gone"
    );
}

#[test]
fn a_claim_that_is_not_renewed_for_a_lease_is_free() {
    let mut claims = claimed();
    assert_eq!(claims.deadline(), Some(Duration::from_secs(110)));
    assert_eq!(claims.renew(Duration::from_secs(109), 1), Ok(()));
    assert_eq!(claims.expire(Duration::from_secs(118)), None);
    assert_eq!(claims.open(&at(119), by("r-2", "s-9"), None), Ok(Opened { fence: 2, takes_over: false }));
    is_no_claim(
        &mut claims,
        120,
        "r-1",
        1,
        "the claim with the fence 1 has ended: one with the fence 2 was granted since, and rollout r-2 of ada has claimed it 1 s ago \
         (deploy v42)",
    );
}

#[test]
fn its_timer_is_set_only_while_it_stands() {
    assert_eq!(free().deadline(), None);
    let mut claims = claimed();
    assert!(claims.expire(Duration::from_secs(110)).is_some(), "it ends then, and is told");
    assert_eq!((claims.deadline(), claims.expire(Duration::from_secs(111))), (None, None));
    let why = claims.renew(Duration::from_secs(111), 1).expect_err("it has ended");
    assert_eq!(why.to_string(), "the claim of rollout r-1 has ended: it was not renewed for 10 s");
}

#[test]
fn another_session_of_the_same_rollout_takes_over_at_once() {
    let mut claims = claimed();
    assert_eq!(claims.open(&at(101), by("r-1", "s-2"), None), Ok(Opened { fence: 2, takes_over: true }));
    assert!(claims.renew(Duration::from_secs(101), 1).is_err());
    assert_eq!(claims.admit(&at(101), "r-1", 2), Ok(()));
    assert!(claims.admit(&at(101), "r-1", 1).is_err());
    // Whoever has lost it does not get its old fence back.
    assert_eq!(claims.open(&at(102), by("r-1", "s-1"), None), Ok(Opened { fence: 3, takes_over: true }));
}

#[test]
fn the_same_session_opens_again_with_the_same_fence_as_long_as_nobody_came_in_between() {
    let mut claims = claimed();
    let again = Ok(Opened { fence: 1, takes_over: false });
    assert_eq!(claims.open(&at(105), by("r-1", "s-1"), None), again);
    assert_eq!(claims.told(&at(106)).map(|claim| claim.age), Some(Duration::from_secs(6)), "it stands since it was claimed");
    assert_eq!(claims.open(&at(200), by("r-1", "s-1"), None), again);
    assert_eq!(claims.told(&at(201)).map(|claim| claim.age), Some(Duration::from_secs(1)), "it had ended meanwhile");
    assert_eq!(claims.release(Duration::from_secs(202), 1), Ok(()));
    is_no_claim(&mut claims, 203, "r-1", 1, "the claim of rollout r-1 was released");
    assert_eq!(claims.open(&at(204), by("r-1", "s-1"), None), again);
}

#[test]
fn while_a_handover_is_under_way_only_its_own_rollout_may_claim() {
    let mut claims = free();
    let taken = claims.open(&at(1), by("r-2", "s-9"), Some("r-1")).expect_err("it is being handed over");
    assert!(taken.to_string().starts_with("a handover of rollout r-1 is under way"), "{taken}");
    assert!(claims.open(&at(1), by("r-1", "s-2"), Some("r-1")).is_ok());
}

#[test]
fn a_fence_that_was_never_granted_or_is_another_rollouts_admits_nothing() {
    is_no_claim(&mut free(), 1, "r-1", 0, "no claim was granted with the fence 0");
    is_no_claim(&mut free(), 1, "r-1", 1, "no claim was granted with the fence 1");
    let claimed_by = "rollout r-1 of ada has claimed it 1 s ago (deploy v42)";
    is_no_claim(&mut claimed(), 101, "r-1", 2, &format!("no claim was granted with the fence 2, and {claimed_by}"));
    is_no_claim(&mut claimed(), 101, "r-2", 1, "the claim with the fence 1 is not that of rollout r-2");
}

#[test]
fn a_fence_of_before_there_were_claims_admits_nothing_and_is_never_granted_again() {
    let mut claims = Claims::restored(Kept { fence: 5, ..Kept::default() }, Duration::ZERO);
    is_no_claim(&mut claims, 1, "r-1", 5, "no claim was granted with the fence 5");
    assert_eq!(claims.open(&at(2), by("r-1", "s-1"), None), Ok(Opened { fence: 6, takes_over: false }));
}

#[test]
fn over_the_death_of_the_agent_a_claim_stands_for_one_fresh_lease() {
    let mut claims = Claims::restored(claimed().kept(), Duration::from_secs(500));
    assert_eq!(claims.deadline(), Some(Duration::from_secs(500) + LEASE));
    assert!(claims.open(&at(505), by("r-2", "s-9"), None).is_err());
    assert_eq!(claims.open(&at(505), by("r-1", "s-1"), None), Ok(Opened { fence: 1, takes_over: false }));
}

#[test]
fn a_claim_that_had_ended_stands_no_more_after_the_death_of_the_agent() {
    let mut claims = claimed();
    assert_eq!(claims.release(Duration::from_secs(101), 1), Ok(()));
    let mut claims = Claims::restored(claims.kept(), Duration::from_secs(500));
    is_no_claim(&mut claims, 501, "r-1", 1, "the claim of rollout r-1 ended before the agent was restarted");
    assert_eq!(claims.open(&at(502), by("r-2", "s-9"), None), Ok(Opened { fence: 2, takes_over: false }));
}

#[test]
fn a_claim_that_could_not_be_written_down_has_used_up_its_fence() {
    let mut claims = claimed();
    claims.forgo(1);
    is_no_claim(&mut claims, 101, "r-1", 1, "the claim of rollout r-1 could not be written to disk");
    assert_eq!(claims.open(&at(102), by("r-2", "s-9"), None), Ok(Opened { fence: 2, takes_over: false }));
    claims.forgo(1);
    assert_eq!(claims.admit(&at(102), "r-2", 2), Ok(()), "that was another's");
}

#[test]
fn attempts_of_a_rollout_only_grow() {
    let mut claims = free();
    assert_eq!(claims.surpasses("r-1", 1), None);
    claims.note_attempt("r-1", 3);
    claims.note_attempt("r-1", 2);
    assert_eq!([2, 3, 4].map(|number| claims.surpasses("r-1", number)), [Some(3), Some(3), None]);
    for number in 0..ATTEMPTED_MAX {
        claims.note_attempt(&format!("later-{number}"), 1);
    }
    assert_eq!(claims.surpasses("r-1", 1), None, "there is a limit");
    let last = Attempted { rollout: format!("later-{}", ATTEMPTED_MAX - 1), number: 1 };
    assert_eq!(claims.kept().attempted.last(), Some(&last));
}

#[test]
fn a_reason_cannot_steer_a_terminal() {
    assert_eq!(reason("deploy\u{1b}[2J\nv42\u{202e}\u{2028} "), "deploy [2J v42");
}
