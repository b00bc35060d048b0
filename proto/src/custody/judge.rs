//! The judge: one pure function from a testimony to a verdict. Silence is not proof.
//!
//! **Invariant:** every path to `Kept` goes through every check in [`kept`]; there is no other constructor call.

use super::{Fact, FileIdentity, Image, Lock, Observation, Process, Role, Seq, Sighting, Testimony};
use std::fmt;
use std::time::Duration;

/// What a testimony shows about the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Some generation held the lock at every instant of the window.
    Kept(Kept),
    /// The waiter was granted inside the window: nobody held the lock.
    Dropped {
        /// The number of the first grant.
        at: Seq,
    },
    /// Neither: the missing piece is named.
    Unproven(Doubt),
}

/// A proven handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// What the proof rests on.
    pub basis: Basis,
    /// The master that left.
    pub old: Process,
    /// The master that took over.
    pub new: Process,
    /// For how long both were seen holding; at least this long both held.
    pub overlap: Duration,
}

/// A rolled-back handover in which the old master never let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbroken {
    /// What the proof rests on.
    pub basis: Basis,
    /// The master that stayed.
    pub master: Process,
}

/// What a proof rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Each master's lock bore one unchanged random mark: it was one open file description throughout.
    Marked,
    /// Some lock bore no mark: the proof takes the server's word that it does not let go and take again.
    Contract,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marked => "marked",
            Self::Contract => "contract",
        })
    }
}

/// The missing piece.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The agent kept only a part of what it saw.
    #[error("the agent saw more than it keeps; lines were left out")]
    Truncated,
    /// A number has no line, two lines, or lies outside the window.
    #[error("the numbering has a hole, a repeat or a stray at #{}", .0.0)]
    NumberingBroken(Seq),
    /// Some line was seen by another run of the agent.
    #[error("the agent was restarted within the window")]
    AgentRestarted,
    /// A lock was seen on another file than the one that the window is about.
    #[error("the lock file was replaced: a lock was seen on inode {} instead of {}", .seen.inode, .expected.inode)]
    FileReplaced {
        /// The file of the window.
        expected: FileIdentity,
        /// The file of the sighting.
        seen: FileIdentity,
    },
    /// A master was never seen holding.
    #[error("the {role} was never seen holding the lock{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    NeverSeen {
        /// Which one.
        role: Role,
        /// What was found instead, if it was looked at.
        reason: Option<String>,
    },
    /// One role was played by two processes.
    #[error("two processes were seen as {role}: {one} and {other}")]
    TwoMasters {
        /// Which role.
        role: Role,
        /// The first.
        one: Process,
        /// Another.
        other: Process,
    },
    /// One process was seen in both roles, or ran one image in both.
    #[error("no handover was seen: process {0} was in charge before and after")]
    NoHandover(Process),
    /// A master changed its image in between.
    #[error("the {role} ran another program image the second time (exec)")]
    Exec {
        /// Which one.
        role: Role,
    },
    /// A master's lock bore another mark or another taker in between.
    #[error("the {role} let go of its lock and took it again (mark or taker changed)")]
    Relocked {
        /// Which one.
        role: Role,
    },
    /// The two masters were never proven to hold at once.
    #[error("no overlap was seen: the old master was not seen holding after the new one was")]
    NoOverlap,
    /// The window was not closed by a look at the master in charge, or not opened by one.
    #[error("the {role} was not seen at the {end} of the window{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    EndOpen {
        /// Which one.
        role: Role,
        /// Which end.
        end: &'static str,
        /// What was found instead, if it was looked at.
        reason: Option<String>,
    },
}

/// Weighs a testimony of a handover. A drop that was seen outweighs every doubt.
#[must_use]
pub fn judge(testimony: &Testimony) -> Verdict {
    if let Some(at) = drop_seen(testimony) {
        return Verdict::Dropped { at };
    }
    match kept(testimony) {
        Ok(kept) => Verdict::Kept(kept),
        Err(doubt) => Verdict::Unproven(doubt),
    }
}

/// Weighs a testimony of a handover that was undone: did the old master hold from one end of the window to the other?
///
/// # Errors
/// The verdict that [`judge()`] would give instead: dropped, or unproven with the missing piece.
pub fn unbroken(testimony: &Testimony) -> Result<Unbroken, Verdict> {
    if let Some(at) = drop_seen(testimony) {
        return Err(Verdict::Dropped { at });
    }
    stayed(testimony).map_err(Verdict::Unproven)
}

/// What is proven of an old master that stayed, if nothing was granted.
pub(super) fn stayed(testimony: &Testimony) -> Result<Unbroken, Doubt> {
    sound(testimony)?;
    let old = Custody::of(testimony, Role::OldMaster)?;
    old.opens(testimony)?;
    old.closes(testimony)?;
    Ok(Unbroken { basis: old.basis(), master: old.process })
}

/// What is proven of a handover, if nothing was granted.
pub(super) fn kept(testimony: &Testimony) -> Result<Kept, Doubt> {
    sound(testimony)?;
    let old = Custody::of(testimony, Role::OldMaster)?;
    let new = Custody::of(testimony, Role::NewMaster)?;
    if old.process == new.process || old.image == new.image {
        return Err(Doubt::NoHandover(old.process));
    }
    old.opens(testimony)?;
    if old.last_began <= new.first_ended {
        return Err(Doubt::NoOverlap);
    }
    new.closes(testimony)?;
    let basis = match (old.basis(), new.basis()) {
        (Basis::Marked, Basis::Marked) => Basis::Marked,
        (Basis::Contract, Basis::Marked | Basis::Contract) | (Basis::Marked, Basis::Contract) => Basis::Contract,
    };
    let overlap =
        testimony.at(old.last_ended).unwrap_or_default().saturating_sub(testimony.at(new.first_ended).unwrap_or_default());
    Ok(Kept { basis, old: old.process, new: new.process, overlap })
}

