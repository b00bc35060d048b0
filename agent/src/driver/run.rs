//! A handover under way: performs what [`Handover`] decides, and tells it what came of it.

use std::mem::Discriminant;
use std::time::Duration;

use baton_proto::custody::{Fact, Image, Process, Role, Seq, Shape, Testimony, Witness};
use baton_proto::step::Step;
use baton_proto::v1;
use baton_proto::v1::reload_event::Event as Told;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::errands::{Course, Running};
use super::generation::Generation;
use super::holder::Held;
use super::pid_files::Before;
use super::publish::Audience;
use super::turn::Turn;
use super::{Driver, Inbox};
use crate::config;
use crate::handover::{Answer, Errand, Event, Handover, Intent, Timing};
use crate::journal::Journal;
use crate::os::clock;
use crate::os::process;
use crate::probe::{Crew, Senders, Sides};
use crate::service::{Attempt, Refusal};
use crate::store::{Flush, RECORDS_MAX, Stored, UnderWay};
use crate::waiter::Grant;

/// A handover under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) attempt: Attempt,
    pub(super) handover: Handover,
    pub(super) journal: Journal,
    /// The number with which the window opened, for the first look.
    pub(super) opened: Option<Seq>,
    pub(super) old: Generation,
    pub(super) new: Option<Generation>,
    /// The workers of before, of a master that stays.
    pub(super) workers: Vec<Process>,
    /// The pid files as they were before the signal.
    pub(super) pid_files: Before,
    pub(super) deadline: Option<Duration>,
    pub(super) step: Step,
    pub(super) steps: Vec<v1::Progress>,
    pub(super) audience: Audience<Told>,
    pub(super) probing: Option<AbortHandle>,
    /// Whether a walk is being made for whoever of the old generation nobody has listed.
    pub(super) seeks: bool,
    pub(super) turn: Turn,
    /// The workers that the last probe has counted.
    pub(super) crew: Crew,
    /// Who has said that it is ready.
    pub(super) senders: Senders,
    /// What kind of answer the last probe got.
    pub(super) last_answer: Option<Discriminant<Answer>>,
    /// What it does about releases.
    pub(super) course: Course,
    /// The command under way.
    pub(super) errand: Option<Running>,
    /// Who gave the last right answer.
    pub(super) answered_by: Option<u32>,
}

/// The first number of this incarnation: after those of a handover that is to be resumed.
pub(super) fn first_number(stored: &Stored) -> Seq {
    let testimony = stored.under_way.as_ref().and_then(|under_way| under_way.record.as_ref()?.testimony.as_ref());
    Seq(testimony.map_or(1, |testimony| testimony.closed_seq.saturating_add(1)))
}

impl Run {
    /// A handover away from the master that is held; nothing is done yet.
    pub(super) fn new(attempt: Attempt, held: &Held, course: Course, turn: Turn, driver: &Driver) -> Self {
        let opened = driver.numbers.take();
        let shape = driver.config.dialect.row().shape;
        let journal = Journal::open(driver.config.name.clone(), shape, driver.witness(opened), held.seen.lock.file);
        let old = Generation::of(held.master(), driver.own.clone());
        Self { opened: Some(opened), course, ..Self::with(attempt, journal, old, None, turn, driver) }
    }

    fn with(
        attempt: Attempt,
        journal: Journal,
        mut old: Generation,
        new: Option<Generation>,
        turn: Turn,
        driver: &Driver,
    ) -> Self {
        old.remember_program();
        let config::Service { ready, drain, .. } = &driver.config;
        let timing =
            Timing { ready_within: ready.within, settle: ready.settle, drain_within: drain.within, drain_then: drain.then };
        let around = driver.around(&attempt.release);
        Self {
            attempt,
            handover: Handover::new(timing, driver.config.dialect.row(), around, old.master()),
            journal,
            opened: None,
            old,
            new,
            workers: Vec::new(),
            pid_files: driver.pid_files.before(),
            deadline: None,
            step: Step::Open,
            steps: Vec::new(),
            audience: Audience::default(),
            probing: None,
            seeks: false,
            turn,
            crew: Crew::default(),
            senders: Senders::unless(driver.deaf.clone()),
            last_answer: None,
            course: Course::default(),
            errand: None,
            answered_by: None,
        }
    }

    /// Which window this is; no other handover of this incarnation has it.
    pub(super) fn window(&self) -> Seq {
        self.journal.testimony().opened
    }

    /// Whether the master stays, by exec or not.
    pub(super) fn is_stationary(&self) -> bool {
        match self.journal.testimony().shape {
            Shape::Beside => false,
            Shape::InPlace | Shape::Exec => true,
        }
    }

    /// When the window was opened, which is before the signal.
    pub(super) fn opened_at(&self) -> Option<Duration> {
        self.journal.testimony().observations.first().map(|line| line.at)
    }

    /// What the master ran when it was first looked at.
    pub(super) fn first_image(&self) -> Option<Image> {
        self.journal.testimony().observations.iter().find_map(|line| Some(line.fact.sighting()?.image))
    }

