//! The table of servers: how each is reloaded.

use std::fmt;
use std::str::FromStr;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Unicorn: USR2 starts a new master beside the old one, QUIT ends a master when its requests are done.
    Unicorn,
}

/// What a dialect's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The name in configurations.
    pub name: &'static str,
    /// Makes the old master start a new one.
    pub reload: Signal,
    /// Makes a master finish its requests and leave.
    pub retire: Signal,
    /// What the old master's pid file is called while a new master runs.
    pub old_suffix: &'static str,
}

/// A signal of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
    /// SIGWINCH.
    Winch,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

impl Signal {
    /// The name that people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Winch => "SIGWINCH",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Term => "SIGTERM",
            Self::Kill => "SIGKILL",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const TABLE: [(Dialect, Row); 1] =
    [(Dialect::Unicorn, Row { name: "unicorn", reload: Signal::Usr2, retire: Signal::Quit, old_suffix: ".oldbin" })];

impl Dialect {
    /// What is known of this kind of server.
    pub fn row(self) -> Row {
        match self {
            Self::Unicorn => TABLE[0].1,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

/// Why a text names no dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known dialect; known: unicorn")]
pub struct NotADialect(String);

impl FromStr for Dialect {
    type Err = NotADialect;

    fn from_str(text: &str) -> Result<Self, NotADialect> {
        let found = TABLE.iter().find(|(_, row)| row.name == text);
        found.map(|(dialect, _)| *dialect).ok_or_else(|| NotADialect(text.chars().take(80).collect()))
    }
}
