//! What the driver says to the world: its words on the wire, and the streams on which it says them.

use std::time::Duration;

use baton_proto::custody::{self, Process};
use baton_proto::step::Step;
use baton_proto::v1;
use baton_proto::wire::nanoseconds;
use tokio::sync::mpsc;

use crate::handover::Outcome;
use crate::service::{Refusal, STREAM_EVENTS_MAX};

/// How many may watch one service, and how many may follow one handover.
pub(super) const STREAMS_MAX: usize = 64;

/// The receivers of one kind of news.
#[derive(Debug)]
pub(super) struct Audience<T>(Vec<mpsc::Sender<T>>);

impl<T> Default for Audience<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Audience<T> {
    /// Lets somebody in, who hears `first` what came before.
    pub(super) fn admit(&mut self, first: impl IntoIterator<Item = T>) -> Result<mpsc::Receiver<T>, Refusal> {
        self.0.retain(|listener| !listener.is_closed());
        if self.0.len() >= STREAMS_MAX {
            return Err(Refusal::TooManyStreams(STREAMS_MAX));
        }
        let (listener, stream) = mpsc::channel(STREAM_EVENTS_MAX);
        for news in first {
            // Fewer are kept than there are places in a stream.
            let _ = listener.try_send(news);
        }
        self.0.push(listener);
        Ok(stream)
    }

    /// Tells everybody. Whoever does not keep up is sent away, and may ask again.
    pub(super) fn tell(&mut self, news: &T) {
        self.0.retain(|listener| listener.try_send(news.clone()).is_ok());
    }
}

/// A stream that repeats a stored record.
pub(super) fn replay(record: &v1::Record) -> mpsc::Receiver<v1::reload_event::Event> {
    use v1::reload_event::Event;
    let events: Vec<Event> = record
        .steps
        .iter()
        .cloned()
        .map(Event::Progress)
        .chain(record.testimony.clone().map(Event::Testimony))
        .chain(record.ending.clone().map(Event::Ending))
        .collect();
    let (listener, stream) = mpsc::channel(events.len().max(1));
    for event in events {
        // It has a place for each.
        let _ = listener.try_send(event);
    }
    stream
}

pub(super) fn progress(step: Step, detail: String, at: Duration) -> v1::Progress {
    v1::Progress { step: v1::Step::from(step).into(), detail, at_ns: nanoseconds(at) }
}

pub(super) fn wire_result(outcome: Outcome) -> v1::Result {
    match outcome {
        Outcome::HandedOver => v1::Result::HandedOver,
        Outcome::RolledBack => v1::Result::RolledBack,
        Outcome::Broken => v1::Result::Broken,
    }
}

pub(super) fn drop_seen(drop: &custody::Drop) -> v1::watch_event::Event {
    v1::watch_event::Event::Drop(drop.into())
}

pub(super) fn held(master: Process) -> v1::watch_event::Event {
    v1::watch_event::Event::Held(v1::Held { master: Some(master.into()) })
}
