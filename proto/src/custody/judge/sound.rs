//! Whether a testimony may be believed at all: it is whole, it is told who saw what, and there is one file.

use super::super::{Fact, FileIdentity, Observation, Seq, Testimony};
use super::Doubt;

/// What holds for every testimony that proves anything: nothing is missing, it is told who saw what, and there is one file.
pub(super) fn sound(testimony: &Testimony) -> Result<(), Doubt> {
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
