//! Promise 8: `^C` drains, and so does abort: nothing new starts, what is in flight is waited for. While it is paused nothing starts.

use std::time::Duration;

use baton::plan::Plan;

use super::books::{Books, Place};
use super::{Judged, Law, demand};
use crate::trace::{Did, Heard, Line, Seen};

#[derive(Debug)]
pub(super) struct Drain {
    /// How long it may take to come to an end.
    patience: Duration,
    /// Since when it has to.
    since: Option<Duration>,
}

impl Drain {
    pub(super) fn new(plan: &Plan) -> Self {
        let rounds = u32::try_from(plan.hosts().len() / 64 + 2).expect("it is small");
        Self { patience: plan.host_deadline() + Duration::from_secs(15) * rounds, since: None }
    }

    fn did(books: &Books, did: &Did) -> Judged {
        match did {
            Did::Look(host) => {
                demand(!books.is_stopped, || format!("host {host} is started after somebody said stop"))?;
                demand(!books.is_paused, || format!("host {host} is started while it is paused"))
            }
            Did::Ask(host, _) if books.place(*host) == Place::Looking => {
                demand(!books.is_stopped, || format!("host {host} is asked after somebody said stop"))
            }
            Did::Finish { .. } if !books.leaves_at_once => {
                let open = books.places.iter().find(|(_, place)| matches!(place, Place::Asked | Place::Confirming(_)));
                demand(open.is_none(), || format!("it ends, and nobody waits for {open:?}"))
            }
            _ => Ok(()),
        }
    }
}

impl Law for Drain {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        if let Some(since) = self.since {
            demand(line.at <= since + self.patience, || format!("somebody said stop at {since:?}, and it does not end"))?;
        }
        match &line.seen {
            Seen::Killed { rollout } if *rollout == books.rollout => self.since = None,
            Seen::Heard { rollout, heard } if *rollout == books.rollout => {
                if matches!(heard, Heard::Interrupted | Heard::Ordered(baton::rollout::Order::Abort)) {
                    self.since.get_or_insert(line.at);
                }
            }
            Seen::Did { rollout, did } if *rollout == books.rollout => {
                Self::did(books, did)?;
                if matches!(did, Did::Finish { .. }) {
                    self.since = None;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
