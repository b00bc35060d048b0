//! Where each host of a rollout is, kept by what its controller heard, wrote and did: a bookkeeping of the laws' own.
//!
//! What was heard and not written when a controller was killed, its next run does not know: it is forgotten here as well.

use std::collections::BTreeMap;
use std::time::Duration;

use baton::plan::{Fate, Plan};
use baton::rollout::Order;

use crate::scenario::place;
use crate::trace::{Did, Heard, Line, Seen, Word};

/// Where a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing was done to it.
    Untouched,
    /// It was broken before, and is left alone.
    LeftOut,
    /// It has a slot, and is looked at.
    Looking,
    /// It was asked.
    Asked,
    /// It has ended so, and its guard did not stand yet.
    Confirming(Word),
    /// It has ended so, and its guard stands.
    Standing(Word),
    /// Its guard is lost, since then.
    Lost(Word, Duration),
    /// It has ended so, and is not guarded.
    Ended(Word),
}

impl Place {
    /// Whether it takes a slot.
    pub(crate) fn is_in_flight(self) -> bool {
        match self {
            Self::Looking | Self::Asked | Self::Confirming(_) => true,
            Self::Untouched | Self::LeftOut | Self::Standing(_) | Self::Lost(..) | Self::Ended(_) => false,
        }
    }

    /// Whether its service can be counted on.
    pub(crate) fn is_available(self) -> bool {
        match self {
            Self::Untouched | Self::Standing(_) => true,
            Self::LeftOut | Self::Looking | Self::Asked | Self::Confirming(_) | Self::Lost(..) | Self::Ended(_) => false,
        }
    }

    /// How it has ended so far.
    pub(crate) fn word(self) -> Option<Word> {
        match self {
            Self::Confirming(word) | Self::Standing(word) | Self::Lost(word, _) | Self::Ended(word) => Some(word),
            Self::Untouched | Self::LeftOut | Self::Looking | Self::Asked => None,
        }
    }
}

/// The books of one rollout.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that was said or not")]
pub(crate) struct Books {
    pub(crate) rollout: usize,
    pub(crate) places: BTreeMap<usize, Place>,
    /// Which run it is; 0 before the first.
    pub(crate) run: u32,
    /// Whether a run came to its end, and none has begun since.
    pub(crate) is_finished: bool,
    /// What halts it, if anything does; over when a run has finished and another begins.
    pub(crate) halted: Option<usize>,
    /// Whether nothing new may start because somebody said so: ^C, or abort.
    pub(crate) is_stopped: bool,
    /// Whether it has told that nothing new starts.
    is_stopping: bool,
    /// Whether somebody said stop once more after that: nothing is waited for.
    pub(crate) leaves_at_once: bool,
    pub(crate) is_paused: bool,
    /// The hosts that have failed since somebody last looked.
    pub(crate) failed: Vec<usize>,
    /// When the last slot was freed, by host.
    pub(crate) freed: BTreeMap<usize, Duration>,
    /// How many take a slot.
    pub(crate) in_flight: usize,
    /// How many can be counted on.
    pub(crate) available: usize,
    /// The same, by zone.
    pub(crate) zones: BTreeMap<String, usize>,
    zone_of: BTreeMap<usize, String>,
    /// Where each host was before it was looked at last.
    looked_from: BTreeMap<usize, Place>,
    unwritten: Option<Before>,
}

/// How a host stood before what was heard of it last, as long as that is not written.
#[derive(Debug, Clone)]
struct Before {
    host: usize,
    place: Place,
    freed: Option<Duration>,
    halted: Option<usize>,
    failures: usize,
}

impl Books {
    pub(crate) fn new(rollout: usize, plan: &Plan) -> Self {
        let at_first = |fate: &Fate| match fate {
            Fate::Restart(_) => Place::Untouched,
            Fate::LeaveOut(_) | Fate::Refuse(_) => Place::LeftOut,
        };
        let zone_of = plan.hosts().iter().filter_map(|planned| Some((place(&planned.host), planned.zone.clone()?)));
        let mut books = Self {
            rollout,
            places: plan.hosts().iter().map(|planned| (place(&planned.host), at_first(&planned.fate))).collect(),
            run: 0,
            is_finished: false,
            halted: None,
            is_stopped: false,
            is_stopping: false,
            leaves_at_once: false,
            is_paused: false,
            failed: Vec::new(),
            freed: BTreeMap::new(),
            in_flight: 0,
            available: 0,
            zones: BTreeMap::new(),
            zone_of: zone_of.collect(),
            looked_from: BTreeMap::new(),
            unwritten: None,
        };
        for (host, place) in books.places.clone() {
            books.count(host, place, 1);
        }
        books
    }

