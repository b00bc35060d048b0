//! The judge: one pure function from a testimony to a verdict. Silence is not proof.
//!
//! **Invariant:** every path to `Kept` goes through every check in [`kept`]; there is no other constructor call.

use super::{Fact, FileIdentity, Image, Lock, Observation, Process, Role, Seq, Shape, Sighting, Testimony};
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
    /// Who took over from whom.
    pub by: Succession,
}

/// Who took over from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// A new master from an old one.
    Beside {
        /// The master that left.
        old: Process,
        /// The master that took over.
        new: Process,
        /// For how long both were seen holding; at least this long both held.
        overlap: Duration,
    },
    /// New workers of a master that kept its program image.
    InPlace {
        /// The master.
        master: Process,
        /// A new worker of it.
        worker: Process,
    },
    /// New workers of a master that called exec.
    Exec {
        /// The master.
        master: Process,
        /// A new worker of it.
        worker: Process,
    },
}

impl Kept {
    /// The master in charge when the window opened.
    #[must_use]
    pub fn before(&self) -> Process {
        match self.by {
            Succession::Beside { old, .. } => old,
            Succession::InPlace { master, .. } | Succession::Exec { master, .. } => master,
        }
    }

    /// The master in charge when it closed.
    #[must_use]
    pub fn after(&self) -> Process {
        match self.by {
            Succession::Beside { new, .. } => new,
            Succession::InPlace { master, .. } | Succession::Exec { master, .. } => master,
        }
    }
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
    /// A line was seen by another run of the agent than the one that its number falls to.
    #[error("#{} was not seen by the run of the agent that had the window then", .0.0)]
    OtherWitness(Seq),
    /// The runs of the agent are not told in their order.
    #[error("the testimony does not tell which run of the agent had the window when")]
    WitnessesUnclear,
    /// The agent that went on with the window was of another boot.
    #[error("the host was rebooted within the window")]
    Rebooted,
    /// The agent was restarted, and what it saw before and after does not join.
    #[error("the agent was restarted within the window: {0}")]
    AgentRestarted(Box<Doubt>),
    /// A lock was seen on another file than the one that the window is about.
    #[error("the lock file was replaced: a lock was seen on inode {} instead of {}", .seen.inode, .expected.inode)]
    FileReplaced {
        /// The file of the window.
        expected: FileIdentity,
        /// The file of the sighting.
        seen: FileIdentity,
    },
    /// A master was never seen holding.
    #[error("the {role} was never seen holding the lock{}", because(.reason.as_ref()))]
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
    /// A master was looked at in vain, or seen to exit, between two looks that found it holding.
    #[error("the {role} was not seen holding at #{}, between two looks that found it holding", .at.0)]
    Interrupted {
        /// Which one.
        role: Role,
        /// Where.
        at: Seq,
    },
    /// The master called exec with a lock that nothing names.
    #[error("the master called exec and its lock bears no mark: it may have let go of it and taken it again")]
    ExecUnmarked,
    /// No new worker was seen at the close.
    #[error("no new worker of the master was seen holding the lock at the close{}", because(.0.as_ref()))]
    NoNewWorker(Option<String>),
    /// The two masters were never proven to hold at once.
    #[error("no overlap was seen: the old master was not seen holding after the new one was")]
    NoOverlap,
    /// The window was not closed by a look at the master in charge, or not opened by one.
    #[error("the {role} was not seen at the {end} of the window{}", because(.reason.as_ref()))]
    EndOpen {
        /// Which one.
        role: Role,
        /// Which end.
        end: &'static str,
        /// What was found instead, if it was looked at.
        reason: Option<String>,
    },
}

fn because(reason: Option<&String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
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
    joined(testimony, || {
        let role = match testimony.shape {
            Shape::Beside => Role::OldMaster,
            Shape::InPlace | Shape::Exec => Role::Master,
        };
        let master = Custody::of(testimony, role, Images::One)?;
        master.opens(testimony)?;
        master.closes(testimony)?;
        Ok(Unbroken { basis: master.basis(), master: master.process })
    })
}

/// What is proven of a handover, if nothing was granted.
pub(super) fn kept(testimony: &Testimony) -> Result<Kept, Doubt> {
    sound(testimony)?;
    joined(testimony, || match testimony.shape {
        Shape::Beside => beside(testimony),
        Shape::InPlace => in_place(testimony),
        Shape::Exec => by_exec(testimony),
    })
}

/// Two runs of the agent are joined by the masters that both saw. In each shape there is one at every number of the window, so
/// what is proven is proven; what is not, may be so because of the restart.
fn joined<T>(testimony: &Testimony, prove: impl FnOnce() -> Result<T, Doubt>) -> Result<T, Doubt> {
    prove().map_err(|doubt| if testimony.successors.is_empty() { doubt } else { Doubt::AgentRestarted(Box::new(doubt)) })
}

fn beside(testimony: &Testimony) -> Result<Kept, Doubt> {
    let old = Custody::of(testimony, Role::OldMaster, Images::One)?;
    let new = Custody::of(testimony, Role::NewMaster, Images::One)?;
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
    Ok(Kept { basis, by: Succession::Beside { old: old.process, new: new.process, overlap } })
}

fn in_place(testimony: &Testimony) -> Result<Kept, Doubt> {
    let master = Custody::of(testimony, Role::Master, Images::One)?;
    master.opens(testimony)?;
    master.closes(testimony)?;
    let (began, worker) = worker_at_the_close(testimony, &master)?;
    if !came_after_the_signal(testimony, master.process, worker.process, began) {
        return Err(Doubt::NoHandover(master.process));
    }
    Ok(Kept { basis: master.basis(), by: Succession::InPlace { master: master.process, worker: worker.process } })
}

