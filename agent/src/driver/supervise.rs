//! The doing of supervision: runs the service's `hold`, waits for its end, tells it to stop, and answers those who asked.
//!
//! `hold` runs in a session of its own and is nobody's child once the agent is gone: an agent that comes back finds it by what was written
//! down, and waits for it by a pidfd as before. Only how it ended is then told by the kernel, where it tells (Linux 6.15), and not by
//! `wait(2)`.
//!
//! **Invariant:** at most one `hold` of ours runs the service, and it is on its way to the disk before anything else is done.

use std::collections::VecDeque;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::custody::Process;
use baton_proto::v1;
use baton_proto::wire::nanoseconds;
use tokio::task::AbortHandle;

use super::holder::Held;
use super::launch::{held_by, until_ended};
use super::{Driver, Input};
use crate::config::Start;
use crate::failure::chain;
use crate::os::clock;
use crate::os::process::Handle;
use crate::service::{Refusal, Reply};
use crate::store::Flush;
use crate::supervision::{Action, Asked, End, Event, Standing, Supervision};

/// How many may wait for one service to start or to stop.
const ASKERS_MAX: usize = 64;
/// How often a service that is started is looked at: nothing announces that a lock is taken.
const BOOT_LOOK_EVERY: Duration = Duration::from_millis(200);

/// A service that the agent starts, and those who wait for it.
#[derive(Debug)]
pub(super) struct Supervisor {
    start: Start,
    machine: Supervision,
    hold: Option<Hold>,
    starters: Vec<Reply<v1::ServiceStatus>>,
    stoppers: Vec<Reply<(v1::ServiceStatus, String)>>,
    look_next: Option<Duration>,
}

/// The `hold` that runs the service.
#[derive(Debug)]
struct Hold {
    handle: Arc<Handle>,
    waiting: AbortHandle,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

impl Supervisor {
    pub(super) fn new(start: Start) -> Self {
        let machine = Supervision::new(start.policy);
        Self { start, machine, hold: None, starters: Vec::new(), stoppers: Vec::new(), look_next: None }
    }
}

impl Driver {
    /// Goes on where an earlier run of the agent had left it.
    pub(super) fn take_up_supervision(&mut self) {
        if self.supervisor.is_none() {
            return;
        }
        let kept = self.stored.supervised.clone().unwrap_or_default();
        let asked = if kept.stopped { Asked::Stop } else { Asked::Run };
        let hold = kept.hold.filter(|_| kept.boot_id == self.witness.boot).map(Process::from);
        let handle = hold.and_then(|hold| Handle::open(hold).ok());
        let lives = handle.is_some();
        if let Some(handle) = handle {
            tracing::info!(pid = handle.process().pid, "the service's hold lives on");
            self.wait_for(handle, None);
        }
        self.supervise(Event::Began { asked, hold: lives });
        if self.held.is_some() {
            self.supervise(Event::Held);
        }
    }

    /// Tells the machine what happened, does what it answers, and tells it what came of that.
    pub(super) fn supervise(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(supervisor) = &mut self.supervisor else { return };
            let before = supervisor.machine.standing();
            let actions = supervisor.machine.handle(clock::since_boot(), event.clone());
            let after = supervisor.machine.standing();
            if before != after {
                tracing::debug!(?event, ?before, ?after, "supervision");
                self.tell_of(after);
            }
            for action in actions {
                events.extend(self.perform_supervision(action));
            }
        }
    }

    fn tell_of(&mut self, standing: Standing) {
        let last_end = self.supervisor.as_ref().and_then(|supervisor| supervisor.machine.last_end().map(End::to_string));
        let why = last_end.unwrap_or_default();
        match standing {
            Standing::Running(_) | Standing::Stopping => {}
            Standing::Waiting(until) => {
                let after = until.saturating_sub(clock::since_boot());
                tracing::warn!(
                    why,
                    after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
                    "the service is started again"
                );
            }
            Standing::GivenUp => {
                tracing::error!(why, "the service is given up: it is not started again before somebody asks for it");
                self.say(v1::watch_event::Event::Status(self.status()));
            }
            Standing::Stopped => tracing::info!("the service is stopped on purpose"),
        }
    }

