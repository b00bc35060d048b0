//! Opening the journal: its directory, its file, its schema.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr as _};

use super::{Directory, Store, StoreError};

/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long whoever opens the journal waits for another who opens it.
const OPENING_DEADLINE: Duration = Duration::from_secs(30);

/// How often it looks whether the other is done.
const OPENING_LOOK: Duration = Duration::from_millis(10);

/// The schema: what was ever shipped stays as it is, and what changes is a new one below.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "journal", include_str!("../../migrations/0001_journal.sql"))];

impl Store {
    /// Opens the journal of a state directory, and makes it where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or was written by a newer program.
    pub async fn open(directory: &Directory) -> Result<Self, StoreError> {
        let path = directory.journal();
        // Two that bring a schema up to date at once would both make the same tables.
        let _alone = wait_for(&directory.opening()).await?;
        make(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|source| StoreError::of(&path, "begin", source))?;
        let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default();
        let done = migrator().run_direct(None, &mut connection, false).await;
        done.map_err(|source| StoreError::of_migration(&path, known, source))?;
        Ok(Self { path, connection })
    }
}

fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

/// The file, readable by its owner only. SQLite gives the files beside it the same mode.
fn make(path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    let file = private(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(())
}

/// Opens a file, and makes it where it is not there.
pub(super) fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Waits until nobody else has the lock; it is let go of when the file is closed.
async fn wait_for(path: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    let file = private(path).map_err(failed)?;
    let looks = OPENING_DEADLINE.as_millis() / OPENING_LOOK.as_millis();
    for _ in 0..looks {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(OPENING_LOOK).await,
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(StoreError::Busy { path: path.to_owned() })
}
