//! The judge: one pure function from a testimony to a verdict. Silence is not proof.
//!
//! **Invariant:** every path to `Kept` goes through every check in [`kept`]; there is no other constructor call.

mod custody;
mod doubt;
mod sound;
mod verdict;

use super::{Fact, Process, Role, Seq, Shape, Sighting, Testimony};
use custody::{Custody, Images, absence};
pub use doubt::Doubt;
use sound::sound;
pub use verdict::{Basis, Kept, Succession, Unbroken, Verdict};

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
        // A window of one look and nothing else is that look.
        if testimony.opened.next() != testimony.closed {
            master.lasts()?;
        }
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
    old.lasts()?;
    new.lasts()?;
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
    master.lasts()?;
    let (began, worker) = worker_at_the_close(testimony, &master)?;
    came_after_the_signal(testimony, master.process, worker.process, began)?;
    Ok(Kept { basis: master.basis(), by: Succession::InPlace { master: master.process, worker: worker.process } })
}

fn by_exec(testimony: &Testimony) -> Result<Kept, Doubt> {
    let master = Custody::of(testimony, Role::Master, Images::Several)?;
    master.opens(testimony)?;
    master.closes(testimony)?;
    master.lasts()?;
    if master.image == master.image_last {
        return Err(Doubt::NoHandover(master.process));
    }
    let (began, worker) = worker_at_the_close(testimony, &master)?;
    came_after_the_signal(testimony, master.process, worker.process, began)?;
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

/// A worker is new that was not there when the master's workers were listed before it was signalled, and was seen after that.
fn came_after_the_signal(testimony: &Testimony, sought: Process, worker: Process, seen: Seq) -> Result<(), Doubt> {
    let no = |reason: String| Err(Doubt::NoNewWorker(Some(reason)));
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
    let Some(signalled) = signalled.filter(|signalled| *signalled < seen) else {
        return no(format!("no signal to the master is on record before {worker} was seen"));
    };
    let listing = testimony.observations.iter().rev().find_map(|observation| match &observation.fact {
        Fact::Workers { master, workers, .. } if *master == sought && observation.seq < signalled => Some(workers),
        Fact::Workers { .. }
        | Fact::Signal { .. }
        | Fact::Sighting(_)
        | Fact::Absence { .. }
        | Fact::Grant { .. }
        | Fact::Readiness { .. }
        | Fact::Exit { .. } => None,
    });
    match listing {
        None => no("the master's workers were not listed before the signal".into()),
        Some(workers) if workers.contains(&worker) => no(format!("{worker} was there before the signal")),
        Some(_) => Ok(()),
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

#[cfg(test)]
mod tests;
