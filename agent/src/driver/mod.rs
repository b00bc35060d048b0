//! The driver of one service: events in, actions out. One task owns everything that is known of the service.
//!
//! When nothing happens it sleeps without a timer. It looks for a holder when the pid file or the lock file changes, a few
//! times with growing pauses (nothing announces that a lock is taken), and then not again until something changes.
//!
//! **Invariant:** only this task changes the service's state; the waiter's thread and every other task send to it.

mod act;
mod census;
mod claiming;
mod drain;
mod errands;
mod generation;
mod holder;
mod launch;
mod lingering;
mod past;
mod pid_files;
mod publish;
mod ready;
mod room;
mod run;
mod supervise;
mod turn;
mod walker;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::custody::{FileIdentity, Process, Seq};
use baton_proto::v1;
use baton_proto::wire::nanoseconds;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::census::Kind;
use crate::config;
use crate::dialect::Row;
use crate::files::{Files, Told};
use crate::handover::Errand;
use crate::journal::Numbers;
use crate::memory::Figures;
use crate::os::{clock, process};
use crate::probe::{Notice, Probed};
use crate::service::{Attempt, Command, Granted, Refusal, Reply, Service};
use crate::store::{Store, StoreError, Stored};
use crate::supervision::{self, End};
use crate::waiter::{Grant, Waiters, Wake};
use census::Census;
use claiming::Claiming;
use holder::{Held, Trouble};
use lingering::Lingering;
use past::Past;
use pid_files::PidFiles;
use publish::Audience;
use room::Measuring;
use run::Run;
use supervise::Supervisor;
pub use turn::Turns;
pub use walker::Walker;

/// Commands and events that may wait for the driver.
const INBOX_MAX: usize = 64;
/// The first pause between two looks after a change; it doubles.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(5);
/// After a pause of this length no further look is taken: about 80 s after the change.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(41);

/// What a driver is told by its own tasks.
#[derive(Debug)]
enum Input {
    Awoken(Wake),
    Changed,
    Asked(Command),
    Exited(Process),
    Probed(Seq, Probed),
    Notified(Notice),
    Persisted(Seq, Result<(), String>),
    ClaimKept(u64, Result<(), String>, Reply<Granted>),
    Ran(Seq, Errand, Result<String, String>),
    Walked(FileIdentity, Vec<u32>),
    Measured(Option<Figures>),
    Buried,
    Supervised(supervision::Event),
    HoldEnded(Process, End),
    Woken,
    Stopped,
}

/// What all drivers of one agent share.
#[derive(Debug, Clone)]
pub struct Witness {
    /// This boot.
    pub boot: String,
    /// This run of the agent.
    pub incarnation: String,
    /// Where state is kept.
    pub state: PathBuf,
    /// Who looks at every process when that is wanted.
    pub walker: Walker,
    /// How many handovers may be under way at once.
    pub turns: Turns,
}

/// Starts the driver of one service; it ends when the last handle to it is gone.
///
/// # Errors
/// When what was kept of the service cannot be read.
pub fn start(config: config::Service, witness: Witness, files: &mut Files) -> Result<Service, StoreError> {
    let (store, stored) = Store::open(&witness.state, &config.name)?;
    let numbers = Arc::new(Numbers::starting_at(run::first_number(&stored)));
    let (waiters, wakes) = Waiters::new(Arc::clone(&numbers));
    let pid_files = PidFiles::of(&config, &stored, &witness.boot);
    let Told { changes, twin } = files.add(config.name.clone(), pid_files.all(), config.lock.clone());
    let (inbox, commands) = mpsc::channel(INBOX_MAX);
    let (own, inputs) = mpsc::channel(INBOX_MAX);
    let name = config.name.clone();
    let census = Census::new(witness.walker.clone());
    let lingering = Lingering::of(&stored, &witness.boot, &own);
    let deaf = ready::listen_for_notices(&config, &witness.state, &own);
    let supervisor = config.start.clone().map(Supervisor::new);
    // The task keeps a pointer: what a future is given by value is in it more than once.
    let mut driver = Box::new(Driver {
        config,
        supervisor,
        witness,
        pid_files,
        twin,
        numbers,
        waiters,
        store,
        past: Past::of(&stored),
        claiming: Claiming::of(&stored),
        stored,
        held: None,
        trouble: Trouble::none(),
        looks: None,
        run: None,
        census,
        lingering,
        measuring: Measuring::default(),
        watchers: Audience::default(),
        deaf,
        own,
    });
    tokio::spawn(async move { driver.drive(Inbox { wakes, changes, inputs, commands }).await });
    Ok(Service::new(name, inbox))
}

