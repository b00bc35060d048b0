//! A driver that only pretends: it answers at once, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use baton_agent::service::{Attempt, Command, Refusal, Service};
use baton_proto::v1::{self, reload_event, watch_event};
use tokio::sync::mpsc;

#[derive(Clone, Default)]
pub(crate) struct Driver {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    attempts: Vec<Attempt>,
    watchers: Vec<mpsc::Sender<v1::WatchEvent>>,
}

impl Driver {
    /// Starts one pretended service for each name.
    pub(crate) fn start(names: &[&str]) -> (Self, Vec<Service>) {
        let driver = Self::default();
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

    /// Tells every watcher of a drop.
    pub(crate) async fn drop_lock(&self) {
        let watchers = self.state.lock().unwrap().watchers.clone();
        for watcher in watchers {
            let event = watch_event::Event::Drop(v1::Drop { seq: 5, last_master: None });
            watcher.send(v1::WatchEvent { epoch: 1, event: Some(event), ..v1::WatchEvent::default() }).await.unwrap();
        }
    }

    /// Drops every watcher's stream, as a driver does with one that lags.
    pub(crate) fn cut_off(&self) {
        self.state.lock().unwrap().watchers.clear();
    }

    async fn answer(self, service: String, mut inbox: mpsc::Receiver<Command>) {
        while let Some(command) = inbox.recv().await {
            match command {
                Command::Status(reply) => drop(reply.send(status(&service))),
                Command::Reload(attempt, reply) => drop(reply.send(self.reload(attempt))),
                Command::Watch(reply) => drop(reply.send(Ok(self.watch(&service)))),
                Command::Records(reply) => drop(reply.send(vec![record("r-2"), record("r-1")])),
            }
        }
    }

    fn reload(&self, attempt: Attempt) -> Result<mpsc::Receiver<reload_event::Event>, Refusal> {
        if attempt.rollout == "early" {
            return Err(Refusal::Precondition("nobody holds the lock".into()));
        }
        self.state.lock().unwrap().attempts.push(attempt);
        let (sender, receiver) = mpsc::channel(8);
        for event in [
            reload_event::Event::Progress(v1::Progress { step: v1::Step::Open.into(), ..v1::Progress::default() }),
            reload_event::Event::Testimony(v1::Testimony::default()),
            reload_event::Event::Ending(v1::Ending { result: v1::Result::HandedOver.into(), ..v1::Ending::default() }),
        ] {
            sender.try_send(event).unwrap();
        }
        Ok(receiver)
    }

    fn watch(&self, service: &str) -> mpsc::Receiver<v1::WatchEvent> {
        let (sender, receiver) = mpsc::channel(8);
        let event = Some(watch_event::Event::Status(status(service)));
        sender.try_send(v1::WatchEvent { event, ..v1::WatchEvent::default() }).unwrap();
        self.state.lock().unwrap().watchers.push(sender);
        receiver
    }
}

fn status(service: &str) -> v1::ServiceStatus {
    v1::ServiceStatus { service: service.to_owned(), ..v1::ServiceStatus::default() }
}

fn record(rollout: &str) -> v1::Record {
    v1::Record { rollout: rollout.to_owned(), attempt: 1, ..v1::Record::default() }
}
