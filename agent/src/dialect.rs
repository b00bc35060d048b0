//! The table of servers: how each is reloaded.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use baton_proto::custody::Shape;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Unicorn: USR2 starts a new master beside the old one, QUIT ends a master when its requests are done.
    Unicorn,
    /// Puma: USR2 makes the master call exec; requests wait meanwhile.
    Puma,
    /// HAProxy in master-worker mode: USR2 makes the master call exec and start a new worker beside the old one.
    Haproxy,
    /// uWSGI: HUP makes the master call exec; requests wait meanwhile.
    Uwsgi,
    /// nginx: HUP makes the master read its configuration and start new workers.
    Nginx,
}

/// What a dialect's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The name in configurations.
    pub name: &'static str,
    /// What its handover looks like.
    pub shape: Shape,
    /// Makes the old master start a new one.
    pub reload: Signal,
    /// Makes a master finish its requests and leave.
    pub retire: Signal,
    /// What the old master's pid file is called while a new master runs, where there is one.
    pub old_suffix: Option<&'static str>,
    /// How its processes come to hold the lock.
    pub lock: Custodian,
}

impl Row {
    /// The old master's pid file while a new master runs, beside this one.
    pub fn old_pid_file(&self, pidfile: &Path) -> Option<PathBuf> {
        let mut path = pidfile.to_owned().into_os_string();
        path.push(self.old_suffix?);
        Some(path.into())
    }
}

/// How a server's processes come to hold the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custodian {
    /// A hook in its configuration takes it.
    Hook,
    /// They inherit it from whoever starts the server, through every fork and exec.
    Inherited,
}

/// A signal of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGHUP.
    Hup,
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
            Self::Hup => "SIGHUP",
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

const DIALECTS: [Dialect; 5] = [Dialect::Unicorn, Dialect::Puma, Dialect::Haproxy, Dialect::Uwsgi, Dialect::Nginx];

impl Dialect {
    /// What is known of this kind of server.
    #[rustfmt::skip]
    pub fn row(self) -> Row {
        match self {
            Self::Unicorn => Row { name: "unicorn", shape: Shape::Beside,  reload: Signal::Usr2, retire: Signal::Quit, old_suffix: Some(".oldbin"), lock: Custodian::Hook },
            Self::Puma    => Row { name: "puma",    shape: Shape::Exec,    reload: Signal::Usr2, retire: Signal::Term, old_suffix: None,            lock: Custodian::Hook },
            Self::Haproxy => Row { name: "haproxy", shape: Shape::Exec,    reload: Signal::Usr2, retire: Signal::Usr1, old_suffix: None,            lock: Custodian::Inherited },
            Self::Uwsgi   => Row { name: "uwsgi",   shape: Shape::Exec,    reload: Signal::Hup,  retire: Signal::Int,  old_suffix: None,            lock: Custodian::Inherited },
            Self::Nginx   => Row { name: "nginx",   shape: Shape::InPlace, reload: Signal::Hup,  retire: Signal::Quit, old_suffix: None,            lock: Custodian::Inherited },
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
#[error("{name:?} is not a known dialect; known: {}", DIALECTS.map(|dialect| dialect.to_string()).join(", "))]
pub struct NotADialect {
    name: String,
}

impl FromStr for Dialect {
    type Err = NotADialect;

    fn from_str(text: &str) -> Result<Self, NotADialect> {
        DIALECTS
            .into_iter()
            .find(|dialect| dialect.row().name == text)
            .ok_or_else(|| NotADialect { name: text.chars().take(80).collect() })
    }
}
