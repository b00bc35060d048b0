//! The walk over the waves: who starts next, what comes when a wave is done, and what can be ordered meanwhile.

use std::time::Duration;

use super::budget::Hindrance;
use super::member::State;
use super::{Action, Note, Order, Phase, Rollout, Stop};
use crate::plan::Then;

/// What is waited for between two waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    None,
    Soaking { until: Duration },
    Person,
}

impl Rollout {
    /// Starts whatever may start now.
    pub(super) fn walk(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while self.phase == Phase::Walking && self.wave < self.waves.len() && !self.is_paused {
            match self.rest {
                Rest::Person => return,
                Rest::Soaking { until } if now < until || !self.is_calm() => return,
                Rest::Soaking { .. } => self.end_wave(actions),
                Rest::None => match self.next_waiting() {
                    Some(place) => match self.hindrance(place) {
                        None => {
                            self.wave_is_touched = true;
                            self.launch(now, place, actions);
                        }
                        Some(hindrance) => return self.hindered(place, hindrance, actions),
                    },
                    None if self.is_calm() => self.rest_after_wave(now, actions),
                    None => return,
                },
            }
        }
    }

    /// The next host of the wave that has not been started.
    fn next_waiting(&mut self) -> Option<usize> {
        let end = self.waves[self.wave].hosts.end;
        let place = (self.next..end).find(|place| matches!(self.hosts[*place].state, State::Waiting));
        self.next = place.unwrap_or(end);
        place
    }

    /// Whether nothing is open: every host that was started is done, and every guard stands.
    fn is_calm(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// Stops where a hindrance would last for ever.
    fn hindered(&mut self, place: usize, hindrance: Hindrance, actions: &mut Vec<Action>) {
        if !self.is_calm() {
            return;
        }
        let stop = match hindrance {
            Hindrance::NoSlot => return,
            Hindrance::Enough(count) => Stop::StopAfter(count),
            Hindrance::Floor { min, zone } => Stop::Floor { host: self.hosts[place].host.clone(), min, zone },
        };
        self.stop(stop, actions);
    }

    /// The wave is done: what comes now? What an earlier run has waited for already is not waited for again.
    fn rest_after_wave(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let wave = &self.waves[self.wave];
        let is_due = self.wave >= self.waves_done || self.wave_is_touched;
        let stands = self.guarded.range(wave.hosts.clone()).next().is_some();
        match wave.then {
            Then::Soak(soak) if is_due && stands => {
                let until = now + soak;
                self.rest = Rest::Soaking { until };
                actions.push(Action::Tell(Note::Soaking { wave: self.wave, until }));
            }
            // Where nothing stands nothing was tried yet, and a person has all the more to say.
            Then::Person if is_due => {
                self.rest = Rest::Person;
                actions.push(Action::Tell(Note::AwaitingPerson { wave: self.wave }));
            }
            Then::GoOn | Then::Soak(_) | Then::Person => self.end_wave(actions),
        }
    }

    fn end_wave(&mut self, actions: &mut Vec<Action>) {
        if self.wave >= self.waves_done || self.wave_is_touched {
            actions.push(Action::Tell(Note::WaveEnds(self.wave)));
        }
        self.rest = Rest::None;
        self.wave += 1;
        self.wave_is_touched = false;
        self.begin_wave(actions);
    }

    pub(super) fn begin_wave(&self, actions: &mut Vec<Action>) {
        let Some(wave) = self.waves.get(self.wave) else { return };
        if self.hosts[wave.hosts.clone()].iter().any(|member| matches!(member.state, State::Waiting)) {
            actions.push(Action::Tell(Note::WaveBegins(self.wave)));
        }
    }

    /// Until when a soak lasts that is waited for.
    pub(super) fn soaks_until(&self) -> Option<Duration> {
        match self.rest {
            Rest::Soaking { until } if !self.is_paused && self.is_calm() => Some(until),
            Rest::Soaking { .. } | Rest::None | Rest::Person => None,
        }
    }

    /// Takes an order; whether it changes anything.
    pub(super) fn ordered(&mut self, order: Order, actions: &mut Vec<Action>) -> bool {
        let is_going_on = matches!(self.phase, Phase::Claiming { .. } | Phase::Walking);
        match order {
            Order::Pause if is_going_on && !self.is_paused => {
                self.is_paused = true;
                actions.push(Action::Tell(Note::Paused));
            }
            Order::Resume if is_going_on && (self.is_paused || self.rest == Rest::Person) => {
                self.is_paused = false;
                actions.push(Action::Tell(Note::GoingOn));
                if self.rest == Rest::Person {
                    self.end_wave(actions);
                }
            }
            Order::Abort if is_going_on => self.stop(Stop::Aborted, actions),
            // How this run ends is settled; that there is no other is new.
            Order::Abort if matches!(&self.phase, Phase::Stopping(stop) if *stop != Stop::Aborted) => {}
            Order::Pause | Order::Resume | Order::Abort => return false,
        }
        true
    }
}
