//! Who walks, where, and within which limits: all that is known before anybody is asked.

use std::path::Path;

use super::{RunError, Setting, choose, file, introduce, inventory, raise_file_limit, since_1970};
use crate::args::Walk;
use crate::execute::{self, Dialler, Own, Prepared};
use crate::inventory::{Fleet, Host, Policy};
use crate::outcome::Exit;
use crate::plan::{self, Choices, Circumstances, Limits, Plan, Releases};
use crate::report::Report;

/// The longest plan that is read: about six thousand bytes for each of ten thousand hosts.
const PLAN_BYTES_MAX: u64 = 64 << 20;

/// Who walks, where, and within which limits.
pub(super) struct Walker {
    choices: Choices,
    hosts: Vec<Host>,
    /// The plan that was shown, where exactly that is to be done.
    shown: Option<Plan>,
    pub(super) own: Own,
    pub(super) dialler: Dialler,
}

impl Walker {
    pub(super) fn new(setting: &Setting<'_>, walk: &Walk) -> Result<Self, RunError> {
        let fleet = inventory::load(setting)?;
        let (choices, hosts, shown) = match &walk.plan {
            Some(path) => {
                let shown = read(path)?;
                let (hosts, differences) = plan::find(&shown, fleet.hosts());
                if !differences.is_empty() {
                    return Err(RunError::Changed { differences, claimed: false });
                }
                (shown.choices().clone(), hosts, Some(shown))
            }
            None => (choices(&fleet, walk)?, choose(&fleet, walk.selector.as_deref())?, None),
        };
        raise_file_limit(hosts.len())?;
        let (own, dialler) = introduce(&fleet)?;
        Ok(Self { choices, hosts, shown, own, dialler })
    }

    /// Asks every host, and plans. What was shown must be what is planned now.
    pub(super) async fn prepare(&self, report: &mut Report) -> Result<Prepared, RunError> {
        let circumstances = Circumstances { now: since_1970(), own_certificate_ends: Some(self.own.ends), usual: None };
        let prepared = execute::prepare(self.choices.clone(), &self.hosts, circumstances, &self.dialler, report).await?;
        if let Some(shown) = &self.shown {
            let differences = plan::differences(shown, prepared.plan());
            if !differences.is_empty() {
                let claimed = prepared.plan().exit() == Exit::Claimed;
                return Err(RunError::Changed { differences, claimed });
            }
        }
        Ok(prepared)
    }
}

fn choices(fleet: &Fleet, walk: &Walk) -> Result<Choices, RunError> {
    let service = walk.service.clone().unwrap_or_default();
    baton_proto::name::check("service", &service)?;
    let releases = match &walk.release {
        Some(release) => {
            baton_proto::name::check("release", release)?;
            Releases::One(release.clone())
        }
        None => Releases::Current,
    };
    let limits = Limits::new(Policy::from(&walk.flags), fleet.policy(&service), walk.leave_out_broken);
    Ok(Choices { service, releases, limits })
}

fn read(path: &Path) -> Result<Plan, RunError> {
    let text = file::read(path, PLAN_BYTES_MAX).map_err(|source| RunError::ReadPlan { path: path.to_owned(), source })?;
    let Some(text) = text else { return Err(RunError::PlanTooLong { path: path.to_owned(), max: PLAN_BYTES_MAX }) };
    Plan::from_document(&text).map_err(|source| RunError::NoPlan { path: path.to_owned(), source })
}
