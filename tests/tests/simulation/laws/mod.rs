//! The promises of a rollout, each as a law over what the world saw.
//!
//! **Invariant:** a law knows the plan and the trace, and keeps its own books; it asks the machine nothing.

#![expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few things that may be seen, and looks at no others")]

mod books;
mod claims;
mod drain;
mod guard;
mod halt;
mod in_flight;
mod journal;
mod liveness;
mod once;
mod slots;

use std::fmt;

use crate::scenario::{Scenario, Walk};
use crate::trace::{Line, Trace};
use books::Books;

/// What a law makes of a line.
type Judged = Result<(), String>;

/// One promise.
trait Law {
    /// Looks at a line, with the books as they were before it.
    fn see(&mut self, books: &Books, line: &Line) -> Judged;

    /// Looks at all that was seen.
    fn end(&mut self, _books: &Books) -> Judged {
        Ok(())
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which one it was.
    pub(crate) law: &'static str,
    /// Whose: the rollout's number.
    pub(crate) rollout: usize,
    /// Where in the trace.
    pub(crate) line: usize,
    /// What happened.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law \"{}\" is broken by rollout {} at line {}: {}", self.law, self.rollout, self.line, self.what)
    }
}

/// The laws of one rollout, each with the promise in a few words.
fn laws(scenario: &Scenario, walk: &Walk) -> [(&'static str, Box<dyn Law>); 9] {
    let plan = &walk.plan;
    [
        ("1: never more in flight than allowed, never fewer available than the floor", Box::new(in_flight::InFlight::new(plan))),
        ("2: a slot is freed by a guarded host only, a wave begins when the last has soaked", Box::new(slots::Slots::new(plan))),
        ("3: doubts and failures past the budget halt, and the exit code says so", Box::new(halt::Halt::new(plan))),
        ("4: what is done stays guarded to the end", Box::new(guard::Guarded::new(plan))),
        ("5: at most one signal an attempt", Box::new(once::Once::default())),
        ("6: written before it is done, nothing is forgotten", Box::new(journal::Journalled::default())),
        ("7: claimed before it is touched, by one rollout at a time", Box::new(claims::Claims::new(plan))),
        ("8: who says stop is heard, and what is in flight is waited for", Box::new(drain::Drain::new(plan))),
        ("9: every rollout ends", Box::new(liveness::Liveness::new(scenario))),
    ]
}

/// Looks at a trace by every law; the first promise that was not kept.
pub(crate) fn check(scenario: &Scenario, trace: &Trace) -> Result<(), Violation> {
    for (rollout, walk) in scenario.walks.iter().enumerate() {
        let mut books = Books::new(rollout, &walk.plan);
        let mut laws = laws(scenario, walk);
        for (number, line) in trace.0.iter().enumerate() {
            for (name, law) in &mut laws {
                law.see(&books, line).map_err(|what| Violation { law: name, rollout, line: number, what })?;
            }
            books.take(line);
        }
        for (name, law) in &mut laws {
            law.end(&books).map_err(|what| Violation { law: name, rollout, line: trace.0.len(), what })?;
        }
    }
    Ok(())
}

/// A promise that was not kept, unless this is so.
fn demand(holds: bool, what: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(what()) }
}
