//! The verbs that look at the journal: what was begun on this machine, and how each of it went.

use super::{RunError, Setting, state};
use crate::execute::evidence;
use crate::inventory::HostName;
use crate::journal::{Entry, Evidence};
use crate::outcome::{Exit, Outcome};
use crate::record::Record;
use crate::report::{Journal, Report, Told};
use crate::store::{RunLock, Written};

/// Lists the last rollouts.
pub(super) async fn history(setting: &Setting<'_>, limit: u32, report: &mut Report) -> Result<Exit, RunError> {
    let (directory, mut store) = state::open(setting).await?;
    let rows = store.rollouts(limit).await?;
    let rows: Vec<_> = rows
        .into_iter()
        .map(|listed| {
            let condition = state::condition(RunLock::holder(&directory, &listed.rollout.id), listed.run.as_ref());
            (listed, condition)
        })
        .collect();
    report.tell(&Told::Journal(Journal::Rollouts(&rows)));
    store.close().await?;
    Ok(Exit::Proven)
}

/// Shows one rollout, entry by entry.
pub(super) async fn show(setting: &Setting<'_>, id: &str, report: &mut Report) -> Result<Exit, RunError> {
    let (directory, mut store) = state::open(setting).await?;
    let rollout = store.rollout(id).await?;
    let runs = store.runs(&rollout.id).await?;
    let plan = store.plan(&rollout.id).await?;
    let condition = state::condition(RunLock::holder(&directory, &rollout.id), runs.last());
    report.tell(&Told::Journal(Journal::Rollout { rollout: &rollout, runs: &runs, plan: &plan, condition }));
    let past = store.walk_through(&rollout.id, |written| report.tell(&Told::Journal(Journal::Entry(&written)))).await?;
    report.tell(&Told::Journal(Journal::Hosts { rollout: &rollout, past: &past }));
    store.close().await?;
    Ok(Exit::Proven)
}

/// The last handover of a host that the journal has a testimony of.
struct Handover {
    attempt: u32,
    evidence: Evidence,
    outcome: Outcome,
}

/// Shows what the agent of one host told, and what that proves.
pub(super) async fn show_host(setting: &Setting<'_>, id: &str, host: &str, report: &mut Report) -> Result<Exit, RunError> {
    let (_, mut store) = state::open(setting).await?;
    let rollout = store.rollout(id).await?;
    let nothing = || RunError::NoTestimony { host: host.to_owned(), id: rollout.id.clone() };
    let wanted = HostName::parse(host).map_err(|_| nothing())?;
    let mut last = None;
    store.walk_through(&rollout.id, |written| last = handover(written, &wanted).or(last.take())).await?;
    let Handover { attempt, evidence, outcome } = last.ok_or_else(nothing)?;
    if let Ok(account) = evidence::account(&evidence) {
        let record = Record { rollout: rollout.id.clone(), attempt, account };
        report.tell(&Told::Testimony { host: &wanted, service: &rollout.service, record: &record });
    }
    report.tell(&Told::Outcome { host: &wanted, outcome: &outcome });
    store.close().await?;
    Ok(Exit::Proven)
}

fn handover(written: Written, wanted: &HostName) -> Option<Handover> {
    match written.entry {
        Entry::Settled { host, attempt, outcome, evidence: Some(evidence) } if host == *wanted => {
            Some(Handover { attempt, evidence, outcome })
        }
        Entry::Settled { .. }
        | Entry::Begun { .. }
        | Entry::Claimed(_)
        | Entry::Asked { .. }
        | Entry::Outcome { .. }
        | Entry::Stopping(_)
        | Entry::Noted(_)
        | Entry::Ordered(_)
        | Entry::Finished { .. } => None,
    }
}