    /// Where a host is, as far as that changes anything: one that is only looked at is where it was before.
    pub(crate) fn known(&self, host: usize) -> Place {
        match self.place(host) {
            Place::Looking => self.looked_from.get(&host).copied().unwrap_or(Place::Untouched),
            place => place,
        }
    }

    /// The zone of a host.
    pub(crate) fn zone(&self, host: usize) -> Option<&str> {
        self.zone_of.get(&host).map(String::as_str)
    }

    fn set(&mut self, host: usize, place: Place) {
        if let Some(before) = self.places.insert(host, place) {
            self.count(host, before, -1);
        }
        self.count(host, place, 1);
    }

    fn count(&mut self, host: usize, place: Place, by: isize) {
        let add = |count: &mut usize, counts: bool| {
            if counts {
                *count = count.saturating_add_signed(by);
            }
        };
        add(&mut self.in_flight, place.is_in_flight());
        add(&mut self.available, place.is_available());
        if let Some(zone) = self.zone_of.get(&host) {
            add(self.zones.entry(zone.clone()).or_default(), place.is_available());
        }
    }

    pub(crate) fn place(&self, host: usize) -> Place {
        self.places.get(&host).copied().unwrap_or(Place::LeftOut)
    }

    /// Takes in a line that was seen. A law looks at it before that, or after.
    pub(crate) fn take(&mut self, line: &Line) {
        match &line.seen {
            Seen::Begun { rollout, run, .. } if *rollout == self.rollout => self.begin(*run),
            Seen::Killed { rollout } if *rollout == self.rollout => self.forget(),
            Seen::Heard { rollout, heard } if *rollout == self.rollout => self.hear(line.at, heard),
            Seen::Wrote { rollout, ended, is_finished, .. } if *rollout == self.rollout => {
                self.is_finished |= is_finished;
                self.unwritten = None;
                for (host, word) in ended {
                    self.ended(line.at, *host, *word);
                }
            }
            Seen::Did { rollout, did } if *rollout == self.rollout => self.did(line.at, did),
            Seen::Granted { .. }
            | Seen::Released { .. }
            | Seen::Signalled { .. }
            | Seen::Over { .. }
            | Seen::LockFree { .. }
            | Seen::Trouble { .. }
            | Seen::Begun { .. }
            | Seen::Killed { .. }
            | Seen::Heard { .. }
            | Seen::Wrote { .. }
            | Seen::Did { .. } => {}
        }
    }

    fn begin(&mut self, run: u32) {
        self.look_no_more();
        if self.is_finished {
            // Whoever resumes it has seen how it ended.
            (self.halted, self.is_finished) = (None, false);
            self.failed.clear();
        }
        self.run = run;
        (self.is_stopped, self.is_stopping, self.leaves_at_once, self.is_paused) = (false, false, false, false);
    }

    fn forget(&mut self) {
        if let Some(before) = self.unwritten.take() {
            self.set(before.host, before.place);
            self.halted = before.halted;
            self.failed.truncate(before.failures);
            self.freed.remove(&before.host);
            self.freed.extend(before.freed.map(|at| (before.host, at)));
        }
        self.look_no_more();
    }

    /// What was looked at and not asked is where it was before.
    fn look_no_more(&mut self) {
        let looking: Vec<usize> =
            self.places.iter().filter(|(_, place)| **place == Place::Looking).map(|(host, _)| *host).collect();
        for host in looking {
            self.set(host, self.known(host));
        }
    }

