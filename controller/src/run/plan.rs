//! `baton plan`: what a restart would do. It touches nothing but the file that it is told to write.

use std::fs;
use std::path::Path;

use baton_proto::identity::Role;

use super::walker::Walker;
use super::{RunError, Setting};
use crate::args::Walk;
use crate::outcome::Exit;
use crate::report::{Report, Told};

pub(super) async fn plan(setting: &Setting<'_>, walk: &Walk, out: Option<&Path>, report: &mut Report) -> Result<Exit, RunError> {
    let walker = Walker::new(setting, walk)?;
    let prepared = walker.prepare(report).await?;
    let plan = prepared.plan();
    report.tell(&Told::Planned { plan, rollout: None });
    if walker.own.identity.role != Role::Operator {
        report.tell(&Told::MayNotRestart { identity: &walker.own.identity });
    }
    // A plan that must not be carried out is nothing to be carried out later.
    if let Some(path) = out.filter(|_| plan.objections().is_empty()) {
        fs::write(path, plan.to_document()).map_err(|source| RunError::WritePlan { path: path.to_owned(), source })?;
        report.tell(&Told::PlanWritten { path });
    }
    Ok(plan.exit())
}
