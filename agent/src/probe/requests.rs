//! A few requests at once, until the new generation has taken one.
//!
//! Which worker takes a connection is the kernel's choice, and we saw the same old one take every probe for more than a second. So the
//! next request is sent while that one is still busy with the last, in the hope that another is then faster: why it wins was not traced.

use std::time::Duration;

use baton_proto::span::Span;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Reply;
use super::attribution::{Party, Sides, accepted};
use super::stream::Stream;
use crate::config::Place;
use crate::handover::Answer;

/// How long one request may take from connect to answer.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
/// How many requests one probe may send, each when the old generation has taken the one before.
const REQUESTS_MAX: usize = 8;
/// After this it sends no further one: a service that answers slowly, or boots for a minute, is not to be kept busy by being asked.
pub(super) const REQUESTS_WITHIN: Duration = Duration::from_millis(20);

/// How much a probe may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eagerness {
    /// The new generation cannot be expected to answer yet: one request.
    Patient,
    /// It can: a few, if the old one takes them.
    Eager,
}

/// What one request needs: where to go, between whom to tell, and whom to tell when the old generation has taken it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) place: Place,
    sides: Sides,
    taken_by_old: mpsc::Sender<()>,
}

impl Request {
    pub(super) async fn connect(&self) -> std::io::Result<Stream> {
        Stream::connect(&self.place).await
    }

    /// Who accepted it; an error when it was closed before anybody did.
    pub(super) async fn accepted(&self, stream: &Stream) -> std::io::Result<Party> {
        let Some(party) = accepted(stream, &self.sides).await? else {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        };
        if matches!(party, Party::Old(_)) {
            // The probe listens until it has its answer.
            let _ = self.taken_by_old.try_send(());
        }
        Ok(party)
    }
}

/// Asks once: with a few requests, if the old generation takes them.
pub(super) async fn ask<F>(place: &Place, sides: &Sides, eagerness: Eagerness, send: impl Fn(Request) -> F) -> Reply
where
    F: Future<Output = std::io::Result<Reply>> + Send + 'static,
{
    let requests_max = match eagerness {
        Eagerness::Patient => 1,
        Eagerness::Eager => REQUESTS_MAX,
    };
    let began = Instant::now();
    let (taken, mut taken_by_old) = mpsc::channel(REQUESTS_MAX);
    let request = Request { place: place.clone(), sides: sides.clone(), taken_by_old: taken };
    let mut asked = JoinSet::new();
    asked.spawn(within(place.clone(), send(request.clone())));
    let mut requests = 1;
    loop {
        tokio::select! {
            biased;
            Some(()) = taken_by_old.recv(), if requests < requests_max && began.elapsed() < REQUESTS_WITHIN => {
                asked.spawn(within(place.clone(), send(request.clone())));
                requests += 1;
            }
            Some(reply) = asked.join_next() => {
                let reply = reply.unwrap_or_else(|error| Reply::elsewhere(error.to_string()));
                if !reply.is_of_old() || asked.is_empty() {
                    // Whoever has taken a request gets all of it.
                    asked.detach_all();
                    return reply;
                }
            }
        }
    }
}

async fn within(place: Place, attempt: impl Future<Output = std::io::Result<Reply>>) -> Reply {
    match timeout_at(Instant::now() + WITHIN, attempt).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => Reply::elsewhere(format!("{place}: {error}")),
        Err(_) => Reply::elsewhere(format!("{place}: nobody took the request within {}", Span(WITHIN))),
    }
}

/// What it means that this party has answered, in the wanted way or not.
pub(super) fn attributed(party: Party, is_right: bool, told: &str) -> Reply {
    match party {
        Party::New(pid) if is_right => Reply { answer: Answer::Ready(format!("{told} from {pid}")), answered_by: Some(pid) },
        Party::New(pid) => Reply { answer: Answer::Failing(format!("{told} from {pid}")), answered_by: Some(pid) },
        Party::Old(pid) => {
            Reply { answer: Answer::Elsewhere(format!("{told} from {pid} of the old generation")), answered_by: Some(pid) }
        }
        Party::Stranger => Reply::elsewhere(format!(
            "{told} from a process that is not seen to be of the service, such as a proxy: probe the server itself"
        )),
    }
}
