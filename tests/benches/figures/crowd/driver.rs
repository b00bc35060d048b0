//! A driver that only pretends: it answers at once, and a handover takes as long as it was told to.

use std::time::Duration;

use baton_agent::claim::{Claimant, LEASE};
use baton_agent::os::clock;
use baton_agent::rpc::Speaker;
use baton_agent::service::{Attempt, Command, Granted, Past, Refusal, Service};
use baton_proto::custody::Process;
use baton_proto::v1::{self, Step, reload_event, watch_event};
use baton_proto::wire::nanoseconds;
use baton_tests::fleet::SERVICE;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::testimony;

const INBOX_MAX: usize = 16;
const EVENTS_MAX: usize = 16;
const EPOCH: u64 = 2;

/// The steps of a handover, and after what share of its time each is told, in percent.
const STEPS: [(u32, Step); 8] = [
    (0, Step::Open),
    (0, Step::Signal),
    (1, Step::Appear),
    (20, Step::Ready),
    (60, Step::Overlap),
    (60, Step::Retire),
    (61, Step::Drain),
    (100, Step::Close),
];

/// A service that is no more than what is said of it.
struct Driver {
    speaker: Speaker,
    takes: Duration,
    generation: u64,
    held_since: Duration,
    fence: u64,
    claim: Option<Claimed>,
    under_way: Option<Handover>,
    watchers: Vec<mpsc::Sender<Box<v1::WatchEvent>>>,
}

struct Claimed {
    claimant: Claimant,
    /// Dropped, it tells that another has the claim.
    _ended: oneshot::Sender<String>,
}

struct Handover {
    began: Instant,
    told: usize,
    events: mpsc::Sender<reload_event::Event>,
}

/// Starts a service whose handovers take so long.
pub(super) fn start(speaker: &Speaker, takes: Duration) -> Service {
    let (sender, inbox) = mpsc::channel(INBOX_MAX);
    let driver = Driver {
        speaker: speaker.clone(),
        takes,
        generation: 1,
        held_since: clock::since_boot(),
        fence: 0,
        claim: None,
        under_way: None,
        watchers: Vec::new(),
    };
    tokio::spawn(driver.drive(inbox));
    Service::new(SERVICE.to_owned(), sender)
}

fn master(generation: u64) -> Process {
    Process { pid: 1_000 + u32::try_from(generation).expect("a bench is not that long"), start_ticks: generation }
}

