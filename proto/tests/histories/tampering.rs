//! Honest testimonies, damaged where it matters.
//!
//! What matters: that each number of the window has its one line, in order, by the run of the agent that had it, in the boot and on
//! the file of the window; that both ends are where they are said to be, and nothing was left out; what a look at a master
//! shows (whom, image before and after, mark, taker, file); which master was seen after which; that the workers are new;
//! and that nobody was granted. What does not: the wording of a line, and its time.
//!
//! Of an honest testimony each of these is needed: whichever is changed, nothing is proven any more.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each function knows its own kinds of damage and leaves the rest to the others"
)]

use baton_proto::custody::{Fact, FileIdentity, Observation, Process, Role, Seq, Shape, Sighting, Testimony};

use crate::dice::Dice;

macro_rules! tamperings {
    ($($tampering:ident,)*) => {
        /// What was done to a testimony.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Tampering {
            $($tampering,)*
        }

        /// Every one of them.
        pub(crate) const TAMPERINGS: &[Tampering] = &[$(Tampering::$tampering),*];
    };
}

tamperings! {
    LineRemoved,
    LineRepeated,
    LinesReordered,
    LineAddedOutside,
    LineMovedOutside,
    LineNumberedAsAnother,
    LookEndedBeforeItBegan,
    OldSeenBeforeNewOnly,
    OpenedEarlier,
    OpenedLater,
    ClosedEarlier,
    ClosedLater,
    Truncated,
    LineOfAnotherRun,
    SuccessorForgotten,
    SuccessorOfAnotherBoot,
    SuccessorFromEarlier,
    SuccessorFromLater,
    WindowOnAnotherFile,
    LookAtAnotherFile,
    LookAtAFileBornLater,
    LookAtAnotherProcess,
    MarkChanged,
    TakerChanged,
    ImageChanged,
    LookTorn,
    OpeningByAWorker,
    CloseByAWorker,
    AnotherShape,
    WorkersAllListed,
    WorkersOfAnother,
    Granted,
    GrantedElsewhere,
    AbsentInBetween,
    ExitedInBetween,
}

/// A damaged copy, and what was done to it.
pub(crate) fn of(testimony: &Testimony, dice: &mut Dice) -> (Tampering, Testimony) {
    loop {
        let tampering = dice.pick(TAMPERINGS);
        let mut damaged = testimony.clone();
        let done = numbers(tampering, &mut damaged, dice)
            || ends(tampering, &mut damaged)
            || runs(tampering, &mut damaged, dice)
            || looks(tampering, &mut damaged, dice)
            || facts(tampering, &mut damaged, dice);
        if done {
            return (tampering, damaged);
        }
    }
}

/// Damage to the numbers of lines.
fn numbers(tampering: Tampering, testimony: &mut Testimony, dice: &mut Dice) -> bool {
    let lines = &mut testimony.observations;
    if lines.len() < 2 {
        return false;
    }
    let place = dice.index(lines.len());
    match tampering {
        Tampering::LineRemoved => drop(lines.remove(place)),
        Tampering::LineRepeated => lines.insert(place, lines[place].clone()),
        Tampering::LinesReordered => lines.rotate_left(place.max(1)),
        Tampering::LineAddedOutside => {
            let fact = Fact::Readiness { ready: true, detail: String::new(), answered_by: None };
            let seq = Seq(testimony.closed.0 + 1 + dice.below(2));
            lines.push(Observation { seq, fact, ..lines[lines.len() - 1].clone() });
        }
        Tampering::LineMovedOutside => {
            let seq = Seq(testimony.closed.0 + 1 + dice.below(2));
            let moved = Observation { seq, ..lines.remove(place) };
            lines.push(moved);
        }
        Tampering::LineNumberedAsAnother => lines[place].seq = lines[(place + 1) % lines.len()].seq,
        Tampering::LookEndedBeforeItBegan => {
            let seq = lines[place].seq;
            let Some(began) = began(&mut lines[place].fact) else { return false };
            lines[place].seq = std::mem::replace(began, seq);
        }
        Tampering::OldSeenBeforeNewOnly => return old_before_new(testimony),
        _ => return false,
    }
    true
}

