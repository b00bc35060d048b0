//! What the driver says to the world: its words on the wire, and the streams on which it says them.

use std::time::Duration;

use baton_proto::custody::{self, Process};
use baton_proto::step::Step;
use baton_proto::v1;
use baton_proto::wire::nanoseconds;
use tokio::sync::mpsc;

use crate::census::{Finding, Holder, Kind, Role};
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

impl From<&Finding> for v1::Finding {
    fn from(finding: &Finding) -> Self {
        let Finding { kind, pids, sentence, refuses } = finding;
        let kind = match kind {
            Kind::Orphans => v1::FindingKind::Orphans,
            Kind::Lingering => v1::FindingKind::Lingering,
            Kind::ForeignHolder => v1::FindingKind::ForeignHolder,
            Kind::LeakedDescriptor => v1::FindingKind::LeakedDescriptor,
            Kind::Wrapper => v1::FindingKind::Wrapper,
            Kind::UnseenHolder => v1::FindingKind::UnseenHolder,
            Kind::Helper => v1::FindingKind::Helper,
            Kind::TwoMasters => v1::FindingKind::TwoMasters,
            Kind::Predecessor => v1::FindingKind::Predecessor,
            Kind::PredecessorUnburied => v1::FindingKind::PredecessorUnburied,
            Kind::Successor => v1::FindingKind::Successor,
            Kind::LockReplaced => v1::FindingKind::LockReplaced,
            Kind::LockUnlinked => v1::FindingKind::LockUnlinked,
            Kind::LockUnreadable => v1::FindingKind::LockUnreadable,
            Kind::NoWaiter => v1::FindingKind::NoWaiter,
            Kind::NetworkFileSystem => v1::FindingKind::NetworkFileSystem,
            Kind::SharedLockFile => v1::FindingKind::SharedLockFile,
            Kind::PidFileNamesNoHolder => v1::FindingKind::PidFileNamesNoHolder,
            Kind::StalePidFile => v1::FindingKind::StalePidFile,
        };
        Self { kind: kind.into(), sentence: sentence.clone(), pids: pids.clone(), refuses: *refuses }
    }
}

/// A holder, and as what it holds.
pub(super) fn holder((holder, role): (&Holder, Role)) -> v1::Holder {
    let role = match role {
        Role::Master => v1::HolderRole::Master,
        Role::Worker => v1::HolderRole::Worker,
        Role::Helper => v1::HolderRole::Helper,
        Role::Wrapper => v1::HolderRole::Wrapper,
        Role::Leak => v1::HolderRole::Leak,
        Role::OtherMaster => v1::HolderRole::OtherMaster,
        Role::OtherWorker => v1::HolderRole::OtherWorker,
        Role::Orphan => v1::HolderRole::Orphan,
        Role::Foreign => v1::HolderRole::Foreign,
    };
    v1::Holder {
        process: Some(holder.process.into()),
        role: role.into(),
        command: holder.command.clone(),
        parent: holder.parent,
        mark: holder.lock.mark,
        taker: holder.lock.taker,
    }
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
