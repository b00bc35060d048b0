//! The verbs that give an order to a rollout from another terminal.

use super::{RunError, Setting, resume, state};
use crate::control;
use crate::journal::Entry;
use crate::outcome::Exit;
use crate::report::{Condition, Journal, Report, Told};
use crate::rollout::Order;
use crate::store::{Directory, Held, RolloutRow, RunLock, Store};

/// A rollout that is meant, and whoever may change it.
struct Meant {
    directory: Directory,
    store: Store,
    rollout: RolloutRow,
    condition: Condition,
    /// Its lock, where nobody walks it.
    lock: Option<RunLock>,
}

impl Meant {
    async fn find(setting: &Setting<'_>, id: &str) -> Result<Self, RunError> {
        let (directory, mut store) = state::open(setting).await?;
        let rollout = store.rollout(id).await?;
        let lock = match RunLock::take(&directory, &rollout.id) {
            Ok(lock) => Some(lock),
            Err(Held::ByAnother { .. }) => None,
            Err(error @ Held::Failed { .. }) => return Err(error.into()),
        };
        let run = store.runs(&rollout.id).await?.pop();
        // While we have the lock nobody walks it.
        let condition = state::condition(None, run.as_ref());
        Ok(Self { directory, store, rollout, condition, lock })
    }

    /// Gives an order to the process that walks it.
    async fn order(self, order: Order, report: &mut Report) -> Result<Exit, RunError> {
        let control::Answer(answer) = control::order(&self.directory, &self.rollout.id, order).await?;
        report.tell(&Told::Journal(Journal::Taken { rollout: &self.rollout.id, order, answer: &answer }));
        self.store.close().await?;
        Ok(Exit::Proven)
    }
}

/// Lets a running rollout start nothing new.
pub(super) async fn pause(setting: &Setting<'_>, id: &str, report: &mut Report) -> Result<Exit, RunError> {
    let meant = Meant::find(setting, id).await?;
    if meant.lock.is_some() {
        return Err(RunError::NotRunning { id: meant.rollout.id, condition: meant.condition });
    }
    meant.order(Order::Pause, report).await
}

/// Ends a rollout for good, whether somebody walks it or not.
pub(super) async fn abort(setting: &Setting<'_>, id: &str, report: &mut Report) -> Result<Exit, RunError> {
    let mut meant = Meant::find(setting, id).await?;
    if meant.lock.is_none() {
        return meant.order(Order::Abort, report).await;
    }
    let id = &meant.rollout.id;
    if meant.condition == (Condition::Ended { exit: Exit::Proven.code() }) {
        return Err(RunError::Over { id: id.clone(), condition: meant.condition });
    }
    if !meant.rollout.aborted {
        meant.store.append(id, 0, &[Entry::Ordered(Order::Abort)]).await?;
    }
    let answer = "nobody walks it, and it will not be resumed; a handover that was begun ends on its own";
    report.tell(&Told::Journal(Journal::Taken { rollout: id, order: Order::Abort, answer }));
    meant.store.close().await?;
    Ok(Exit::Proven)
}

/// Lets a rollout go on: by an order to whoever walks it, else by walking it.
pub(super) async fn resume(setting: &Setting<'_>, id: &str, retry_failed: bool, report: &mut Report) -> Result<Exit, RunError> {
    let Meant { directory, store, rollout, condition, lock } = Meant::find(setting, id).await?;
    let Some(lock) = lock else {
        if retry_failed {
            return Err(RunError::RetryWhileRunning(rollout.id));
        }
        return Meant { directory, store, rollout, condition, lock }.order(Order::Resume, report).await;
    };
    if rollout.aborted {
        return Err(RunError::WasAborted(rollout.id));
    }
    resume::walk_on(setting, resume::Halted { directory, store, rollout, condition, lock }, retry_failed, report).await
}
