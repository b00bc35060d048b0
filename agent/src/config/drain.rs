//! `drain`: how long an old generation may take to leave, what is done about one that takes longer, and how many may linger.

use std::time::Duration;

use baton_proto::document::{Notes, Table};

use super::path;
use super::value::{DAY, SECOND, bounded, one_of, text_or};

const WITHIN: Duration = Duration::from_mins(2);
/// More generations of one server than a host would bear, and than `status` should list.
pub const LINGERING_MAX: u32 = 16;
/// How long a process may take to go after SIGTERM, and after SIGKILL.
pub const RUNG: Duration = Duration::from_secs(5);

/// How an old generation leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long it may take to finish its requests.
    pub within: Duration,
    /// What is done then.
    pub then: Then,
    /// How many old generations may be there still when the next handover begins.
    pub lingering: u32,
}

/// What is done about an old generation that is not gone in its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it is told, and lingers.
    Wait,
    /// Whatever is left of it is told to leave at once; what does not, lingers.
    Term,
    /// The same, and what does not leave then is killed.
    Kill,
}

impl Drain {
    /// The longest that a drain may take.
    pub fn longest(&self) -> Duration {
        let rungs = match self.then {
            Then::Wait => 0,
            Then::Term => 1,
            Then::Kill => 2,
        };
        self.within + RUNG * rungs
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { within: WITHIN, then: Then::Wait, lingering: 0 }
    }
}

/// Reads the table of a service.
pub(super) fn drain(service: &mut Table<'_>, notes: &mut Notes) -> Drain {
    let default = Drain::default();
    let Some(mut table) = service.table(notes, "drain") else { return default };
    let within = bounded(&mut table, notes, "within", default.within, SECOND, DAY);
    let then = text_or(&mut table, notes, "then", default.then, then);
    let lingering = table.scalar(notes, "lingering").and_then(|given| given.try_map(notes, |text| lingering(&text)));
    table.finish(notes);
    Drain { within, then, lingering: lingering.unwrap_or(default.lingering) }
}

fn then(text: &str) -> Result<Then, String> {
    one_of(text, &[("wait", Then::Wait), ("term", Then::Term), ("kill", Then::Kill)])
}

fn lingering(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| *number <= LINGERING_MAX)
        .ok_or_else(|| format!("{:?} is no number of generations from 0 to {LINGERING_MAX}", path::shown(text)))
}
