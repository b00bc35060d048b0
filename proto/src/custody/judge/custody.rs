//! The custody of one master: from the end of its first sighting to the beginning of its last, with nothing against it in between.

use super::super::{Fact, Image, Lock, Process, Role, Seq, Sighting, Testimony};
use super::{Basis, Doubt};

/// What was seen of one master: the first and the last of its sightings, all of them of one process and one lock.
pub(super) struct Custody {
    role: Role,
    pub(super) process: Process,
    pub(super) image: Image,
    pub(super) image_last: Image,
    pub(super) lock: Lock,
    first_began: Seq,
    pub(super) first_ended: Seq,
    pub(super) last_began: Seq,
    pub(super) last_ended: Seq,
}

/// How many program images a master may run one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Images {
    One,
    Several,
}

impl Custody {
    pub(super) fn of(testimony: &Testimony, role: Role, images: Images) -> Result<Self, Doubt> {
        let mut sightings = testimony.sightings(role);
        let Some((ended, first)) = sightings.next() else {
            return Err(Doubt::NeverSeen { role, reason: absence(testimony, role) });
        };
        let mut custody = Self {
            role,
            process: first.process,
            image: first.image,
            image_last: first.image,
            lock: first.lock,
            first_began: first.began,
            first_ended: ended,
            last_began: first.began,
            last_ended: ended,
        };
        for (ended, sighting) in [(ended, first)].into_iter().chain(sightings) {
            custody.extend(ended, sighting, images)?;
        }
        custody.uninterrupted(testimony)?;
        Ok(custody)
    }

    fn extend(&mut self, ended: Seq, sighting: &Sighting, images: Images) -> Result<(), Doubt> {
        let role = self.role;
        if sighting.process != self.process {
            return Err(Doubt::TwoMasters { role, one: self.process, other: sighting.process });
        }
        let is_new_image = sighting.image != self.image_last;
        if sighting.image != sighting.image_after || is_new_image && images == Images::One {
            return Err(Doubt::Exec { role });
        }
        if is_new_image && !sighting.lock.is_marked() {
            return Err(Doubt::ExecUnmarked);
        }
        if sighting.lock != self.lock {
            return Err(Doubt::Relocked { role });
        }
        self.image_last = sighting.image;
        self.last_began = sighting.began;
        self.last_ended = ended;
        Ok(())
    }

    /// No line between the first sighting and the last says that it did not hold.
    fn uninterrupted(&self, testimony: &Testimony) -> Result<(), Doubt> {
        let without = testimony.observations.iter().find(|observation| match &observation.fact {
            Fact::Absence { process, .. } | Fact::Exit { process, .. } => {
                *process == self.process && observation.seq > self.first_ended && observation.seq < self.last_ended
            }
            Fact::Sighting(_) | Fact::Grant { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Workers { .. } => false,
        });
        without.map_or(Ok(()), |line| Err(Doubt::Interrupted { role: self.role, at: line.seq }))
    }

    /// The first look ended before the last one began: two that overlap may both be of one instant.
    pub(super) fn lasts(&self) -> Result<(), Doubt> {
        if self.first_ended < self.last_began { Ok(()) } else { Err(Doubt::NoLength { role: self.role }) }
    }

    pub(super) fn basis(&self) -> Basis {
        if self.lock.is_marked() { Basis::Marked } else { Basis::Contract }
    }

    /// The window opens with a look at this master.
    pub(super) fn opens(&self, testimony: &Testimony) -> Result<(), Doubt> {
        if self.first_began == testimony.opened {
            return Ok(());
        }
        Err(Doubt::EndOpen { role: self.role, end: "opening", reason: None })
    }

    /// The window closes with a look at this master.
    pub(super) fn closes(&self, testimony: &Testimony) -> Result<(), Doubt> {
        if self.last_ended == testimony.closed {
            return Ok(());
        }
        Err(Doubt::EndOpen { role: self.role, end: "closing", reason: absence(testimony, self.role) })
    }
}

/// What was found the last time that a master was looked at in vain.
pub(super) fn absence(testimony: &Testimony, sought: Role) -> Option<String> {
    testimony.observations.iter().rev().find_map(|observation| match &observation.fact {
        Fact::Absence { role, reason, .. } if *role == sought => Some(reason.clone()),
        Fact::Absence { .. }
        | Fact::Sighting(_)
        | Fact::Grant { .. }
        | Fact::Signal { .. }
        | Fact::Readiness { .. }
        | Fact::Exit { .. }
        | Fact::Workers { .. } => None,
    })
}