    fn perform_supervision(&mut self, action: Action) -> Vec<Event> {
        match action {
            Action::Write(asked) => {
                self.stored.supervised.get_or_insert_default().stopped = asked == Asked::Stop;
                let written = self.store.write(&self.stored, Flush::First);
                let own = self.own.clone();
                tokio::spawn(async move {
                    let written = written.await.unwrap_or_else(|_| Err("the writer is gone".into()));
                    // The driver is gone only when the agent stops.
                    let _ = own.send(Input::Supervised(Event::Written(written))).await;
                });
            }
            Action::TakeBack(asked) => {
                self.stored.supervised.get_or_insert_default().stopped = asked == Asked::Stop;
                // The disk may have the other although it said otherwise.
                drop(self.store.write(&self.stored, Flush::Later));
            }
            Action::Launch => return self.launch(),
            Action::Signal => self.tell_hold(),
            Action::AnswerStart(answer) => self.answer_starters(&answer),
            Action::AnswerStop(answer) => self.answer_stoppers(&answer),
        }
        Vec::new()
    }

    /// Runs a `hold`: it starts the server, or adopts the one that is there.
    fn launch(&mut self) -> Vec<Event> {
        let Some(supervisor) = &mut self.supervisor else { return Vec::new() };
        supervisor.look_next = Some(clock::since_boot() + BOOT_LOOK_EVERY);
        let start = supervisor.start.clone();
        let launched = self.start_hold(&start).map_err(|error| {
            let why = chain(&error);
            if error.is_final() { End::Impossible(why) } else { End::NotRun(why) }
        });
        let (child, handle) = match launched.and_then(held_by) {
            Ok(launched) => launched,
            Err(end) => {
                tracing::error!(%end, "the service cannot be started");
                return vec![Event::Ended(end)];
            }
        };
        let hold = handle.process();
        tracing::info!(pid = hold.pid, "started a hold for the service");
        self.keep_hold(Some(hold));
        self.wait_for(handle, Some(child));
        self.look_often();
        // What is held already is adopted.
        let held = self.held.as_ref().is_some_and(Held::lives).then_some(Event::Held);
        [Event::Launched].into_iter().chain(held).collect()
    }

    fn keep_hold(&mut self, hold: Option<Process>) {
        let kept = self.stored.supervised.get_or_insert_default();
        kept.hold = hold.map(Into::into);
        kept.boot_id.clone_from(&self.witness.boot);
        drop(self.store.write(&self.stored, Flush::Later));
    }

    /// Has the end of a `hold` told: by its exit status where it is our child, else by what the kernel knows.
    fn wait_for(&mut self, handle: Handle, child: Option<Child>) {
        let handle = Arc::new(handle);
        let waiting = tokio::spawn(until_ended(Arc::clone(&handle), child, self.own.clone())).abort_handle();
        if let Some(supervisor) = &mut self.supervisor {
            supervisor.hold = Some(Hold { handle, waiting });
        }
    }

    pub(super) fn hold_ended(&mut self, hold: Process, end: End) {
        let Some(supervisor) = &mut self.supervisor else { return };
        if supervisor.hold.take_if(|known| known.handle.process() == hold).is_none() {
            return;
        }
        tracing::info!(pid = hold.pid, %end, "the service's hold ended");
        self.keep_hold(None);
        self.supervise(Event::Ended(end));
    }

    fn tell_hold(&mut self) {
        let Some(hold) = self.supervisor.as_ref().and_then(|supervisor| supervisor.hold.as_ref()) else { return };
        tracing::info!(pid = hold.handle.process().pid, "telling the service's hold to stop it");
        if let Err(error) = hold.handle.stop_hold() {
            // Its end is on its way to us.
            tracing::warn!(%error, "the service's hold could not be told");
        }
    }

