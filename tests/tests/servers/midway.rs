//! `kill -9` in the middle of a handover, and a reload's signal that somebody else sends.

use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::deployed::children;
use baton_tests::fleet::{SERVICE, Timing};
use baton_tests::server;
use baton_tests::testified::begin;
use baton_tests::wait;
use nix::sys::signal::Signal;

use super::request::Request;
use super::row::{either, tell};
use super::stage::{REQUESTS, SOON, Stage, outcome};
use super::{ByHand, Case};

/// A handover is struck while the new generation settles and the old one has a request in flight.
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(12), settle: Duration::from_secs(1), drain_within: Duration::from_secs(5) };
const SETTLING: &str = "it must stay so for";

/// What is done in the middle of a handover, away from this master.
type Deed<'a> = &'a dyn Fn(&Stage, u32);

/// What was seen when parts of it were killed, in words.
pub(super) fn killed(case: &Case) -> String {
    let mut stage = Stage::set(case, TIMING);
    let deeds: [(&str, Deed<'_>); 2] = match case.by_hand {
        ByHand::Beside(..) => [("old", &|_, old| kill(old)), ("new", &|stage, old| kill(stage.other_master(old)))],
        ByHand::InPlace(_) => {
            [("workers", &|_, master| children(master).into_iter().for_each(kill)), ("master", &|_, master| kill(master))]
        }
    };
    let seen = deeds.map(|(victim, deed)| {
        let word = strike(&mut stage, deed).word();
        stage.boot_again();
        (victim, word)
    });
    // Of all the ends that it comes to, the agent sees one first. Whichever it is halts.
    let all = strike(&mut stage, &|stage, _| stage.server().kill());
    assert!(["dropped", "unproven"].contains(&all.outcome.as_str()) && all.lock == "free", "{all:?}");
    tell(case, &format!("killed amid a reload: {seen:?}; all: {}", all.outcome));
    either(seen)
}

fn kill(pid: u32) {
    server::signal(pid, Signal::SIGKILL);
}

/// What was seen when somebody else had sent the signal before, and when he sent it meanwhile; in words.
pub(super) fn signalled(case: &Case) -> String {
    let mut stage = Stage::set(case, TIMING);
    let signal = |stage: &Stage| server::signal(stage.master(), case.by_hand.reload());
    let amid = strike(&mut stage, &|stage, _| signal(stage)).word();
    // It is no worse for it, or it is said what is: whoever obeyed twice has two masters now.
    let amid = match reload(&mut stage).word().as_str() {
        "`Kept`" => amid,
        next => format!("{amid}, the next {next}"),
    };
    if amid != "`Kept`" {
        stage.boot_again();
    }
    let release = stage.deploy();
    signal(&stage);
    stage.await_release(&release);
    let before = reload(&mut stage).word();
    stage.boot_again();
    at_once(case, &mut stage, signal);
    let seen = [("before", before), ("amid", amid)];
    tell(case, &format!("signalled by somebody else: {seen:?}"));
    either(seen)
}

/// Two signals in a row are one, or two, or the death of some servers: which one differs from run to run. What is proven serves the new
/// release all the same, and was held by the ledger.
fn at_once(case: &Case, stage: &mut Stage, signal: impl Fn(&Stage)) {
    let release = stage.deploy();
    signal(stage);
    let run = stage.reload();
    let testified = stage.testified();
    assert!(outcome(&run) != "proven" || stage.serving() == Some(release), "{run}");
    tell(case, &format!("signalled by somebody else at once: {}, {}", outcome(&run), testified.judged));
}

/// A handover that was struck.
#[derive(Debug)]
struct Struck {
    run: Run,
    outcome: String,
    /// Who serves afterwards.
    serving: Serving,
    /// What the status then says of the lock.
    lock: String,
    /// Whether workers without a master stay.
    has_orphans: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Serving {
    Before,
    After,
    Both,
    Nobody,
}

impl Struck {
    /// In the words of the README. Whatever is called proven must serve the new release, and what is rolled back the old one.
    #[track_caller]
    fn word(&self) -> String {
        let word = match (self.outcome.as_str(), &self.serving, self.lock.as_str()) {
            // Whose worker takes up a request is chance.
            ("unproven", Serving::Before | Serving::After | Serving::Both, "held") if self.has_orphans => {
                "the new one and orphans serve: `Unproven`"
            }
            ("proven", Serving::After, "held") => "`Kept`",
            ("rolled_back", Serving::Before, "held") => "rolled back",
            ("unproven", Serving::After, "held") => "the new one serves: `Unproven`",
            ("unproven", Serving::Before | Serving::After | Serving::Both, "orphaned") => "orphans serve: `Unproven`",
            // Its workers lived longer than the handover.
            ("unproven", Serving::Nobody, "free") => "`Unproven`, then all gone",
            ("dropped", Serving::Nobody, "free") => "`Dropped`",
            ("refused", Serving::Before | Serving::Both, "held") => "refused",
            other => panic!("{other:?}: {}", self.run),
        };
        word.to_owned()
    }
}

/// A handover in the middle of which this is done.
fn strike(stage: &mut Stage, deed: Deed<'_>) -> Struck {
    let (old, before) = (stage.master(), stage.serving());
    let request = Request::send(stage.server());
    let after = stage.deploy();
    let running = begin(&stage.fleet, stage.host(), &["reload", SERVICE, "--output", "json"]);
    running.wait_to_read(&[SETTLING], SOON);
    deed(stage, old);
    let run = running.finish(SOON);
    drop(request);
    struck(stage, run, before.as_deref(), &after)
}

/// A handover to another release, undisturbed.
fn reload(stage: &mut Stage) -> Struck {
    let before = stage.serving();
    let after = stage.deploy();
    let run = stage.reload();
    struck(stage, run, before.as_deref(), &after)
}

fn struck(stage: &mut Stage, run: Run, before: Option<&str>, after: &str) -> Struck {
    stage.testified();
    let has_orphans = stage.await_no_orphans().is_err();
    let (serving, lock) = wait::until("the lock to be as whoever serves", SOON, || {
        let serving = serving(stage, before, after)?;
        let status = stage.status();
        let lock = status["lock"].as_str().unwrap_or_default().to_owned();
        if (lock == "free") == (serving == Serving::Nobody) { Ok((serving, lock)) } else { Err(format!("{serving:?}, {status}")) }
    });
    Struck { outcome: outcome(&run), run, serving, lock, has_orphans }
}

/// Whose the next answers are.
fn serving(stage: &Stage, before: Option<&str>, after: &str) -> Result<Serving, String> {
    let answers: Vec<Option<String>> = (0..REQUESTS).map(|_| stage.serving()).collect();
    let count = |release: Option<&str>| answers.iter().filter(|answer| answer.as_deref() == release).count();
    match (count(before), count(Some(after)), count(None)) {
        (REQUESTS, ..) => Ok(Serving::Before),
        (_, REQUESTS, _) => Ok(Serving::After),
        (_, _, REQUESTS) => Ok(Serving::Nobody),
        (_, _, 0) => Ok(Serving::Both),
        _ => Err(format!("{answers:?}")),
    }
}
