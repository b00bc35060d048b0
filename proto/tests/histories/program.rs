//! What an agent does in one window: the order of the real one, and orders that it should never take.

use baton_proto::custody::{Role, Shape};

use crate::dice::Dice;

/// Whom a look is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The master that was pinned when the window opened.
    Pinned,
    /// Whoever the pid file names as the master that was there.
    Current,
    /// Whoever the dialect names as the new master.
    Successor,
    Rival,
    FreshWorker,
    OldWorker,
    Helper,
}

/// One thing that the agent does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Look(Role, Whom),
    /// Something else is done between the steps of a look.
    During(Role, Whom, Vec<Step>),
    List,
    Signal,
    Ready,
    AwaitSuccessor,
    AwaitWorker,
    Retire,
    Abort,
    AwaitExit(Role, Whom),
    /// A line about an exit, if there was one.
    Exit(Role, Whom),
}

/// The role of the master that a window of this shape opens with.
pub(crate) fn first_role(shape: Shape) -> Role {
    match shape {
        Shape::Beside => Role::OldMaster,
        Shape::InPlace | Shape::Exec => Role::Master,
    }
}

/// The order of the real agent, to the end or to a handover undone.
pub(crate) fn honest(shape: Shape, undone: bool) -> Vec<Step> {
    let role = first_role(shape);
    let master = || Step::Look(role, Whom::Pinned);
    let new = || Step::Look(Role::NewMaster, Whom::Successor);
    match (shape, undone) {
        (Shape::Beside, false) => vec![
            master(),
            Step::Signal,
            Step::AwaitSuccessor,
            Step::Ready,
            new(),
            master(),
            new(),
            Step::Retire,
            Step::AwaitExit(role, Whom::Pinned),
            new(),
        ],
        (Shape::Beside, true) => vec![
            master(),
            Step::Signal,
            Step::AwaitSuccessor,
            new(),
            Step::Abort,
            Step::AwaitExit(Role::NewMaster, Whom::Successor),
            master(),
        ],
        (Shape::InPlace | Shape::Exec, false) => vec![
            master(),
            Step::List,
            Step::Signal,
            Step::Ready,
            Step::AwaitWorker,
            Step::Look(Role::Worker, Whom::FreshWorker),
            master(),
        ],
        (Shape::InPlace | Shape::Exec, true) => vec![master(), Step::List, Step::Signal, Step::Ready, master()],
    }
}

/// A look at the old master begins before the new one is seen, and ends after it: their ends are in the right order, and
/// prove nothing.
pub(crate) fn entangle(program: &mut Vec<Step>) {
    let is_new = |step: &Step| matches!(step, Step::Look(Role::NewMaster, _));
    let waits = program.iter().position(|step| matches!(step, Step::AwaitSuccessor));
    if let (Some(from), Some(until)) = (waits, program.iter().position(is_new)) {
        let inner: Vec<Step> = program.drain(from..=until).collect();
        if let Some(Step::Look(role, whom)) = program.get(from).cloned() {
            program[from] = Step::During(role, whom, inner);
        }
    }
}

/// Somebody else is taken for the new master, or for the new worker.
pub(crate) fn mistake(program: &mut Vec<Step>, dice: &mut Dice) {
    if let Some(place) = program.iter().position(|step| matches!(step, Step::Retire)).filter(|_| dice.one_in(2)) {
        program.truncate(place);
    }
    let taken_for = dice.pick(&[Whom::Pinned, Whom::Helper, Whom::OldWorker, Whom::FreshWorker, Whom::Rival]);
    for step in program {
        if let Step::Look(_, whom @ (Whom::Successor | Whom::FreshWorker)) = step {
            *whom = taken_for;
        }
    }
}

/// Workers are looked at too, as a census does.
pub(crate) fn census(program: &mut Vec<Step>, dice: &mut Dice) {
    let place = 1 + dice.index(program.len() - 1);
    program.insert(place, Step::Look(Role::Worker, dice.pick(&[Whom::OldWorker, Whom::FreshWorker])));
}

/// Does to a program what no agent should: another order, another label, a look too many or too few, an early close.
pub(crate) fn bend(program: &mut Vec<Step>, shape: Shape, dice: &mut Dice) {
    for _ in 0..=dice.below(2) {
        if program.len() < 2 {
            return;
        }
        let place = dice.index(program.len());
        match dice.below(7) {
            0 => drop(program.remove(place)),
            1 => program.insert(place, any(shape, dice)),
            2 => {
                let next = (place + 1) % program.len();
                program.swap(place, next);
            }
            3 => program.truncate(place.max(1)),
            4 => relabel(&mut program[place], shape, dice),
            5 => {
                let inner = program.remove(place);
                let (role, whom) = (any_role(shape, dice), any_whom(dice));
                program.insert(place, Step::During(role, whom, vec![inner]));
            }
            _ => {
                let next = (place + 1) % program.len();
                if let (Step::Look(role, whom), true) = (program[place].clone(), next > place) {
                    let inner = program.remove(next);
                    program[place] = Step::During(role, whom, vec![inner]);
                }
            }
        }
    }
}

fn relabel(step: &mut Step, shape: Shape, dice: &mut Dice) {
    if let Step::Look(role, whom) | Step::AwaitExit(role, whom) = step {
        if dice.one_in(2) {
            *role = any_role(shape, dice);
        } else {
            *whom = any_whom(dice);
        }
    }
}

fn any_role(shape: Shape, dice: &mut Dice) -> Role {
    let roles: &[Role] = match shape {
        _ if dice.one_in(20) => &[Role::OldMaster, Role::NewMaster, Role::Master, Role::Worker],
        Shape::Beside => &[Role::OldMaster, Role::NewMaster, Role::Worker],
        Shape::InPlace | Shape::Exec => &[Role::Master, Role::Worker],
    };
    dice.pick(roles)
}

fn any_whom(dice: &mut Dice) -> Whom {
    dice.pick(&[
        Whom::Pinned,
        Whom::Pinned,
        Whom::Current,
        Whom::Successor,
        Whom::Successor,
        Whom::Rival,
        Whom::FreshWorker,
        Whom::OldWorker,
        Whom::Helper,
    ])
}

fn any(shape: Shape, dice: &mut Dice) -> Step {
    match dice.below(8) {
        0 => Step::List,
        1 => Step::Ready,
        2 => Step::Exit(any_role(shape, dice), any_whom(dice)),
        3 => Step::Retire,
        4 => Step::Look(Role::Worker, any_whom(dice)),
        _ => Step::Look(any_role(shape, dice), any_whom(dice)),
    }
}