/// Everything that a driver listens to.
struct Inbox {
    wakes: mpsc::Receiver<Wake>,
    changes: mpsc::Receiver<()>,
    inputs: mpsc::Receiver<Input>,
    commands: mpsc::Receiver<Command>,
}

impl Inbox {
    async fn next(&mut self, wake: Option<Duration>) -> Input {
        let sleep = async {
            match wake {
                Some(at) => sleep_until(Instant::now() + at.saturating_sub(clock::since_boot())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(wake) = self.wakes.recv() => Input::Awoken(wake),
            Some(input) = self.inputs.recv() => input,
            Some(()) = self.changes.recv() => Input::Changed,
            command = self.commands.recv() => command.map_or(Input::Stopped, Input::Asked),
            () = sleep => Input::Woken,
        }
    }
}

/// The looks that are still to be taken after a change.
#[derive(Debug, Clone, Copy)]
struct Looks {
    next: Duration,
    pause: Duration,
}

struct Driver {
    config: config::Service,
    witness: Witness,
    pid_files: PidFiles,
    /// Another service on the same lock file.
    twin: watch::Receiver<Option<String>>,
    numbers: Arc<Numbers>,
    waiters: Waiters,
    store: Store,
    stored: Stored,
    past: Past,
    claiming: Claiming,
    held: Option<Held>,
    /// Why nobody is held, if nobody is.
    trouble: Trouble,
    looks: Option<Looks>,
    run: Option<Run>,
    census: Census,
    lingering: Lingering,
    measuring: Measuring,
    /// Of a service that the agent starts.
    supervisor: Option<Supervisor>,
    /// Boxed: a channel has room for many, and few ever come.
    watchers: Audience<Box<v1::WatchEvent>>,
    /// Why the service's processes cannot say that they are ready, if they are to.
    deaf: Option<String>,
    own: mpsc::Sender<Input>,
}

impl Driver {
    #[tracing::instrument(name = "service", skip_all, fields(service = self.config.name))]
    async fn drive(&mut self, mut inbox: Inbox) {
        self.look_often();
        // In the middle of a handover the pid file may name a master that is not in charge.
        if self.stored.under_way.is_some() {
            self.resume(&mut inbox).await;
        } else {
            self.look_for_holder();
        }
        self.count();
        self.note_return();
        self.take_up_supervision();
        loop {
            let wake = self.due();
            match inbox.next(wake).await {
                Input::Awoken(wake) => self.woken_by(wake),
                Input::Changed => self.changed(&mut inbox).await,
                Input::Asked(command) => self.asked(command, &mut inbox).await,
                Input::Exited(process) => self.exited(process, &mut inbox).await,
                Input::Notified(notice) => self.notified(notice),
                Input::Probed(window, probed) => self.probed(window, probed, &mut inbox).await,
                Input::Persisted(window, written) => self.persisted(window, written, &mut inbox).await,
                Input::ClaimKept(fence, written, reply) => self.claim_kept(fence, written, reply),
                Input::Ran(window, errand, ran) => self.ran(window, errand, ran, &mut inbox).await,
                Input::Walked(file, found) => self.walked(file, found, &mut inbox).await,
                Input::Measured(figures) => self.measured(figures, &mut inbox).await,
                Input::Buried => self.note_burial(),
                Input::Supervised(event) => self.supervise(event),
                Input::HoldEnded(hold, end) => self.hold_ended(hold, end),
                Input::Woken => self.woken(&mut inbox).await,
                Input::Stopped => return,
            }
        }
    }

    /// When something is to be done though nothing happens.
    fn due(&self) -> Option<Duration> {
        let looks = self.looks.map(|looks| looks.next);
        let run = self.run.as_ref().and_then(Run::deadline);
        [looks, run, self.supervision_due(), self.claiming.due()].into_iter().flatten().min()
    }

    async fn asked(&mut self, command: Command, inbox: &mut Inbox) {
        // Whoever asked and is gone meanwhile needs no answer.
        match command {
            Command::Status(reply) => {
                self.count();
                drop(reply.send(self.status()));
            }
            Command::Census(reply) => self.take_census(reply, inbox).await,
            Command::Past(reply) => self.tell_past(reply),
            Command::Start(reply) => self.asked_to_start(reply),
            Command::Stop(reply) => self.asked_to_stop(reply),
            Command::Farewell(reply) => {
                // If the disk does not keep up, it is known less well until when the service was watched.
                let _ = self.remember().await;
                drop(reply.send(self.status()));
            }
            Command::Watch(reply) => {
                self.count();
                let first = self.watch_event(v1::watch_event::Event::Status(self.status()));
                drop(reply.send(self.watchers.admit([Box::new(first)])));
            }
            Command::Claim(claimant, reply) => self.asked_to_claim(claimant, reply),
            Command::Renew(fence, reply) => self.asked_to_renew(fence, reply),
            Command::Release(fence, reply) => self.asked_to_release(fence, reply),
            Command::Reload(attempt, reply) => self.reload_with_room(attempt, reply, inbox).await,
        }
    }

    /// The record of the handover with this key.
    fn recorded(&self, attempt: &Attempt) -> Option<&v1::Record> {
        let same = |record: &&v1::Record| record.rollout == attempt.rollout && record.attempt == attempt.number;
        self.stored.records.iter().find(same)
    }

    /// Joins the handover with this key, or replays its record, or prepares a new one.
    fn reload(&mut self, attempt: &Attempt) -> Result<mpsc::Receiver<v1::reload_event::Event>, Refusal> {
        if let Some(record) = self.recorded(attempt) {
            return Ok(publish::replay(record));
        }
        if let Some(run) = &mut self.run {
            return run.join(attempt);
        }
        self.is_claimed_for(attempt)?;
        let Some(held) = &self.held else {
            // Whoever serves without a master says more than the pid file that names it still.
            let orphans = self.census.findings().iter().find(|finding| finding.kind == Kind::Orphans);
            let text = match orphans {
                Some(orphans) => orphans.sentence.clone(),
                None => format!("the service is not serving: {}", self.trouble_now()),
            };
            return Err(Refusal::Precondition(text));
        };
        if self.is_being_stopped() {
            return Err(Refusal::Precondition("the service is being stopped on purpose".into()));
        }
        if let Some(objection) = self.census.objection() {
            return Err(Refusal::Precondition(objection.sentence.clone()));
        }
        self.heard_by(held.master())?;
        let course = self.course(attempt)?;
        let turn = self.witness.turns.take(&self.config.name).map_err(Refusal::Precondition)?;
        let mut run = Run::new(attempt.clone(), held, course, turn, self);
        let stream = run.join(attempt)?;
        self.run = Some(run);
        Ok(stream)
    }

    /// A signal that a master does not listen for ends it: that of another dialect, or of its own before it listens.
    fn heard_by(&self, master: Process) -> Result<(), Refusal> {
        self.unheard_by(master).map_or(Ok(()), |text| Err(Refusal::Precondition(text)))
    }

    /// Why the reload signal must not be sent to this master, if it must not.
    fn unheard_by(&self, master: Process) -> Option<String> {
        let Row { name, reload, .. } = self.config.dialect.row();
        process::is_ended_by(master, *reload).then(|| {
            format!(
                "{reload} would end the master {master}, which does not listen for it: it is still booting, or no {name}; try \
                 again when it has booted"
            )
        })
    }

    fn woken_by(&mut self, wake: Wake) {
        let present = self.waiters.bury(&wake);
        match wake.result {
            Ok(grant) => self.granted(grant, present),
            Err(error) => {
                tracing::error!(error, "the kernel does not let the waiter wait");
                self.trouble = Trouble::Other(format!("the waiter cannot wait: {error}"));
            }
        }
    }

    fn granted(&mut self, grant: Grant, by_the_present_waiter: bool) {
        self.note_grant(grant);
        if !by_the_present_waiter {
            tracing::info!(inode = grant.file.inode, "the last holder of a replaced lock file is gone");
            return;
        }
        let drop = self.note_drop(grant);
        tracing::warn!(
            seq = grant.seq.0,
            epoch = drop.epoch,
            last_master = drop.last.map(|master| master.pid),
            "the lock was free: the service is dead, or was for a moment"
        );
        let news = v1::WatchEvent { at_ns: nanoseconds(grant.at), ..self.watch_event(publish::drop_seen(&drop)) };
        self.watchers.tell(&Box::new(news));
        self.trouble = Trouble::Other("every holder is gone".into());
        self.look_often();
    }

    async fn changed(&mut self, inbox: &mut Inbox) {
        self.look_often();
        if self.run.is_some() {
            self.look_for_successor(inbox).await;
        } else if self.held.is_none() {
            self.look_for_holder();
        }
    }

    async fn woken(&mut self, inbox: &mut Inbox) {
        let now = clock::since_boot();
        if self.looks.is_some_and(|looks| looks.next <= now) {
            self.looks = self.looks.and_then(|looks| looks.after(now));
            if self.run.is_some() {
                self.look_for_successor(inbox).await;
            } else if self.held.is_none() {
                self.look_for_holder();
            } else {
                self.looks = None;
                self.recount();
            }
        }
        self.expire(now, inbox).await;
        self.expire_claim(now);
        self.supervise_by_time(now);
    }

    /// Something changed: look now and a few times more.
    fn look_often(&mut self) {
        self.looks = Some(Looks { next: clock::since_boot() + LOOK_PAUSE_MIN, pause: LOOK_PAUSE_MIN });
    }

    fn status(&self) -> v1::ServiceStatus {
        let custody = match (&self.held, self.waiters.armed()) {
            (Some(_), Some(_)) => v1::Custody::Held,
            (None, Some(_)) => v1::Custody::Orphaned,
            (Some(_) | None, None) => v1::Custody::Free,
        };
        let held = self.held.as_ref();
        let (holders, findings) = self.census.told();
        v1::ServiceStatus {
            service: self.config.name.clone(),
            dialect: self.config.dialect.to_string(),
            custody: custody.into(),
            trouble: self.trouble_now(),
            generation: self.stored.generation,
            master: held.map(|held| held.master().into()),
            epoch: self.stored.epoch,
            held_since_ns: held.map(|held| nanoseconds(held.since)).unwrap_or_default(),
            lock_path: self.config.lock.display().to_string(),
            lock: self.waiters.armed().map(Into::into),
            step: self.run.as_ref().map_or(v1::Step::Unspecified, Run::step).into(),
            fence: self.stored.fence,
            mark: held.map(|held| held.seen.lock.mark).unwrap_or_default(),
            handover_within_ns: nanoseconds(self.config.handover_within()),
            holders,
            findings,
            census: Vec::new(),
            lingering: self.lingering.told(),
            release: self.stored.release.clone(),
            supervision: self.supervision(),
            claim: self.claim_told(),
        }
    }

    /// What is wrong, as a sentence; two generations are nothing wrong in the middle of a handover.
    fn trouble_now(&self) -> String {
        match (&self.held, &self.run) {
            (None, _) => self.supervision_trouble().unwrap_or_else(|| self.trouble.sentence(self.census.findings()).to_owned()),
            (Some(_), None) => self.census.findings().first().map(|finding| finding.sentence.clone()).unwrap_or_default(),
            (Some(_), Some(_)) => String::new(),
        }
    }

    /// Tells all watchers.
    fn say(&mut self, event: v1::watch_event::Event) {
        let event = self.watch_event(event);
        self.watchers.tell(&Box::new(event));
    }

    fn watch_event(&self, event: v1::watch_event::Event) -> v1::WatchEvent {
        v1::WatchEvent {
            incarnation: self.witness.incarnation.clone(),
            epoch: self.stored.epoch,
            at_ns: nanoseconds(clock::since_boot()),
            event: Some(event),
        }
    }
}

impl Looks {
    /// The look after the one at `now`; none when there were enough.
    fn after(self, now: Duration) -> Option<Self> {
        let pause = self.pause * 2;
        (pause <= LOOK_PAUSE_MAX).then(|| Self { next: now + pause, pause })
    }
}
