//! The table of servers: how each is reloaded, and what that does.
//!
//! What differs between two servers is a row of data; a server that has several ways of it has as many rows, told apart by
//! their signal. `generic` is a row that the configuration gives.
//!
//! **Invariant:** no server is known by name outside of this table.

mod signal;
mod table;
mod words;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use baton_proto::custody::Shape;

pub use signal::{NotASignal, Signal};
pub use table::TABLE;

/// The name of the dialect whose row is in the configuration.
pub const GENERIC: &str = "generic";

/// One way to reload a kind of server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name in configurations.
    pub name: &'static str,
    /// Makes the old master start a new one, or the master replace its workers.
    pub reload: Signal,
    /// What its handover looks like.
    pub shape: Shape,
    /// Makes a master finish its requests and leave.
    pub retire: Signal,
    /// What happens to the pid file meanwhile.
    pub pid_files: PidFiles,
    /// How its processes come to hold the lock.
    pub lock: Custodian,
    /// Who goes first where the master stays.
    pub order: Order,
    /// The command by which a release is checked, as an example.
    pub check: Option<&'static str>,
    /// What it takes for this to work.
    pub needs: &'static str,
    /// What a release that does not work does.
    pub failure: &'static str,
    /// What a second signal does while the first is at work.
    pub meanwhile: &'static str,
}

/// What happens to the pid file while two masters run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PidFiles {
    /// Nothing: there is one master, with one pid.
    Unchanged,
    /// The old master renames its own by this suffix, and the new one writes another in its place.
    OldRenamed(Cow<'static, str>),
    /// The new master writes its own beside it, with this suffix, and renames that once the old one is gone.
    NewBeside(Cow<'static, str>),
}

impl PidFiles {
    /// The pid file that comes and goes.
    fn suffix(&self) -> Option<&str> {
        match self {
            Self::Unchanged => None,
            Self::OldRenamed(suffix) | Self::NewBeside(suffix) => Some(suffix),
        }
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

/// Who goes first where the master stays and replaces its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// New workers come before an old one is told to leave: while nobody new has come, nobody was replaced.
    NewFirst,
    /// An old worker may leave before a new one comes.
    OldFirst,
}

impl Row {
    /// The old master's pid file while a new master runs, beside this one.
    pub fn old_pid_file(&self, pidfile: &Path) -> Option<PathBuf> {
        match &self.pid_files {
            PidFiles::OldRenamed(suffix) => Some(beside(pidfile, suffix)),
            PidFiles::NewBeside(_) | PidFiles::Unchanged => None,
        }
    }

    /// The new master's pid file while the old master runs, beside this one.
    pub fn new_pid_file(&self, pidfile: &Path) -> Option<PathBuf> {
        match &self.pid_files {
            PidFiles::NewBeside(suffix) => Some(beside(pidfile, suffix)),
            PidFiles::OldRenamed(_) | PidFiles::Unchanged => None,
        }
    }
}

fn beside(pidfile: &Path, suffix: &str) -> PathBuf {
    let mut path = pidfile.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

/// How a service is reloaded: by a row of the table, or by one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialect {
    /// A row of the table.
    Known(&'static Row),
    /// A row that the configuration gives.
    Generic(Box<Row>),
}

impl Dialect {
    /// What is known of this kind of server.
    pub fn row(&self) -> &Row {
        match self {
            Self::Known(row) => row,
            Self::Generic(row) => row,
        }
    }

    /// The same kind of server, reloaded by another signal.
    ///
    /// # Errors
    /// When it has no such way, with those that it has.
    pub fn by(&self, signal: Signal) -> Result<Self, NotItsSignal> {
        let name = self.row().name;
        let row = rows(name).find(|row| row.reload == signal);
        row.map(Self::Known).ok_or_else(|| NotItsSignal {
            name,
            signal,
            known: rows(name).map(|row| row.reload.short()).collect(),
        })
    }

    /// Every file that may name a master of it: whichever signal it was reloaded by.
    pub fn pid_files(&self, pidfile: &Path) -> Vec<PathBuf> {
        let mut files = vec![pidfile.to_owned()];
        files.extend(self.row().pid_files.suffix().map(|suffix| beside(pidfile, suffix)));
        for suffix in rows(self.row().name).filter_map(|row| row.pid_files.suffix()) {
            let file = beside(pidfile, suffix);
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }
}

/// The rows of one kind of server, the usual one first.
pub fn rows(name: &str) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| row.name == name)
}

/// The names of the table, each once.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
    names.dedup();
    names
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

/// Why a text names no dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a known dialect; known: {}", names().join(", "))]
pub struct NotADialect {
    name: String,
}

/// Why a signal reloads no such server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{signal} does not reload {name} in a way that is known; known: {}", .known.join(", "))]
pub struct NotItsSignal {
    name: &'static str,
    signal: Signal,
    known: Vec<&'static str>,
}

impl FromStr for Dialect {
    type Err = NotADialect;

    /// By name, reloaded in the usual way.
    fn from_str(text: &str) -> Result<Self, NotADialect> {
        rows(text).next().map(Self::Known).ok_or_else(|| NotADialect { name: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use baton_proto::custody::Shape;

    use super::{Dialect, PidFiles, Signal, TABLE, names, rows};

    fn dialect(name: &str) -> Dialect {
        name.parse().expect("it is in the table")
    }

    #[test]
    fn a_row_is_known_by_its_name_and_signal() {
        for row in &TABLE {
            assert_eq!(rows(row.name).filter(|other| other.reload == row.reload).count(), 1, "{row:?}");
            assert_eq!(dialect(row.name).by(row.reload), Ok(Dialect::Known(row)));
        }
        let mut sorted = names();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names().len(), "the rows of a server stand together");
    }

    #[test]
    fn two_masters_have_two_pid_files_and_one_has_one() {
        for row in &TABLE {
            assert_eq!(row.shape == Shape::Beside, row.pid_files != PidFiles::Unchanged, "{row:?}");
        }
    }

    #[test]
    fn a_signal_that_a_server_does_not_know_is_told_with_those_that_it_knows() {
        assert_eq!(dialect("gunicorn").row().reload, Signal::Usr2);
        assert_eq!(dialect("nginx").row().reload, Signal::Hup);
        let told = dialect("puma").by(Signal::Hup).expect_err("it does not know it").to_string();
        assert_eq!(told, "SIGHUP does not reload puma in a way that is known; known: USR2, USR1");
    }

    #[test]
    fn a_pid_file_is_sought_wherever_a_master_may_be_named() {
        let pidfile = Path::new("/run/web.pid");
        let files = |name: &str| dialect(name).pid_files(pidfile);
        assert_eq!(files("unicorn"), ["/run/web.pid", "/run/web.pid.oldbin"].map(PathBuf::from));
        assert_eq!(files("gunicorn"), ["/run/web.pid", "/run/web.pid.2"].map(PathBuf::from));
        assert_eq!(files("nginx"), ["/run/web.pid", "/run/web.pid.oldbin"].map(PathBuf::from));
        assert_eq!(files("haproxy"), [PathBuf::from("/run/web.pid")]);
        let row = dialect("gunicorn");
        assert_eq!(row.row().new_pid_file(pidfile), Some("/run/web.pid.2".into()));
        assert_eq!(row.row().old_pid_file(pidfile), None);
    }
}