impl Driver {
    async fn drive(mut self, mut inbox: mpsc::Receiver<Command>) {
        loop {
            let due = self.under_way.as_ref().and_then(|handover| handover.due(self.takes));
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                () = until(due) => self.step().await,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // Whoever asked may have gone.
        match command {
            Command::Status(reply) | Command::Farewell(reply) => drop(reply.send(self.status())),
            Command::Census(reply) => drop(reply.send(Ok(self.status()))),
            Command::Reload(attempt, reply) => drop(reply.send(self.reload(&attempt))),
            Command::Claim(claimant, reply) => drop(reply.send(Ok(self.claim(claimant)))),
            Command::Renew(fence, reply) => drop(reply.send(self.check(fence))),
            Command::Release(fence, reply) => {
                let checked = self.check(fence);
                if checked.is_ok() {
                    self.claim = None;
                }
                drop(reply.send(checked));
            }
            Command::Watch(reply) => drop(reply.send(Ok(self.watch()))),
            Command::Past(reply) => drop(reply.send(Past::default())),
            Command::Start(reply) => drop(reply.send(Err(no_server()))),
            Command::Stop(reply) => drop(reply.send(Err(no_server()))),
        }
    }

    fn claim(&mut self, claimant: Claimant) -> Granted {
        self.fence += 1;
        let (sender, ended) = oneshot::channel();
        self.claim = Some(Claimed { claimant, _ended: sender });
        Granted { fence: self.fence, lease: LEASE, ended }
    }

    fn check(&self, fence: u64) -> Result<(), Refusal> {
        if self.claim.is_some() && fence == self.fence { Ok(()) } else { Err(Refusal::NoClaim("it has ended".to_owned())) }
    }

    fn reload(&mut self, attempt: &Attempt) -> Result<mpsc::Receiver<reload_event::Event>, Refusal> {
        self.check(attempt.fence)?;
        if self.under_way.is_some() {
            return Err(Refusal::Precondition("a handover is under way".to_owned()));
        }
        let (events, told) = mpsc::channel(EVENTS_MAX);
        self.under_way = Some(Handover { began: Instant::now(), told: 0, events });
        Ok(told)
    }

    /// Tells the step that is due, and after the last one what was seen.
    async fn step(&mut self) {
        let Some(handover) = &mut self.under_way else { return };
        if let Some((_, step)) = STEPS.get(handover.told) {
            handover.told += 1;
            handover.tell(*step).await;
        }
        if handover.told == STEPS.len()
            && let Some(handover) = self.under_way.take()
        {
            let (old, new) = (master(self.generation), master(self.generation + 1));
            self.generation += 1;
            self.held_since = clock::since_boot();
            let testimony = testimony::handed_over(&self.speaker, old, new);
            handover.end(v1::Testimony::from(&testimony), self.generation).await;
        }
    }

    fn watch(&mut self) -> mpsc::Receiver<Box<v1::WatchEvent>> {
        let (sender, told) = mpsc::channel(EVENTS_MAX);
        let event = v1::WatchEvent {
            incarnation: self.speaker.incarnation.clone(),
            epoch: EPOCH,
            at_ns: nanoseconds(clock::since_boot()),
            event: Some(watch_event::Event::Status(self.status())),
        };
        sender.try_send(Box::new(event)).expect("a new channel has room");
        self.watchers.retain(|watcher| !watcher.is_closed());
        self.watchers.push(sender);
        told
    }

    fn status(&self) -> v1::ServiceStatus {
        let master = master(self.generation);
        v1::ServiceStatus {
            service: SERVICE.to_owned(),
            dialect: "unicorn".to_owned(),
            custody: v1::Custody::Held.into(),
            generation: self.generation,
            master: Some(master.into()),
            epoch: EPOCH,
            held_since_ns: nanoseconds(self.held_since),
            lock_path: "/run/web/unicorn.pid.lock".to_owned(),
            lock: Some(testimony::FILE.into()),
            fence: self.fence,
            mark: testimony::mark(master),
            handover_within_ns: nanoseconds(Duration::from_mins(2)),
            holders: 1,
            claim: self.claim.as_ref().map(|claim| self.told(&claim.claimant)),
            ..v1::ServiceStatus::default()
        }
    }

    fn told(&self, claimant: &Claimant) -> v1::Claim {
        let Claimant { rollout, operator, reason, .. } = claimant.clone();
        v1::Claim { rollout, operator, reason, lease_left_ns: nanoseconds(LEASE), fence: self.fence, ..v1::Claim::default() }
    }
}

impl Handover {
    /// When its next step is due.
    fn due(&self, takes: Duration) -> Option<Instant> {
        STEPS.get(self.told).map(|(percent, _)| self.began + takes * *percent / 100)
    }

    async fn tell(&self, step: Step) {
        let progress = v1::Progress { step: step.into(), detail: String::new(), at_ns: nanoseconds(clock::since_boot()) };
        // A handover goes on when nobody listens.
        let _ = self.events.send(reload_event::Event::Progress(progress)).await;
    }

    async fn end(self, testimony: v1::Testimony, generation: u64) {
        let ending = v1::Ending { result: v1::Result::HandedOver.into(), generation, ..v1::Ending::default() };
        for event in [reload_event::Event::Testimony(testimony), reload_event::Event::Ending(ending)] {
            let _ = self.events.send(event).await;
        }
    }
}

fn no_server() -> Refusal {
    Refusal::Precondition("there is no server".to_owned())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