    fn hear(&mut self, at: Duration, heard: &Heard) {
        self.unwritten = None;
        match heard {
            Heard::Settled(host, word) => {
                self.remember(*host);
                self.settled(at, *host, *word);
            }
            Heard::GuardStands(host) => {
                if let Some(word) = self.place(*host).word().filter(|_| !matches!(self.place(*host), Place::Ended(_))) {
                    self.set(*host, Place::Standing(word));
                    self.freed.entry(*host).or_insert(at);
                    // A later run found that nothing had happened to it: the doubt is over.
                    self.halted = self.halted.filter(|doubtful| doubtful != host);
                }
            }
            Heard::GuardLost(host) => {
                if let Place::Standing(word) = self.place(*host) {
                    self.set(*host, Place::Lost(word, at));
                }
            }
            Heard::GuardBroken(host, word) => {
                self.remember(*host);
                self.broken(*host, *word);
            }
            Heard::Ordered(Order::Abort) => self.is_stopped = true,
            Heard::Interrupted => {
                // While it comes to an end already, the first one means: at once.
                self.leaves_at_once |= self.is_stopping;
                self.is_stopped = true;
            }
            Heard::Ordered(Order::Pause) => self.is_paused = true,
            Heard::Ordered(Order::Resume) => self.is_paused = false,
            Heard::Started
            | Heard::Claimed(_)
            | Heard::ClaimRefused(..)
            | Heard::Looked(_)
            | Heard::StillStands(_)
            | Heard::Tick => {}
        }
    }

    fn remember(&mut self, host: usize) {
        let (place, freed) = (self.place(host), self.freed.get(&host).copied());
        self.unwritten = Some(Before { host, place, freed, halted: self.halted, failures: self.failed.len() });
    }

    fn settled(&mut self, at: Duration, host: usize, word: Word) {
        let fits = match self.place(host) {
            Place::Asked => true,
            Place::Looking => word == Word::Refused,
            Place::Untouched | Place::LeftOut | Place::Confirming(_) | Place::Standing(_) | Place::Lost(..) | Place::Ended(_) => {
                false
            }
        };
        if !fits {
            return;
        }
        let place = match word {
            Word::Proven | Word::RolledBack => Place::Confirming(word),
            Word::Refused | Word::Unproven | Word::Dropped | Word::Unknown => Place::Ended(word),
        };
        if word == Word::Refused {
            self.freed.insert(host, at);
        } else {
            self.freed.remove(&host);
        }
        self.come_to(host, place, word);
    }

    fn broken(&mut self, host: usize, word: Word) {
        let fits = match self.place(host) {
            Place::Confirming(_) | Place::Standing(_) | Place::Lost(..) => true,
            Place::Ended(Word::Unknown) => word == Word::Dropped,
            Place::Untouched | Place::LeftOut | Place::Looking | Place::Asked | Place::Ended(_) => false,
        };
        if fits {
            self.come_to(host, Place::Ended(word), word);
        }
    }

    fn come_to(&mut self, host: usize, place: Place, word: Word) {
        self.set(host, place);
        if word.halts() {
            self.halted = Some(host);
        }
        if word.is_failure() && !self.failed.contains(&host) {
            self.failed.push(host);
        }
    }

    /// The rollout itself says that a host has ended so.
    fn ended(&mut self, at: Duration, host: usize, word: Word) {
        if self.place(host).word() == Some(word) || self.place(host) == Place::LeftOut {
            return;
        }
        if word == Word::Refused {
            self.freed.insert(host, at);
        }
        self.come_to(host, Place::Ended(word), word);
    }

    fn did(&mut self, at: Duration, did: &Did) {
        match did {
            Did::Look(host) => {
                self.freed.remove(host);
                self.looked_from.insert(*host, self.known(*host));
                self.set(*host, Place::Looking);
            }
            Did::Ask(host, _) => {
                self.set(*host, Place::Asked);
            }
            Did::Told(host, word) => self.ended(at, *host, *word),
            // It was given up, and is taken up again by what its agent has told before.
            Did::Guard(host, word) if matches!(self.place(*host), Place::Ended(_)) => self.set(*host, Place::Lost(*word, at)),
            Did::Stop(_) => self.is_stopping = true,
            Did::Finish { .. } => self.is_finished = true,
            Did::Claim(_) | Did::Guard(..) | Did::LastLook(_) | Did::Abandon(_) | Did::Note(_) | Did::Ignored => {}
        }
    }
}