    /// Whether something may be started: not in the middle of a handover. A hook that is run when all is over holds up nothing.
    fn may_start(&self) -> bool {
        self.run.as_ref().is_none_or(|run| run.handover.is_settled())
    }

    /// When something is due: a start, or a look at what was started.
    pub(super) fn supervision_due(&self) -> Option<Duration> {
        let supervisor = self.supervisor.as_ref().filter(|_| self.may_start())?;
        [supervisor.machine.due(), supervisor.look_next].into_iter().flatten().min()
    }

    pub(super) fn supervise_by_time(&mut self, now: Duration) {
        let may_start = self.may_start();
        let Some(supervisor) = self.supervisor.as_mut().filter(|_| may_start) else { return };
        let is_due = supervisor.machine.due().is_some_and(|due| due <= now);
        if supervisor.look_next.is_some_and(|next| next <= now) {
            supervisor.look_next = None;
            if let Some(since) = supervisor.machine.boots_since() {
                self.look_at_boot(now.saturating_sub(since), now);
            }
        }
        if is_due {
            self.supervise(Event::Tick);
        }
    }

    /// Looks at a service that was started and is not held, and has it looked at again as long as it may take.
    fn look_at_boot(&mut self, so_far: Duration, now: Duration) {
        if self.held.is_none() {
            self.look_for_holder();
        }
        let Some(supervisor) = self.supervisor.as_mut().filter(|supervisor| supervisor.machine.boots_since().is_some()) else {
            return;
        };
        if so_far <= supervisor.start.within {
            supervisor.look_next = Some(now + BOOT_LOOK_EVERY);
            return;
        }
        // A server that does not hold is stopped by hold. One that does, and whose master nobody knows, is not.
        let why = self.trouble.sentence(self.census.findings()).to_owned();
        self.answer_starters(&Err(format!("its hold runs, but no master of it was seen holding the lock in time: {why}")));
    }

    /// In the middle of a handover nothing is started: what looks dead may be about to be handed over, or undone.
    pub(super) fn asked_to_start(&mut self, reply: Reply<v1::ServiceStatus>) {
        let step = self.run.as_ref().filter(|_| !self.may_start()).map(|run| run.step);
        let runs = |supervisor: &Supervisor| matches!(supervisor.machine.standing(), Standing::Running(_));
        match self.supervisor.as_mut().ok_or_else(|| not_ours(&self.config.name)) {
            Ok(supervisor) if let Some(step) = step.filter(|_| !runs(supervisor)) => {
                let text = format!("a handover is under way (step {step}): start the service when it is over");
                return drop(reply.send(Err(Refusal::Precondition(text))));
            }
            Ok(supervisor) if supervisor.starters.len() < ASKERS_MAX => {
                supervisor.starters.push(reply);
                supervisor.look_next.get_or_insert(clock::since_boot() + BOOT_LOOK_EVERY);
            }
            Ok(_) => return drop(reply.send(Err(Refusal::TooManyStreams(ASKERS_MAX)))),
            Err(refusal) => return drop(reply.send(Err(refusal))),
        }
        self.supervise(Event::Start);
    }

    /// A stop in the middle of a handover would leave nobody to finish or undo it: it is refused, and may be asked for again.
    pub(super) fn asked_to_stop(&mut self, reply: Reply<(v1::ServiceStatus, String)>) {
        let alive = self.held.is_some() || self.waiters.armed().is_some();
        let step = self.run.as_ref().map(|run| run.step);
        match self.supervisor.as_mut().ok_or_else(|| not_ours(&self.config.name)) {
            Err(refusal) => return drop(reply.send(Err(refusal))),
            Ok(_) if let Some(step) = step => {
                let text = format!("a handover is under way (step {step}): stop the service when it is over");
                return drop(reply.send(Err(Refusal::Precondition(text))));
            }
            Ok(supervisor) if supervisor.stoppers.len() < ASKERS_MAX => supervisor.stoppers.push(reply),
            Ok(_) => return drop(reply.send(Err(Refusal::TooManyStreams(ASKERS_MAX)))),
        }
        self.supervise(Event::Stop { alive });
    }

