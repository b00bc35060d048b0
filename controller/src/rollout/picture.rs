//! A rollout at one moment, for people: where each host is, how far the walk is, and what holds it up.
//!
//! **Invariant:** a picture is made from the rollout and changes nothing; it costs one look at each host, and names only those
//! that something is going on with.

use std::time::Duration;

use super::member::{Claim, Member, State};
use super::walking::Rest;
use super::{Phase, Rollout};
use crate::inventory::HostName;
use crate::outcome::Outcome;

/// Where a host is, in one word: what deserves more attention comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whereabouts {
    /// It is left out.
    LeftOut,
    /// It is proven, and guarded.
    Guarded,
    /// Its turn has not come.
    Waiting,
    /// It is looked at once more.
    Looking,
    /// Its handover is under way.
    InFlight,
    /// It has ended well, and its guard does not stand yet.
    Confirming,
    /// Its guard was lost, and is sought again.
    Redialling,
    /// Its handover was undone.
    RolledBack,
    /// It was refused.
    Refused,
    /// Nobody can tell how it stands.
    Unknown,
    /// Nothing is proven of it.
    Unproven,
    /// Its lock was dropped.
    Dropped,
}

impl Whereabouts {
    /// Every one of them.
    pub const ALL: [Self; 12] = [
        Self::LeftOut,
        Self::Guarded,
        Self::Waiting,
        Self::Looking,
        Self::InFlight,
        Self::Confirming,
        Self::Redialling,
        Self::RolledBack,
        Self::Refused,
        Self::Unknown,
        Self::Unproven,
        Self::Dropped,
    ];

    /// Whether something is going on with it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Looking | Self::InFlight | Self::Confirming | Self::Redialling)
    }

    /// Whether it has ended, however that was.
    #[must_use]
    pub fn is_done(self) -> bool {
        !self.is_open() && !matches!(self, Self::Waiting | Self::LeftOut)
    }
}

/// What the walk is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not begun.
    Planned,
    /// So many hosts have not answered to their claims.
    Claiming(usize),
    /// Its hosts go, as many at once as may be.
    Walking,
    /// A wave is done, and must stand until then.
    Soaking(Duration),
    /// A wave is done, and a person has to say that it may go on.
    Person,
    /// So many hosts are looked at a last time.
    Concluding(usize),
    /// It is over.
    Over,
}

/// A rollout at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Where each host is, in the order of the plan.
    pub hosts: Vec<Whereabouts>,
    /// The hosts that something is going on with, by their places in the plan.
    pub open: Vec<(usize, HostName)>,
    /// The wave that it is at, by its place in the plan: the number of waves when all of them are done.
    pub wave: usize,
    /// What it is at.
    pub stage: Stage,
    /// Whether nothing starts until it is resumed.
    pub is_paused: bool,
    /// Whether nothing starts any more.
    pub is_stopping: bool,
    /// How many more may start, where no more than some are wanted.
    pub starts_max: Option<usize>,
}

impl Picture {
    /// How many hosts are there.
    pub fn count(&self, whereabouts: Whereabouts) -> usize {
        self.hosts.iter().filter(|host| **host == whereabouts).count()
    }

    /// How many hosts have ended, and of how many that are not left out.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        (self.hosts.iter().filter(|host| host.is_done()).count(), self.hosts.len() - self.count(Whereabouts::LeftOut))
    }
}

impl Rollout {
    /// How it stands now.
    #[must_use]
    pub fn picture(&self) -> Picture {
        let is_walking = matches!(self.phase, Phase::Claiming { .. } | Phase::Walking);
        let mut open: Vec<usize> = self.deadlines.iter().map(|(_, place)| *place).collect();
        open.retain(|place| self.hosts[*place].whereabouts().is_open());
        open.sort_unstable();
        let started = self.tally.restarted + self.tally.open;
        Picture {
            hosts: self.hosts.iter().map(Member::whereabouts).collect(),
            open: open.into_iter().map(|place| (place, self.hosts[place].host.clone())).collect(),
            wave: self.wave,
            stage: self.stage(),
            is_paused: is_walking && self.is_paused,
            is_stopping: matches!(self.phase, Phase::Stopping(_)),
            starts_max: self.bounds.stop_after.map(|enough| enough.saturating_sub(started)),
        }
    }

    fn stage(&self) -> Stage {
        let is_walking = self.phase == Phase::Walking;
        match (&self.phase, self.rest) {
            (Phase::Planned(_), _) => Stage::Planned,
            (Phase::Over, _) => Stage::Over,
            (Phase::Claiming { .. }, _) => Stage::Claiming(self.claims_unanswered),
            (Phase::Walking | Phase::Stopping(_), _) if self.tally.last_looks > 0 => Stage::Concluding(self.tally.last_looks),
            (_, Rest::Soaking { until }) if is_walking => Stage::Soaking(until),
            (_, Rest::Person) if is_walking => Stage::Person,
            (Phase::Walking | Phase::Stopping(_), _) => Stage::Walking,
        }
    }
}

