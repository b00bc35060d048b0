//! One handover with faults: what is told to the patient, and what must come of it.

use std::thread;
use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Host, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Kind, Release};

/// Long enough for whatever is to come, and short where it is to be waited for.
pub(crate) const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(10), settle: Duration::from_millis(200), drain_within: Duration::from_secs(10) };

/// How a handover must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Exit 0: the lock was held throughout, and this is what that rests on.
    Kept(&'static str),
    /// Exit 3: the old generation is in charge, and its lock is unbroken.
    RolledBack,
    /// Exit 4.
    Unproven,
    /// Exit 5.
    Dropped,
    /// Exit 4 or 5: a gap so short that the waiter may have missed it.
    NeverKept,
}

impl Ending {
    /// The exit codes that it may have, and how the verdict may begin.
    fn shown(self) -> (&'static [i32], Vec<String>) {
        let (unproven, dropped) = ("unproven: ".to_owned(), "dropped: the lock was free at #".to_owned());
        match self {
            Self::Kept(basis) => (&[0], vec![format!("kept ({basis}): ")]),
            Self::RolledBack => (&[3], vec!["unbroken (".to_owned()]),
            Self::Unproven => (&[4], vec![unproven]),
            Self::Dropped => (&[5], vec![dropped]),
            Self::NeverKept => (&[4, 5], vec![unproven, dropped]),
        }
    }
}

/// Who answers in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// The old release, and no request failed.
    Old,
    /// The new release, and no request failed.
    New,
    /// The new release, and some requests may have failed.
    NewAfterLosses,
    /// Both releases, and no request failed.
    Both,
    /// Both releases, and some requests may have failed.
    BothAfterLosses,
    /// The old release, and some requests may have failed.
    OldAfterLosses,
    /// Nobody.
    Nobody,
    /// Nobody asks: it is too early for an answer that is always the same.
    Unasked,
}

/// One handover with faults.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    faults: Vec<Fault>,
    timing: Timing,
    ending: Ending,
    because: Vec<&'static str>,
    seen: Vec<&'static str>,
    serves: Serves,
}

impl Trial {
    /// A handover with these faults, and its ending.
    pub(crate) fn of(faults: &[Fault], ending: Ending) -> Self {
        let serves = match ending {
            Ending::Kept(_) => Serves::New,
            Ending::RolledBack => Serves::Old,
            Ending::Unproven | Ending::Dropped | Ending::NeverKept => Serves::NewAfterLosses,
        };
        Self { faults: faults.to_vec(), timing: TIMING, ending, because: Vec::new(), seen: Vec::new(), serves }
    }

    /// A part of the sentence that says why.
    pub(crate) fn because(mut self, words: &'static str) -> Self {
        self.because.push(words);
        self
    }

    /// A part of a line of the testimony.
    pub(crate) fn seen(mut self, words: &'static str) -> Self {
        self.seen.push(words);
        self
    }

    /// Who serves in the end, if it is somebody unusual.
    pub(crate) fn serves(mut self, serves: Serves) -> Self {
        self.serves = serves;
        self
    }

    /// Deadlines of its own.
    pub(crate) fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Whether it ends as it must on this host.
    ///
    /// # Panics
    /// When it does not: with all that is wrong, and all that was told.
    #[track_caller]
    pub(crate) fn expect_on(&self, fleet: &Fleet, host: &Host) {
        assert_eq!(complaint(self, &self.try_on(fleet, host)), None);
    }

    fn try_on(&self, fleet: &Fleet, host: &Host) -> Tried {
        let server = &host.server;
        server.deploy(&Release::sound("v2"));
        server.set_faults(&self.faults);
        let load = Load::start(&[server.address()], Mix::default());
        let run = fleet.baton(&["restart", "web", &host.name]);
        let serving = server.ask("/").map(|answer| answer.release).ok();
        let failed = load.stop().failed();
        let testimony = fleet.baton(&["testimony", &host.name, "web"]).stdout;
        Tried { run, testimony, serving, failed }
    }

    fn faults_of(&self, tried: &Tried) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |is_so: bool, what: String| {
            if !is_so {
                wrong.push(what);
            }
        };
        let (codes, verdicts) = self.ending.shown();
        check(tried.run.code.is_some_and(|code| codes.contains(&code)), format!("the exit code is not one of {codes:?}"));
        let judged = tried.testimony.lines().find_map(|line| line.strip_prefix("verdict  ")).unwrap_or_default();
        check(verdicts.iter().any(|verdict| judged.starts_with(verdict)), format!("the verdict is not one of {verdicts:?}"));
        let told = tried.run.text();
        for words in &self.because {
            let is_told = told.lines().any(|line| line.contains(words) && (codes == [0] || line.starts_with("error: ")));
            check(is_told, format!("it is not told that {words:?}"));
        }
        for words in &self.seen {
            check(tried.testimony.contains(words), format!("{words:?} is not in the testimony"));
        }
        let (releases, is_lossless): (&[&str], _) = match self.serves {
            Serves::Old => (&["v1"], true),
            Serves::New => (&["v2"], true),
            Serves::Both => (&["v1", "v2"], true),
            Serves::NewAfterLosses => (&["v2"], false),
            Serves::OldAfterLosses => (&["v1"], false),
            Serves::BothAfterLosses => (&["v1", "v2"], false),
            Serves::Nobody | Serves::Unasked => (&[], false),
        };
        let serving = tried.serving.as_deref();
        let is_served = serving.map_or(releases.is_empty(), |release| releases.contains(&release));
        check(is_served || self.serves == Serves::Unasked, format!("{serving:?} serves, not {releases:?}"));
        check(!is_lossless || tried.failed == 0, format!("{} requests failed", tried.failed));
        wrong
    }
}

/// What came of it.
#[derive(Debug)]
struct Tried {
    run: Run,
    testimony: String,
    serving: Option<String>,
    failed: u64,
}

/// Tries all of them at once, each on a host of its own and in a rollout of its own, for most of them halt one.
#[track_caller]
pub(crate) fn side_by_side(trials: &[Trial]) {
    let fleet = Fleet::of(trials.len()).server(Kind::Patient);
    let fleet = trials
        .iter()
        .enumerate()
        .fold(fleet, |fleet, (index, trial)| fleet.timing_of(&format!("web-{}", index + 1), trial.timing));
    on(&fleet.start(), trials);
}

/// As [`side_by_side`], on a fleet that has a host for each.
#[track_caller]
pub(crate) fn on(fleet: &Fleet, trials: &[Trial]) {
    assert_eq!(fleet.hosts.len(), trials.len(), "each trial has a host");
    let wrong: Vec<String> = thread::scope(|scope| {
        let tried: Vec<_> =
            trials.iter().zip(&fleet.hosts).map(|(trial, host)| scope.spawn(move || trial.try_on(fleet, host))).collect();
        let tried = tried.into_iter().map(|tried| tried.join().expect("a trial comes to its end"));
        trials.iter().zip(tried).filter_map(|(trial, tried)| complaint(trial, &tried)).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn complaint(trial: &Trial, tried: &Tried) -> Option<String> {
    let wrong = trial.faults_of(tried);
    let Tried { run, testimony, failed, .. } = tried;
    let told =
        || format!("=== {:?}\n{}\n{run}--- testimony\n{testimony}--- {failed} requests failed", trial.faults, wrong.join("\n"));
    (!wrong.is_empty()).then(told)
}
