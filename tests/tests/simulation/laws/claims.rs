//! Promise 7: two rollouts never hold one service on one host; an old fence is refused; every host is claimed before the first is touched.

use std::collections::BTreeMap;
use std::time::Duration;

use baton::plan::{Fate, Plan};

use super::books::Books;
use super::{Judged, Law, demand};
use crate::scenario::place;
use crate::trace::{Did, Heard, Line, Seen};

/// How long an agent may take to answer; the rollout goes on without it then.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Claims {
    hosts: Vec<usize>,
    begun: Duration,
    /// What was last heard of each claim in this run: whether it stands.
    answers: BTreeMap<usize, bool>,
    /// The host that another had when nothing was begun.
    taken: Option<usize>,
    has_looked: bool,
    /// Who was granted the claim last, with which fence and session.
    granted: BTreeMap<usize, (usize, u32, u64)>,
    /// Whose handover is under way.
    under_way: BTreeMap<usize, usize>,
}

impl Claims {
    pub(super) fn new(plan: &Plan) -> Self {
        let wanted = plan.hosts().iter().filter(|planned| matches!(planned.fate, Fate::Restart(_)));
        Self {
            hosts: wanted.map(|planned| place(&planned.host)).collect(),
            begun: Duration::ZERO,
            answers: BTreeMap::new(),
            taken: None,
            has_looked: false,
            granted: BTreeMap::new(),
            under_way: BTreeMap::new(),
        }
    }

    fn looks(&mut self, host: usize, at: Duration) -> Judged {
        if !self.has_looked && at < self.begun + ANSWERED_WITHIN {
            let silent = self.hosts.iter().find(|host| !self.answers.contains_key(host));
            demand(silent.is_none(), || format!("host {host} is taken, and host {silent:?} has not granted its claim"))?;
        }
        self.has_looked = true;
        demand(self.taken.is_none(), || format!("host {host} is taken, and another rollout has host {:?}", self.taken))?;
        let stands = self.answers.get(&host).copied().unwrap_or(false);
        demand(stands, || format!("host {host} is taken without a claim"))
    }

    fn signalled(&mut self, rollout: usize, host: usize, fence: u64) -> Judged {
        let (holder, _, granted) = self.granted.get(&host).copied().unwrap_or((usize::MAX, 0, 0));
        demand((holder, granted) == (rollout, fence), || {
            format!("host {host} is signalled for rollout {rollout} by fence {fence}; rollout {holder} has it by fence {granted}")
        })?;
        let other = self.under_way.insert(host, rollout);
        demand(other.is_none(), || format!("host {host} is signalled in the middle of another handover"))
    }

    fn granted(&mut self, rollout: usize, host: usize, session: u32, fence: u64) -> Judged {
        let before = self.granted.insert(host, (rollout, session, fence));
        let Some((holder, last, highest)) = before else { return Ok(()) };
        let same = (holder, last, highest) == (rollout, session, fence);
        demand(same || fence > highest, || format!("host {host} is granted with fence {fence} after fence {highest}"))
    }
}

impl Law for Claims {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        match &line.seen {
            Seen::Granted { rollout, host, session, fence } => return self.granted(*rollout, *host, *session, *fence),
            Seen::Signalled { rollout, host, fence, .. } => return self.signalled(*rollout, *host, *fence),
            Seen::Over { host, .. } => {
                self.under_way.remove(host);
            }
            Seen::Begun { rollout, .. } if *rollout == books.rollout => {
                self.begun = line.at;
                self.answers.clear();
                (self.taken, self.has_looked) = (None, false);
            }
            Seen::Heard { rollout, heard: Heard::Claimed(host) } if *rollout == books.rollout => {
                self.answers.insert(*host, true);
            }
            Seen::Heard { rollout, heard: Heard::ClaimRefused(host, is_claimed) } if *rollout == books.rollout => {
                let is_first = self.answers.insert(*host, false).is_none();
                if *is_claimed && is_first && !self.has_looked && line.at < self.begun + ANSWERED_WITHIN {
                    self.taken = Some(*host);
                }
            }
            Seen::Did { rollout, did: Did::Look(host) } if *rollout == books.rollout => return self.looks(*host, line.at),
            _ => {}
        }
        Ok(())
    }
}
