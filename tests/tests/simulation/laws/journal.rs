//! Promise 6: every step is in the journal before it is done; hosts that were not started are not forgotten.
//!
//! That a rollout whose controllers were killed ends like one that was left alone is seen beside this, by letting both happen.

use super::books::{Books, Place};
use super::{Judged, Law, demand};
use crate::trace::{Did, Line, Seen};

#[derive(Debug, Default)]
pub(super) struct Journalled {
    is_written: bool,
    has_stopped: bool,
}

impl Law for Journalled {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        match &line.seen {
            Seen::Begun { rollout, .. } if *rollout == books.rollout => self.has_stopped = false,
            Seen::Heard { rollout, .. } if *rollout == books.rollout => self.is_written = false,
            Seen::Wrote { rollout, .. } if *rollout == books.rollout => self.is_written = true,
            Seen::Did { rollout, did } if *rollout == books.rollout => match did {
                Did::Ask(host, _) => return demand(self.is_written, || format!("host {host} is asked, and that is not written")),
                Did::Stop(_) => self.has_stopped = true,
                Did::Finish { .. } if !self.has_stopped => {
                    let forgotten = books.places.iter().find(|(_, place)| **place == Place::Untouched);
                    return demand(forgotten.is_none(), || format!("it ends as if all were done: {forgotten:?}"));
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}