/// Shares out the numbers of all looks at the two masters: first those at the old one, then those at the new one.
fn old_before_new(testimony: &mut Testimony) -> bool {
    let is_link = |line: &Observation| seen(line).is_some_and(|seen| seen.role != Role::Worker);
    let places: Vec<usize> = (0..testimony.observations.len()).filter(|place| is_link(&testimony.observations[*place])).collect();
    let mut looks: Vec<Sighting> = places.iter().filter_map(|place| seen(&testimony.observations[*place]).copied()).collect();
    looks.sort_by_key(|look| look.role == Role::NewMaster);
    let has_both = looks.first().map(|look| look.role) != looks.last().map(|look| look.role);
    for (place, look) in places.into_iter().zip(looks) {
        if let Fact::Sighting(sighting) = &mut testimony.observations[place].fact {
            *sighting = Sighting { began: sighting.began, ..look };
        }
    }
    has_both && testimony.shape == Shape::Beside
}

/// Damage to the ends of the window.
fn ends(tampering: Tampering, testimony: &mut Testimony) -> bool {
    let (opened, closed) = (&mut testimony.opened.0, &mut testimony.closed.0);
    match tampering {
        Tampering::OpenedEarlier => *opened -= 1,
        Tampering::OpenedLater => *opened += 1,
        Tampering::ClosedEarlier if *closed > 0 => *closed -= 1,
        Tampering::ClosedLater => *closed += 1,
        Tampering::Truncated => testimony.truncated = true,
        _ => return false,
    }
    true
}

/// Damage to what is said of the runs of the agent.
fn runs(tampering: Tampering, testimony: &mut Testimony, dice: &mut Dice) -> bool {
    if tampering == Tampering::LineOfAnotherRun && !testimony.observations.is_empty() {
        let place = dice.index(testimony.observations.len());
        "another run".clone_into(&mut testimony.observations[place].incarnation);
        return true;
    }
    let successors = &mut testimony.successors;
    if successors.is_empty() {
        return false;
    }
    let place = dice.index(successors.len());
    match tampering {
        Tampering::SuccessorForgotten => drop(successors.remove(place)),
        Tampering::SuccessorOfAnotherBoot => "another boot".clone_into(&mut successors[place].boot),
        Tampering::SuccessorFromEarlier => successors[place].from.0 -= 1,
        Tampering::SuccessorFromLater => successors[place].from.0 += 1,
        _ => return false,
    }
    true
}

/// Damage to what a look at a master shows.
fn looks(tampering: Tampering, testimony: &mut Testimony, dice: &mut Dice) -> bool {
    if tampering == Tampering::WindowOnAnotherFile {
        testimony.file = another(testimony.file, dice);
        return true;
    }
    let (shape, links) = (testimony.shape, links(testimony));
    let mut looks: Vec<&mut Sighting> = testimony
        .observations
        .iter_mut()
        .filter_map(|line| seen_mut(&mut line.fact))
        .filter(|look| links.contains(&look.role))
        .collect();
    if looks.len() < 2 {
        return false;
    }
    let place = match tampering {
        Tampering::OpeningByAWorker => 0,
        Tampering::CloseByAWorker => looks.len() - 1,
        _ => dice.index(looks.len()),
    };
    let look = &mut *looks[place];
    match tampering {
        Tampering::LookAtAnotherFile => look.lock.file = another(look.lock.file, dice),
        Tampering::LookAtAFileBornLater => look.lock.file.born += 1,
        Tampering::LookAtAnotherProcess => look.process.pid += 1_000,
        Tampering::MarkChanged => look.lock.mark += 1,
        Tampering::TakerChanged => look.lock.taker += 1,
        Tampering::ImageChanged if shape != Shape::Exec => {
            look.image.random[3] ^= 1;
            look.image_after.random[3] ^= 1;
        }
        Tampering::LookTorn => look.image_after.random[3] ^= 1,
        Tampering::OpeningByAWorker | Tampering::CloseByAWorker => look.role = Role::Worker,
        _ => return false,
    }
    true
}

/// Damage to what else was seen.
fn facts(tampering: Tampering, testimony: &mut Testimony, dice: &mut Dice) -> bool {
    match tampering {
        Tampering::AnotherShape => testimony.shape = another_shape(testimony),
        Tampering::WorkersAllListed => return workers_listed(testimony),
        Tampering::WorkersOfAnother => return workers_of_another(testimony),
        Tampering::Granted => {
            let fact = Fact::Grant { file: testimony.file };
            return replace_between(testimony, dice, |line| line.fact.began().is_none(), |_| fact.clone());
        }
        Tampering::GrantedElsewhere => {
            let fact = Fact::Grant { file: another(testimony.file, dice) };
            return replace_between(testimony, dice, |line| line.fact.began().is_none(), |_| fact.clone());
        }
        Tampering::AbsentInBetween => {
            return replace_between(
                testimony,
                dice,
                |line| line.fact.began().is_some(),
                |(line, role, process)| Fact::Absence {
                    began: line.fact.began().unwrap_or(line.seq),
                    role,
                    process,
                    reason: String::new(),
                },
            );
        }
        Tampering::ExitedInBetween => {
            return replace_between(
                testimony,
                dice,
                |line| line.fact.began().is_none(),
                |(_, role, process)| Fact::Exit { role, process },
            );
        }
        _ => return false,
    }
    true
}

