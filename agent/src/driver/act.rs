//! The doing: one action of the handover after the other, and what came of each.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use baton_proto::custody::{Fact, Process, Role, Shape, judge};
use baton_proto::step::Step;
use baton_proto::v1;
use baton_proto::v1::reload_event::Event as Told;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::run::Run;
use super::{Driver, Inbox, Input, publish};
use crate::dialect::Signal;
use crate::failure::chain;
use crate::handover::{Action, Ending, Errand, Event, Found, Intent, Outcome, Whom};
use crate::os::{clock, process};
use crate::service::STREAM_EVENTS_MAX;
use crate::store::{Flush, UnderWay};
use crate::waiter::Grant;

/// How long the waiter's thread may take from its number to its word.
const GRANT_WITHIN: Duration = Duration::from_millis(100);
/// How long the kernel may take from the exit of the last master to the end of its lock. Its memory goes first.
const END_WITHIN: Duration = Duration::from_secs(1);
/// How many steps are kept for whoever comes later: more than a handover has, unless its answers flap.
const STEPS_MAX: usize = STREAM_EVENTS_MAX / 2;
/// How many new workers are looked at, at most, to find one that holds.
const WORKERS_LOOKED_AT_MAX: usize = 16;
/// How long the disk may take before the ending is told all the same.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

impl Driver {
    /// Tells the handover what happened and does what it answers.
    pub(super) async fn feed(&mut self, events: impl IntoIterator<Item = Event>, inbox: &mut Inbox) {
        for event in events {
            let Some(run) = &mut self.run else { return };
            tracing::debug!(?event, "event");
            let actions = run.handover.handle(clock::since_boot(), event);
            self.pursue(actions, inbox).await;
        }
    }

    /// Does all of this, and all that follows from it.
    pub(super) async fn pursue(&mut self, actions: Vec<Action>, inbox: &mut Inbox) {
        let mut actions = VecDeque::from(actions);
        let mut events = VecDeque::new();
        loop {
            if let Some(action) = actions.pop_front() {
                tracing::debug!(?action, "action");
                events.extend(self.act(action, inbox).await);
            } else if let Some((event, run)) = events.pop_front().zip(self.run.as_mut()) {
                tracing::debug!(?event, "event");
                actions.extend(run.handover.handle(clock::since_boot(), event));
            } else {
                return;
            }
        }
    }

    async fn act(&mut self, action: Action, inbox: &mut Inbox) -> Vec<Event> {
        match action {
            Action::Look(Role::Worker) => vec![Event::Looked(Role::Worker, self.look_at_new_workers())],
            Action::Look(role) => vec![Event::Looked(role, self.look(role))],
            Action::List => self.list(),
            Action::Promotion => self.promotion(),
            Action::Confirm => vec![Event::Looked(Role::OldMaster, self.confirm())],
            Action::Persist(intent) => {
                self.persist(intent);
                Vec::new()
            }
            Action::Signal(role, whom, signal) => self.signal(role, whom, signal),
            Action::Probe(pause) => {
                self.probe(pause);
                Vec::new()
            }
            Action::Switch(_) => self.switch(true),
            Action::SwitchBack => self.switch(false),
            Action::Run(errand) => self.run_errand(errand, None),
            Action::RunAfter(outcome) => self.run_errand(Errand::After, Some(outcome)),
            Action::Verify => self.verify(),
            Action::Weigh => {
                self.hear_the_waiter(inbox).await;
                self.run.as_ref().map(|run| Event::Weighed(judge(run.journal.testimony()))).into_iter().collect()
            }
            Action::Deadline(deadline) => {
                if let Some(run) = &mut self.run {
                    run.deadline = deadline;
                }
                Vec::new()
            }
            Action::Tell(step, detail) => {
                self.publish(step, detail);
                Vec::new()
            }
            Action::Finish(ending) => {
                self.finish(ending, inbox).await;
                Vec::new()
            }
        }
    }

