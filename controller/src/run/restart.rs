//! `baton restart`: the walk over the fleet.

use baton_proto::identity::Role;
use jiff::Timestamp;

use super::walker::Walker;
use super::{RunError, Setting, rollout_id};
use crate::args::Walk;
use crate::execute::{self, Interrupts};
use crate::outcome::Exit;
use crate::report::{Report, Told};

pub(super) async fn restart(
    setting: &Setting<'_>,
    walk: &Walk,
    reason: &str,
    yes: bool,
    report: &mut Report,
) -> Result<Exit, RunError> {
    let walker = Walker::new(setting, walk)?;
    if walker.own.identity.role != Role::Operator {
        return Err(RunError::MayNotRestart(walker.own.identity));
    }
    let prepared = walker.prepare(report).await?;
    let id = rollout_id(Timestamp::now())?;
    let service = prepared.plan().service().to_owned();
    report.tell(&Told::Planned { plan: prepared.plan(), rollout: Some(&id) });
    let objections = prepared.plan().objections();
    if !objections.is_empty() {
        return Err(RunError::Objections(objections));
    }
    let question = format!("Restart {service} on {} hosts?", prepared.plan().restarted_in(None));
    if !yes && !report.confirm(&question) {
        report.fail("not confirmed; nothing was touched", None);
        return Ok(Exit::Stopped);
    }
    let interrupts =
        Interrupts::take_over().map_err(|source| RunError::Machine { doing: "take over the interrupt signal", source })?;
    report.begin();
    let summary = execute::restart(prepared, &id, reason, walker.dialler, interrupts, report).await;
    report.tell(&Told::Finished { service: &service, rollout: &id, summary: &summary });
    Ok(summary.exit())
}