    fn answer_starters(&mut self, answer: &Result<(), String>) {
        let answer = self.answer_to_starters(answer.clone());
        let starters = self.supervisor.as_mut().map(|supervisor| std::mem::take(&mut supervisor.starters)).unwrap_or_default();
        for starter in starters {
            let answer = answer.clone().map(|()| self.status()).map_err(Refusal::Precondition);
            // Whoever asked and is gone meanwhile needs no answer.
            drop(starter.send(answer));
        }
    }

    /// What those who asked for a start are told, with what to do next.
    fn answer_to_starters(&self, answer: Result<(), String>) -> Result<(), String> {
        let Some(Supervisor { machine, start, .. }) = &self.supervisor else { return answer };
        match answer {
            // Its hold runs as long as anybody holds the lock, such as workers that outlive their master.
            Ok(()) if self.held.is_none() => {
                let (name, why) = (&self.config.name, self.trouble_now());
                Err(format!("it runs without a master: {why}; `baton-agent stop {name}` ends what is left of it, then start it"))
            }
            Err(why) if machine.last_end().is_some_and(|end| end.has_run() && end.to_string() == why) => {
                let output =
                    start.output.as_ref().map_or_else(|| "the agent's log".to_owned(), |path| path.display().to_string());
                Err(format!("{why}; what it said is in {output}"))
            }
            other @ (Ok(()) | Err(_)) => other,
        }
    }

    fn answer_stoppers(&mut self, answer: &Result<String, String>) {
        let stoppers = self.supervisor.as_mut().map(|supervisor| std::mem::take(&mut supervisor.stoppers)).unwrap_or_default();
        for stopper in stoppers {
            let answer = answer.clone().map(|how| (self.status(), how)).map_err(Refusal::Precondition);
            drop(stopper.send(answer));
        }
    }

    pub(super) fn is_being_stopped(&self) -> bool {
        self.supervisor.as_ref().is_some_and(|supervisor| supervisor.machine.standing() == Standing::Stopping)
    }

    /// What is wrong with a service that is not held, where supervision knows better than the lock.
    pub(super) fn supervision_trouble(&self) -> Option<String> {
        self.supervisor.as_ref()?.machine.trouble(&self.config.name)
    }

    /// What becomes of the service, on the wire.
    pub(super) fn supervision(&self) -> Option<v1::Supervision> {
        let Supervisor { machine, hold, .. } = self.supervisor.as_ref()?;
        let (state, running_since, next_start) = match machine.standing() {
            Standing::Running(since) => (v1::SupervisionState::Running, Some(since), None),
            Standing::Waiting(until) => (v1::SupervisionState::Waiting, None, Some(until)),
            Standing::GivenUp => (v1::SupervisionState::GivenUp, None, None),
            Standing::Stopping => (v1::SupervisionState::Stopping, None, None),
            Standing::Stopped => (v1::SupervisionState::Stopped, None, None),
        };
        Some(v1::Supervision {
            state: state.into(),
            hold: hold.as_ref().map(|hold| hold.handle.process().into()),
            next_start_ns: next_start.map(nanoseconds).unwrap_or_default(),
            starts: machine.starts(),
            last_end: machine.last_end().map(End::to_string).unwrap_or_default(),
            running_since_ns: running_since.map(nanoseconds).unwrap_or_default(),
        })
    }
}

fn not_ours(service: &str) -> Refusal {
    let text =
        format!("the agent does not run {service}: its configuration has no `start`; start and stop it where that is done now");
    Refusal::Precondition(text)
}
