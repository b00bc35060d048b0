//! A release that does not come to serve: an application that dies while it boots, or a configuration that is refused.

use std::time::Duration;

use baton_tests::deployed::children;
use baton_tests::fleet::Timing;
use baton_tests::server::{Flaw, Release};

use super::Case;
use super::row::tell;
use super::stage::{Stage, outcome};

const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(4), settle: Duration::from_millis(300), drain_within: Duration::from_secs(20) };

/// What was seen, in words: without the server's own test of its configuration, and with it.
pub(super) fn release(case: &Case) -> String {
    let unchecked = unchecked(case);
    let Some(check) = case.check else { return unchecked };
    checked(case);
    format!("{unchecked}; with `{check}`: not signalled")
}

/// Whatever the server makes of such a release: where its test fails, it does not come to that.
fn checked(case: &Case) {
    let mut stage = Stage::set_as(case, |fleet| fleet.timing(TIMING).checked());
    let (master, workers) = (stage.master(), children(stage.master()));
    stage.server().deploy(&Release::flawed("v2", Flaw::RaisesAtBoot));
    let run = stage.reload();
    tell(case, &format!("such a release, with a check: {}", run.stdout.trim_end()));
    assert_eq!((outcome(&run).as_str(), run.code), ("rolled_back", Some(3)), "{run}");
    assert!(!run.text().contains(case.by_hand.reload().as_str()), "it was signalled: {run}");
    assert_eq!(stage.testified().verdict, "unbroken", "{run}");
    assert_eq!((stage.server().master(), children(master)), (Ok(master), workers), "{run}");
    // With a release that is sound it lets the signal pass.
    let release = stage.deploy();
    let run = stage.reload();
    assert_eq!((outcome(&run).as_str(), stage.serving()), ("proven", Some(release)), "{run}");
}

fn unchecked(case: &Case) -> String {
    let mut stage = Stage::set(case, TIMING);
    let master = stage.master();
    stage.server().deploy(&Release::flawed("v2", Flaw::RaisesAtBoot));
    let run = stage.reload();
    let testified = stage.testified();
    tell(case, &format!("a release that does not boot: {}", run.stdout.trim_end()));
    let reason = ["its reason is in the server's own log", "was ready within", "was not ready within"];
    assert!(reason.iter().any(|words| run.text().contains(words)), "it is not said why: {run}");
    let serving = stage.serving();
    match (outcome(&run).as_str(), serving.as_deref()) {
        ("rolled_back", Some("v1")) => {
            assert_eq!((testified.verdict.as_str(), run.code), ("unbroken", Some(3)), "{run}");
            assert_eq!(stage.server().master(), Ok(master), "{run}");
            "rolled back".to_owned()
        }
        ("unproven", Some("v1")) => "the old one serves: `Unproven`".to_owned(),
        ("dropped", None) => "an outage: `Dropped`".to_owned(),
        other => panic!("{other:?}: {run}"),
    }
}