/// What holds for every testimony that proves anything: nothing is missing, one witness, one file.
fn sound(testimony: &Testimony) -> Result<(), Doubt> {
    if testimony.truncated {
        return Err(Doubt::Truncated);
    }
    // First, because an agent that died also leaves holes, and this names the reason.
    if testimony.observations.iter().any(|observation| observation.incarnation != testimony.incarnation) {
        return Err(Doubt::AgentRestarted);
    }
    whole(testimony)?;
    for observation in &testimony.observations {
        if let Some(seen) = file_of(observation)
            && seen != testimony.file
        {
            return Err(Doubt::FileReplaced { expected: testimony.file, seen });
        }
    }
    Ok(())
}

/// Every number of the window has exactly one line, and the lines stand in their order.
fn whole(testimony: &Testimony) -> Result<(), Doubt> {
    let (opened, closed) = (testimony.opened, testimony.closed);
    let mut numbers: Vec<Seq> = testimony.observations.iter().flat_map(Observation::numbers).collect();
    let in_order = testimony.observations.windows(2).find(|pair| pair[0].seq >= pair[1].seq);
    if let Some(pair) = in_order {
        return Err(Doubt::NumberingBroken(pair[1].seq));
    }
    let backwards =
        testimony.observations.iter().find(|observation| observation.numbers().any(|number| number > observation.seq));
    if let Some(observation) = backwards {
        return Err(Doubt::NumberingBroken(observation.seq));
    }
    numbers.sort_unstable();
    let mut expected = opened.0;
    for number in numbers {
        if number.0 != expected {
            return Err(Doubt::NumberingBroken(Seq(expected.min(number.0))));
        }
        expected = expected.saturating_add(1);
    }
    if closed.0.checked_add(1) != Some(expected) {
        return Err(Doubt::NumberingBroken(closed));
    }
    Ok(())
}

fn file_of(observation: &Observation) -> Option<FileIdentity> {
    match &observation.fact {
        Fact::Sighting(sighting) => Some(sighting.lock.file),
        Fact::Grant { file } => Some(*file),
        Fact::Absence { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } => None,
    }
}

/// The first grant on the window's file. That a holder was seen before is implied: a waiter is armed only then.
pub(super) fn drop_seen(testimony: &Testimony) -> Option<Seq> {
    testimony.observations.iter().find_map(|observation| match &observation.fact {
        Fact::Grant { file } => {
            (*file == testimony.file && observation.seq >= testimony.opened && observation.seq <= testimony.closed)
                .then_some(observation.seq)
        }
        Fact::Sighting(_) | Fact::Absence { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } => None,
    })
}

/// What was seen of one master: the first and the last of its sightings, all of them alike.
struct Custody {
    role: Role,
    process: Process,
    image: Image,
    lock: Lock,
    first_began: Seq,
    first_ended: Seq,
    last_began: Seq,
    last_ended: Seq,
}

impl Custody {
    fn of(testimony: &Testimony, role: Role) -> Result<Self, Doubt> {
        let mut sightings = testimony.sightings(role);
        let Some((ended, first)) = sightings.next() else {
            return Err(Doubt::NeverSeen { role, reason: absence(testimony, role) });
        };
        let mut custody = Self {
            role,
            process: first.process,
            image: first.image,
            lock: first.lock,
            first_began: first.began,
            first_ended: ended,
            last_began: first.began,
            last_ended: ended,
        };
        for (ended, sighting) in sightings {
            custody.extend(ended, sighting)?;
        }
        Ok(custody)
    }

    fn extend(&mut self, ended: Seq, sighting: &Sighting) -> Result<(), Doubt> {
        let role = self.role;
        if sighting.process != self.process {
            return Err(Doubt::TwoMasters { role, one: self.process, other: sighting.process });
        }
        if sighting.image != self.image {
            return Err(Doubt::Exec { role });
        }
        if sighting.lock != self.lock {
            return Err(Doubt::Relocked { role });
        }
        self.last_began = sighting.began;
        self.last_ended = ended;
        Ok(())
    }

    fn basis(&self) -> Basis {
        if self.lock.mark == 0 { Basis::Contract } else { Basis::Marked }
    }

    /// The window opens with a look at this master.
    fn opens(&self, testimony: &Testimony) -> Result<(), Doubt> {
        if self.first_began == testimony.opened {
            return Ok(());
        }
        Err(Doubt::EndOpen { role: self.role, end: "opening", reason: None })
    }

    /// The window closes with a look at this master.
    fn closes(&self, testimony: &Testimony) -> Result<(), Doubt> {
        if self.last_ended == testimony.closed {
            return Ok(());
        }
        Err(Doubt::EndOpen { role: self.role, end: "closing", reason: absence(testimony, self.role) })
    }
}

/// What was found the last time that a master was looked at in vain.
fn absence(testimony: &Testimony, sought: Role) -> Option<String> {
    testimony.observations.iter().rev().find_map(|observation| match &observation.fact {
        Fact::Absence { role, reason, .. } if *role == sought => Some(reason.clone()),
        Fact::Absence { .. }
        | Fact::Sighting(_)
        | Fact::Grant { .. }
        | Fact::Signal { .. }
        | Fact::Readiness { .. }
        | Fact::Exit { .. } => None,
    })
}

#[cfg(test)]
mod tests;