fn by_exec(testimony: &Testimony) -> Result<Kept, Doubt> {
    let master = Custody::of(testimony, Role::Master, Images::Several)?;
    master.opens(testimony)?;
    master.closes(testimony)?;
    if master.image == master.image_last {
        return Err(Doubt::NoHandover(master.process));
    }
    let (began, worker) = worker_at_the_close(testimony, &master)?;
    if !came_after_the_signal(testimony, master.process, worker.process, began) {
        return Err(Doubt::NoNewWorker(Some(format!("{} was there before the signal", worker.process))));
    }
    // What the old image forks runs the old image. The new one may have called exec once more since (HAProxy does, to wait).
    if worker.image == master.image {
        return Err(Doubt::NoNewWorker(Some(format!("{} runs the image that the master ran before", worker.process))));
    }
    Ok(Kept { basis: master.basis(), by: Succession::Exec { master: master.process, worker: worker.process } })
}

/// The child of the master that was seen holding just before the window closed with a look at the master.
fn worker_at_the_close<'a>(testimony: &'a Testimony, master: &Custody) -> Result<(Seq, &'a Sighting), Doubt> {
    let missing = || Doubt::NoNewWorker(absence(testimony, Role::Worker));
    let (ended, worker) = testimony.sightings(Role::Worker).last().ok_or_else(missing)?;
    if ended.0.checked_add(1) != Some(master.last_began.0) {
        return Err(missing());
    }
    if worker.image != worker.image_after {
        return Err(Doubt::Exec { role: Role::Worker });
    }
    if worker.parent != master.process.pid || worker.process == master.process {
        return Err(Doubt::NoNewWorker(Some(format!("{} is no child of the master {}", worker.process, master.process))));
    }
    Ok((worker.began, worker))
}

/// Whether a process was not there when the master's workers were listed before it was signalled, and was seen after that.
fn came_after_the_signal(testimony: &Testimony, sought: Process, worker: Process, seen: Seq) -> bool {
    let signalled = testimony.observations.iter().find_map(|observation| match &observation.fact {
        Fact::Signal { process, .. } if *process == sought => Some(observation.seq),
        Fact::Signal { .. }
        | Fact::Sighting(_)
        | Fact::Absence { .. }
        | Fact::Grant { .. }
        | Fact::Readiness { .. }
        | Fact::Exit { .. }
        | Fact::Workers { .. } => None,
    });
    signalled.is_some_and(|signalled| {
        let mut listings = testimony.observations.iter().filter_map(|observation| match &observation.fact {
            Fact::Workers { master, workers, .. } if *master == sought && observation.seq < signalled => Some(workers),
            Fact::Workers { .. }
            | Fact::Signal { .. }
            | Fact::Sighting(_)
            | Fact::Absence { .. }
            | Fact::Grant { .. }
            | Fact::Readiness { .. }
            | Fact::Exit { .. } => None,
        });
        seen > signalled && listings.next_back().is_some_and(|workers| !workers.contains(&worker))
    })
}

/// What holds for every testimony that proves anything: nothing is missing, it is told who saw what, and there is one file.
fn sound(testimony: &Testimony) -> Result<(), Doubt> {
    if testimony.truncated {
        return Err(Doubt::Truncated);
    }
    whole(testimony)?;
    witnessed(testimony)?;
    for observation in &testimony.observations {
        if let Some(seen) = file_of(observation)
            && seen != testimony.file
        {
            return Err(Doubt::FileReplaced { expected: testimony.file, seen });
        }
    }
    Ok(())
}

/// Each line was seen by the run of the agent that its numbers fall to, and all runs were of one boot.
fn witnessed(testimony: &Testimony) -> Result<(), Doubt> {
    let mut last = testimony.opened;
    for successor in &testimony.successors {
        if successor.from <= last || successor.from > testimony.closed {
            return Err(Doubt::WitnessesUnclear);
        }
        if successor.boot != testimony.boot {
            return Err(Doubt::Rebooted);
        }
        last = successor.from;
    }
    for observation in &testimony.observations {
        if observation.numbers().any(|number| testimony.witness(number) != observation.incarnation) {
            return Err(Doubt::OtherWitness(observation.seq));
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
        Fact::Absence { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } | Fact::Workers { .. } => None,
    }
}

/// The first grant on the window's file. That a holder was seen before is implied: a waiter is armed only then.
pub(super) fn drop_seen(testimony: &Testimony) -> Option<Seq> {
    testimony.observations.iter().find_map(|observation| match &observation.fact {
        Fact::Grant { file } => {
            (*file == testimony.file && observation.seq >= testimony.opened && observation.seq <= testimony.closed)
                .then_some(observation.seq)
        }
        Fact::Sighting(_)
        | Fact::Absence { .. }
        | Fact::Signal { .. }
        | Fact::Readiness { .. }
        | Fact::Exit { .. }
        | Fact::Workers { .. } => None,
    })
}

/// What was seen of one master: the first and the last of its sightings, all of them of one process and one lock.
struct Custody {
    role: Role,
    process: Process,
    image: Image,
    image_last: Image,
    lock: Lock,
    first_began: Seq,
    first_ended: Seq,
    last_began: Seq,
    last_ended: Seq,
}

/// How many program images a master may run one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Images {
    One,
    Several,
}

impl Custody {
    fn of(testimony: &Testimony, role: Role, images: Images) -> Result<Self, Doubt> {
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

    fn basis(&self) -> Basis {
        if self.lock.is_marked() { Basis::Marked } else { Basis::Contract }
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
        | Fact::Exit { .. }
        | Fact::Workers { .. } => None,
    })
}

#[cfg(test)]
mod tests;
