//! What is done around a handover, and which release its processes run.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use tokio::task::AbortHandle;

use super::run::Run;
use super::{Driver, Input};
use crate::config;
use crate::failure::chain;
use crate::handover::{Answer, Around, Errand, Event, Intent, Outcome};
use crate::os::process;
use crate::os::program::{self, Manner};
use crate::release::truth::{self, Whereabouts};
use crate::release::{self, Switch};
use crate::service::{Attempt, Refusal};
use crate::store::UnderWay;

/// What a handover does about the service's releases.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// From one release to another, if one was named.
    pub(super) switch: Option<Switch>,
    /// The one that every process of the new generation has to run, from the signal on, and the directory that it is in.
    wanted: Option<(String, PathBuf)>,
}

impl Course {
    /// That of a handover which an earlier run of the agent has begun.
    pub(super) fn resumed(under_way: &UnderWay) -> Self {
        let path = |bytes: &Vec<u8>| PathBuf::from(OsString::from_vec(bytes.clone()));
        let is_switching = !under_way.release.is_empty();
        let switch = is_switching.then(|| Switch { before: path(&under_way.link_before), after: path(&under_way.link_after) });
        Self { switch, wanted: None }
    }
}

/// A command under way; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    /// What is to be done around a handover to this release.
    pub(super) fn around(&self, release: &str) -> Around {
        let errands = &self.config.errands;
        Around {
            release: Some(release.to_owned()).filter(|release| !release.is_empty()),
            has_before: errands.before.is_some(),
            has_check: errands.check.is_some(),
            has_after: errands.after.is_some(),
        }
    }

    /// What it takes to switch to the release that was asked for, if one was.
    pub(super) fn course(&self, attempt: &Attempt) -> Result<Course, Refusal> {
        if attempt.release.is_empty() {
            return Ok(Course::default());
        }
        let Some(releases) = &self.config.releases else {
            let text = format!(
                "release {} was asked for, and this service has no releases: give it `release = {{ directory, link }}`",
                attempt.release
            );
            return Err(Refusal::Precondition(text));
        };
        let switch = release::switch_to(releases, &attempt.release).map_err(|error| Refusal::Precondition(chain(&error)))?;
        Ok(Course { switch: Some(switch), wanted: None })
    }

    /// Notes which release the new generation has to run: that which the link names right before the signal.
    pub(super) fn note_wanted_release(&mut self) {
        let (Some(run), Some(releases)) = (&mut self.run, &self.config.releases) else { return };
        run.course.wanted = release::current(releases).zip(fs::canonicalize(&releases.directory).ok());
    }

    pub(super) fn switch(&mut self, forth: bool) -> Vec<Event> {
        let Some(run) = &mut self.run else { return Vec::new() };
        // A hook that is under way, of a handover that has failed meanwhile, must not see it done.
        run.errand = None;
        let switched = match (&run.course.switch, &self.config.releases) {
            (Some(switch), Some(releases)) if forth => {
                let (link, after) = (releases.link.display(), switch.after.display());
                switch.forth(&releases.link).map(|()| format!("{link} names {after}")).map_err(|error| chain(&error))
            }
            (Some(switch), Some(releases)) => switch_back(switch, &releases.link),
            // The configuration was changed under a handover that an earlier run of the agent has begun.
            (Some(_) | None, _) => Ok("there is no release to switch".to_owned()),
        };
        vec![Event::Switched(switched)]
    }

    /// Switches back the release of a handover that is not gone on with, unless its generation had been ready; what to tell of that.
    pub(super) fn switch_back_of(&self, under_way: &UnderWay) -> String {
        let course = Course::resumed(under_way);
        let (Some(switch), Some(releases)) = (course.switch, &self.config.releases) else { return String::new() };
        if under_way.intent() == Intent::Retire {
            return String::new();
        }
        match switch_back(&switch, &releases.link) {
            Ok(told) => format!("; {told}"),
            Err(cause) => format!("; and {cause}"),
        }
    }

    /// Begins to run a command; it is told when it has ended.
    pub(super) fn run_errand(&mut self, errand: Errand, outcome: Option<Outcome>) -> Vec<Event> {
        let (errands, manner) = (&self.config.errands, self.manner());
        let wanted = match errand {
            Errand::Before => &errands.before,
            Errand::Check => &errands.check,
            Errand::After => &errands.after,
        };
        let (Some(run), Some(wanted)) = (&mut self.run, wanted.clone()) else {
            return vec![Event::Ran(errand, Ok("there is none".to_owned()))];
        };
        let (window, environment, own) = (run.window(), environment(&self.config.name, run, outcome), self.own.clone());
        let task = tokio::spawn(async move {
            let ran = carry_out(&wanted, manner, environment).await;
            // The driver is gone only when the agent stops.
            let _ = own.send(Input::Ran(window, errand, ran)).await;
        });
        run.errand = Some(Running(task.abort_handle()));
        Vec::new()
    }

    /// As whom and where commands of the service are run: as the service itself, where the agent starts it.
    pub(super) fn manner(&self) -> Option<Manner> {
        let start = self.config.start.as_ref()?;
        Some(Manner {
            user: start.user.clone(),
            group: start.group.clone(),
            environment: start.environment.clone(),
            directory: start.directory.clone(),
        })
    }

    /// What a right answer is worth when it is also looked which release the new generation runs.
    pub(super) fn with_release(&self, answer: Answer) -> Answer {
        let (Answer::Ready(detail), Some(run)) = (&answer, &self.run) else { return answer };
        match run.verify() {
            Ok(None) => answer,
            Ok(Some(told)) => Answer::Ready(format!("{detail}; {told}")),
            Err(cause) => Answer::Stale(cause),
        }
    }

    /// Looks once more which release the new workers run.
    pub(super) fn verify(&self) -> Vec<Event> {
        let verified = self.run.as_ref().map_or(Ok(None), Run::verify);
        vec![Event::Verified(verified.map(|_| ()))]
    }

    /// Notes which release the generation in charge runs.
    pub(super) fn note_release(&mut self) {
        let master = self.held.as_ref().map(|held| held.master().pid);
        self.stored.release = master.and_then(|master| self.release_of(master)).unwrap_or_default();
    }

    /// The release that a master runs, as far as that can be told.
    pub(super) fn release_of(&self, master: u32) -> Option<String> {
        let releases = self.config.releases.as_ref()?;
        let directory = fs::canonicalize(&releases.directory).ok()?;
        let whereabouts = process::whereabouts(master);
        let seen = whereabouts.iter().find_map(|path| truth::release(path, &directory));
        seen.map(str::to_owned).or_else(|| release::current(releases))
    }
}

