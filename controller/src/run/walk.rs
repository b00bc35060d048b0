//! One run of a rollout, from its lock to its exit code: whatever begins or resumes or undoes one ends here.
//!
//! **Invariant:** whoever walks a rollout holds its lock, listens for orders, and has written down that it begins.

use super::{RunError, random_hex};
use crate::control::Controls;
use crate::execute::{self, Dialler, Interrupts, Prepared, Undertaking};
use crate::journal::Entry;
use crate::outcome::Exit;
use crate::report::{Report, Told};
use crate::rollout::Rollout;
use crate::store::{Directory, Keep as _, RunJournal, RunLock, Store};

/// How many random bytes tell one run of a rollout from every other.
const SESSION_BYTES: usize = 8;

/// A rollout that is about to be walked, and all that it takes.
pub(super) struct Walk {
    pub(super) id: String,
    /// Which run it is, from 1.
    pub(super) run: u32,
    pub(super) retry_failed: bool,
    /// What for.
    pub(super) reason: String,
    /// Who walks.
    pub(super) operator: String,
    pub(super) directory: Directory,
    pub(super) store: Store,
    pub(super) lock: RunLock,
    pub(super) rollout: Rollout,
    pub(super) prepared: Prepared,
    pub(super) dialler: Dialler,
}

impl Walk {
    /// Walks it to its end.
    pub(super) async fn walk(self, report: &mut Report) -> Result<Exit, RunError> {
        let Self { id, run, retry_failed, reason, operator, directory, store, lock, rollout, prepared, dialler } = self;
        let interrupts =
            Interrupts::take_over().map_err(|source| RunError::Machine { doing: "take over the interrupt signal", source })?;
        let controls = Controls::listen(&directory, &id, &lock)?;
        let mut journal = RunJournal::new(store, &id, run);
        journal.keep(&[Entry::Begun { run, operator, retry_failed }]).await?;
        report.begin();
        let service = prepared.plan().service().to_owned();
        let undertaking = Undertaking { rollout: id.clone(), session: random_hex::<SESSION_BYTES>()?, reason };
        let wishes = (interrupts, Some(controls));
        let walked = execute::restart(prepared, rollout, undertaking, dialler, wishes, &mut journal, report).await;
        let summary = walked.map_err(|source| RunError::Unwritten { id: id.clone(), source })?;
        report.tell(&Told::Finished { service: &service, rollout: &id, summary: &summary });
        journal.into_store().close().await?;
        drop(lock);
        Ok(summary.exit())
    }
}
