use super::{Account, settle};
use crate::outcome::samples::{dropped, handed_over, undone};
use crate::outcome::{DropSeen, Outcome, Unproven};
use crate::standing::Standing;
use crate::standing::samples::healthy;
use baton_proto::custody::{Claim, Doubt, Process, Seq};

fn check(change: impl FnOnce(&mut Account), expected: &str) {
    let mut account = handed_over();
    change(&mut account);
    assert_eq!(settle(&healthy(), account).word(), expected);
}

#[test]
fn a_clean_handover_is_proven_and_names_both_masters() {
    let Outcome::Proven(proof) = settle(&healthy(), handed_over()) else { panic!("not proven") };
    assert_eq!((proof.kept.before().pid, proof.kept.after().pid, proof.generation), (100, 200, 4));
}

#[test]
fn the_agents_word_never_makes_it_proven() {
    check(|account| account.testimony.observations.truncate(2), "unproven");
    check(|account| account.ending.claim = Claim::Broken, "unproven");
    check(|account| account.ending.claim = Claim::RolledBack, "unproven");
    check(|account| account.testimony.service = "api".into(), "unproven");
    check(|account| account.testimony.boot = "boot-2".into(), "unproven");
    check(|account| account.testimony.truncated = true, "unproven");
}

#[test]
fn a_testimony_of_an_anonymous_agent_or_of_another_master_is_doubted() {
    let mut account = handed_over();
    account.testimony.incarnation.clear();
    account.testimony.observations.iter_mut().for_each(|observation| observation.incarnation.clear());
    assert_eq!(settle(&healthy(), account), Outcome::Unproven(Unproven::Anonymous));
    let before = Standing { master: Some(Process { pid: 99, start_ticks: 1 }), ..healthy() };
    assert!(matches!(settle(&before, handed_over()), Outcome::Unproven(Unproven::OtherMaster { .. })));
}

#[test]
fn a_drop_outweighs_what_the_agent_says() {
    for claim in [Claim::HandedOver, Claim::RolledBack, Claim::Broken] {
        let mut account = dropped();
        account.ending.claim = claim;
        assert_eq!(settle(&healthy(), account), Outcome::Dropped(DropSeen::InWindow(Seq(11))));
    }
}

#[test]
fn a_rollback_needs_the_old_master_at_both_ends() {
    assert_eq!(settle(&healthy(), undone()).word(), "rolled back");
    let mut account = undone();
    account.testimony.observations.pop();
    account.testimony.closed = Seq(3);
    let Outcome::Unproven(Unproven::Undone { doubt: Doubt::EndOpen { .. }, .. }) = settle(&healthy(), account) else {
        panic!("proven")
    };
}
