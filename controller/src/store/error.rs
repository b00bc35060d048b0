//! Why the journal could not be read or written, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

use crate::journal::record::Damage;
use crate::outcome::Exit;

/// How many ids are spelt out.
const IDS_MAX: usize = 10;

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no place for the journal.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could write the journal.
    #[error("others than its owner may write to {}", path.display())]
    OpenToOthers {
        /// Where.
        path: PathBuf,
    },
    /// A file beside the journal cannot be opened.
    #[error("cannot open {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A newer program wrote it.
    #[error("the journal {} was written by a newer baton (its schema has version {version}, this program knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it has.
        version: i64,
        /// What is known.
        known: i64,
    },
    /// The file is damaged, or is no journal.
    #[error("the journal {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was noticed.
        source: sqlx::Error,
    },
    /// An entry is none.
    #[error("entry {seq} of rollout {rollout} in {} is damaged", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The rollout.
        rollout: String,
        /// Its place.
        seq: i64,
        /// What is wrong with it.
        source: Damage,
    },
    /// Somebody else has been writing for too long.
    #[error("the journal {} is in use by another process for too long", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The disk has no room, or does not do what it is asked.
    #[error("cannot {doing} in the journal {}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: sqlx::Error,
    },
    /// There is no such rollout.
    #[error("the journal has no rollout {0:?}")]
    NoRollout(String),
    /// Several rollouts begin like this.
    #[error("several rollouts begin with {prefix:?}: {}", few(ids))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// Some of them.
        ids: Vec<String>,
    },
}

fn few(ids: &[String]) -> String {
    let more = if ids.len() > IDS_MAX { " and more" } else { "" };
    format!("{}{more}", ids.iter().take(IDS_MAX).map(String::as_str).collect::<Vec<_>>().join(", "))
}

impl StoreError {
    /// Sorts what the library says.
    pub(super) fn of(path: &Path, doing: &'static str, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match primary_code(&source) {
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged { path, source },
            Some(BUSY | LOCKED) => Self::Busy { path },
            Some(_) | None => Self::Failed { path, doing, source },
        }
    }

    /// Sorts what the library says of migrations.
    pub(super) fn of_migration(path: &Path, known: i64, source: MigrateError) -> Self {
        if let MigrateError::VersionMissing(version) = source {
            return Self::Newer { path: path.to_owned(), version, known };
        }
        let source = if let MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) = source {
            source
        } else {
            sqlx::Error::Migrate(Box::new(source))
        };
        Self::of(path, "bring it up to date", source)
    }

    /// The exit code of a run that comes to nothing for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::OpenToOthers { .. } | Self::Newer { .. } | Self::NoRollout(_) | Self::Ambiguous { .. } => Exit::Usage,
            Self::Directory { .. }
            | Self::File { .. }
            | Self::Damaged { .. }
            | Self::Entry { .. }
            | Self::Busy { .. }
            | Self::Failed { .. } => Exit::Fault,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Directory { .. } | Self::File { .. } => Some("--state DIR or BATON_STATE says where else it may lie".into()),
            Self::OpenToOthers { path } => Some(format!("`chmod go-w {}`", path.display())),
            Self::Newer { .. } => Some("use that baton, or another directory by --state DIR".into()),
            Self::Damaged { path, .. } | Self::Entry { path, .. } => {
                let path = path.display();
                Some(format!(
                    "nothing was changed. `sqlite3 {path} .recover` shows what can be read; with {path} moved away, baton begins a new one"
                ))
            }
            Self::Busy { .. } => Some("ask again; `fuser` shows who uses the file".into()),
            Self::Failed { .. } => None,
            Self::NoRollout(_) | Self::Ambiguous { .. } => Some("`baton history` shows the rollouts".into()),
        }
    }
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

/// SQLite's result code, without what extends it.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?.parse::<u32>().ok()?;
    Some(code & 0xff)
}