/// The role that the window opened with, and the new master's where it closed with that.
fn links(testimony: &Testimony) -> Vec<Role> {
    let roles = testimony.observations.iter().filter_map(seen).map(|seen| seen.role).filter(|role| *role != Role::Worker);
    let (first, last) = (roles.clone().next(), roles.clone().next_back());
    first.into_iter().chain(last).collect()
}

/// Puts another fact in place of a line between the first and the last look at one of the links.
fn replace_between(
    testimony: &mut Testimony,
    dice: &mut Dice,
    fits: impl Fn(&Observation) -> bool,
    fact: impl Fn((&Observation, Role, Process)) -> Fact,
) -> bool {
    let links = links(testimony);
    if links.is_empty() {
        return false;
    }
    let role = dice.pick(&links);
    let lines = &mut testimony.observations;
    let is_look = |line: &Observation| seen(line).is_some_and(|seen| seen.role == role);
    let (Some(first), Some(last)) = (lines.iter().position(is_look), lines.iter().rposition(is_look)) else {
        return false;
    };
    let Some(process) = seen(&lines[first]).map(|seen| seen.process) else { return false };
    let places: Vec<usize> = (first + 1..last).filter(|place| fits(&lines[*place])).collect();
    if places.is_empty() {
        return false;
    }
    let line = &mut lines[dice.pick(&places)];
    line.fact = fact((line, role, process));
    true
}

/// A shape whose masters were not seen; or, where a handover was shown, exec for what was none.
fn another_shape(testimony: &Testimony) -> Shape {
    let worker_seen = testimony.observations.iter().filter_map(seen).any(|seen| seen.role == Role::Worker);
    match testimony.shape {
        Shape::Beside => Shape::InPlace,
        Shape::InPlace if worker_seen => Shape::Exec,
        Shape::Exec if worker_seen => Shape::InPlace,
        Shape::InPlace | Shape::Exec => Shape::Beside,
    }
}

/// Lets all workers that were seen be of those that were there before.
fn workers_listed(testimony: &mut Testimony) -> bool {
    let seen: Vec<Process> = testimony
        .observations
        .iter()
        .filter_map(seen)
        .filter(|seen| seen.role == Role::Worker)
        .map(|seen| seen.process)
        .collect();
    let mut listed = false;
    for line in &mut testimony.observations {
        if let Fact::Workers { workers, .. } = &mut line.fact {
            workers.extend(&seen);
            listed = true;
        }
    }
    listed && !seen.is_empty() && testimony.shape == Shape::InPlace
}

fn workers_of_another(testimony: &mut Testimony) -> bool {
    let mut changed = false;
    for look in testimony.observations.iter_mut().filter_map(|line| seen_mut(&mut line.fact)) {
        if look.role == Role::Worker {
            look.parent += 1_000;
            changed = true;
        }
    }
    changed && testimony.shape != Shape::Beside
}

fn another(file: FileIdentity, dice: &mut Dice) -> FileIdentity {
    dice.pick(&[
        FileIdentity { inode: file.inode + 1, ..file },
        FileIdentity { device: file.device + 1, ..file },
        FileIdentity { born: file.born + 1, ..file },
    ])
}

fn seen(line: &Observation) -> Option<&Sighting> {
    if let Fact::Sighting(sighting) = &line.fact { Some(sighting) } else { None }
}

fn seen_mut(fact: &mut Fact) -> Option<&mut Sighting> {
    if let Fact::Sighting(sighting) = fact { Some(sighting) } else { None }
}

fn began(fact: &mut Fact) -> Option<&mut Seq> {
    match fact {
        Fact::Sighting(Sighting { began, .. }) | Fact::Absence { began, .. } | Fact::Workers { began, .. } => Some(began),
        Fact::Grant { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Exit { .. } => None,
    }
}
