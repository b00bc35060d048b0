//! A driver that only pretends: it answers at once, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use baton_agent::claim::{Claimant, LEASE};
use baton_agent::service::{Attempt, Command, Granted, Past, Refusal, Service};
use baton_proto::custody::{History, Testimony};
use baton_proto::v1::{self, reload_event, watch_event};
use tokio::sync::{mpsc, oneshot};

use super::testimony;

#[derive(Clone, Default)]
pub(crate) struct Driver {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    attempts: Vec<Attempt>,
    refusal: Option<String>,
    scripts: VecDeque<Vec<reload_event::Event>>,
    records: Vec<v1::Record>,
    history: v1::History,
    claimants: Vec<Claimant>,
    claimed: Option<String>,
    claims: Vec<oneshot::Sender<String>>,
    released: Vec<u64>,
    watchers: Vec<mpsc::Sender<Box<v1::WatchEvent>>>,
}

impl Driver {
    /// Starts one pretended service for each name.
    pub(crate) fn start(names: &[&str]) -> (Self, Vec<Service>) {
        let driver = Self::default();
        driver.state.lock().unwrap().records = vec![record("r-2"), record("r-1")];
        let services = names.iter().map(|name| {
            let (sender, inbox) = mpsc::channel(16);
            tokio::spawn(driver.clone().answer((*name).to_owned(), inbox));
            Service::new((*name).to_owned(), sender)
        });
        let services = services.collect();
        (driver, services)
    }

    /// The reloads that were begun.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.state.lock().unwrap().attempts.clone()
    }

    /// Refuses every reload from now on.
    pub(crate) fn refuse(&self, reason: &str) {
        self.state.lock().unwrap().refusal = Some(reason.to_owned());
    }

    /// What the next reload tells; without an ending it is cut off there. May be called for several reloads to come.
    pub(crate) fn script(&self, events: Vec<reload_event::Event>) {
        self.state.lock().unwrap().scripts.push_back(events);
    }

    /// Those who were granted a claim: the first with the fence 1, and so on.
    pub(crate) fn claimants(&self) -> Vec<Claimant> {
        self.state.lock().unwrap().claimants.clone()
    }

    /// The fences of the claims that were given back.
    pub(crate) fn released(&self) -> Vec<u64> {
        self.state.lock().unwrap().released.clone()
    }

    /// Refuses every claim from now on.
    pub(crate) fn refuse_claims(&self, reason: &str) {
        self.state.lock().unwrap().claimed = Some(reason.to_owned());
    }

    /// Ends every claim that was granted.
    pub(crate) fn end_claims(&self, reason: &str) {
        for claim in self.state.lock().unwrap().claims.drain(..) {
            let _ = claim.send(reason.to_owned());
        }
    }

    /// What is on record, newest first.
    pub(crate) fn set_records(&self, records: Vec<v1::Record>) {
        self.state.lock().unwrap().records = records;
    }

    /// What befell the services.
    pub(crate) fn set_history(&self, history: &History) {
        self.state.lock().unwrap().history = history.into();
    }

    /// Tells every watcher of a drop.
    pub(crate) async fn drop_lock(&self) {
        let watchers = self.state.lock().unwrap().watchers.clone();
        for watcher in watchers {
            let event = watch_event::Event::Drop(v1::Drop { seq: 5, ..v1::Drop::default() });
            watcher.send(Box::new(v1::WatchEvent { epoch: 1, event: Some(event), ..v1::WatchEvent::default() })).await.unwrap();
        }
    }

    /// Drops every watcher's stream, as a driver does with one that lags.
    pub(crate) fn cut_off(&self) {
        self.state.lock().unwrap().watchers.clear();
    }

    async fn answer(self, service: String, mut inbox: mpsc::Receiver<Command>) {
        while let Some(command) = inbox.recv().await {
            match command {
                Command::Status(reply) | Command::Farewell(reply) => drop(reply.send(status(&service))),
                Command::Census(reply) => drop(reply.send(Ok(census(&service)))),
                Command::Reload(attempt, reply) => drop(reply.send(self.reload(attempt))),
                Command::Claim(claimant, reply) => drop(reply.send(self.claim(claimant))),
                Command::Renew(_, reply) => drop(reply.send(Ok(()))),
                Command::Release(fence, reply) => {
                    self.state.lock().unwrap().released.push(fence);
                    drop(reply.send(Ok(())));
                }
                Command::Start(reply) => drop(reply.send(Ok(status(&service)))),
                Command::Stop(reply) => drop(reply.send(Ok((status(&service), "stopped, as told".into())))),
                Command::Watch(reply) => drop(reply.send(Ok(self.watch(&service)))),
                Command::Past(reply) => {
                    let state = self.state.lock().unwrap();
                    drop(reply.send(Past { records: state.records.clone(), history: state.history.clone() }));
                }
            }
        }
    }

    fn claim(&self, claimant: Claimant) -> Result<Granted, Refusal> {
        let mut state = self.state.lock().unwrap();
        if let Some(reason) = &state.claimed {
            return Err(Refusal::Precondition(reason.clone()));
        }
        state.claimants.push(claimant);
        let (claim, ended) = oneshot::channel();
        state.claims.push(claim);
        Ok(Granted { fence: state.claimants.len() as u64, lease: LEASE, ended })
    }

    fn reload(&self, attempt: Attempt) -> Result<mpsc::Receiver<reload_event::Event>, Refusal> {
        let mut state = self.state.lock().unwrap();
        if let Some(reason) = &state.refusal {
            return Err(Refusal::Precondition(reason.clone()));
        }
        state.attempts.push(attempt);
        let (sender, receiver) = mpsc::channel(8);
        let handed_over = || told(&testimony::handed_over(), v1::Result::HandedOver);
        for event in state.scripts.pop_front().unwrap_or_else(handed_over) {
            sender.try_send(event).unwrap();
        }
        Ok(receiver)
    }

    fn watch(&self, service: &str) -> mpsc::Receiver<Box<v1::WatchEvent>> {
        let (sender, receiver) = mpsc::channel(8);
        let event = Some(watch_event::Event::Status(status(service)));
        sender.try_send(Box::new(v1::WatchEvent { event, ..v1::WatchEvent::default() })).unwrap();
        self.state.lock().unwrap().watchers.push(sender);
        receiver
    }
}

