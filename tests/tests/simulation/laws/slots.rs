//! Promise 2: a slot is freed only by a host that is `Kept`, ready and guarded, or that failed within the budget; the next wave
//! begins when every host of the last is done and has soaked, or when a person has said so; and a rollout ends no sooner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton::plan::{Plan, Then, Wave};
use baton::rollout::{Note, Order};

use super::books::{Books, Place};
use super::{Judged, Law, demand};
use crate::scenario::place;
use crate::trace::{Did, Heard, Line, Seen};

#[derive(Debug)]
pub(super) struct Slots {
    in_flight_max: usize,
    hosts: Vec<usize>,
    /// The wave of each host.
    wave_of: BTreeMap<usize, usize>,
    /// How many waves were found to be over in this run: a host of theirs does not start again in it.
    over: usize,
    waves: Vec<Wave>,
    /// The wave that waits for a person.
    awaited: Option<usize>,
    /// The waves that a person has passed, as far as that is written; and what is not written yet.
    passed: BTreeSet<usize>,
    said: Option<usize>,
    has_stopped: bool,
}

impl Slots {
    pub(super) fn new(plan: &Plan) -> Self {
        let hosts: Vec<usize> = plan.hosts().iter().map(|planned| place(&planned.host)).collect();
        let waves = plan.waves().iter().enumerate();
        Self {
            wave_of: waves.flat_map(|(wave, of)| hosts[of.hosts.clone()].iter().map(move |host| (*host, wave))).collect(),
            over: 0,
            in_flight_max: plan.in_flight_max(),
            hosts,
            waves: plan.waves().to_vec(),
            awaited: None,
            passed: BTreeSet::new(),
            said: None,
            has_stopped: false,
        }
    }

    fn takes(&mut self, books: &Books, host: usize, at: Duration) -> Judged {
        let (taken, max) = (books.in_flight, self.in_flight_max);
        let open = || books.places.iter().filter(|(_, place)| place.is_in_flight()).collect::<Vec<_>>();
        demand(taken < max, || format!("host {host} is taken while {taken} of {max} slots are not free: {:?}", open()))?;
        let wave = self.wave_of.get(&host).copied().ok_or_else(|| format!("host {host} is in no wave"))?;
        (self.over..wave).try_for_each(|earlier| self.is_over(books, earlier, at))?;
        self.over = self.over.max(wave);
        Ok(())
    }

    /// Whether a wave is over, with what comes after it.
    fn is_over(&self, books: &Books, wave: usize, at: Duration) -> Judged {
        let Wave { hosts, then, .. } = &self.waves[wave];
        let mut freed = None;
        for host in &self.hosts[hosts.clone()] {
            match books.place(*host) {
                Place::Untouched | Place::Looking | Place::Asked | Place::Confirming(_) => {
                    return Err(format!("host {host} of wave {wave} is not done"));
                }
                Place::Standing(_) | Place::Lost(..) => freed = freed.max(books.freed.get(host).copied()),
                Place::LeftOut | Place::Ended(_) => {}
            }
        }
        match then {
            Then::GoOn => Ok(()),
            Then::Soak(soak) => demand(freed.is_none_or(|freed| at >= freed + *soak), || {
                format!("wave {wave} has not soaked for {soak:?}: it was done at {freed:?}")
            }),
            Then::Person => demand(self.passed.contains(&wave), || format!("nobody has passed wave {wave}")),
        }
    }
}

impl Law for Slots {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        match &line.seen {
            Seen::Did { rollout, did } if *rollout == books.rollout => match did {
                Did::Look(host) => return self.takes(books, *host, line.at),
                Did::Note(Note::AwaitingPerson { wave }) => self.awaited = Some(*wave),
                Did::Stop(_) => self.has_stopped = true,
                Did::Finish { .. } if !self.has_stopped => {
                    return (0..self.waves.len()).try_for_each(|wave| self.is_over(books, wave, line.at));
                }
                _ => {}
            },
            Seen::Heard { rollout, heard } if *rollout == books.rollout => {
                self.said = if *heard == Heard::Ordered(Order::Resume) { self.awaited } else { None };
            }
            Seen::Wrote { rollout, .. } if *rollout == books.rollout => self.passed.extend(self.said.take()),
            Seen::Killed { rollout } if *rollout == books.rollout => (self.said, self.awaited) = (None, None),
            Seen::Begun { rollout, .. } if *rollout == books.rollout => (self.has_stopped, self.over) = (false, 0),
            _ => {}
        }
        Ok(())
    }
}
