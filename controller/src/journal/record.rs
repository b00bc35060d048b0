//! Entries as rows of a table, and back.
//!
//! **Invariant:** what a row says of a handover is believed only as far as the testimony beside it shows.

use super::raw::{RawEntry, RawOutcome, host};
use super::{Entry, Evidence, learn};
use crate::inventory::HostName;
use crate::outcome::{Outcome, Unproven};
use crate::rollout::Past;
use crate::standing::Standing;

/// One entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What kind of entry it is.
    pub kind: &'static str,
    /// The host that it is about.
    pub host: Option<HostName>,
    /// All of it but the evidence, as JSON.
    pub body: String,
    /// What the agent told.
    pub evidence: Option<Evidence>,
}

/// Why a row cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is no entry.
    #[error("it is no entry: {0}")]
    Body(String),
    /// A host's name is none.
    #[error("{0}")]
    Host(String),
    /// A step has a name that none has.
    #[error("no step is called {0:?}")]
    Step(String),
}

impl Record {
    /// The entry as it is kept.
    ///
    /// # Panics
    /// Never: an entry has nothing that JSON has no words for.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let (kind, host, evidence) = match entry {
            Entry::Begun { .. } => ("begun", None, None),
            Entry::Claimed(host) => ("claimed", Some(host), None),
            Entry::Asked { host, .. } => ("asked", Some(host), None),
            Entry::Settled { host, evidence, .. } => ("settled", Some(host), evidence.as_ref()),
            Entry::Outcome { host, .. } => ("outcome", Some(host), None),
            Entry::Stopping(_) => ("stopping", None, None),
            Entry::Noted(_) => ("noted", None, None),
            Entry::Ordered(_) => ("ordered", None, None),
            Entry::Finished { .. } => ("finished", None, None),
        };
        let body = serde_json::to_string(&RawEntry::from(entry)).expect("an entry has only text, numbers and lists");
        Self { kind, host: host.cloned(), body, evidence: evidence.cloned() }
    }
}

/// Reads entries in their order.
#[derive(Debug)]
pub struct Reader<J> {
    past: Past,
    judge: J,
}

impl<J: Fn(&Standing, &Evidence) -> Outcome> Reader<J> {
    /// A reader that judges what was settled by `judge`: from how the service stood before, and what the agent told.
    pub fn new(judge: J) -> Self {
        Self { past: Past::default(), judge }
    }

    /// The next entry, and what is known after it.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn read(&mut self, body: &str, evidence: Option<Evidence>) -> Result<Entry, Damage> {
        let raw: RawEntry = serde_json::from_str(body).map_err(|error| Damage::Body(error.to_string()))?;
        let entry = match raw {
            RawEntry::Begun { run, operator, retry_failed } => Entry::Begun { run, operator, retry_failed },
            RawEntry::Claimed { host: name } => Entry::Claimed(host(&name)?),
            RawEntry::Asked { host: name, attempt, before } => {
                Entry::Asked { host: host(&name)?, attempt, before: Box::new((*before).try_into()?) }
            }
            RawEntry::Settled { host: name, attempt, outcome } => {
                let host = host(&name)?;
                let outcome = self.weigh(&host, attempt, outcome, evidence.as_ref());
                Entry::Settled { host, attempt, outcome, evidence }
            }
            RawEntry::Outcome { host: name, outcome } => {
                let host = host(&name)?;
                let outcome = self.weigh_again(&host, outcome);
                Entry::Outcome { host, outcome }
            }
            RawEntry::Stopping { stop } => Entry::Stopping(stop.try_into()?),
            RawEntry::Noted { note } => Entry::Noted(note.into()),
            RawEntry::Ordered { order } => Entry::Ordered(order.into()),
            RawEntry::Finished { exit } => Entry::Finished { exit },
        };
        learn(&mut self.past, &entry);
        Ok(entry)
    }

    /// What is known after all that was read.
    pub fn past(self) -> Past {
        self.past
    }

    /// What was judged of the host's handover, where it is that again; nothing else can be proven without evidence.
    fn weigh_again(&self, host: &HostName, written: RawOutcome) -> Outcome {
        let settled = self.past.hosts.get(host).and_then(|known| known.settled.as_ref());
        match settled.filter(|settled| settled.word() == written.word() && needs_evidence(settled)) {
            Some(settled) => settled.clone(),
            None => written.unjudged(),
        }
    }

    /// What the evidence shows; where that is something else than was written, nobody can tell what happened.
    fn weigh(&self, host: &HostName, attempt: u32, written: RawOutcome, evidence: Option<&Evidence>) -> Outcome {
        let Some(evidence) = evidence else { return written.unjudged() };
        let asked = self.past.hosts.get(host).filter(|known| known.attempt == attempt);
        let Some(before) = asked.and_then(|known| known.before.as_ref()) else {
            let text = format!("the journal says {}, and not how the service stood before", written.word());
            return Outcome::Unproven(Unproven::Recorded(text));
        };
        let judged = (self.judge)(before, evidence);
        if judged.word() == written.word() {
            return judged;
        }
        let text = format!("the journal says {}, and by the testimony that it has it is {}", written.word(), judged.word());
        Outcome::Unproven(Unproven::Recorded(text))
    }
}

/// Whether only a testimony shows such an outcome.
fn needs_evidence(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Proven(_) | Outcome::RolledBack { .. } => true,
        Outcome::Refused(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_) => false,
    }
}
