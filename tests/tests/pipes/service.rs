//! One service and what its driver does: real claims, a handover in steps that take their time, records that outlive the agent.
//!
//! **Invariant:** what the contract wants on disk first is there before it is done or told: a fence, an intent, a record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_agent::claim::{Claimant, Claims, Kept, LEASE};
use baton_agent::service::{Attempt, Command, Granted, Past, Refusal, Reply};
use baton_proto::custody::{Moment, Process};
use baton_proto::v1;
use baton_proto::v1::reload_event::Event as Told;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::account::{Account, Tale};
use crate::scenario::Behaviour;
use crate::trace::{Seen, Trace};

/// The one boot of every host.
pub(crate) const BOOT: &str = "boot-1";

/// How many events a stream may lag behind.
const STREAM_EVENTS_MAX: usize = 256;

/// The steps of a handover, in their order.
const STEPS: [v1::Step; 8] = [
    v1::Step::Open,
    v1::Step::Signal,
    v1::Step::Appear,
    v1::Step::Ready,
    v1::Step::Overlap,
    v1::Step::Retire,
    v1::Step::Drain,
    v1::Step::Close,
];

/// The place of the signal among the steps.
const SIGNAL: usize = 1;

/// The place of the overlap among the steps: whoever is found dead before it is undone.
const OVERLAP: usize = 4;

/// How long an agent that has come back takes to end what its predecessor had begun.
const RESUMED_TAKES: Duration = Duration::from_millis(700);

/// The longest that a handover is said to take.
const HANDOVER_WITHIN: Duration = Duration::from_mins(1);

/// What outlives the agent.
#[derive(Debug)]
pub(crate) struct Disk {
    kept: Kept,
    records: Vec<v1::Record>,
    generation: u64,
    master: Process,
    epoch: u64,
    under_way: Option<UnderWay>,
    drops_at: Option<Duration>,
}

/// A handover whose signal was sent.
#[derive(Debug, Clone)]
struct UnderWay {
    attempt: Attempt,
    opened_by: String,
    old: Process,
    step: usize,
}

impl Disk {
    pub(crate) fn new(place: usize) -> Self {
        let pid = 1_000 + u32::try_from(place).expect("it is small") * 100;
        Self {
            kept: Kept::default(),
            records: Vec::new(),
            generation: 1,
            master: Process { pid, start_ticks: 1 },
            epoch: 0,
            under_way: None,
            drops_at: None,
        }
    }
}

/// A handover that this run of the agent sees to.
#[derive(Debug)]
struct Run {
    attempt: Attempt,
    opened_by: String,
    old: Process,
    tale: Tale,
    step: usize,
    next: Duration,
    pause: Duration,
    told: Vec<v1::Progress>,
    audience: Vec<mpsc::Sender<Told>>,
}

/// The driver of a simulated service.
#[derive(Debug)]
pub(crate) struct Simulated {
    place: usize,
    incarnation: String,
    behaviour: Behaviour,
    disk: Arc<Mutex<Disk>>,
    trace: Trace,
    claims: Claims,
    streams: Vec<oneshot::Sender<String>>,
    run: Option<Run>,
    watchers: Vec<mpsc::Sender<Box<v1::WatchEvent>>>,
}

impl Simulated {
    pub(crate) fn new(place: usize, incarnation: &str, behaviour: Behaviour, disk: Arc<Mutex<Disk>>, trace: Trace) -> Self {
        let (kept, under_way) = {
            let disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
            (disk.kept.clone(), disk.under_way.clone())
        };
        let now = trace.now();
        let resumed = |under_way: UnderWay| Run {
            tale: if under_way.step < OVERLAP { Tale::Undone } else { behaviour.tale },
            attempt: under_way.attempt,
            opened_by: under_way.opened_by,
            old: under_way.old,
            step: STEPS.len() - 1,
            next: now + RESUMED_TAKES,
            pause: RESUMED_TAKES,
            told: Vec::new(),
            audience: Vec::new(),
        };
        Self {
            place,
            incarnation: incarnation.to_owned(),
            behaviour,
            disk,
            claims: Claims::restored(kept, now),
            trace,
            streams: Vec::new(),
            run: under_way.map(resumed),
            watchers: Vec::new(),
        }
    }

