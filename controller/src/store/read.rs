//! Reading the journal.
//!
//! **Invariant:** lists are made by SQL from tables that are kept for that; only one rollout's entries are read at a time, page by page.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::{query_as, query_scalar};

use super::{Store, StoreError, since_1970};
use crate::execute::evidence::judge;
use crate::journal::record::Reader;
use crate::journal::{Entry, Evidence};
use crate::rollout::Past;

/// How many entries are read at once.
const PAGE: i64 = 500;

/// How many rollouts are named that begin alike.
const ALIKE_MAX: i64 = 11;

/// Of how many handovers the usual duration is made.
const USUAL_OF: i64 = 200;

/// A rollout, without its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRow {
    /// Its id.
    pub id: String,
    /// The fleet.
    pub fleet: String,
    /// The service.
    pub service: String,
    /// The release to switch to, if one was named.
    pub release: Option<String>,
    /// Who began it.
    pub operator: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Where the inventory lay.
    pub inventory: PathBuf,
    /// The rollout that it undoes.
    pub undo_of: Option<String>,
    /// How many hosts were chosen.
    pub hosts: u64,
    /// When it began, since 1970.
    pub began: Duration,
    /// Whether it was called off for good.
    pub aborted: bool,
}

/// A process that walked a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Which one, from 1.
    pub number: u32,
    /// Who walked.
    pub operator: String,
    /// The process.
    pub pid: u32,
    /// When it began, since 1970.
    pub began: Duration,
    /// When it ended, if it did and could say so.
    pub ended: Option<Duration>,
    /// Its exit code.
    pub exit: Option<u8>,
}

/// A rollout in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The rollout.
    pub rollout: RolloutRow,
    /// The last process that walked it.
    pub run: Option<RunRow>,
    /// How many hosts ended how, by the outcome's word.
    pub words: BTreeMap<String, u64>,
}

/// An entry, and when and by which run it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its place.
    pub seq: i64,
    /// When, since 1970.
    pub at: Duration,
    /// By which run; 0 while nobody walked.
    pub run: u32,
    /// What.
    pub entry: Entry,
}

type RolloutTuple = (String, String, String, Option<String>, String, Option<String>, String, Option<String>, i64, i64, bool);
type RunTuple = (u32, String, u32, i64, Option<i64>, Option<u8>);
type EntryTuple = (i64, i64, u32, String, Option<Vec<u8>>, Option<Vec<u8>>);

const ROLLOUT: &str = "id, fleet, service, release, operator, reason, inventory, undo_of, hosts, began, aborted";

impl From<RolloutTuple> for RolloutRow {
    fn from(row: RolloutTuple) -> Self {
        let (id, fleet, service, release, operator, reason, inventory, undo_of, hosts, began, aborted) = row;
        let (hosts, began) = (hosts.try_into().unwrap_or_default(), since_1970(began));
        Self { id, fleet, service, release, operator, reason, inventory: inventory.into(), undo_of, hosts, began, aborted }
    }
}

impl From<RunTuple> for RunRow {
    fn from((number, operator, pid, began, ended, exit): RunTuple) -> Self {
        Self { number, operator, pid, began: since_1970(began), ended: ended.map(since_1970), exit }
    }
}