    /// Looks at a master with care and notes what was found, under a number before and one after.
    fn look(&mut self, role: Role) -> Found {
        let Some(run) = &mut self.run else { return Found::Gone("no handover is under way".into()) };
        let Some(process) = run.generation(role).map(|generation| generation.master()) else {
            return Found::Gone(format!("there is no {role}"));
        };
        self.look_at(process, role)
    }

    /// Looks at one new worker after the other until one is found holding. The master, who is looked at next, is the proof.
    fn look_at_new_workers(&mut self) -> Found {
        let workers = self.run.as_ref().map(Run::new_workers).unwrap_or_default();
        let mut found = Found::Gone("the master has no new worker".into());
        for worker in workers.into_iter().take(WORKERS_LOOKED_AT_MAX) {
            found = self.look_at(worker, Role::Worker);
            if found == Found::Holding {
                break;
            }
        }
        found
    }

    fn look_at(&mut self, process: Process, role: Role) -> Found {
        let Some(run) = &mut self.run else { return Found::Gone("no handover is under way".into()) };
        let file = run.journal.file();
        let began = run.opened.take().unwrap_or_else(|| self.numbers.take());
        let looked = match run.generation(role) {
            Some(generation) => generation.look(file),
            None => process::look_again(process, file),
        };
        let role = run.told_as(role);
        let (ended, at) = (self.numbers.take(), clock::since_boot());
        let (fact, found) = match looked {
            Ok(seen) => (Fact::Sighting(seen.sighting(began, role)), Found::Holding),
            Err(unseen) => {
                let reason = chain(&unseen);
                let fact = Fact::Absence { began, role, process, reason: reason.clone() };
                (fact, if unseen.is_dead() { Found::Gone(reason) } else { Found::Otherwise(reason) })
            }
        };
        run.journal.note(ended, at, fact);
        // After a drop the waiter is armed again as soon as there is somebody to wait for.
        if found == Found::Holding
            && let Err(error) = self.waiters.arm(&self.config.lock, file)
        {
            tracing::warn!(error = chain(&error), "the waiter cannot be armed");
        }
        found
    }

    fn confirm(&mut self) -> Found {
        let found = self.look(Role::OldMaster);
        let Some(run) = self.run.as_ref().filter(|_| found == Found::Holding) else { return found };
        let old = run.old.master();
        let reload = self.config.dialect.row().reload;
        if process::awaits(old, reload) {
            return Found::Otherwise(format!(
                "{reload} has not arrived at the master {old}, which will do as it says when it wakes"
            ));
        }
        if run.is_stationary() {
            if run.journal.last_image(old) != run.first_image() {
                return Found::Otherwise(format!("the master {old} runs another program image"));
            }
            if let Some(gone) = run.replaced(self.config.dialect.row().order) {
                return Found::Otherwise(format!("its worker {gone} is gone"));
            }
        } else if !self.pid_files.name(old.pid) {
            let pidfile = self.config.pidfile.display();
            return Found::Otherwise(format!(
                "the old master {old} holds the lock, but did not take its pid file {pidfile} back"
            ));
        } else if let Some(newcomer) = self.successor(run) {
            return Found::Otherwise(format!("the old master {old} holds the lock, and a new one, {newcomer}, still boots"));
        }
        found
    }

    /// Begins to write down what is about to be done.
    fn persist(&mut self, intent: Intent) {
        let Some(window) = self.run.as_ref().map(Run::window) else { return };
        // The intent to signal must survive the host, so that a repeated attempt does not signal another boot's server. The
        // intent to retire must only survive the agent: after a crash of the host there is nobody to retire.
        let flush = match intent {
            // A release that was switched outlives the host, too.
            Intent::Signal | Intent::Prepare => Flush::First,
            Intent::Retire => Flush::Later,
        };
        if intent == Intent::Signal {
            self.note_wanted_release();
        }
        let told = self.write_under_way(intent, flush);
        let own = self.own.clone();
        tokio::spawn(async move {
            let written = told.await.unwrap_or_else(|_| Err("the writer is gone".into()));
            // The driver is gone only when the agent stops.
            let _ = own.send(Input::Persisted(window, written)).await;
        });
    }