    /// Everybody below the master before the signal, as it was listed.
    pub(super) fn listed(&self) -> &[Process] {
        let master = self.old.master();
        self.journal.testimony().observations.iter().find_map(|line| line.fact.listing(master)).unwrap_or_default()
    }

    /// The children of a master that stays that are not of before; the one that answered last goes first.
    pub(super) fn new_workers(&self) -> Vec<Process> {
        let (listed, signalled_at) = (self.listed(), self.signalled_at());
        let mut workers = process::children_of(self.old.master().pid);
        workers.retain(|worker| !self.old.includes(*worker) && !listed.contains(worker));
        // A listing may miss one that was there (`proc_pid_task(5)`).
        workers.retain(|worker| signalled_at.is_none_or(|at| process::started(*worker) + process::TICK > at));
        workers.sort_by_key(|worker| Some(worker.pid) != self.answered_by);
        workers
    }

    /// When the master was signalled.
    fn signalled_at(&self) -> Option<Duration> {
        let master = self.old.master();
        self.journal.testimony().observations.iter().find(|line| line.fact.signals(master)).map(|line| line.at)
    }

    /// Between whom a probe has to tell when the master stays.
    pub(super) fn sides(&self) -> Sides {
        let image = match self.journal.testimony().shape {
            Shape::Exec => self.first_image(),
            Shape::Beside | Shape::InPlace => None,
        };
        let old = self.old.pids().into_iter().chain(self.listed().iter().map(|worker| worker.pid)).collect();
        Sides::Workers { master: self.old.master().pid, old, image, since: self.signalled_at() }
    }

    /// As whom a process of this role is testified.
    pub(super) fn told_as(&self, role: Role) -> Role {
        if self.is_stationary() && role == Role::OldMaster { Role::Master } else { role }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    pub(super) fn step(&self) -> v1::Step {
        self.step.into()
    }

    /// Lets another caller follow, if it is the same attempt.
    pub(super) fn join(&mut self, attempt: &Attempt) -> Result<mpsc::Receiver<Told>, Refusal> {
        if (&self.attempt.rollout, self.attempt.number) != (&attempt.rollout, attempt.number) {
            let Attempt { rollout, number, .. } = &self.attempt;
            let text = format!("a handover is under way (rollout {rollout}, attempt {number}, step {})", self.step);
            return Err(Refusal::Precondition(text));
        }
        let so_far: Vec<Told> = self.steps.iter().cloned().map(Told::Progress).collect();
        self.audience.admit(so_far)
    }

    pub(super) fn note_grant(&mut self, grant: Grant) {
        self.journal.note(grant.seq, grant.at, Fact::Grant { file: grant.file });
    }

    pub(super) fn generation(&mut self, role: Role) -> Option<&mut Generation> {
        match role {
            Role::OldMaster => Some(&mut self.old),
            Role::NewMaster => self.new.as_mut(),
            Role::Master | Role::Worker => None,
        }
    }

    /// Takes hold of every process of a generation, as it is now.
    pub(super) fn gather(&mut self, role: Role) {
        let old = self.old.master();
        let new = self.new.as_ref().map(Generation::master);
        let other = if role == Role::OldMaster { new } else { Some(old) };
        if let Some(generation) = self.generation(role) {
            generation.gather(other);
        }
    }
}

impl Driver {
    /// This run of the agent, as a witness from this number on.
    fn witness(&self, from: Seq) -> Witness {
        Witness { incarnation: self.witness.incarnation.clone(), boot: self.witness.boot.clone(), from }
    }

    /// Begins the handover that was prepared, if one was: its window is not opened yet.
    pub(super) async fn begin(&mut self, inbox: &mut Inbox) {
        let Some(run) = self.run.as_mut().filter(|run| run.opened.is_some()) else { return };
        let Attempt { rollout, number, .. } = run.attempt.clone();
        self.note_attempt(&rollout, number);
        let Some(run) = &mut self.run else { return };
        let actions = run.handover.begin();
        self.pursue(actions, inbox).await;
    }

    /// Goes on with the handover in whose middle the agent died, if there is one.
    pub(super) async fn resume(&mut self, inbox: &mut Inbox) {
        // It stays on disk until the handover is over: whatever is written meanwhile, the next run of the agent has to know of it.
        let Some(under_way) = self.stored.under_way.clone() else { return };
        let Some(run) = self.restore(&under_way) else {
            return self.keep_what_is_left(under_way);
        };
        self.run = Some(run);
        self.note_wanted_release();
        let Some(run) = &mut self.run else { return };
        let new_master = run.new.as_ref().filter(|new| new.master_lives()).map(Generation::master);
        if under_way.boot_id != self.witness.boot {
            let cause = "the host was rebooted in the middle of the handover".to_owned();
            let actions = run.handover.abandon(under_way.intent(), cause);
            return self.pursue(actions, inbox).await;
        }
        let intent = under_way.intent();
        tracing::warn!(rollout = run.attempt.rollout, ?intent, "going on with a handover in whose middle the agent died");
        let actions = run.handover.resume(clock::since_boot(), intent, run.old.master_lives(), new_master);
        self.pursue(actions, inbox).await;
        // Those that went while nobody looked do not tell.
        let is_gone = |run: &Run| if run.is_stationary() { run.old.has_no_workers() } else { run.old.is_empty() };
        let is_drained = self.run.as_ref().is_some_and(is_gone);
        if is_drained {
            self.feed([Event::Emptied(Role::OldMaster)], inbox).await;
        }
    }