    /// Answers and acts until nobody can ask any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let due = [self.run.as_ref().map(|run| run.next), self.claims.deadline(), self.with(|disk| disk.drops_at)];
            let due = due.into_iter().flatten().min().map(|due| self.trace.instant(due));
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                () = timer => self.act(),
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> T) -> T {
        act(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn moment(&self) -> Moment {
        Moment { at: self.trace.now(), boot: BOOT.into(), wall: Duration::ZERO }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Status(reply) | Command::Farewell(reply) => drop(reply.send(self.status())),
            Command::Census(reply) => drop(reply.send(Ok(self.status()))),
            Command::Reload(attempt, reply) => drop(reply.send(self.reload(&attempt))),
            Command::Claim(claimant, reply) => drop(reply.send(self.claim(claimant))),
            Command::Renew(fence, reply) => self.renew(fence, reply),
            Command::Release(fence, reply) => self.release(fence, reply),
            Command::Watch(reply) => drop(reply.send(Ok(self.watch()))),
            Command::Past(reply) => {
                let records = self.with(|disk| disk.records.clone());
                drop(reply.send(Past { records, ..Past::default() }));
            }
            Command::Start(reply) => drop(reply.send(Err(Refusal::Stopping))),
            Command::Stop(reply) => drop(reply.send(Err(Refusal::Stopping))),
        }
    }

    /// Does what is due.
    fn act(&mut self) {
        let now = self.trace.now();
        self.expire();
        if self.with(|disk| disk.drops_at).is_some_and(|at| at <= now) {
            self.with(|disk| disk.drops_at = None);
            self.drop_lock();
        }
        while self.run.as_ref().is_some_and(|run| run.next <= now) {
            self.step();
        }
    }

    fn expire(&mut self) {
        if self.claims.expire(self.trace.now()).is_some() {
            self.end_streams("the claim was not renewed");
            self.keep();
        }
    }

    fn keep(&mut self) {
        let kept = self.claims.kept();
        self.with(|disk| disk.kept = kept);
    }

    fn end_streams(&mut self, why: &str) {
        for stream in self.streams.drain(..) {
            let _ = stream.send(why.to_owned());
        }
    }

    fn claim(&mut self, claimant: Claimant) -> Result<Granted, Refusal> {
        self.expire();
        let under_way = self.run.as_ref().map(|run| run.attempt.rollout.clone());
        let Claimant { rollout, session, .. } = claimant.clone();
        let opened = self.claims.open(&self.moment(), claimant, under_way.as_deref());
        let opened = opened.map_err(|taken| Refusal::Precondition(taken.to_string()))?;
        if opened.takes_over {
            self.end_streams("another session has taken the claim over");
        }
        self.keep();
        self.trace.note(Seen::Granted { host: self.place, rollout, session, fence: opened.fence });
        let (stream, ended) = oneshot::channel();
        self.streams.push(stream);
        Ok(Granted { fence: opened.fence, lease: LEASE, ended })
    }

    fn renew(&mut self, fence: u64, reply: Reply<()>) {
        self.expire();
        let renewed = self.claims.renew(self.trace.now(), fence);
        if renewed.is_ok() {
            self.trace.note(Seen::Renewed { host: self.place, fence });
        }
        drop(reply.send(renewed.map_err(|why| Refusal::NoClaim(why.to_string()))));
    }

    fn release(&mut self, fence: u64, reply: Reply<()>) {
        self.expire();
        let released = self.claims.release(self.trace.now(), fence);
        if released.is_ok() {
            self.trace.note(Seen::Released { host: self.place, fence });
            self.end_streams("the claim was released");
            self.keep();
        }
        drop(reply.send(released.map_err(|why| Refusal::NoClaim(why.to_string()))));
    }

    fn reload(&mut self, attempt: &Attempt) -> Result<mpsc::Receiver<Told>, Refusal> {
        if let Some(record) = self.recorded(attempt) {
            return Ok(replay(record));
        }
        if let Some(run) = &mut self.run {
            return run.join(attempt);
        }
        self.expire();
        let admitted = self.claims.admit(&self.moment(), &attempt.rollout, attempt.fence);
        admitted.map_err(|why| Refusal::NoClaim(why.to_string()))?;
        if let Some(highest) = self.claims.surpasses(&attempt.rollout, attempt.number) {
            return Err(Refusal::Precondition(format!("attempt {} after {highest}", attempt.number)));
        }
        let steps = u32::try_from(STEPS.len()).expect("it is small");
        let mut run = Run {
            opened_by: self.incarnation.clone(),
            old: self.with(|disk| disk.master),
            tale: self.behaviour.tale,
            step: 0,
            next: self.trace.now(),
            pause: self.behaviour.takes / steps,
            told: Vec::new(),
            audience: Vec::new(),
            attempt: attempt.clone(),
        };
        let joined = run.join(attempt);
        self.run = Some(run);
        joined
    }

    fn recorded(&self, attempt: &Attempt) -> Option<v1::Record> {
        let same = |record: &&v1::Record| record.rollout == attempt.rollout && record.attempt == attempt.number;
        self.with(|disk| disk.records.iter().find(same).cloned())
    }

    /// The next step of the handover.
    fn step(&mut self) {
        let Some(run) = &mut self.run else { return };
        let (place, step) = (run.step, STEPS[run.step]);
        run.step += 1;
        run.next += run.pause;
        run.tell(step);
        let (attempt, opened_by, old) = (run.attempt.clone(), run.opened_by.clone(), run.old);
        if place == SIGNAL {
            self.signal(attempt, opened_by, old);
        } else if let Some(under_way) = self.disk.lock().unwrap_or_else(PoisonError::into_inner).under_way.as_mut() {
            under_way.step = under_way.step.max(place);
        }
        if place == STEPS.len() - 1 {
            self.conclude();
        }
    }

    fn signal(&mut self, attempt: Attempt, opened_by: String, old: Process) {
        let Attempt { rollout, number, fence, .. } = attempt.clone();
        self.claims.note_attempt(&rollout, number);
        self.keep();
        self.with(|disk| disk.under_way = Some(UnderWay { attempt, opened_by, old, step: SIGNAL }));
        self.trace.note(Seen::Signalled { host: self.place, rollout, attempt: number, fence });
    }

    fn conclude(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        let new = Process { pid: run.old.pid + 1, start_ticks: run.old.start_ticks + 1 };
        let generation = self.with(|disk| disk.generation);
        let account =
            Account { boot: BOOT, opened_by: &run.opened_by, closed_by: &self.incarnation, old: run.old, new, generation };
        let (testimony, ending) = account.tell(run.tale);
        let Attempt { rollout, number, .. } = run.attempt.clone();
        let record = v1::Record {
            rollout: rollout.clone(),
            attempt: number,
            testimony: Some(testimony.clone()),
            ending: Some(ending.clone()),
            ..v1::Record::default()
        };
        let drops_at = self.behaviour.drops_after.map(|after| self.trace.now() + after);
        self.with(|disk| {
            disk.records.insert(0, record);
            disk.under_way = None;
            disk.generation = ending.generation;
            disk.drops_at = drops_at;
            if !run.tale.is_undone() {
                disk.master = new;
            }
        });
        self.trace.note(Seen::Concluded { host: self.place, rollout, attempt: number, how: run.tale.word() });
        if run.tale == Tale::Dropped {
            self.drop_lock();
        }
        run.say(&Told::Testimony(testimony));
        run.say(&Told::Ending(ending.clone()));
        self.announce(v1::watch_event::Event::Ending(ending));
    }

    fn drop_lock(&mut self) {
        let epoch = self.with(|disk| {
            disk.epoch += 1;
            disk.epoch
        });
        self.trace.note(Seen::Dropped { host: self.place });
        self.announce(v1::watch_event::Event::Drop(v1::Drop { epoch, ..v1::Drop::default() }));
        let master = Some(self.with(|disk| disk.master).into());
        self.announce(v1::watch_event::Event::Held(v1::Held { master }));
    }

    fn watch(&mut self) -> mpsc::Receiver<Box<v1::WatchEvent>> {
        let (watcher, events) = mpsc::channel(STREAM_EVENTS_MAX);
        let _ = watcher.try_send(Box::new(self.event(v1::watch_event::Event::Status(self.status()))));
        self.watchers.push(watcher);
        events
    }

    fn event(&self, event: v1::watch_event::Event) -> v1::WatchEvent {
        let epoch = self.with(|disk| disk.epoch);
        v1::WatchEvent { incarnation: self.incarnation.clone(), epoch, at_ns: 0, event: Some(event) }
    }

    fn announce(&mut self, event: v1::watch_event::Event) {
        let event = self.event(event);
        self.watchers.retain(|watcher| watcher.try_send(Box::new(event.clone())).is_ok());
    }

    fn status(&self) -> v1::ServiceStatus {
        let (generation, master, epoch) = self.with(|disk| (disk.generation, disk.master, disk.epoch));
        v1::ServiceStatus {
            service: "web".into(),
            dialect: "unicorn".into(),
            custody: v1::Custody::Held.into(),
            generation,
            master: Some(master.into()),
            epoch,
            held_since_ns: 1,
            step: self.run.as_ref().map_or(v1::Step::Unspecified, |run| STEPS[run.step.saturating_sub(1)]).into(),
            fence: self.claims.fence(),
            handover_within_ns: baton_proto::wire::nanoseconds(HANDOVER_WITHIN),
            holders: 3,
            claim: self.claims.told(&self.moment()).as_ref().map(Into::into),
            ..v1::ServiceStatus::default()
        }
    }
}

