//! The ladder of stopping: ask, then SIGTERM, then SIGKILL, until nobody of ours is left.
//!
//! **Invariant:** a rung is left when its time is over or when we are told again, and never climbed twice.
//! **Invariant:** it ends: after the last rung's last round we say what is so and go.

use std::time::Duration;

use baton_proto::custody::Process;

use super::super::exit::Exit;
use super::super::looks::Looks;
use super::{Action, Force, Look, Note};

/// How long SIGTERM may take.
const TERM_WITHIN: Duration = Duration::from_secs(5);
/// How long SIGKILL may take, over all its rounds.
const KILL_WITHIN: Duration = Duration::from_secs(5);
/// SIGKILL is sent in rounds: who is forked while we walk is found by the next.
const KILL_ROUND: Duration = Duration::from_millis(200);
/// When the lock is free, how long the rest of the command's processes may take to leave by themselves.
const REST_WITHIN: Duration = Duration::from_secs(1);

/// What a rung answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The stop goes on, with these actions.
    On(Vec<Action>),
    /// It is over.
    Over(Exit, Note),
}

/// A stop under way.
#[derive(Debug)]
pub(super) struct Stop {
    ending: Exit,
    command: Option<Process>,
    rung: Rung,
    deadline: Duration,
    looks: Looks,
    round_due: Duration,
    asked: Vec<Process>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Ask,
    Term,
    Kill,
}

impl Stop {
    pub(super) fn begin(now: Duration, within: Duration, ending: Exit, command: Option<Process>) -> Self {
        Self {
            ending,
            command,
            rung: Rung::Ask,
            deadline: now.saturating_add(within),
            looks: Looks::after(now),
            round_due: now,
            asked: Vec::new(),
        }
    }

    pub(super) fn due(&self) -> Duration {
        let due = self.looks.due().min(self.deadline);
        match self.rung {
            Rung::Ask | Rung::Term => due,
            Rung::Kill => due.min(self.round_due),
        }
    }

    pub(super) fn stirred(&mut self, now: Duration) {
        self.looks.restart(now);
    }

    /// The lock is free. Those who are left may be on their way out, or a new master that has not taken the lock yet.
    pub(super) fn granted(&mut self, now: Duration) {
        self.looks.restart(now);
        match self.rung {
            Rung::Ask => self.deadline = self.deadline.min(now.saturating_add(REST_WITHIN)),
            Rung::Term | Rung::Kill => {}
        }
    }

    pub(super) fn looked(&mut self, now: Duration, look: &Look, armed: bool) -> Answer {
        self.looks.made_one(now);
        let mut actions = Vec::new();
        if !armed {
            match (look.file, look.masters.is_empty()) {
                // It took the lock after all: its end will be told.
                (Some(file), false) => actions.push(Action::Arm(file)),
                (Some(_) | None, _) if look.kin.is_empty() => {
                    return Answer::Over(self.ending, Note::Gone);
                }
                (Some(_) | None, _) => {}
            }
        }
        match self.rung {
            Rung::Ask => self.ask(now, look, actions),
            Rung::Term | Rung::Kill => Answer::On(actions),
        }
    }

    /// Asks every master once: the one in charge, its predecessor, and a successor as soon as it shows.
    fn ask(&mut self, now: Duration, look: &Look, mut actions: Vec<Action>) -> Answer {
        let successors = look.named.iter().filter(|process| look.kin.contains(process));
        let mut sought: Vec<Process> = look.masters.iter().chain(successors).copied().collect();
        if sought.is_empty() && self.asked.is_empty() {
            sought.extend(self.command);
        }
        sought.retain(|process| !self.asked.contains(process));
        actions.extend(sought.iter().map(|process| Action::Ask(*process)));
        self.asked.extend(sought);
        if self.asked.is_empty() {
            actions.push(Action::Say(Note::NobodyToAsk));
            actions.extend(self.climb(now));
        }
        Answer::On(actions)
    }

    pub(super) fn next_rung(&mut self, now: Duration) -> Answer {
        match self.rung {
            Rung::Ask | Rung::Term => Answer::On(self.climb(now)),
            // There is none above: another round, at once.
            Rung::Kill => Answer::On(self.round(now)),
        }
    }

    fn climb(&mut self, now: Duration) -> Vec<Action> {
        match self.rung {
            Rung::Ask => {
                self.rung = Rung::Term;
                self.deadline = now.saturating_add(TERM_WITHIN);
                self.looks.restart(now);
                vec![Action::Force(Force::Term)]
            }
            Rung::Term | Rung::Kill => {
                self.rung = Rung::Kill;
                self.deadline = now.saturating_add(KILL_WITHIN);
                self.round(now)
            }
        }
    }

    fn round(&mut self, now: Duration) -> Vec<Action> {
        self.round_due = now.saturating_add(KILL_ROUND);
        self.looks.restart(now);
        vec![Action::Force(Force::Kill)]
    }

    pub(super) fn tick(&mut self, now: Duration) -> Answer {
        if now >= self.deadline {
            return match self.rung {
                Rung::Ask | Rung::Term => Answer::On(self.climb(now)),
                Rung::Kill => Answer::Over(Exit::StillThere, Note::StillThere),
            };
        }
        if self.rung == Rung::Kill && now >= self.round_due {
            return Answer::On(self.round(now));
        }
        if now >= self.looks.due() { Answer::On(vec![Action::Look]) } else { Answer::On(Vec::new()) }
    }
}
