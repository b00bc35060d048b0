//! Where this machine keeps its rollouts, and how each of them stands.

use super::{RunError, Setting};
use crate::plan::Plan;
use crate::report::Condition;
use crate::store::{Directory, RunRow, Store};

/// The state directory that the arguments or the surroundings name.
pub(super) fn directory(setting: &Setting<'_>) -> Result<Directory, RunError> {
    let surroundings = setting.surroundings;
    let absolute = surroundings.state_home.as_ref().filter(|path| path.is_absolute());
    let below_home = || surroundings.home.as_ref().map(|home| home.join(".local/state"));
    let usual = || absolute.cloned().or_else(below_home).map(|state| state.join("baton"));
    let path = setting.global.state.clone().or_else(usual).ok_or(RunError::NoState)?;
    Ok(Directory::open(&path)?)
}

/// The state directory, and the journal in it.
pub(super) async fn open(setting: &Setting<'_>) -> Result<(Directory, Store), RunError> {
    let directory = directory(setting)?;
    let store = Store::open(&directory).await?;
    Ok((directory, store))
}

/// The plan of a rollout, as it was written down.
pub(super) async fn plan(store: &mut Store, id: &str) -> Result<Plan, RunError> {
    let document = store.plan(id).await?;
    Plan::from_document(&document).map_err(|source| RunError::PlanLost { id: id.to_owned(), source })
}

/// How a rollout stands, by its last run and by who has its lock.
pub(super) fn condition(holder: Option<u32>, run: Option<&RunRow>) -> Condition {
    let exit = run.and_then(|run| run.exit);
    match (holder, exit, run) {
        (Some(pid), None, _) => Condition::Running { pid },
        (_, Some(exit), _) => Condition::Ended { exit },
        (None, None, Some(_)) => Condition::Crashed,
        (None, None, None) => Condition::NotBegun,
    }
}
