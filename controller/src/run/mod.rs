//! One run of `baton`: from the arguments to the exit code.

mod claims;
mod error;
mod file;
mod history;
mod inventory;
mod order;
mod plan;
mod restart;
mod resume;
mod state;
mod undo;
mod walk;
mod walker;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use baton_proto::custody::Chronicle;
use jiff::Timestamp;

pub use error::RunError;

use crate::args::{Global, Pki, Verb};
use crate::execute::{self, Dialler, Own, PastError, chain};
use crate::inventory::{Fleet, Host, Selector};
use crate::outcome::Exit;
use crate::pki::{self, Issued, Validity};
use crate::record::Past;
use crate::report::{Report, Told, status_exit};

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The operator's home directory.
    pub home: Option<PathBuf>,
    /// Where programs keep their state, if that is not below the home directory.
    pub state_home: Option<PathBuf>,
    /// Whether text is wanted without colours.
    pub plain: bool,
}

/// What a run knows before it looks at anything.
struct Setting<'a> {
    global: &'a Global,
    surroundings: &'a Surroundings,
}

/// Does what was asked, and tells why it could not.
pub async fn run(global: &Global, surroundings: &Surroundings, verb: Verb) -> Exit {
    let mut report = Report::new(global.output, surroundings.plain);
    let setting = &Setting { global, surroundings };
    let done = match verb {
        Verb::Status { selector } => status(setting, selector.as_deref(), &mut report).await,
        Verb::Claims { selector } => claims::claims(setting, selector.as_deref(), &mut report).await,
        Verb::Plan { walk, out } => plan::plan(setting, &walk, out.as_deref(), &mut report).await,
        Verb::Restart { walk, reason, yes } => restart::restart(setting, &walk, &reason, yes, &mut report).await,
        Verb::Testimony { host, service, rollout } => testimony(setting, &host, &service, &rollout, &mut report).await,
        Verb::History { limit } => history::history(setting, limit, &mut report).await,
        Verb::Show { id, host: None } => history::show(setting, &id, &mut report).await,
        Verb::Show { id, host: Some(host) } => history::show_host(setting, &id, &host, &mut report).await,
        Verb::Pause { id } => order::pause(setting, &id, &mut report).await,
        Verb::Resume { id, retry_failed } => order::resume(setting, &id, retry_failed, &mut report).await,
        Verb::Abort { id } => order::abort(setting, &id, &mut report).await,
        Verb::Undo { id, leave_out_broken, reason, yes } => {
            let wanted = undo::Wanted { id: &id, leave_out_broken, reason: &reason, yes };
            undo::undo(setting, &wanted, &mut report).await
        }
        Verb::Pki(pki) => certify(pki, &mut report),
    };
    done.unwrap_or_else(|error| {
        report.fail(&chain(&error), error.hint().as_deref());
        error.exit()
    })
}

async fn status(setting: &Setting<'_>, selector: Option<&str>, report: &mut Report) -> Result<Exit, RunError> {
    let fleet = inventory::load(setting)?;
    let hosts = choose(&fleet, selector)?;
    raise_file_limit(hosts.len())?;
    let (_, dialler) = introduce(&fleet)?;
    let rows = execute::status(&hosts, &dialler, report).await;
    report.tell(&Told::Fleet { rows: &rows });
    Ok(status_exit(&rows))
}

/// Who the operator is, and what dials in that name.
fn introduce(fleet: &Fleet) -> Result<(Own, Dialler), RunError> {
    let own = execute::identify(fleet, since_1970())?;
    Ok((own, Dialler::new(fleet)?))
}

fn since_1970() -> Duration {
    Duration::from_secs(Timestamp::now().as_second().try_into().unwrap_or_default())
}

