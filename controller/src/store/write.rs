//! Writing to the journal.

use sqlx::{Connection as _, Sqlite, Transaction, query, query_scalar};

use super::{NewRollout, Store, StoreError, now};
use crate::inventory::HostName;
use crate::journal::Entry;
use crate::journal::record::Record;
use crate::outcome::Outcome;
use crate::rollout::Order;

/// Takes the write lock at once: a transaction that begins by reading could find, when it writes, that it read the past.
const BEGIN: &str = "BEGIN IMMEDIATE";

impl Store {
    /// Writes down a rollout that is about to begin.
    ///
    /// # Errors
    /// When that fails, or there is one with this id.
    pub async fn begin(&mut self, rollout: &NewRollout) -> Result<(), StoreError> {
        let NewRollout { id, fleet, service, release, operator, reason, inventory, undo_of, hosts, plan } = rollout;
        let insert = "INSERT INTO rollout (id, fleet, service, release, operator, reason, inventory, undo_of, hosts, began, plan)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let done = query(insert)
            .bind(id)
            .bind(fleet)
            .bind(service)
            .bind(release)
            .bind(operator)
            .bind(reason)
            .bind(inventory.to_string_lossy())
            .bind(undo_of)
            .bind(count(*hosts))
            .bind(now())
            .bind(plan)
            .execute(&mut self.connection);
        done.await.map_err(|source| StoreError::of(&self.path, "write down a rollout", source))?;
        Ok(())
    }

    /// Writes these entries, all or none. They are on disk when this returns. Run 0 is for what is written while nobody walks.
    ///
    /// # Errors
    /// When they could not be written: then none of them was.
    pub async fn append(&mut self, rollout: &str, run: u32, entries: &[Entry]) -> Result<(), StoreError> {
        let done = append(&mut self.connection, rollout, run, entries).await;
        done.map_err(|source| StoreError::of(&self.path, "write an entry", source))
    }
}

async fn append(connection: &mut sqlx::SqliteConnection, rollout: &str, run: u32, entries: &[Entry]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let last = "SELECT COALESCE(MAX(seq), 0) FROM entry WHERE rollout = ?1";
    let last: i64 = query_scalar(last).bind(rollout).fetch_one(&mut *transaction).await?;
    let mut page = Page { transaction, rollout, run, at: now() };
    for (seq, entry) in (last + 1..).zip(entries) {
        page.insert(seq, Record::of(entry)).await?;
        page.count_in(entry).await?;
    }
    page.transaction.commit().await
}

/// The entries of one transaction.
struct Page<'a> {
    transaction: Transaction<'a, Sqlite>,
    rollout: &'a str,
    run: u32,
    at: i64,
}

impl Page<'_> {
    async fn insert(&mut self, seq: i64, record: Record) -> Result<(), sqlx::Error> {
        let Record { kind, host, body, evidence } = record;
        let (testimony, ending) = evidence.map(|evidence| (evidence.testimony, evidence.ending)).unzip();
        let insert = "INSERT INTO entry (rollout, seq, run, at, kind, host, body, testimony, ending)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let insert = query(insert).bind(self.rollout).bind(seq).bind(self.run).bind(self.at).bind(kind);
        let insert = insert.bind(host.as_ref().map(HostName::as_str)).bind(body).bind(testimony).bind(ending);
        insert.execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Keeps the tables for lists in step.
    async fn count_in(&mut self, entry: &Entry) -> Result<(), sqlx::Error> {
        match entry {
            Entry::Begun { run, operator, retry_failed: _ } => self.begin(*run, operator).await,
            Entry::Asked { host, attempt, before: _ } => self.ask(host.as_str(), *attempt).await,
            Entry::Settled { host, attempt, outcome, evidence: _ } => self.settle(host.as_str(), *attempt, outcome).await,
            Entry::Outcome { host, outcome } => self.end(host.as_str(), outcome).await,
            Entry::Ordered(Order::Abort) => self.abort().await,
            Entry::Finished { exit } => self.finish(*exit).await,
            Entry::Claimed(_) | Entry::Stopping(_) | Entry::Noted(_) | Entry::Ordered(Order::Pause | Order::Resume) => Ok(()),
        }
    }

    async fn begin(&mut self, run: u32, operator: &str) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO run (rollout, number, operator, pid, began) VALUES (?1, ?2, ?3, ?4, ?5)";
        let insert = query(insert).bind(self.rollout).bind(run).bind(operator).bind(std::process::id()).bind(self.at);
        insert.execute(&mut *self.transaction).await?;
        Ok(())
    }

    async fn ask(&mut self, host: &str, attempt: u32) -> Result<(), sqlx::Error> {
        let upsert = "INSERT INTO host (rollout, name, attempt, asks, asked) VALUES (?1, ?2, ?3, 1, ?4)
                      ON CONFLICT (rollout, name) DO UPDATE SET
                          asks = CASE WHEN attempt = excluded.attempt THEN asks + 1 ELSE 1 END,
                          attempt = excluded.attempt, asked = excluded.asked, settled = NULL, word = NULL";
        let upsert = query(upsert).bind(self.rollout).bind(host).bind(attempt).bind(self.at);
        upsert.execute(&mut *self.transaction).await?;
        Ok(())
    }

    async fn settle(&mut self, host: &str, attempt: u32, outcome: &Outcome) -> Result<(), sqlx::Error> {
        let update = "UPDATE host SET settled = ?4, word = ?5 WHERE rollout = ?1 AND name = ?2 AND attempt = ?3";
        let update = query(update).bind(self.rollout).bind(host).bind(attempt).bind(self.at).bind(outcome.word());
        update.execute(&mut *self.transaction).await?;
        Ok(())
    }

    async fn end(&mut self, host: &str, outcome: &Outcome) -> Result<(), sqlx::Error> {
        let upsert = "INSERT INTO host (rollout, name, attempt, asks, word) VALUES (?1, ?2, 0, 0, ?3)
                      ON CONFLICT (rollout, name) DO UPDATE SET word = excluded.word";
        query(upsert).bind(self.rollout).bind(host).bind(outcome.word()).execute(&mut *self.transaction).await?;
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), sqlx::Error> {
        query("UPDATE rollout SET aborted = 1 WHERE id = ?1").bind(self.rollout).execute(&mut *self.transaction).await?;
        Ok(())
    }

    async fn finish(&mut self, exit: u8) -> Result<(), sqlx::Error> {
        let update = "UPDATE run SET ended = ?3, exit = ?4 WHERE rollout = ?1 AND number = ?2";
        let update = query(update).bind(self.rollout).bind(self.run).bind(self.at).bind(exit);
        update.execute(&mut *self.transaction).await?;
        Ok(())
    }
}

fn count(hosts: usize) -> i64 {
    hosts.try_into().unwrap_or(i64::MAX)
}
