//! How the agent starts a service: `start = { command = [...], directory = "...", ... }`.
//!
//! **Invariant:** a `start` with a mistake yields none, and the mistake is noted: no service is started in half the way that was meant.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use baton_proto::document::{Notes, Table, Value};

use super::command;
use super::path;
use super::value::{DAY, HOUR, SECOND, bounded, required};
use crate::dialect::{Custodian, Dialect};
use crate::supervision::Policy;

/// How long the first holder may take to appear.
const WITHIN: Duration = Duration::from_mins(1);
/// How long a master may take to leave when the service is stopped.
const STOP_WITHIN: Duration = Duration::from_mins(1);
/// The file mode that new files of the service do not get.
const UMASK: u32 = 0o022;

/// The descriptor on which a lock is handed down, and one more.
const NOFILE_LEAST: u64 = 1_026;
/// More than any command line or environment of a server has.
const WORDS_MAX: usize = 256;
/// No user or group has a longer name.
const NAME_BYTES_MAX: usize = 64;
/// What the environment says by itself of where the server runs: `directory` is the key for it.
const OWN_VARIABLES: [&str; 1] = ["PWD"];

/// How the agent starts a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The program and its arguments, at least the program.
    pub command: Vec<String>,
    /// Where it runs, as it is written: a symbolic link is not resolved.
    pub directory: PathBuf,
    /// As whom; as the agent's own user where it is left out.
    pub user: Option<String>,
    /// In which group; in the user's own where it is left out.
    pub group: Option<String>,
    /// What its environment has beside PATH, HOME, USER, LOGNAME and PWD.
    pub environment: BTreeMap<String, String>,
    /// Its limits, where they are not the agent's own.
    pub limits: BTreeMap<Limit, Bound>,
    /// The file that what it says is appended to; the agent's own output where it is left out.
    pub output: Option<PathBuf>,
    /// The file mode that its new files do not get.
    pub umask: u32,
    /// How long the first holder may take to appear.
    pub within: Duration,
    /// How long a master may take to leave when the service is stopped.
    pub stop_within: Duration,
    /// When it is given up.
    pub policy: Policy,
}

/// What a process is limited in (`getrlimit(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// The address space, in bytes.
    AddressSpace,
    /// The size of a core dump, in bytes.
    Core,
    /// Processor time, in seconds.
    Cpu,
    /// The data segment, in bytes.
    Data,
    /// The size of a file, in bytes.
    FileSize,
    /// Locked memory, in bytes.
    LockedMemory,
    /// The number of descriptors, and one.
    Files,
    /// The number of processes of the user.
    Processes,
    /// The stack, in bytes.
    Stack,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AddressSpace,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::FileSize,
        Self::LockedMemory,
        Self::Files,
        Self::Processes,
        Self::Stack,
    ];

    /// What it is called in a configuration: as in limits.conf(5).
    pub fn name(self) -> &'static str {
        match self {
            Self::AddressSpace => "as",
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::FileSize => "fsize",
            Self::LockedMemory => "memlock",
            Self::Files => "nofile",
            Self::Processes => "nproc",
            Self::Stack => "stack",
        }
    }
}

/// How far a limit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// To this number, hard and soft.
    At(u64),
    /// There is none.
    Unlimited,
}

/// Reads `start`, if it is there.
pub(super) fn read(service: &mut Table<'_>, notes: &mut Notes, dialect: Option<&Dialect>) -> Option<Start> {
    let mut table = service.table(notes, "start")?;
    let command = command(&mut table, notes);
    let directory = directory(&mut table, notes);
    let user = identity(&mut table, notes, "user");
    let group = identity(&mut table, notes, "group");
    let environment = environment(&mut table, notes);
    let limits = limits(&mut table, notes, dialect);
    let output = optional(&mut table, notes, "output", |text| path::absolute(&text, path::LENGTH_MAX));
    let umask = optional(&mut table, notes, "umask", |text| umask(&text)).unwrap_or(UMASK);
    let within = bounded(&mut table, notes, "within", WITHIN, SECOND, HOUR);
    let stop_within = bounded(&mut table, notes, "stop-within", STOP_WITHIN, SECOND, HOUR);
    let tries = optional(&mut table, notes, "tries", |text| tries(&text)).unwrap_or(Policy::default().tries);
    let window = bounded(&mut table, notes, "window", Policy::default().window, SECOND, DAY);
    table.finish(notes);
    let policy = Policy { tries, window };
    let (command, directory) = (command?, directory?);
    Some(Start { command, directory, user, group, environment, limits, output, umask, within, stop_within, policy })
}

