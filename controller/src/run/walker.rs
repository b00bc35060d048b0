//! Who walks, where, and within which limits: all that is known before anybody is asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_proto::identity::Role;

use super::{RunError, Setting, choose, file, introduce, inventory, raise_file_limit, since_1970};
use crate::args::Walk;
use crate::execute::{self, Dialler, Own, Prepared};
use crate::inventory::{Fleet, Host, HostName, Policy};
use crate::outcome::Exit;
use crate::plan::{self, Choices, Circumstances, Limits, Plan, Releases};
use crate::report::Report;

/// The longest plan that is read: about six thousand bytes for each of ten thousand hosts.
const PLAN_BYTES_MAX: u64 = 64 << 20;

/// Who walks, where, and within which limits.
pub(super) struct Walker {
    choices: Choices,
    pub(super) hosts: Vec<Host>,
    /// The plan that was shown, where exactly that is to be done.
    shown: Option<Plan>,
    /// Where the inventory lies.
    pub(super) inventory: PathBuf,
    pub(super) own: Own,
    pub(super) dialler: Dialler,
}

impl Walker {
    pub(super) fn new(setting: &Setting<'_>, walk: &Walk) -> Result<Self, RunError> {
        let inventory = inventory::find(setting)?;
        let fleet = inventory::read(&inventory)?;
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
        Self::of(choices, hosts, shown, inventory, &fleet)
    }

    /// Whoever walks `plan` on, over the inventory that lay there unless the arguments name another.
    pub(super) fn again(setting: &Setting<'_>, plan: &Plan, inventory: PathBuf) -> Result<Self, RunError> {
        let inventory = setting.global.config.clone().unwrap_or(inventory);
        let fleet = inventory::read(&inventory)?;
        let (hosts, differences) = plan::find(plan, fleet.hosts());
        if !differences.is_empty() {
            return Err(RunError::Changed { differences, claimed: false });
        }
        Self::of(plan.choices().clone(), hosts, None, inventory, &fleet)?.operator()
    }

    /// Whoever may restart.
    pub(super) fn operator(self) -> Result<Self, RunError> {
        if self.own.identity.role == Role::Operator { Ok(self) } else { Err(RunError::MayNotRestart(self.own.identity)) }
    }

    fn of(choices: Choices, hosts: Vec<Host>, shown: Option<Plan>, inventory: PathBuf, fleet: &Fleet) -> Result<Self, RunError> {
        raise_file_limit(hosts.len())?;
        let (own, dialler) = introduce(fleet)?;
        // Whoever walks on may stand elsewhere.
        let inventory = std::path::absolute(&inventory).unwrap_or(inventory);
        Ok(Self { choices, hosts, shown, inventory, own, dialler })
    }

    /// Takes hosts back to the releases that are named, instead of what was chosen; no other host is touched.
    pub(super) fn go_back(
        &mut self,
        releases: BTreeMap<HostName, String>,
        service: String,
        limits: Limits,
        leave_out_broken: bool,
    ) {
        self.hosts.retain(|host| releases.contains_key(&host.name));
        let limits = Limits { leave_out_broken, ..limits };
        self.choices = Choices { service, releases: Releases::Each(releases), limits };
    }

    /// The service.
    pub(super) fn service(&self) -> &str {
        &self.choices.service
    }

    /// Asks every host, and plans. What was shown must be what is planned now.
    pub(super) async fn prepare(&self, usual: Option<Duration>, report: &mut Report) -> Result<Prepared, RunError> {
        let circumstances = Circumstances { now: since_1970(), own_certificate_ends: Some(self.own.ends), usual };
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