    /// Begins to write the handover as it is now, for an agent that has to go on with it.
    pub(super) fn write_under_way(&mut self, intent: Intent, flush: Flush) -> oneshot::Receiver<Result<(), String>> {
        self.store_under_way(intent);
        self.store.write(&self.stored, flush)
    }

    fn store_under_way(&mut self, intent: Intent) {
        self.stored.under_way = self.run.as_ref().map(|run| UnderWay {
            record: Some(v1::Record {
                rollout: run.attempt.rollout.clone(),
                attempt: run.attempt.number,
                fence: run.attempt.fence,
                steps: run.steps.clone(),
                testimony: Some(run.journal.testimony().into()),
                ending: None,
            }),
            boot_id: self.witness.boot.clone(),
            old: Some(run.old.master().into()),
            new: run.new.as_ref().map(|new| new.master().into()),
            retiring: intent == Intent::Retire,
            old_processes: run.old.processes().into_iter().map(Into::into).collect(),
            preparing: intent == Intent::Prepare,
            release: run.attempt.release.clone(),
            link_before: run
                .course
                .switch
                .as_ref()
                .map(|switch| switch.before.as_os_str().as_bytes().to_vec())
                .unwrap_or_default(),
            link_after: run.course.switch.as_ref().map(|switch| switch.after.as_os_str().as_bytes().to_vec()).unwrap_or_default(),
        });
    }

    /// Notes a grant in the handover under way, so that with the next write it outlives the agent.
    pub(super) fn note_grant(&mut self, grant: Grant) {
        let Some(run) = &mut self.run else { return };
        run.note_grant(grant);
        if let Some(under_way) = &self.stored.under_way {
            self.store_under_way(under_way.intent());
        }
    }

    /// Signals a generation as it is now; every process of it is then waited for.
    fn signal(&mut self, role: Role, whom: Whom, signal: Signal) -> Vec<Event> {
        let is_reload = (role, whom) == (Role::OldMaster, Whom::Master) && signal == self.config.dialect.row().reload;
        // It was so when the handover was accepted, and may be otherwise by now.
        let master = self.run.as_ref().filter(|_| is_reload).map(|run| run.old.master());
        if let Some(unheard) = master.and_then(|master| self.unheard_by(master)) {
            return vec![Event::Signalled(Err(unheard))];
        }
        // Below a master that stays there are new ones afterwards.
        if is_reload && self.run.as_ref().is_some_and(Run::is_stationary) {
            self.take_hold_of_workers();
        }
        let Some(run) = &mut self.run else { return Vec::new() };
        if !run.is_stationary() {
            run.gather(role);
        }
        let Some(generation) = run.generation(role) else {
            return vec![Event::Signalled(Err(format!("there is no {role}")))];
        };
        // Whoever comes of it has started after this moment.
        let at = clock::since_boot();
        let sent = generation.signal(whom, signal);
        let gone = generation.is_empty();
        let is_first = run.is_stationary() && is_reload;
        let result = match sent {
            Ok(processes) => {
                for process in &processes {
                    let fact = Fact::Signal { process: *process, signal: signal.name().to_owned() };
                    run.journal.note(self.numbers.take(), at, fact);
                }
                self.tell_whom(role, whom, signal, &processes);
                Ok(())
            }
            Err(error) => Err(format!("{signal} could not be sent to the {role}: {error}")),
        };
        if self.pid_files.is_new_beside() && role == Role::OldMaster {
            // No file tells of a new master before it has written its own.
            self.look_often();
        }
        if is_first && result.is_ok() {
            // Nothing waits for this one: without it, an agent that dies now would not know that the signal was sent.
            drop(self.write_under_way(Intent::Signal, Flush::Later));
        }
        let emptied = gone.then_some(Event::Emptied(role));
        [Event::Signalled(result)].into_iter().chain(emptied).collect()
    }

