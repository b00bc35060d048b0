//! A driver's events as a stream of messages that says why it ended.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use baton_proto::v1::{self, reload_event, watch_event};
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

/// What kind of stream it is.
pub trait Telling {
    /// What the driver says.
    type Event: Send;
    /// What is sent.
    type Message;

    /// Whether nothing comes after it.
    fn is_last(event: &Self::Event) -> bool;

    /// The event as it is sent.
    fn message(event: Self::Event) -> Self::Message;
}

/// A driver's events, as messages. An end without a last event is an error: the caller must ask again.
#[derive(Debug)]
pub struct Told<T: Telling> {
    events: mpsc::Receiver<T::Event>,
    stopping: Option<WatchStream<bool>>,
    is_over: bool,
    kind: PhantomData<fn() -> T>,
}

impl<T: Telling> Told<T> {
    /// The events of `events`, until `stopping` becomes true.
    pub(super) fn new(events: mpsc::Receiver<T::Event>, stopping: Option<watch::Receiver<bool>>) -> Self {
        Self { events, stopping: stopping.map(WatchStream::new), is_over: false, kind: PhantomData }
    }

    fn is_stopping(&mut self, context: &mut Context<'_>) -> bool {
        let Some(stopping) = &mut self.stopping else { return false };
        loop {
            match Pin::new(&mut *stopping).poll_next(context) {
                Poll::Ready(Some(false)) => {}
                Poll::Ready(Some(true) | None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    fn end(&mut self, status: Status) -> Poll<Option<Result<T::Message, Status>>> {
        self.is_over = true;
        Poll::Ready(Some(Err(status)))
    }
}

impl<T: Telling> Stream for Told<T> {
    type Item = Result<T::Message, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        match this.events.poll_recv(context) {
            Poll::Ready(Some(event)) => {
                this.is_over = T::is_last(&event);
                Poll::Ready(Some(Ok(T::message(event))))
            }
            Poll::Ready(None) => {
                this.end(Status::unavailable("the stream was cut off: it lagged behind or the agent is shutting down; ask again"))
            }
            Poll::Pending if this.is_stopping(context) => this.end(Status::unavailable("the agent is shutting down")),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Reload's stream: the last message is the ending.
#[derive(Debug)]
pub struct Reloading;

impl Telling for Reloading {
    type Event = reload_event::Event;
    type Message = v1::ReloadEvent;

    fn is_last(event: &Self::Event) -> bool {
        match event {
            reload_event::Event::Ending(_) => true,
            reload_event::Event::Progress(_) | reload_event::Event::Testimony(_) => false,
        }
    }

    fn message(event: Self::Event) -> Self::Message {
        v1::ReloadEvent { event: Some(event) }
    }
}

/// Watch's stream: it has no last message.
#[derive(Debug)]
pub struct Watching;

impl Telling for Watching {
    type Event = Box<v1::WatchEvent>;
    type Message = v1::WatchEvent;

    fn is_last(event: &Self::Event) -> bool {
        match &event.event {
            Some(
                watch_event::Event::Status(_)
                | watch_event::Event::Drop(_)
                | watch_event::Event::Held(_)
                | watch_event::Event::Progress(_)
                | watch_event::Event::Ending(_),
            )
            | None => false,
        }
    }

    fn message(event: Self::Event) -> Self::Message {
        *event
    }
}
