//! What hold does next: told what happened and what time it is, it answers what to do.
//!
//! ```text
//!            somebody holds                    nobody holds
//! Seeking ──────────────────▶ Holding ──────────────────────────▶ Over (died)
//!    │  │                        │
//!    │  │ command ended, nobody  │ told to stop
//!    │  │ of ours is left        ▼
//!    │  └──────────▶ Over     Stopping ── nobody of ours is left ─▶ Over (stopped)
//!    │      (never held)         ▲  │
//!    └───────────────────────────┘  └─ last resort failed ────────▶ Over (still there)
//!      told to stop, or too late
//! ```
//!
//! **Invariant:** the waiter is armed only when a holder has been seen, on the file that it holds: before that, an exclusive
//! lock would be granted at once and mean nothing.
//! **Invariant:** everybody on the machine is looked at before the command is started, and again before nobody is said to hold:
//! a pid file may be gone while its server lives.
//! **Invariant:** every state but `Holding` has a deadline; in `Holding` nothing wakes us but the end or a word from outside.

mod action;
mod event;
mod stop;

use std::time::Duration;

use baton_proto::custody::{FileIdentity, Process};

use super::exit::Exit;
use super::looks::Looks;
use stop::Stop;

pub(super) use action::{Action, Force, Note};
pub use event::Ended;
pub(super) use event::{Event, Look, NotStarted};

/// How many looks must find nothing, after the command has ended and nobody of ours is left, before hold believes it.
const LOOKS_BEFORE_NEVER: u32 = 5;
/// The same where events keep the looks from becoming rarer, as somebody does who writes logs beside the pid file.
const NEVER_AFTER: Duration = Duration::from_secs(1);

/// What was asked of hold on its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// How long a master may take to leave when it is asked to.
    pub stop_within: Duration,
    /// How long the first holder may take to appear.
    pub first_holder_within: Duration,
}

/// The state of one hold.
#[derive(Debug)]
pub(super) struct Job {
    policy: Policy,
    phase: Phase,
    command: Command,
    armed: bool,
}

#[derive(Debug)]
enum Phase {
    Seeking(Seeking),
    Holding,
    Stopping(Stop),
    Over,
}

#[derive(Debug)]
struct Seeking {
    looks: Looks,
    deadline: Duration,
    /// Whether the look under way is at everybody.
    is_search: bool,
    /// Since when the command has ended and each look found nobody.
    nobody_since: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// Not yet decided whether it is needed.
    Unstarted,
    Running(Process),
    /// Ended, or not needed.
    Gone,
}

impl Job {
    /// A hold that has not begun.
    pub(super) fn new(policy: Policy, now: Duration) -> Self {
        let deadline = now.saturating_add(policy.first_holder_within);
        Self {
            policy,
            phase: Phase::Seeking(Seeking { looks: Looks::after(now), deadline, is_search: true, nobody_since: None }),
            command: Command::Unstarted,
            armed: false,
        }
    }

