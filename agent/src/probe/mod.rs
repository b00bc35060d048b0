//! Readiness: whether all conditions hold, and who answered.
//!
//! An old process that answers the probe is the classic false success. So a probe connects, sends all but the end of its request, asks
//! the kernel which process holds the other end of the connection, and only then completes it.
//!
//! - `attribution`: to which generation a process belongs, and who accepted a connection
//! - `requests`, `stream`: a few requests at once, over TCP or a unix socket
//! - `http` with `answer`, `tcp`, `grpc`: what is asked over a connection
//! - `workers`, `notify`, `exec`: the conditions that ask nobody
//!
//! **Invariant:** an answer counts as the new generation's only when a process of it held the connection.
//! **Invariant:** everything that is waited for has a deadline, and everything that is read has a limit: a server may be hostile.

mod answer;
mod attribution;
mod exec;
mod grpc;
mod http;
mod notify;
mod requests;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod workers;

use baton_proto::custody::FileIdentity;

pub use attribution::Sides;
pub use notify::{Notice, Senders, listen};
pub use requests::Eagerness;
pub use workers::Crew;

use crate::config::Condition;
use crate::handover::Answer;
use crate::os::program::Manner;

/// What a probe needs to know.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The service's name.
    pub service: String,
    /// As whom and where programs are run, if not as ourselves.
    pub manner: Option<Manner>,
    /// What must be so, at least one thing.
    pub conditions: Vec<Condition>,
    /// Between whom it has to tell.
    pub sides: Sides,
    /// The lock file.
    pub file: FileIdentity,
    /// How much it may ask.
    pub eagerness: Eagerness,
    /// The workers that the last probe has counted.
    pub crew: Crew,
    /// Who has said that it is ready.
    pub senders: Senders,
}

/// What a probe found, and who answered.
#[derive(Debug)]
pub struct Probed {
    /// What it means.
    pub answer: Answer,
    /// Who held the other end, where that could be told.
    pub answered_by: Option<u32>,
    /// The workers that were counted, for the next probe.
    pub crew: Crew,
}

/// What came of one condition.
#[derive(Debug)]
struct Reply {
    answer: Answer,
    answered_by: Option<u32>,
}

impl Reply {
    fn elsewhere(cause: String) -> Self {
        Self { answer: Answer::Elsewhere(cause), answered_by: None }
    }

    fn is_of_old(&self) -> bool {
        matches!(self.answer, Answer::Elsewhere(_)) && self.answered_by.is_some()
    }
}

impl Probe {
    /// Asks once for one condition after the other, until one does not hold: that is what is told then.
    pub async fn run(mut self) -> Probed {
        let mut details = Vec::with_capacity(self.conditions.len());
        let mut answered_by = None;
        for condition in std::mem::take(&mut self.conditions) {
            let reply = self.ask(&condition).await;
            let told = |detail: String| name(&condition).map_or_else(|| detail.clone(), |name| format!("{name}: {detail}"));
            let answer = match reply.answer {
                Answer::Ready(detail) => {
                    details.push(detail);
                    answered_by = reply.answered_by.or(answered_by);
                    continue;
                }
                Answer::Failing(cause) => Answer::Failing(told(cause)),
                Answer::Elsewhere(cause) => Answer::Elsewhere(told(cause)),
                Answer::Stale(cause) => Answer::Stale(told(cause)),
            };
            return Probed { answer, answered_by: reply.answered_by, crew: self.crew };
        }
        Probed { answer: Answer::Ready(details.join("; ")), answered_by, crew: self.crew }
    }

    async fn ask(&mut self, condition: &Condition) -> Reply {
        match condition {
            Condition::Workers(wanted) => workers::count(*wanted, &self.sides, self.file, &mut self.crew),
            Condition::Notify(_) => self.senders.weigh(&self.sides),
            Condition::Tcp(place) => requests::ask(place, &self.sides, self.eagerness, tcp::send).await,
            Condition::Http { place, host, path, wanted } => {
                let send = |request| http::send(request, host.clone(), path.clone(), wanted.clone());
                requests::ask(place, &self.sides, self.eagerness, send).await
            }
            Condition::Grpc { place, service } => {
                requests::ask(place, &self.sides, self.eagerness, |request| grpc::send(request, service.clone())).await
            }
            Condition::Exec(words) => exec::run(words, self.manner.as_ref(), &self.service, &self.sides).await,
        }
    }
}

/// As what a condition is named that does not hold; an answer over HTTP speaks for itself.
fn name(condition: &Condition) -> Option<&'static str> {
    match condition {
        Condition::Workers(_) => Some("workers"),
        Condition::Notify(_) => Some("notify"),
        Condition::Tcp(_) => Some("tcp"),
        Condition::Http { .. } => None,
        Condition::Grpc { .. } => Some("grpc"),
        Condition::Exec(_) => Some("exec"),
    }
}
