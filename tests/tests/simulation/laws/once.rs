//! Promise 5: a host is signalled at most once per attempt, whatever crashes, repeats, or arrives late; and another attempt is made only
//! where an operator wants failed hosts to be tried again.

use std::collections::BTreeMap;

use super::books::{Books, Place};
use super::{Judged, Law, demand};
use crate::trace::{Line, Seen, Word};

#[derive(Debug, Default)]
pub(super) struct Once {
    /// The last attempt that each host was signalled for.
    attempts: BTreeMap<usize, u32>,
    retries: u32,
}

impl Law for Once {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        match &line.seen {
            Seen::Begun { rollout, retries, .. } if *rollout == books.rollout => self.retries += u32::from(*retries),
            Seen::Signalled { rollout, host, attempt, .. } if *rollout == books.rollout => {
                let last = self.attempts.insert(*host, *attempt).unwrap_or(0);
                demand(*attempt > last, || format!("host {host} is signalled for attempt {attempt} after attempt {last}"))?;
                let most = 1 + self.retries;
                demand(*attempt <= most, || format!("host {host} is signalled for attempt {attempt}, and {most} are wanted"))?;
                let place = books.place(*host);
                let may_be = matches!(place, Place::Asked | Place::Ended(Word::Unknown));
                demand(may_be, || format!("host {host} is signalled while it is {place:?}"))?;
            }
            _ => {}
        }
        Ok(())
    }
}