    /// When [`Event::Tick`] is wanted next, if ever.
    pub(super) fn due(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Seeking(seeking) => Some(seeking.looks.due().min(seeking.deadline)),
            Phase::Holding | Phase::Over => None,
            Phase::Stopping(stop) => Some(stop.due()),
        }
    }

    /// The only way a hold moves. Total: an event that does not matter in a state changes nothing.
    pub(super) fn handle(&mut self, now: Duration, event: &Event) -> Vec<Action> {
        match event {
            Event::Began => vec![Action::Watch, Action::Search],
            Event::Looked(look) => self.looked(now, look),
            Event::Stirred => self.stirred(now),
            Event::Started(process) => {
                self.command = Command::Running(*process);
                vec![Action::Say(Note::Started(*process))]
            }
            Event::NotStarted(why) => self.not_started(*why),
            Event::Ended(ended) => self.ended(now, *ended),
            Event::Armed => self.armed(),
            Event::Granted => self.granted(now),
            Event::WaiterFailed => self.waiter_failed(),
            Event::NotWatched => self.not_watched(),
            Event::ToldToStop => self.told_to_stop(now),
            Event::ToldToStopOnce => self.told_to_stop_once(now),
            Event::Tick => self.tick(now),
        }
    }

    fn looked(&mut self, now: Duration, look: &Look) -> Vec<Action> {
        match &mut self.phase {
            Phase::Seeking(_) => self.sought(now, look),
            Phase::Stopping(stop) => {
                let answer = stop.looked(now, look, self.armed);
                self.stopping(answer)
            }
            Phase::Holding | Phase::Over => Vec::new(),
        }
    }

    fn sought(&mut self, now: Duration, look: &Look) -> Vec<Action> {
        if let (Some(file), Some(master)) = (look.file, look.masters.first()) {
            return self.hold(file, *master);
        }
        let Phase::Seeking(seeking) = &mut self.phase else { return Vec::new() };
        let was_search = std::mem::take(&mut seeking.is_search);
        if self.command == Command::Unstarted {
            seeking.looks.restart(now);
            return vec![Action::Start];
        }
        seeking.looks.made_one(now);
        let nobody = self.command == Command::Gone && look.kin.is_empty() && look.named.is_empty();
        let nobody_since = *seeking.nobody_since.get_or_insert(now);
        if !nobody {
            seeking.nobody_since = None;
        }
        let is_enough = seeking.looks.made() >= LOOKS_BEFORE_NEVER || now.saturating_sub(nobody_since) >= NEVER_AFTER;
        let is_never = nobody && is_enough;
        let is_late = now >= seeking.deadline;
        if (is_never || is_late) && !was_search {
            seeking.is_search = true;
            return vec![Action::Search];
        }
        if is_never {
            return [vec![Action::Say(Note::NeverHeld)], self.exit(Exit::NeverHeld)].concat();
        }
        if is_late { self.stop(now, Exit::TooLate, Note::TooLate) } else { Vec::new() }
    }

    fn hold(&mut self, file: FileIdentity, master: Process) -> Vec<Action> {
        let note = match self.command {
            Command::Unstarted => Note::Adopted(master),
            Command::Running(_) | Command::Gone => Note::Held(master),
        };
        self.phase = Phase::Holding;
        self.armed = true;
        vec![Action::Unwatch, Action::Say(note), Action::Arm(file)]
    }

    fn stirred(&mut self, now: Duration) -> Vec<Action> {
        match &mut self.phase {
            Phase::Seeking(seeking) => seeking.looks.restart(now),
            Phase::Stopping(stop) => stop.stirred(now),
            Phase::Holding | Phase::Over => {}
        }
        Vec::new()
    }

    /// Nothing is begun that would depend on it. What is under way already goes on by its looks alone.
    fn not_watched(&mut self) -> Vec<Action> {
        match (&self.phase, self.command) {
            (Phase::Seeking(_), Command::Unstarted) => self.exit(Exit::Failed),
            (Phase::Seeking(_), Command::Running(_) | Command::Gone) | (Phase::Holding | Phase::Stopping(_) | Phase::Over, _) => {
                Vec::new()
            }
        }
    }

    fn not_started(&mut self, why: NotStarted) -> Vec<Action> {
        self.exit(match why {
            NotStarted::NotFound => Exit::NotFound,
            NotStarted::NotExecutable => Exit::NotExecutable,
            NotStarted::NoRoom => Exit::Failed,
        })
    }

    fn ended(&mut self, now: Duration, ended: Ended) -> Vec<Action> {
        self.command = Command::Gone;
        let note = match &mut self.phase {
            Phase::Seeking(_) => Note::EndedEarly(ended),
            Phase::Holding => Note::EndedAlone(ended),
            Phase::Stopping(stop) => {
                stop.stirred(now);
                return Vec::new();
            }
            Phase::Over => return Vec::new(),
        };
        [vec![Action::Say(note)], self.stirred(now)].concat()
    }

    fn armed(&self) -> Vec<Action> {
        match self.phase {
            Phase::Holding => vec![Action::Say(Note::Waiting)],
            Phase::Seeking(_) | Phase::Stopping(_) | Phase::Over => Vec::new(),
        }
    }

    /// The server is left alone: it lives, and the next hold adopts it. A stop under way goes on by looks alone.
    fn waiter_failed(&mut self) -> Vec<Action> {
        self.armed = false;
        match self.phase {
            Phase::Seeking(_) | Phase::Holding => self.exit(Exit::Failed),
            Phase::Stopping(_) | Phase::Over => Vec::new(),
        }
    }

    fn granted(&mut self, now: Duration) -> Vec<Action> {
        self.armed = false;
        match &mut self.phase {
            Phase::Holding => [vec![Action::Say(Note::Free)], self.exit(Exit::Died)].concat(),
            Phase::Stopping(stop) => {
                stop.granted(now);
                vec![Action::Look]
            }
            Phase::Seeking(_) | Phase::Over => Vec::new(),
        }
    }

    fn told_to_stop(&mut self, now: Duration) -> Vec<Action> {
        match &mut self.phase {
            Phase::Seeking(_) | Phase::Holding => self.stop(now, Exit::Stopped, Note::Stopping),
            Phase::Stopping(stop) => {
                let answer = stop.next_rung(now);
                self.stopping(answer)
            }
            Phase::Over => Vec::new(),
        }
    }

    fn told_to_stop_once(&mut self, now: Duration) -> Vec<Action> {
        match &self.phase {
            Phase::Seeking(_) | Phase::Holding => self.told_to_stop(now),
            Phase::Stopping(_) | Phase::Over => Vec::new(),
        }
    }

    fn stop(&mut self, now: Duration, ending: Exit, note: Note) -> Vec<Action> {
        let command = match self.command {
            Command::Running(process) => Some(process),
            Command::Unstarted | Command::Gone => None,
        };
        self.phase = Phase::Stopping(Stop::begin(now, self.policy.stop_within, ending, command));
        vec![Action::Say(note), Action::Watch, Action::Search]
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        match &mut self.phase {
            Phase::Seeking(seeking) if now >= seeking.looks.due().min(seeking.deadline) => vec![Action::Look],
            Phase::Stopping(stop) => {
                let answer = stop.tick(now);
                self.stopping(answer)
            }
            Phase::Seeking(_) | Phase::Holding | Phase::Over => Vec::new(),
        }
    }

    fn stopping(&mut self, answer: stop::Answer) -> Vec<Action> {
        match answer {
            stop::Answer::On(actions) => {
                self.armed |= actions.iter().any(|action| matches!(action, Action::Arm(_)));
                actions
            }
            stop::Answer::Over(ending, note) => [vec![Action::Say(note)], self.exit(ending)].concat(),
        }
    }

    fn exit(&mut self, ending: Exit) -> Vec<Action> {
        self.phase = Phase::Over;
        vec![Action::Exit(ending)]
    }
}

#[cfg(test)]
mod tests;
