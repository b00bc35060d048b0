//! `kill -9` of the controller at every commit to its journal: `resume` ends where an undisturbed run ends, each service is signalled
//! exactly once, and nothing stays claimed.
//!
//! `BATON_WRITES=1` makes it every single write to the journal instead, as `make soak` does.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use baton_tests::controller::Running;
use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::killed::{Deed, Killer, Point, When};
use baton_tests::recorded::{Lived, go_on, is_as_undisturbed, nothing_is_claimed, rollouts};
use baton_tests::server::Kind;

const HOSTS: usize = 3;
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(20), settle: Duration::ZERO, drain_within: Duration::from_secs(20) };
const WALK: [&str; 2] = ["--max-in-flight", "2"];
const RUN_WITHIN: Duration = Duration::from_mins(1);
/// More than this and it does not end by itself.
const POINTS_MAX: u32 = 2_000;
/// A walk over three hosts commits at least this often: each is claimed, asked and settled.
const COMMITS_MIN: u32 = 9;
/// Where a walk is killed whose resumed run is killed again: two hosts are asked, and the last is not.
const MIDWAY: u32 = 12;

/// A fleet, and what kills its controller.
struct Stage {
    fleet: Fleet,
    killer: Killer,
}

impl Stage {
    fn set() -> Self {
        let fleet = Fleet::of(HOSTS).server(Kind::Patient).timing(TIMING).start();
        let killer = Killer::compile(fleet.directory());
        Self { fleet, killer }
    }

    /// Runs `baton` to its end, or until it is killed; whether it was.
    fn is_killed(&self, args: &[&str], point: Point) -> bool {
        let mut command = self.fleet.command();
        command.args(args).args(["--output", "json"]);
        self.killer.kill_at(&mut command, point);
        let run = Running::start(command, self.fleet.directory()).finish(RUN_WITHIN);
        if run.code.is_some() {
            let _survived = run.expect_code(0);
            return false;
        }
        true
    }

    /// One walk that is killed at a point and resumed, from an empty journal on; whether it was killed.
    fn is_resumed_from(&self, point: Point) -> bool {
        self.forget();
        let before = Lived::of(&self.fleet);
        let was_killed = self.is_killed(&[&["restart", SERVICE, "--yes"], &WALK[..]].concat(), point);
        let what = format!("killed {point}");
        if was_killed {
            self.ends_as_undisturbed(&what);
        }
        before.is_followed_by_one_handover_of_each(&Lived::of(&self.fleet), &what);
        nothing_is_claimed(&self.fleet, &what);
        was_killed
    }

    fn ends_as_undisturbed(&self, what: &str) {
        let run = go_on(&self.fleet, &BTreeSet::new(), &WALK).finish(RUN_WITHIN);
        is_as_undisturbed(&run, what);
    }

    /// Nothing is in the journal any more.
    fn forget(&self) {
        match fs::remove_dir_all(self.fleet.config().with_file_name("state")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("the journal cannot be removed: {error}"),
            Ok(()) | Err(_) => {}
        }
    }
}

fn deed() -> Deed {
    if std::env::var_os("BATON_WRITES").is_some() { Deed::Write } else { Deed::Sync }
}

/// From the first one to the one that never comes, for the walk is over.
fn every_point(when: When, mut is_killed: impl FnMut(Point) -> bool) {
    let survived = (1..POINTS_MAX).find(|at| !is_killed(Point { deed: deed(), at: *at, when }));
    let survived = survived.expect("a walk that is killed late enough is over before");
    assert!(survived > COMMITS_MIN, "only {survived} writes were seen: the journal was not written ahead");
}

#[test]
fn a_controller_killed_before_any_commit_is_resumed_and_signals_nothing_twice() {
    let stage = Stage::set();
    every_point(When::Before, |point| stage.is_resumed_from(point));
}

#[test]
fn a_controller_killed_after_any_commit_is_resumed_and_signals_nothing_twice() {
    let stage = Stage::set();
    every_point(When::After, |point| stage.is_resumed_from(point));
}

/// Resuming is the code that runs least: it is killed as often as everything else.
#[test]
fn a_resumed_run_killed_after_any_commit_is_resumed_again_and_signals_nothing_twice() {
    let stage = Stage::set();
    let mut was_killed = true;
    for at in 1..POINTS_MAX {
        stage.forget();
        let before = Lived::of(&stage.fleet);
        let first = Point { deed: Deed::Sync, at: MIDWAY, when: When::After };
        assert!(stage.is_killed(&[&["restart", SERVICE, "--yes"], &WALK[..]].concat(), first), "it was to be killed midway");
        let id = rollouts(&stage.fleet).pop_first().expect("it is in the journal");
        let point = Point { deed: deed(), at, when: When::After };
        was_killed = stage.is_killed(&["resume", &id], point);
        let what = format!("killed {first}, and its resumed run {point}");
        if was_killed {
            stage.ends_as_undisturbed(&what);
        }
        before.is_followed_by_one_handover_of_each(&Lived::of(&stage.fleet), &what);
        nothing_is_claimed(&stage.fleet, &what);
        if !was_killed {
            break;
        }
    }
    assert!(!was_killed, "a run that is killed late enough is over before");
}