impl Run {
    /// Which release the new generation runs: what is to be told of it, where that is known.
    fn verify(&self) -> Result<Option<String>, String> {
        let Some((wanted, directory)) = &self.course.wanted else { return Ok(None) };
        let processes: Vec<Whereabouts> =
            self.new_generation().into_iter().map(|pid| Whereabouts { pid, paths: process::whereabouts(pid) }).collect();
        let seen = truth::of(&processes, directory, wanted)?;
        Ok(Some(match seen {
            0 => format!("which release it runs is not told by where its processes are (wanted: {wanted})"),
            _ => format!("{seen} of {} processes run release {wanted}", processes.len()),
        }))
    }

    /// The processes of the new generation, as they are now.
    fn new_generation(&self) -> Vec<u32> {
        match &self.new {
            Some(new) => {
                let master = new.master().pid;
                let below = process::descendants(master, Some(self.old.master().pid));
                [master].into_iter().chain(below.into_iter().map(|process| process.pid)).collect()
            }
            None => self.new_workers().into_iter().map(|worker| worker.pid).collect(),
        }
    }
}

/// Switches back: what to tell of that, or why it is not done.
fn switch_back(switch: &Switch, link: &Path) -> Result<String, String> {
    let told = || format!("{} names {} as before", link.display(), switch.before.display());
    switch.back(link).map(|()| told()).map_err(|error| chain(&error))
}

/// Runs a command: what it said, or why it failed.
async fn carry_out(
    errand: &config::Errand,
    manner: Option<Manner>,
    environment: Vec<(&'static str, String)>,
) -> Result<String, String> {
    let config::Errand { command, within } = errand;
    let name = command.first().map(String::as_str).unwrap_or_default();
    let ran = program::run(command, manner.as_ref(), environment, *within).await;
    let ended = ran.map_err(|error| format!("{name} cannot be run: {error}"))?;
    let (is_right, told) = ended.told(name, *within);
    let lines = ended.last_lines();
    match (is_right, lines.is_empty()) {
        (true, true) => Ok("done".to_owned()),
        (true, false) => Ok(lines),
        (false, true) => Err(told),
        (false, false) => Err(format!("{told}: {lines}")),
    }
}

/// What a command is told.
fn environment(service: &str, run: &Run, outcome: Option<Outcome>) -> Vec<(&'static str, String)> {
    let name = |path: Option<&PathBuf>| {
        path.and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let switch = run.course.switch.as_ref();
    let mut environment = vec![
        ("BATON_SERVICE", service.to_owned()),
        ("BATON_ROLLOUT", run.attempt.rollout.clone()),
        ("BATON_ATTEMPT", run.attempt.number.to_string()),
        ("BATON_MASTER", run.old.master().pid.to_string()),
        ("BATON_RELEASE", name(switch.map(|switch| &switch.after))),
        ("BATON_RELEASE_BEFORE", name(switch.map(|switch| &switch.before))),
    ];
    if let Some(outcome) = outcome {
        let result = match outcome {
            Outcome::HandedOver => "handed-over",
            Outcome::RolledBack => "rolled-back",
            Outcome::Broken => "broken",
        };
        environment.push(("BATON_RESULT", result.to_owned()));
    }
    environment
}
