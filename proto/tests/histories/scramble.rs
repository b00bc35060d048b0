//! Testimonies that no agent would write, with a whole numbering: for two judges to agree on, not for the truth.
//!
//! Lines are left out, repeated, moved and given another's content, and all numbers are handed out anew, so that the
//! judges have to weigh what the lines say and cannot stop at a hole.

use baton_proto::custody::{Fact, Observation, Role, Seq, Sighting, Testimony};

use crate::dice::Dice;

/// One end of a line: the number that was taken before a look, or the line's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    line: usize,
    is_last: bool,
}

/// A copy with one to four changes.
pub(crate) fn of(testimony: &Testimony, dice: &mut Dice) -> Testimony {
    let mut scrambled = testimony.clone();
    let mut ends = ends(&scrambled.observations);
    for _ in 0..=dice.below(4) {
        if scrambled.observations.len() < 2 {
            break;
        }
        change(&mut scrambled.observations, &mut ends, dice);
    }
    number(&mut scrambled, &ends, dice);
    scrambled
}

fn ends(lines: &[Observation]) -> Vec<End> {
    let mut ends: Vec<(Seq, End)> = Vec::new();
    for (line, observation) in lines.iter().enumerate() {
        ends.extend(observation.fact.began().map(|began| (began, End { line, is_last: false })));
        ends.push((observation.seq, End { line, is_last: true }));
    }
    ends.sort_by_key(|(seq, end)| (*seq, end.is_last));
    ends.into_iter().map(|(_, end)| end).collect()
}

fn change(lines: &mut Vec<Observation>, ends: &mut Vec<End>, dice: &mut Dice) {
    let (one, other) = (dice.index(lines.len()), dice.index(lines.len()));
    match dice.below(8) {
        0 => ends.retain(|end| end.line != one),
        1 | 2 => {
            let place = dice.index(ends.len() + 1);
            let fresh = if dice.one_in(2) { with_another_role(&lines[one], dice) } else { lines[one].clone() };
            let line = lines.len();
            ends.insert(place, End { line, is_last: true });
            if fresh.fact.began().is_some() {
                ends.insert(place, End { line, is_last: false });
            }
            lines.push(fresh);
        }
        3 if !ends.is_empty() => {
            let end = ends.remove(dice.index(ends.len()));
            let partner = ends.iter().position(|of| of.line == end.line);
            let (from, until) = match partner {
                Some(begins) if end.is_last => (begins + 1, ends.len()),
                Some(finishes) => (0, finishes),
                None => (0, ends.len()),
            };
            ends.insert(from + dice.index(until - from + 1), end);
        }
        4 => lines[one] = with_another_role(&lines[one], dice),
        5 => look_alike(lines, one, other, dice),
        6 => {
            let is_same_kind = lines[one].fact.began().is_some() == lines[other].fact.began().is_some();
            if is_same_kind {
                let fact = lines[one].fact.clone();
                lines[one].fact = std::mem::replace(&mut lines[other].fact, fact);
            }
        }
        _ => lines[one].fact = gone(&lines[one].fact),
    }
}

fn with_another_role(line: &Observation, dice: &mut Dice) -> Observation {
    let mut line = line.clone();
    if let Fact::Sighting(Sighting { role, .. }) | Fact::Absence { role, .. } | Fact::Exit { role, .. } = &mut line.fact {
        *role = dice.pick(&[Role::OldMaster, Role::NewMaster, Role::Master, Role::Worker]);
    }
    line
}

/// One sighting takes over something from another.
fn look_alike(lines: &mut [Observation], one: usize, other: usize, dice: &mut Dice) {
    let Fact::Sighting(from) = lines[other].fact else { return };
    if let Fact::Sighting(seen) = &mut lines[one].fact {
        match dice.below(6) {
            0 => seen.process = from.process,
            1 => (seen.image, seen.image_after) = (from.image, from.image_after),
            2 => seen.image_after = from.image,
            3 => seen.lock = from.lock,
            4 => seen.parent = from.process.pid,
            _ => seen.lock.mark = from.lock.mark,
        }
    }
}

/// A look in vain where there was a sighting; an exit where there was a signal.
fn gone(fact: &Fact) -> Fact {
    match fact {
        Fact::Sighting(Sighting { began, role, process, .. }) => {
            Fact::Absence { began: *began, role: *role, process: *process, reason: String::new() }
        }
        Fact::Signal { process, .. } => Fact::Exit { role: Role::Worker, process: *process },
        Fact::Absence { .. } | Fact::Grant { .. } | Fact::Readiness { .. } | Fact::Exit { .. } | Fact::Workers { .. } => {
            fact.clone()
        }
    }
}

/// Numbers the lines by their ends, from the first number of the window on.
fn number(testimony: &mut Testimony, ends: &[End], dice: &mut Dice) {
    let opened = testimony.opened.0;
    let number = |place: usize| Seq(opened + place as u64);
    let mut lines: Vec<Option<Observation>> = testimony.observations.drain(..).map(Some).collect();
    for (place, end) in ends.iter().enumerate() {
        let Some(line) = lines[end.line].as_mut() else { continue };
        match (&mut line.fact, end.is_last) {
            (Fact::Sighting(Sighting { began, .. }) | Fact::Absence { began, .. } | Fact::Workers { began, .. }, false) => {
                *began = number(place);
            }
            _ => line.seq = number(place),
        }
    }
    let kept = ends.iter().filter(|end| end.is_last).filter_map(|end| lines[end.line].take());
    testimony.observations = kept.collect();
    testimony.closed = Seq((opened + ends.len() as u64).saturating_sub(1));
    if !dice.one_in(4) {
        let of_run = |seq: Seq| testimony.successors.iter().rev().find(|successor| successor.from <= seq);
        for line in &mut testimony.observations {
            let run = of_run(line.seq).map_or(&testimony.incarnation, |successor| &successor.incarnation);
            line.incarnation.clone_from(run);
        }
    }
}
