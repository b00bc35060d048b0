//! Promise 4: a finished host stays guarded; a lost guard is redialled within a deadline, then the host is `Unknown`; a resume compares
//! every finished host anew. So what is told as proven in the end was not dropped before it was looked at a last time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton::plan::Plan;

use super::books::{Books, Place};
use super::{Judged, Law};
use crate::scenario::place;
use crate::trace::{Did, Heard, Line, Seen, Word};

/// How long a guard may be sought, or a last look take, and a moment more.
const SOUGHT_MAX: Duration = Duration::from_millis(10_100);

#[derive(Debug)]
pub(super) struct Guarded {
    hosts: Vec<usize>,
    /// Since when each guard is sought.
    sought: BTreeMap<usize, Duration>,
    /// Since when each host is looked at a last time.
    looked: BTreeMap<usize, Duration>,
    stand: BTreeSet<usize>,
    signalled: BTreeMap<usize, Duration>,
    free: BTreeMap<usize, Vec<Duration>>,
    /// Agents that have forgotten a drop: nobody can find it.
    forgetful: BTreeSet<usize>,
    /// Whether this run tries again what had failed.
    retries: bool,
}

impl Guarded {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            hosts: plan.hosts().iter().map(|planned| place(&planned.host)).collect(),
            sought: BTreeMap::new(),
            looked: BTreeMap::new(),
            stand: BTreeSet::new(),
            signalled: BTreeMap::new(),
            free: BTreeMap::new(),
            forgetful: BTreeSet::new(),
            retries: false,
        }
    }

    fn let_go(&mut self) {
        self.sought.clear();
        self.looked.clear();
        self.stand.clear();
    }

    fn hear(&mut self, books: &Books, at: Duration, heard: &Heard) {
        match heard {
            Heard::GuardStands(host) | Heard::GuardBroken(host, _) => {
                self.sought.remove(host);
            }
            Heard::GuardLost(host) if matches!(books.place(*host), Place::Standing(_)) && !self.looked.contains_key(host) => {
                self.sought.entry(*host).or_insert(at);
            }
            Heard::StillStands(host) if self.looked.contains_key(host) => {
                self.stand.insert(*host);
            }
            _ => {}
        }
    }

    fn did(&mut self, books: &Books, at: Duration, did: &Did) -> Judged {
        match did {
            Did::Guard(host, _) => {
                self.sought.insert(*host, at);
            }
            Did::LastLook(host) => {
                self.looked.insert(*host, at);
            }
            Did::Told(host, word) if *word != Word::Proven && *word != Word::RolledBack => {
                self.sought.remove(host);
            }
            Did::Finish { hosts, .. } if !books.leaves_at_once => {
                let told = self.hosts.iter().zip(hosts);
                return told.clone().try_for_each(|(host, word)| self.was_looked_at(*host, *word));
            }
            _ => {}
        }
        Ok(())
    }

    fn was_looked_at(&self, host: usize, word: Option<Word>) -> Judged {
        // One that is to be tried again is not guarded before that.
        if word != Some(Word::Proven) && (word != Some(Word::RolledBack) || self.retries) {
            return Ok(());
        }
        let looked = self.looked.get(&host).filter(|_| self.stand.contains(&host));
        let looked = looked.ok_or_else(|| format!("host {host} is told as {word:?}, and nobody found it standing at the end"))?;
        let since = self.signalled.get(&host).copied().unwrap_or_default();
        let dropped = self.free.get(&host).into_iter().flatten().find(|at| **at >= since && *at < looked);
        match dropped {
            Some(at) if !self.forgetful.contains(&host) => {
                Err(format!("host {host} is told as {word:?}, and its lock was free at {at:?}"))
            }
            _ => Ok(()),
        }
    }
}

impl Law for Guarded {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        if let Some((host, since)) = self.sought.iter().find(|(_, since)| line.at > **since + SOUGHT_MAX) {
            return Err(format!("the guard of host {host} is sought since {since:?}, and nobody gave it up"));
        }
        match &line.seen {
            Seen::Signalled { rollout, host, .. } if *rollout == books.rollout => {
                self.signalled.insert(*host, line.at);
            }
            Seen::LockFree { host } => self.free.entry(*host).or_default().push(line.at),
            Seen::Trouble { host, what } if what.contains("forget") => {
                self.forgetful.insert(*host);
            }
            Seen::Begun { rollout, retries, .. } if *rollout == books.rollout => {
                self.let_go();
                self.retries = *retries;
            }
            Seen::Killed { rollout } if *rollout == books.rollout => self.let_go(),
            Seen::Heard { rollout, heard } if *rollout == books.rollout => self.hear(books, line.at, heard),
            Seen::Did { rollout, did } if *rollout == books.rollout => {
                self.did(books, line.at, did)?;
                if matches!(did, Did::Finish { .. }) {
                    self.let_go();
                }
            }
            _ => {}
        }
        Ok(())
    }
}