async fn testimony(
    setting: &Setting<'_>,
    host: &str,
    service: &str,
    rollout: &str,
    report: &mut Report,
) -> Result<Exit, RunError> {
    baton_proto::name::check("service", service)?;
    let fleet = inventory::load(setting)?;
    let found = fleet.hosts().iter().find(|known| known.name.as_str() == host);
    let found = found.ok_or_else(|| RunError::NoHost(host.to_owned()))?;
    let (_, dialler) = introduce(&fleet)?;
    let past = execute::past(found, service, rollout, &dialler).await;
    let Past { records, history } = past.map_err(|error| match error {
        PastError::Call(source) => RunError::Call { host: host.to_owned(), source },
        PastError::Unknown(unknown) => RunError::UnknownService(unknown),
    })?;
    // Whoever asks for one rollout's handover is not told what befell the service before and after.
    let history = history.filter(|_| rollout.is_empty());
    let is_eventful = history.as_ref().is_some_and(|history| history.epoch > 0 || !history.happenings.is_empty());
    let record = records.first();
    if let Some(record) = record {
        report.tell(&Told::Testimony { host: &found.name, service, record });
    }
    // That nothing befell it is told, too.
    if let Some(history) = &history {
        report.tell(&Told::History(Chronicle { host, service, history }));
    }
    if record.is_none() && !is_eventful {
        return Err(RunError::NoRecord { host: host.to_owned(), service: service.to_owned() });
    }
    Ok(Exit::Proven)
}

fn certify(pki: Pki, report: &mut Report) -> Result<Exit, RunError> {
    let now = since_1970();
    match pki {
        Pki::Init { fleet, dir, valid_for } => {
            let (files, until) = pki::init(&fleet, &dir, Validity { now, valid_for })?;
            report.tell(&Told::Certified { identity: None, fleet: &fleet, files: &files, until, cut_short: false });
        }
        Pki::Issue { role, name, dir, valid_for } => {
            let issued = pki::issue(role.into(), &name, &dir, Validity { now, valid_for })?;
            let Issued { identity, files, until, cut_short } = &issued;
            let (until, cut_short) = (*until, *cut_short);
            report.tell(&Told::Certified { identity: Some(identity), fleet: &identity.fleet, files, until, cut_short });
        }
    }
    Ok(Exit::Proven)
}

fn choose(fleet: &Fleet, selector: Option<&str>) -> Result<Vec<Host>, RunError> {
    let selector = selector.map(Selector::parse).transpose()?.unwrap_or_default();
    Ok(selector.choose(fleet.hosts())?.into_iter().cloned().collect())
}

/// Such as `20261124-054100-3fa2`: the time in UTC, and four random digits for two that start in one second.
fn rollout_id(now: Timestamp) -> Result<String, RunError> {
    Ok(format!("{}-{}", now.strftime("%Y%m%d-%H%M%S"), random_hex::<2>()?))
}

/// So many random bytes, two digits each.
fn random_hex<const BYTES: usize>() -> Result<String, RunError> {
    let mut random = [0; BYTES];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(|_| RunError::Machine { doing: "draw a random number", source: io::Error::other("no randomness") })?;
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    Ok(random.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect())
}

/// Each host keeps a connection: raises the soft limit of open files to the hard one, and says so when that is too low.
fn raise_file_limit(hosts: usize) -> Result<(), RunError> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|source| RunError::Machine { doing: "raise the limit of open files", source })?;
    // A few more than one for each host: the terminal, the runtime, a redial under way.
    let wanted = u64::try_from(hosts).unwrap_or(u64::MAX).saturating_add(64);
    if limit < wanted {
        tracing::warn!(hosts, limit, "the limit of open files is too low for so many hosts");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::rollout_id;

    #[test]
    fn a_rollout_has_a_name_that_travels() {
        let id = rollout_id(Timestamp::from_second(1_795_498_860).unwrap()).unwrap();
        assert!(id.starts_with("20261124-054100-"), "{id}");
        assert_eq!(id.len(), "20261124-054100-3fa2".len());
        assert!(baton_proto::name::check("rollout", &id).is_ok());
    }
}
