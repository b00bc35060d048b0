//! Reads what is run around a handover: `check` and `hooks`.

use std::time::Duration;

use baton_proto::document::{Notes, Table};

use super::command::command;
use super::has;
use super::value::{HOUR, SECOND, bounded};
use crate::dialect::Dialect;

/// A command that has to end well in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// What is run: the program, and its arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub within: Duration,
}

/// The commands around a handover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Errands {
    /// Run before the check; when it fails, nothing is signalled.
    pub before: Option<Errand>,
    /// The server's own test of its configuration; when it fails, nothing is signalled.
    pub check: Option<Errand>,
    /// Run when the handover is over, however it ended.
    pub after: Option<Errand>,
}

impl Errands {
    /// The longest that all of them may take.
    pub fn within(&self) -> Duration {
        [&self.before, &self.check, &self.after].into_iter().flatten().map(|errand| errand.within).sum()
    }
}

const WITHIN: Duration = Duration::from_mins(1);

/// Reads `check = { command, within }` or `"none"`, and `hooks = { before, after, within }`.
pub(super) fn errands(service: &mut Table<'_>, notes: &mut Notes, dialect: Option<&Dialect>) -> Errands {
    if !has(service, "check")
        && let Some(row) = dialect.map(Dialect::row)
        && let Some(example) = row.check
    {
        let words: Vec<String> = example.split(' ').map(|word| format!("{word:?}")).collect();
        let what = format!(
            "check is missing: {} must test its configuration before it is signalled, such as {{ command = [{}] }}; or \"none\"",
            row.name,
            words.join(", ")
        );
        service.wrong(notes, what);
    }
    let check = check(service, notes);
    let (before, after) = hooks(service, notes);
    Errands { before, check, after }
}

fn check(service: &mut Table<'_>, notes: &mut Notes) -> Option<Errand> {
    if service.is_text("check") {
        let none = |text: String| if text == "none" { Ok(()) } else { Err("is neither a table nor \"none\"") };
        service.text(notes, "check")?.try_map(notes, none);
        return None;
    }
    let mut table = service.table(notes, "check")?;
    let given = table.words(notes, "command");
    let given = table.require(notes, "command", given);
    let command = given.and_then(|given| given.try_map(notes, command));
    let within = bounded(&mut table, notes, "within", WITHIN, SECOND, HOUR);
    table.finish(notes);
    Some(Errand { command: command?, within })
}

fn hooks(service: &mut Table<'_>, notes: &mut Notes) -> (Option<Errand>, Option<Errand>) {
    let Some(mut table) = service.table(notes, "hooks") else { return (None, None) };
    let mut hook = |name| table.words(notes, name).and_then(|given| given.try_map(notes, command));
    let (before, after) = (hook("before"), hook("after"));
    let within = bounded(&mut table, notes, "within", WITHIN, SECOND, HOUR);
    table.finish(notes);
    let errand = |command: Option<Vec<String>>| command.map(|command| Errand { command, within });
    (errand(before), errand(after))
}