    /// Takes in every grant that has its number already: the testimony must not have a hole where a drop was.
    async fn hear_the_waiter(&mut self, inbox: &mut Inbox) {
        loop {
            while let Ok(wake) = inbox.wakes.try_recv() {
                self.woken_by(wake);
            }
            if !self.run.as_ref().is_some_and(|run| run.journal.has_hole()) {
                return;
            }
            match timeout(GRANT_WITHIN, inbox.wakes.recv()).await {
                Ok(Some(wake)) => self.woken_by(wake),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// When both masters are gone, the lock is most likely about to be free: that it was belongs into this window.
    async fn hear_of_the_end(&mut self, inbox: &mut Inbox) {
        let is_over = |run: &Run| !run.old.master_lives() && run.new.as_ref().is_none_or(|new| !new.master_lives());
        if !self.run.as_ref().is_some_and(is_over) || self.waiters.armed().is_none() {
            return;
        }
        if let Ok(Some(wake)) = timeout(END_WITHIN, inbox.wakes.recv()).await {
            self.woken_by(wake);
        }
    }

    pub(super) fn publish(&mut self, step: Step, detail: String) {
        let Some(run) = &mut self.run else { return };
        tracing::info!(rollout = run.attempt.rollout, %step, detail, "handover");
        run.step = step;
        run.turn.note(step);
        let progress = publish::progress(step, detail, clock::since_boot());
        if run.steps.len() < STEPS_MAX {
            run.steps.push(progress.clone());
        }
        run.audience.tell(&Told::Progress(progress.clone()));
        self.say(v1::watch_event::Event::Progress(progress));
    }

    /// Closes the window, writes the record, and only then tells the ending.
    pub(super) async fn finish(&mut self, ending: Ending, inbox: &mut Inbox) {
        if ending.outcome == Outcome::Broken {
            self.hear_of_the_end(inbox).await;
        }
        self.hear_the_waiter(inbox).await;
        let Some(mut run) = self.run.take() else { return };
        if let Some(probing) = run.probing.take() {
            probing.abort();
        }
        let before = self.stored.generation;
        // By exec, the master's new image is the sign of it.
        if ending.outcome == Outcome::HandedOver && run.journal.testimony().shape == Shape::InPlace {
            self.stored.generation += 1;
        }
        if let Some(new) = run.new.as_ref().filter(|_| ending.outcome == Outcome::HandedOver) {
            self.pid_files.hand_over(new.master());
        }
        self.look_for_holder();
        if self.held.is_none() {
            self.look_often();
        }
        if ending.outcome == Outcome::HandedOver {
            self.note_release();
        }
        let is_stationary = run.is_stationary();
        let mut left = run.old;
        if is_stationary {
            left.bury(left.master());
        }
        let lingering_pids = if ending.outcome == Outcome::HandedOver { self.leave_behind(before, left) } else { Vec::new() };
        let ending = v1::Ending {
            result: publish::wire_result(ending.outcome).into(),
            step: ending.failed_step.map_or(v1::Step::Unspecified, v1::Step::from).into(),
            cause: ending.cause,
            lingering_pids,
            generation: self.stored.generation,
            release: self.stored.release.clone(),
        };
        let testimony = v1::Testimony::from(run.journal.testimony());
        let record = v1::Record {
            rollout: run.attempt.rollout,
            attempt: run.attempt.number,
            fence: run.attempt.fence,
            steps: run.steps,
            testimony: Some(testimony.clone()),
            ending: Some(ending.clone()),
        };
        tracing::info!(rollout = record.rollout, result = ?ending.result(), cause = ending.cause, "the handover is over");
        self.stored.under_way = None;
        self.keep(record);
        let written = self.store.write(&self.stored, Flush::Later);
        if timeout(WRITE_WITHIN, written).await.is_err() {
            tracing::error!("the record of the handover is not written yet");
        }
        drop(run.turn);
        run.audience.tell(&Told::Testimony(testimony));
        run.audience.tell(&Told::Ending(ending.clone()));
        self.say(v1::watch_event::Event::Ending(ending));
    }
}
