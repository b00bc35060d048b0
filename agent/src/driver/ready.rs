//! Asking the new generation whether it is ready, and taking in what it says of itself.

use std::path::Path;
use std::time::Duration;

use baton_proto::custody::{Fact, Role, Seq};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Driver, Inbox, Input};
use crate::config::{self, Condition};
use crate::handover::{Answer, Event};
use crate::os::{clock, process};
use crate::probe::{Eagerness, Notice, Probe, Probed, Sides, listen};

/// Listens where the processes of the service say that they are ready, if that is a condition; why that cannot be, if it cannot.
pub(super) fn listen_for_notices(config: &config::Service, state: &Path, own: &mpsc::Sender<Input>) -> Option<String> {
    let path = config.ready.notify_path(state, &config.name)?;
    let own = own.clone();
    let hear = move |notice| {
        let own = own.clone();
        async move { own.send(Input::Notified(notice)).await.is_ok() }
    };
    let error = listen(&path, hear).err()?;
    tracing::error!(service = config.name, path = %path.display(), %error, "the socket for READY=1 cannot be bound");
    Some(format!("the socket {} cannot be bound: {error}", path.display()))
}

impl Driver {
    /// Takes note of a process that says it is ready; only in the middle of a handover does it matter.
    pub(super) fn notified(&mut self, notice: Notice) {
        if let Some(run) = &mut self.run {
            run.senders.note(notice);
        }
    }

    /// Begins to probe, after a pause.
    pub(super) fn probe(&mut self, pause: Duration) {
        let conditions = self.config.ready.conditions.clone();
        let runs_a_program = conditions.iter().any(|condition| matches!(condition, Condition::Exec(_)));
        let manner = if runs_a_program { self.manner() } else { None };
        let Some(run) = &mut self.run else { return };
        let (sides, boots) = match &run.new {
            // A master takes its lock before it has workers: until then a boot is not to be hurried by asking.
            Some(new) => (
                Sides::Masters { old: run.old.master().pid, new: new.master().pid },
                process::look_again(new.master(), run.journal.file()).is_err(),
            ),
            None if run.is_stationary() => (run.sides(), run.new_workers().is_empty()),
            None => return,
        };
        let probe = Probe {
            manner,
            service: self.config.name.clone(),
            conditions,
            sides,
            file: run.journal.file(),
            eagerness: if boots { Eagerness::Patient } else { Eagerness::Eager },
            crew: std::mem::take(&mut run.crew),
            senders: run.senders.clone(),
        };
        let (window, own) = (run.window(), self.own.clone());
        let task = tokio::spawn(async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            // The driver is gone only when the agent stops.
            let _ = own.send(Input::Probed(window, probe.run().await)).await;
        });
        run.probing = Some(task.abort_handle());
    }

    /// Takes in what a probe has found.
    pub(super) async fn probed(&mut self, window: Seq, probed: Probed, inbox: &mut Inbox) {
        let Some(run) = self.run.as_mut().filter(|run| run.window() == window) else { return };
        run.gather(Role::NewMaster);
        let answer = self.with_release(probed.answer);
        let Some(run) = &mut self.run else { return };
        let (ready, detail) = match &answer {
            Answer::Ready(detail) => (true, detail.clone()),
            Answer::Failing(detail) | Answer::Elsewhere(detail) | Answer::Stale(detail) => (false, detail.clone()),
        };
        run.crew = probed.crew;
        // A slow boot is probed often: only what changed is a line.
        let kind = std::mem::discriminant(&answer);
        if run.last_answer.replace(kind) != Some(kind) {
            let fact = Fact::Readiness { ready, detail, answered_by: probed.answered_by };
            run.journal.note(self.numbers.take(), clock::since_boot(), fact);
        }
        if ready {
            run.answered_by = probed.answered_by;
        }
        self.feed([Event::Probed(answer)], inbox).await;
    }
}
