//! Promise 3: `Dropped`, `Unproven` and `Unknown` halt: nothing new starts. Past the budget nothing new starts. And the exit code is that
//! of how the hosts have ended.

use baton::plan::{Bounds, Plan};
use baton::rollout::Stop;

use super::books::{Books, Place};
use super::{Judged, Law, demand};
use crate::scenario::place;
use crate::trace::{Did, Line, Seen, Word};

#[derive(Debug)]
pub(super) struct Halt {
    bounds: Bounds,
    hosts: Vec<usize>,
    stop: Option<Stop>,
}

impl Halt {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            bounds: plan.bounds().clone(),
            hosts: plan.hosts().iter().map(|planned| place(&planned.host)).collect(),
            stop: None,
        }
    }

    fn starts(&self, books: &Books, host: usize) -> Judged {
        if let Some(doubtful) = books.halted {
            return Err(format!("host {host} is started after host {doubtful} was {:?}", books.place(doubtful)));
        }
        let (failed, max) = (books.failed.len(), self.bounds.failures_max);
        demand(failed <= max, || format!("host {host} is started after {failed} have failed, and {max} may"))?;
        for (zone, bounds) in &self.bounds.zones {
            let failed = books.failed.iter().filter(|host| books.zone(**host) == Some(zone)).count();
            let max = bounds.failures_max;
            demand(failed <= max, || format!("host {host} is started after {failed} have failed in zone {zone}, and {max} may"))?;
        }
        Ok(())
    }

    fn finishes(&self, books: &Books, exit: u8, hosts: &[Option<Word>]) -> Judged {
        for (host, told) in self.hosts.iter().zip(hosts) {
            let known = match books.known(*host) {
                Place::LeftOut => Some(Word::Refused),
                known => known.word(),
            };
            demand(known == *told, || format!("host {host} is {:?}, and in the end it is told as {told:?}", books.place(*host)))?;
        }
        let has = |word| hosts.contains(&Some(word));
        let expected = match &self.stop {
            _ if has(Word::Dropped) => 5,
            _ if has(Word::Unproven) || has(Word::Unknown) => 4,
            _ if has(Word::Refused) || has(Word::RolledBack) => 3,
            Some(Stop::PastBudget { .. } | Stop::Floor { .. }) => 3,
            Some(Stop::Claimed(_)) => 6,
            Some(Stop::StopAfter(_) | Stop::Aborted) => 7,
            Some(Stop::Deadline) => 8,
            Some(Stop::Interrupted) => 130,
            // The doubt is over since, but not every host is proven.
            Some(Stop::Doubt(_)) if hosts.contains(&None) => 4,
            Some(Stop::Doubt(_)) | None => 0,
        };
        demand(exit == expected, || format!("it ends with {exit}, and {expected} is right: {:?}", self.stop))
    }
}

impl Law for Halt {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        match &line.seen {
            Seen::Did { rollout, did } if *rollout == books.rollout => match did {
                Did::Look(host) => self.starts(books, *host),
                // What was looked at and not asked is not in the agent's hands yet.
                Did::Ask(host, _) if books.place(*host) == Place::Looking => self.starts(books, *host),
                Did::Stop(stop) => {
                    self.stop.get_or_insert(stop.clone());
                    Ok(())
                }
                Did::Finish { exit, hosts } => self.finishes(books, *exit, hosts),
                _ => Ok(()),
            },
            Seen::Begun { rollout, .. } if *rollout == books.rollout => {
                self.stop = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