fn command(table: &mut Table<'_>, notes: &mut Notes) -> Option<Vec<String>> {
    let given = table.words(notes, "command");
    table.require(notes, "command", given)?.try_map(notes, command::command)
}

fn directory(table: &mut Table<'_>, notes: &mut Notes) -> Option<PathBuf> {
    // The root is a directory that a server may well run in.
    required(table, notes, "directory", |text| {
        if text == "/" { Ok(PathBuf::from(text)) } else { path::absolute(&text, path::LENGTH_MAX) }
    })
}

fn optional<T>(table: &mut Table<'_>, notes: &mut Notes, key: &str, read: impl FnOnce(String) -> Result<T, String>) -> Option<T> {
    let given: Value<String> = table.scalar(notes, key)?;
    given.try_map(notes, read)
}

/// A user or a group, by name or number.
fn identity(table: &mut Table<'_>, notes: &mut Notes, key: &str) -> Option<String> {
    optional(table, notes, key, |text| {
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '/' | ',');
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.contains(is_odd) {
            return Err(format!("{:?} is not a name or a number of a {key}", path::shown(&text)));
        }
        Ok(text)
    })
}

fn umask(text: &str) -> Result<u32, String> {
    let read = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777);
    read.ok_or_else(|| format!("{:?} is not an octal file mode such as \"022\"", path::shown(text)))
}

fn tries(text: &str) -> Result<u32, String> {
    let read = text.parse().ok().filter(|tries| (1..=1_000).contains(tries));
    read.ok_or_else(|| format!("{:?} is not a number from 1 to 1000", path::shown(text)))
}

fn environment(start: &mut Table<'_>, notes: &mut Notes) -> BTreeMap<String, String> {
    let Some(mut table) = start.table(notes, "environment") else { return BTreeMap::new() };
    let names = table.names();
    if names.len() > WORDS_MAX {
        table.wrong(notes, format!("has {} variables, at most {WORDS_MAX} are possible", names.len()));
    }
    let mut variables = BTreeMap::new();
    for name in names {
        let value = optional(&mut table, notes, &name, |text| {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err("is not the name of a variable".to_owned());
            }
            if OWN_VARIABLES.contains(&name.as_str()) {
                return Err("is made of the key directory".to_owned());
            }
            command::fits(&text).map(|()| text)
        });
        variables.extend(value.map(|value| (name, value)));
    }
    table.finish(notes);
    variables
}

fn limits(start: &mut Table<'_>, notes: &mut Notes, dialect: Option<&Dialect>) -> BTreeMap<Limit, Bound> {
    let Some(mut table) = start.table(notes, "limits") else { return BTreeMap::new() };
    let is_carried = dialect.is_some_and(|dialect| dialect.row().lock == Custodian::Inherited);
    let mut limits = BTreeMap::new();
    for limit in Limit::ALL {
        let bound = optional(&mut table, notes, limit.name(), |text| {
            if text == "unlimited" {
                return Ok(Bound::Unlimited);
            }
            let number: u64 =
                text.parse().map_err(|_| format!("{:?} is neither a number nor \"unlimited\"", path::shown(&text)))?;
            if limit == Limit::Files && is_carried && number < NOFILE_LEAST {
                return Err(format!("is {number}, wanted {NOFILE_LEAST} or more: the lock is handed down on descriptor 1025"));
            }
            Ok(Bound::At(number))
        });
        limits.extend(bound.map(|bound| (limit, bound)));
    }
    if let Some(unknown) = table.names().into_iter().next() {
        let known: Vec<&str> = Limit::ALL.map(Limit::name).to_vec();
        table.wrong(notes, format!("{:?} is not a limit; known: {}", path::shown(&unknown), known.join(", ")));
        return limits;
    }
    table.finish(notes);
    limits
}

#[cfg(test)]
mod tests;
