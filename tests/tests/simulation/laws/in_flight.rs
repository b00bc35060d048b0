//! Promise 1: never more hosts in flight than allowed; never fewer available than the floor, per fleet and per zone.
//!
//! What is in flight is counted on the hosts themselves; what is available, when another is taken.

use std::collections::BTreeSet;

use baton::plan::{Bounds, Plan};

use super::books::Books;
use super::{Judged, Law, demand};
use crate::trace::{Did, Line, Seen};

#[derive(Debug)]
pub(super) struct InFlight {
    bounds: Bounds,
    under_way: BTreeSet<usize>,
}

impl InFlight {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { bounds: plan.bounds().clone(), under_way: BTreeSet::new() }
    }

    fn floors(&self, books: &Books, host: usize) -> Judged {
        let missed = usize::from(books.place(host).is_available());
        let (left, min) = (books.available - missed, self.bounds.available_min);
        demand(missed == 0 || left >= min, || format!("host {host} is taken, and {left} are available, not {min}"))?;
        let Some(zone) = books.zone(host) else { return Ok(()) };
        let min = self.bounds.zones.get(zone).map_or(0, |bounds| bounds.available_min);
        let left = books.zones.get(zone).copied().unwrap_or(0).saturating_sub(missed);
        demand(missed == 0 || left >= min, || format!("host {host} is taken, and {left} are available in zone {zone}, not {min}"))
    }
}

impl Law for InFlight {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        match &line.seen {
            Seen::Signalled { rollout, host, .. } if *rollout == books.rollout => {
                self.under_way.insert(*host);
                let (count, max) = (self.under_way.len(), self.bounds.in_flight_max);
                demand(count <= max, || format!("{count} handovers are under way on the hosts, and {max} are allowed"))
            }
            Seen::Over { rollout, host, .. } if *rollout == books.rollout => {
                self.under_way.remove(host);
                Ok(())
            }
            Seen::Did { rollout, did: Did::Look(host) } if *rollout == books.rollout => self.floors(books, *host),
            _ => Ok(()),
        }
    }
}
