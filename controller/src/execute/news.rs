//! What the tasks of a walk tell its loop.

use tokio::sync::mpsc;

use super::agent::Agent;
use crate::inventory::HostName;
use crate::journal::Evidence;
use crate::outcome::Outcome;
use crate::rollout::Event;
use crate::standing::Standing;
use crate::step::Step;

/// How many messages may wait for the loop; a task that is ahead of it waits.
pub(super) const NEWS_MAX: usize = 256;

/// Something that a task has to tell.
#[derive(Debug)]
pub(super) enum News {
    /// Something that the rollout must weigh.
    Event(Event),
    /// A handover made a step.
    Step { host: HostName, step: Step, detail: String },
    /// Contact was lost and is sought again.
    Retrying { host: HostName, cause: String },
    /// A lost guard stands again.
    Regained { host: HostName },
    /// A host was looked at, at its turn, over this connection.
    Looked { host: HostName, standing: Box<Standing>, agent: Agent },
    /// A handover has ended: how, what that was judged from, and the connection, if there is one.
    Ended { host: HostName, outcome: Outcome, evidence: Option<Evidence>, agent: Option<Agent> },
}

/// Where a task sends its news. The loop outlives the tasks; when it is gone, nobody wants to know.
#[derive(Debug, Clone)]
pub(super) struct Teller(pub(super) mpsc::Sender<News>);

impl Teller {
    pub(super) async fn tell(&self, news: News) {
        let _ = self.0.send(news).await;
    }
}
