//! `baton restart`: a rollout that begins.

use jiff::Timestamp;

use super::walk::Walk;
use super::walker::Walker;
use super::{RunError, Setting, rollout_id, state};
use crate::args;
use crate::execute::Prepared;
use crate::outcome::Exit;
use crate::plan::Plan;
use crate::report::{Report, Told};
use crate::rollout::Rollout;
use crate::store::{Directory, NewRollout, RunLock, Store};

pub(super) async fn restart(
    setting: &Setting<'_>,
    walk: &args::Walk,
    reason: &str,
    yes: bool,
    report: &mut Report,
) -> Result<Exit, RunError> {
    let walker = Walker::new(setting, walk)?.operator()?;
    let (directory, mut store) = state::open(setting).await?;
    let usual = store.usual_duration(walker.service()).await?;
    let prepared = walker.prepare(usual, report).await?;
    let beginning = Beginning { directory, store, reason: reason.to_owned(), undo_of: None };
    beginning.begin(walker, prepared, yes, report).await
}

/// A rollout that may begin, if its plan has no flaw and somebody says yes.
pub(super) struct Beginning {
    pub(super) directory: Directory,
    pub(super) store: Store,
    /// What for, in the operator's words.
    pub(super) reason: String,
    /// The rollout that it undoes.
    pub(super) undo_of: Option<String>,
}

impl Beginning {
    pub(super) async fn begin(
        mut self,
        walker: Walker,
        prepared: Prepared,
        yes: bool,
        report: &mut Report,
    ) -> Result<Exit, RunError> {
        let plan = prepared.plan();
        let id = rollout_id(Timestamp::now())?;
        report.tell(&Told::Planned { plan, rollout: Some(&id) });
        let objections = plan.objections();
        if !objections.is_empty() {
            return Err(RunError::Objections(objections));
        }
        let question = format!("Restart {} on {} hosts?", plan.service(), plan.restarted_in(None));
        if !yes && !report.confirm(&question) {
            report.fail("not confirmed; nothing was touched", None);
            return Ok(Exit::Stopped);
        }
        let lock = RunLock::take(&self.directory, &id)?;
        let begun = self.written_down(&id, &walker, plan);
        self.store.begin(&begun).await?;
        let walk = Walk {
            id,
            run: 1,
            retry_failed: false,
            reason: told(&self.reason, plan),
            operator: begun.operator,
            directory: self.directory,
            store: self.store,
            lock,
            rollout: Rollout::new(plan),
            prepared,
            dialler: walker.dialler,
        };
        walk.walk(report).await
    }

    fn written_down(&self, id: &str, walker: &Walker, plan: &Plan) -> NewRollout {
        NewRollout {
            id: id.to_owned(),
            fleet: walker.own.identity.fleet.clone(),
            service: plan.service().to_owned(),
            release: plan.release().map(str::to_owned),
            operator: walker.own.identity.name.clone(),
            reason: Some(self.reason.clone()).filter(|reason| !reason.is_empty()),
            inventory: walker.inventory.clone(),
            undo_of: self.undo_of.clone(),
            hosts: plan.hosts().len(),
            plan: plan.to_document(),
        }
    }
}

/// The reason that whoever finds a service claimed is told.
pub(super) fn told(reason: &str, plan: &Plan) -> String {
    if !reason.is_empty() {
        return reason.to_owned();
    }
    let release = plan.release().map_or_else(String::new, |release| format!(" to release {release}"));
    format!("a restart of {}{release}", plan.service())
}
