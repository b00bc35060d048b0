//! A rollout that nobody walks any more is walked on.

use super::walk::Walk;
use super::walker::Walker;
use super::{RunError, Setting, restart, state};
use crate::execute::Prepared;
use crate::outcome::Exit;
use crate::report::{Condition, Journal, Report, Told};
use crate::rollout::{Order, Rollout};
use crate::store::{Directory, RolloutRow, RunLock, Store};

/// A rollout that nobody walks, and all that is needed to walk it.
#[derive(Debug)]
pub(super) struct Halted {
    /// Where its socket goes.
    pub(super) directory: Directory,
    /// The journal.
    pub(super) store: Store,
    /// The rollout.
    pub(super) rollout: RolloutRow,
    /// How its last run ended.
    pub(super) condition: Condition,
    /// Its lock: nobody else walks it while we have it.
    pub(super) lock: RunLock,
}

/// Walks on where the journal ends.
pub(super) async fn walk_on(
    setting: &Setting<'_>,
    halted: Halted,
    retry_failed: bool,
    report: &mut Report,
) -> Result<Exit, RunError> {
    let Halted { directory, mut store, rollout: RolloutRow { id, inventory, reason, .. }, condition, lock } = halted;
    if condition == (Condition::Ended { exit: Exit::Proven.code() }) {
        let answer = "it has ended, every host is proven, and nothing is left to do";
        report.tell(&Told::Journal(Journal::Taken { rollout: &id, order: Order::Resume, answer }));
        return Ok(Exit::Proven);
    }
    let plan = state::plan(&mut store, &id).await?;
    let walker = Walker::again(setting, &plan, inventory)?;
    let past = store.walk_through(&id, |_| {}).await?;
    report.tell(&Told::Planned { plan: &plan, rollout: Some(&id) });
    let walk = Walk {
        run: past.runs.saturating_add(1),
        retry_failed,
        reason: restart::told(reason.as_deref().unwrap_or_default(), &plan),
        operator: walker.own.identity.name.clone(),
        directory,
        store,
        lock,
        rollout: Rollout::resume(&plan, &past, retry_failed),
        prepared: Prepared::again(plan, walker.hosts, &past),
        dialler: walker.dialler,
        id,
    };
    walk.walk(report).await
}