fn status(service: &str) -> v1::ServiceStatus {
    v1::ServiceStatus { service: service.to_owned(), ..v1::ServiceStatus::default() }
}

/// The state with the list of holders that was asked for.
fn census(service: &str) -> v1::ServiceStatus {
    let process = Some(v1::Process { pid: 100, start_ticks: 7 });
    let holder =
        v1::Holder { process, role: v1::HolderRole::Master.into(), command: "ruby".into(), taker: 100, ..v1::Holder::default() };
    v1::ServiceStatus { holders: 1, census: vec![holder], ..status(service) }
}

pub(crate) fn record(rollout: &str) -> v1::Record {
    v1::Record {
        rollout: rollout.to_owned(),
        attempt: 1,
        fence: 3,
        steps: Vec::new(),
        testimony: Some((&testimony::handed_over()).into()),
        ending: Some(v1::Ending { result: v1::Result::HandedOver.into(), ..v1::Ending::default() }),
    }
}

/// A step, a testimony and an ending.
pub(crate) fn told(testimony: &Testimony, result: v1::Result) -> Vec<reload_event::Event> {
    let ending = v1::Ending {
        result: result.into(),
        step: v1::Step::Ready.into(),
        cause: "500 from 201".into(),
        lingering_pids: vec![101],
        generation: 2,
        ..v1::Ending::default()
    };
    vec![step(), reload_event::Event::Testimony(testimony.into()), reload_event::Event::Ending(ending)]
}

/// A step.
pub(crate) fn step() -> reload_event::Event {
    let detail = "looking at the old master 100".into();
    reload_event::Event::Progress(v1::Progress { step: v1::Step::Open.into(), detail, at_ns: 0 })
}