impl Store {
    /// The rollout with this id, or the only one whose id begins like this.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn rollout(&mut self, id: &str) -> Result<RolloutRow, StoreError> {
        let select = sqlx::AssertSqlSafe(format!(
            "SELECT {ROLLOUT} FROM rollout WHERE id >= ?1 AND substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT ?2"
        ));
        let found: Result<Vec<RolloutTuple>, _> = query_as(select).bind(id).bind(ALIKE_MAX).fetch_all(&mut self.connection).await;
        let mut found: Vec<RolloutRow> = self.read(found)?.into_iter().map(RolloutRow::from).collect();
        if id.is_empty() || found.is_empty() {
            return Err(StoreError::NoRollout(id.to_owned()));
        }
        // What is named in full is meant, whatever else begins like it.
        if found.len() == 1 || found[0].id == id {
            return Ok(found.swap_remove(0));
        }
        Err(StoreError::Ambiguous { prefix: id.to_owned(), ids: found.into_iter().map(|row| row.id).collect() })
    }

    /// The plan of a rollout, as the document that was written down.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn plan(&mut self, id: &str) -> Result<String, StoreError> {
        let found = query_scalar("SELECT plan FROM rollout WHERE id = ?1").bind(id).fetch_optional(&mut self.connection).await;
        self.read(found)?.ok_or_else(|| StoreError::NoRollout(id.to_owned()))
    }

    /// The processes that walked a rollout, in their order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn runs(&mut self, id: &str) -> Result<Vec<RunRow>, StoreError> {
        let select = "SELECT number, operator, pid, began, ended, exit FROM run WHERE rollout = ?1 ORDER BY number";
        let found: Result<Vec<RunTuple>, _> = query_as(select).bind(id).fetch_all(&mut self.connection).await;
        Ok(self.read(found)?.into_iter().map(RunRow::from).collect())
    }

    /// The last rollouts, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn rollouts(&mut self, limit: u32) -> Result<Vec<Listed>, StoreError> {
        let select = sqlx::AssertSqlSafe(format!("SELECT {ROLLOUT} FROM rollout ORDER BY began DESC, id DESC LIMIT ?1"));
        let found: Result<Vec<RolloutTuple>, _> = query_as(select).bind(limit).fetch_all(&mut self.connection).await;
        let mut listed = Vec::new();
        for rollout in self.read(found)?.into_iter().map(RolloutRow::from) {
            let run = self.runs(&rollout.id).await?.pop();
            let words = self.words(&rollout.id).await?;
            listed.push(Listed { rollout, run, words });
        }
        Ok(listed)
    }

    /// How many hosts of a rollout ended how. Those under way have no word.
    async fn words(&mut self, id: &str) -> Result<BTreeMap<String, u64>, StoreError> {
        let select = "SELECT word, COUNT(*) FROM host WHERE rollout = ?1 AND word IS NOT NULL GROUP BY word";
        let found: Result<Vec<(String, i64)>, _> = query_as(select).bind(id).fetch_all(&mut self.connection).await;
        Ok(self.read(found)?.into_iter().map(|(word, count)| (word, count.try_into().unwrap_or_default())).collect())
    }

    /// All entries of a rollout in their order, and what they leave.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub async fn entries(&mut self, id: &str) -> Result<(Vec<Written>, Past), StoreError> {
        let mut all = Vec::new();
        let past = self.walk_through(id, |written| all.push(written)).await?;
        Ok((all, past))
    }

    /// Shows all entries of a rollout in their order, a page in memory at a time, and tells what they leave.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub async fn walk_through(&mut self, id: &str, mut visit: impl FnMut(Written)) -> Result<Past, StoreError> {
        let mut reader = Reader::new(judge);
        let mut last = 0;
        loop {
            let page = self.page(id, last).await?;
            let Some((seq, ..)) = page.last() else { return Ok(reader.past()) };
            last = *seq;
            for (seq, at, run, body, testimony, ending) in page {
                let evidence = testimony.zip(ending).map(|(testimony, ending)| Evidence { testimony, ending });
                let entry = reader.read(&body, evidence).map_err(|source| {
                    let (path, rollout) = (self.path.clone(), id.to_owned());
                    StoreError::Entry { path, rollout, seq, source }
                })?;
                visit(Written { seq, at: since_1970(at), run, entry });
            }
        }
    }

    async fn page(&mut self, id: &str, after: i64) -> Result<Vec<EntryTuple>, StoreError> {
        let select = "SELECT seq, at, run, body, testimony, ending FROM entry
                      WHERE rollout = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let found = query_as(select).bind(id).bind(after).bind(PAGE).fetch_all(&mut self.connection).await;
        self.read(found)
    }

    /// How long a proven handover of this service usually takes: the median of the last ones that no crash fell into.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn usual_duration(&mut self, service: &str) -> Result<Option<Duration>, StoreError> {
        let select = "SELECT host.settled - host.asked FROM host JOIN rollout ON rollout.id = host.rollout
                      WHERE host.word = 'proven' AND host.settled IS NOT NULL AND host.asks = 1 AND rollout.service = ?1
                      ORDER BY host.settled DESC LIMIT ?2";
        let found = query_scalar(select).bind(service).bind(USUAL_OF).fetch_all(&mut self.connection).await;
        let mut taken: Vec<i64> = self.read(found)?;
        taken.sort_unstable();
        Ok(taken.get(taken.len() / 2).copied().map(since_1970))
    }

    fn read<T>(&self, found: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        found.map_err(|source| StoreError::of(&self.path, "read", source))
    }
}
