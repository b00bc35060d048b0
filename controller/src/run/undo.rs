//! `baton undo`: a rollout that takes the hosts of another back to the releases that they had.

use std::collections::BTreeMap;

use super::restart::Beginning;
use super::walker::Walker;
use super::{RunError, Setting, state};
use crate::execute;
use crate::inventory::HostName;
use crate::journal::Entry;
use crate::journal::undo::{self, Undo, Why};
use crate::outcome::Exit;
use crate::plan::Choices;
use crate::report::{Report, Told};
use crate::store::{RolloutRow, RunLock};

/// How it is to be undone.
pub(super) struct Wanted<'a> {
    pub(super) id: &'a str,
    /// Whether hosts that cannot be taken back are left as they are.
    pub(super) leave_out_broken: bool,
    pub(super) reason: &'a str,
    pub(super) yes: bool,
}

pub(super) async fn undo(setting: &Setting<'_>, wanted: &Wanted<'_>, report: &mut Report) -> Result<Exit, RunError> {
    let (directory, mut store) = state::open(setting).await?;
    let RolloutRow { id, inventory, .. } = store.rollout(wanted.id).await?;
    if RunLock::holder(&directory, &id).is_some() {
        return Err(RunError::StillRunning(id));
    }
    let plan = state::plan(&mut store, &id).await?;
    let (written, _) = store.entries(&id).await?;
    let entries: Vec<Entry> = written.into_iter().map(|written| written.entry).collect();
    let mut walker = Walker::again(setting, &plan, inventory)?;
    let now = execute::standings(&walker.hosts, plan.service(), &walker.dialler, report).await;
    let chosen = undo::choose(&entries, &plan.choices().releases, &now);
    let (back, left) = sort(chosen);
    for (host, why) in &left {
        report.tell(&Told::NotUndone { host, why });
    }
    let lost: Vec<String> =
        left.iter().filter(|(_, why)| !why.is_as_wanted()).map(|(host, why)| format!("{host}: {why}")).collect();
    if !lost.is_empty() && !wanted.leave_out_broken {
        return Err(RunError::CannotUndo { id, hosts: lost });
    }
    if back.is_empty() {
        return Err(RunError::NothingToUndo(id));
    }
    let Choices { service, limits, .. } = plan.choices().clone();
    let usual = store.usual_duration(&service).await?;
    walker.go_back(back, service, limits, wanted.leave_out_broken);
    let prepared = walker.prepare(usual, report).await?;
    let left_out = if lost.is_empty() { Exit::Proven } else { Exit::Failed };
    let reason = if wanted.reason.is_empty() { format!("undo of {id}") } else { wanted.reason.to_owned() };
    let beginning = Beginning { directory, store, reason, undo_of: Some(id) };
    Ok(left_out.or_worse(beginning.begin(walker, prepared, wanted.yes, report).await?))
}

/// Those that go back, each to its release; and those that are left as they are.
fn sort(chosen: Vec<(HostName, Undo)>) -> (BTreeMap<HostName, String>, Vec<(HostName, Why)>) {
    let (mut back, mut left) = (BTreeMap::new(), Vec::new());
    for (host, undo) in chosen {
        match undo {
            Undo::Back(release) => drop(back.insert(host, release)),
            Undo::Leave(why) => left.push((host, why)),
        }
    }
    (back, left)
}