    /// The handover cannot be gone on with; its key must stay known, so that it is not asked for again and signalled twice.
    fn keep_what_is_left(&mut self, under_way: UnderWay) {
        tracing::error!("the record of an unfinished handover is incomplete: it is not gone on with");
        let undone = self.switch_back_of(&under_way);
        self.stored.under_way = None;
        let cause = format!("the agent was restarted and its record of the handover is incomplete{undone}");
        let ending = v1::Ending { result: v1::Result::Broken.into(), cause, ..v1::Ending::default() };
        if let Some(record) = under_way.record {
            self.keep(v1::Record { ending: Some(ending), ..record });
            drop(self.store.write(&self.stored, Flush::Later));
        }
    }

    /// Keeps a record, and of all records the newest.
    pub(super) fn keep(&mut self, record: v1::Record) {
        self.stored.records.insert(0, record);
        self.stored.records.truncate(RECORDS_MAX);
    }

    fn restore(&self, under_way: &UnderWay) -> Option<Run> {
        let record = under_way.record.clone()?;
        let attempt =
            Attempt { rollout: record.rollout, number: record.attempt, fence: record.fence, release: under_way.release.clone() };
        let course = Course::resumed(under_way);
        let testimony = Testimony::try_from(record.testimony?).ok()?;
        let shape = testimony.shape;
        // Where the configuration has changed, its signals may mean something else.
        if shape != self.config.dialect.row().shape {
            return None;
        }
        let witness = self.witness(testimony.closed.next());
        let journal = Journal::resume(testimony, witness);
        let old = Generation::of(under_way.old?.into(), self.own.clone());
        let turn = self.witness.turns.resume(&self.config.name);
        let mut run = Run { steps: record.steps, course, ..Run::with(attempt, journal, old, None, turn, self) };
        if shape != Shape::Beside {
            return Some(run.with_workers_of_before());
        }
        let new = under_way.new.map(Process::from).or_else(|| self.successor(&run));
        run.new = new.map(|new| Generation::of(new, self.own.clone()));
        run.gather(Role::OldMaster);
        for process in &under_way.old_processes {
            run.old.hold((*process).into());
        }
        run.gather(Role::NewMaster);
        Some(run)
    }

    pub(super) async fn persisted(&mut self, window: Seq, written: Result<(), String>, inbox: &mut Inbox) {
        if self.run.as_ref().is_some_and(|run| run.window() == window) {
            self.feed([Event::Persisted(written)], inbox).await;
        }
    }

    pub(super) async fn ran(&mut self, window: Seq, errand: Errand, ran: Result<String, String>, inbox: &mut Inbox) {
        if self.run.as_ref().is_some_and(|run| run.window() == window) {
            self.feed([Event::Ran(errand, ran)], inbox).await;
        }
    }

    pub(super) async fn expire(&mut self, now: Duration, inbox: &mut Inbox) {
        let Some(run) = &mut self.run else { return };
        if run.deadline.is_some_and(|deadline| deadline <= now) {
            run.deadline = None;
            self.feed([Event::Expired], inbox).await;
        }
    }

    pub(super) async fn exited_in_run(&mut self, process: Process, inbox: &mut Inbox) {
        let Some(run) = &mut self.run else { return };
        let mut events = Vec::new();
        for role in [Role::OldMaster, Role::NewMaster] {
            let Some(generation) = run.generation(role) else { continue };
            if !generation.bury(process) {
                continue;
            }
            let is_master = generation.master() == process;
            let (is_empty, has_no_workers) = (generation.is_empty(), generation.has_no_workers());
            if is_master {
                let fact = Fact::Exit { role: run.told_as(role), process };
                run.journal.note(self.numbers.take(), clock::since_boot(), fact);
                events.push(Event::Exited(role));
            }
            if is_empty || has_no_workers && run.is_stationary() {
                events.push(Event::Emptied(role));
            }
        }
        let emptied = Event::Emptied(Role::OldMaster);
        if events.contains(&emptied) && self.seek_the_unlisted() {
            events.retain(|event| *event != emptied);
        }
        self.feed(events, inbox).await;
        // One that was killed has left its pid file behind: nothing tells that it names nobody any more.
        self.look_for_successor(inbox).await;
    }

    /// A new master is there.
    pub(super) fn note_successor(&mut self, generation: Generation) {
        let Some(run) = &mut self.run else { return };
        let process = generation.master();
        run.new = Some(generation);
        let detail = if self.pid_files.all().iter().any(|path| process::pid_in(path) == Some(process.pid)) {
            format!("the new master {process} is named by the pid file")
        } else {
            format!("the old master has started a new one, {process}")
        };
        self.publish(Step::Appear, detail);
        // Nothing waits for this one: without it, an agent that dies now would have to find the new master again.
        drop(self.write_under_way(Intent::Signal, Flush::Later));
    }
}