impl Member {
    fn whereabouts(&self) -> Whereabouts {
        match &self.state {
            _ if self.claim == Claim::Unwanted => Whereabouts::LeftOut,
            State::Waiting => Whereabouts::Waiting,
            State::Looking { .. } => Whereabouts::Looking,
            State::InFlight { .. } => Whereabouts::InFlight,
            State::Confirming { .. } => Whereabouts::Confirming,
            State::Redialling { .. } => Whereabouts::Redialling,
            State::Guarded { outcome }
            | State::LastLook { outcome, .. }
            | State::Released { outcome }
            | State::Ended { outcome } => Whereabouts::ended(outcome),
        }
    }
}

impl Whereabouts {
    fn ended(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Proven(_) => Self::Guarded,
            Outcome::Refused(_) => Self::Refused,
            Outcome::RolledBack { .. } => Self::RolledBack,
            Outcome::Unproven(_) => Self::Unproven,
            Outcome::Dropped(_) => Self::Dropped,
            Outcome::Unknown(_) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Stage, Whereabouts};
    use crate::inventory::HostName;
    use crate::outcome::samples::{proven, rolled_back};
    use crate::outcome::{DropSeen, Outcome};
    use crate::plan::samples::plan;
    use crate::rollout::{Event, Order, Rollout};
    use crate::standing::samples::healthy;

    fn host(number: usize) -> HostName {
        HostName::parse(&format!("web-{number}")).unwrap()
    }

    fn tell(rollout: &mut Rollout, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| drop(rollout.handle(Duration::ZERO, event)));
    }

    #[test]
    fn a_picture_shows_where_each_host_is_and_names_those_that_something_is_going_on_with() {
        let mut rollout = Rollout::new(&plan("++++++x", 4, 3));
        assert_eq!(rollout.picture().stage, Stage::Planned);
        tell(&mut rollout, [Event::Started]);
        assert_eq!(rollout.picture().stage, Stage::Claiming(6));
        tell(&mut rollout, (1..=6).map(|number| Event::Claimed(host(number))));
        tell(&mut rollout, (1..=3).map(|number| Event::Looked(host(number), Box::new(healthy()))));
        tell(&mut rollout, [Event::Settled(host(1), proven()), Event::GuardStands(host(1))]);
        tell(&mut rollout, [Event::Settled(host(2), rolled_back())]);
        let picture = rollout.picture();
        let expected = [
            Whereabouts::Guarded,
            Whereabouts::Confirming,
            Whereabouts::InFlight,
            Whereabouts::Looking,
            Whereabouts::Looking,
            Whereabouts::Waiting,
            Whereabouts::LeftOut,
        ];
        assert_eq!(picture.hosts, expected);
        assert_eq!(picture.open, [(1, host(2)), (2, host(3)), (3, host(4)), (4, host(5))]);
        assert_eq!((picture.stage, picture.done()), (Stage::Walking, (1, 6)));
        tell(
            &mut rollout,
            [Event::GuardStands(host(2)), Event::GuardLost(host(1), "reset".into()), Event::Ordered(Order::Pause)],
        );
        let picture = rollout.picture();
        assert_eq!(picture.hosts[..2], [Whereabouts::Redialling, Whereabouts::RolledBack]);
        assert!(picture.is_paused && !picture.is_stopping);
        tell(&mut rollout, [Event::GuardBroken(host(1), Outcome::Dropped(DropSeen::Guarded))]);
        let picture = rollout.picture();
        assert_eq!(picture.hosts[0], Whereabouts::Dropped);
        assert!(picture.is_stopping && !picture.is_paused);
    }

    #[test]
    fn the_last_looks_are_a_stage_of_their_own_and_what_is_looked_at_stays_done() {
        let mut rollout = Rollout::new(&plan("+", 1, 0));
        tell(&mut rollout, [Event::Started, Event::Claimed(host(1)), Event::Looked(host(1), Box::new(healthy()))]);
        tell(&mut rollout, [Event::Settled(host(1), proven()), Event::GuardStands(host(1))]);
        let picture = rollout.picture();
        assert_eq!((picture.stage, picture.done(), picture.open.len()), (Stage::Concluding(1), (1, 1), 0));
        tell(&mut rollout, [Event::StillStands(host(1))]);
        assert_eq!((rollout.picture().stage, rollout.picture().done()), (Stage::Over, (1, 1)));
    }

    #[test]
    fn the_words_are_in_the_order_of_attention() {
        assert!(Whereabouts::ALL.is_sorted());
    }
}
