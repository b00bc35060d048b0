//! A rollout that nobody walks any more is walked on.

use super::{RunError, Setting};
use crate::outcome::Exit;
use crate::report::Report;
use crate::store::{Directory, RolloutRow, RunLock, Store};

/// A rollout that nobody walks, and all that is needed to walk it.
#[derive(Debug)]
pub(crate) struct Halted {
    /// Where its socket goes.
    #[expect(dead_code, reason = "whoever walks on listens there")]
    pub(crate) directory: Directory,
    /// The journal.
    pub(crate) store: Store,
    /// The rollout.
    pub(crate) rollout: RolloutRow,
    /// Its lock: nobody else walks it while we have it.
    pub(crate) lock: RunLock,
}

/// Walks on where the journal ends.
pub(crate) async fn walk_on(
    _setting: &Setting<'_>,
    halted: Halted,
    _retry_failed: bool,
    _report: &mut Report,
) -> Result<Exit, RunError> {
    let Halted { mut store, rollout, lock, .. } = halted;
    let _past = store.entries(&rollout.id).await?;
    store.close().await?;
    drop(lock);
    Err(RunError::NotResumed(rollout.id))
}
