//! `baton claims`: who holds what, since when and why.

use super::{RunError, Setting, choose, introduce, inventory, raise_file_limit};
use crate::execute;
use crate::outcome::Exit;
use crate::report::{Report, Told};

/// Shows the claims on the services of the chosen hosts; fails where a host does not say.
pub(super) async fn claims(setting: &Setting<'_>, selector: Option<&str>, report: &mut Report) -> Result<Exit, RunError> {
    let fleet = inventory::load(setting)?;
    let hosts = choose(&fleet, selector)?;
    raise_file_limit(hosts.len())?;
    let (_, dialler) = introduce(&fleet)?;
    let rows = execute::status(&hosts, &dialler, report).await;
    report.tell(&Told::Claims { rows: &rows });
    Ok(if rows.iter().all(|(_, answer)| answer.is_ok()) { Exit::Proven } else { Exit::Failed })
}
