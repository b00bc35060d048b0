//! How a `hold` is run: its command line, and how its end is heard of.
//!
//! **Invariant:** whose `hold` it is and what becomes of the service is decided elsewhere.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use baton_proto::custody::Ended;
use tokio::sync::mpsc;

use super::{Driver, Input};
use crate::config::Start;
use crate::dialect::{Custodian, Dialect};
use crate::failure::chain;
use crate::os::ending;
use crate::os::process::{self, Handle};
use crate::os::readable::Readable;
use crate::os::session::{self, Identity, NotStarted, Session};
use crate::supervision::End;

impl Driver {
    /// Runs one that is told all that it needs of the service.
    pub(super) fn start_hold(&self, start: &Start) -> Result<Child, NotStarted> {
        let identity = Identity::find(start.user.as_deref(), start.group.as_deref())?;
        let config = &self.config;
        // A row of the configuration's own is not known to hold: it is told what it needs of it.
        let row = config.dialect.row();
        let (kind, kind_value) = match config.dialect {
            Dialect::Known(_) => ("--dialect", row.name.to_owned()),
            Dialect::Generic(_) => ("--stop-signal", row.retire.short().to_owned()),
        };
        let is_told_to_carry = kind == "--stop-signal" && row.lock == Custodian::Inherited;
        let notify = config.ready.notify_path(&self.witness.state, &config.name);
        let written: [(&str, OsString); 6] = [
            ("--lock", config.lock.clone().into()),
            ("--pidfile", config.pidfile.clone().into()),
            (kind, kind_value.into()),
            ("--directory", start.directory.clone().into()),
            ("--first-holder-within", in_milliseconds(start.within).into()),
            ("--stop-within", in_milliseconds(start.stop_within).into()),
        ];
        let notify = notify.map(|path| ("--notify-socket", path.into()));
        let options = written.into_iter().chain(notify).flat_map(|(name, value)| [OsString::from(name), value]);
        let options = options.chain(is_told_to_carry.then(|| "--carry".into()));
        let command = start.command.iter().map(OsString::from);
        let arguments =
            [OsString::from("hold")].into_iter().chain(options).chain([OsString::from("--")]).chain(command).collect();
        let files = [&config.pidfile, &config.lock];
        session::start(&Session {
            arguments,
            identity: &identity,
            environment: start.environment.clone().into_iter().collect(),
            limits: start.limits.clone().into_iter().collect(),
            umask: start.umask,
            output: start.output.as_deref(),
            writable: files.into_iter().filter_map(|file| Some(file.parent()?.to_owned())).collect(),
        })
    }
}

fn in_milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// Takes hold of a child of ours, which is not waited for yet: its pid is its own.
pub(super) fn held_by(mut child: Child) -> Result<(Child, Handle), End> {
    let found = process::find(child.id()).and_then(|(process, _)| Handle::open(process));
    match (found, child.try_wait()) {
        (Ok(handle), Ok(None)) => Ok((child, handle)),
        (_, Ok(Some(status))) => Err(of_status(status)),
        (Err(error), _) => Err(End::NotRun(format!("its hold cannot be looked at: {}", chain(&error)))),
        (_, Err(error)) => Err(End::NotRun(format!("its hold cannot be waited for: {error}"))),
    }
}

/// Waits for the end of a `hold`, and tells it.
pub(super) async fn until_ended(handle: Arc<Handle>, mut child: Option<Child>, inputs: mpsc::Sender<Input>) {
    let pidfd = match Readable::of(handle.as_fd()) {
        Ok(pidfd) => pidfd,
        Err(error) => return tracing::error!(%error, "the end of the service's hold cannot be waited for"),
    };
    loop {
        if pidfd.ready().await.is_err() {
            return;
        }
        let end = match &mut child {
            // Where somebody else has waited for it, nothing will come any more.
            Some(child) => child.try_wait().map_or(Some(End::Unseen), |status| status.map(of_status)),
            None => Some(ending::of(&handle).map_or(End::Unseen, of_kernel)),
        };
        if let Some(end) = end {
            // The driver is gone only when the agent stops.
            let _ = inputs.send(Input::HoldEnded(handle.process(), end)).await;
            return;
        }
    }
}

fn of_status(status: ExitStatus) -> End {
    status.code().map_or_else(|| End::Killed(status.signal().unwrap_or_default()), End::from)
}

fn of_kernel(ended: Ended) -> End {
    match ended {
        Ended::Exited(code) => End::from(code),
        Ended::Killed(signal) => End::Killed(signal),
    }
}