impl Run {
    fn join(&mut self, attempt: &Attempt) -> Result<mpsc::Receiver<Told>, Refusal> {
        if (&self.attempt.rollout, self.attempt.number) != (&attempt.rollout, attempt.number) {
            let Attempt { rollout, number, .. } = &self.attempt;
            return Err(Refusal::Precondition(format!("a handover is under way (rollout {rollout}, attempt {number})")));
        }
        let (listener, events) = mpsc::channel(STREAM_EVENTS_MAX);
        for progress in &self.told {
            let _ = listener.try_send(Told::Progress(progress.clone()));
        }
        self.audience.push(listener);
        Ok(events)
    }

    fn tell(&mut self, step: v1::Step) {
        let progress = v1::Progress { step: step.into(), detail: "simulated".into(), at_ns: 0 };
        self.told.push(progress.clone());
        self.say(&Told::Progress(progress));
    }

    fn say(&mut self, event: &Told) {
        self.audience.retain(|listener| listener.try_send(event.clone()).is_ok());
    }
}

fn replay(record: v1::Record) -> mpsc::Receiver<Told> {
    let (listener, events) = mpsc::channel(2);
    let told = [record.testimony.map(Told::Testimony), record.ending.map(Told::Ending)];
    for event in told.into_iter().flatten() {
        let _ = listener.try_send(event);
    }
    events
}
