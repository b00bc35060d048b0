//! A new generation of workers under the same master, by exec or not.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use baton_tests::clock;
use baton_tests::fault::{Fault, Faults};

use super::agenda::Deed;
use super::{Master, Turn, boot};
use crate::{Failed, say};

impl Master {
    /// Reads the release and the faults anew and replaces the workers; the lock is not touched, unless that is the fault.
    pub(super) fn reload(&mut self) -> Result<Turn, Failed> {
        let faults = boot::faults(&self.args.faults)?;
        if faults.has(Fault::CrashAtHandover) {
            return self.die();
        }
        if faults.has(Fault::LateWorker)
            && let Turn::Work = self.fork_late_worker()?
        {
            return Ok(Turn::Work);
        }
        if faults.has(Fault::IgnoreHup) {
            say("HUP ignored");
            return Ok(Turn::Serve);
        }
        if let Some(gap) = faults.time(Fault::Relock) {
            self.relock(gap)?;
        }
        if let Some(gap) = faults.time(Fault::Reopen) {
            self.reopen(gap, &faults)?;
        }
        let now = clock::now();
        self.release = boot::release(&self.args)?;
        self.agenda.follow(&faults, now);
        self.closes_listener_at = faults.time(Fault::CloseListener).map(|after| now + after);
        self.agenda.add(now + faults.time(Fault::SlowDrain).unwrap_or_default(), Deed::Retire);
        self.faults = faults;
        self.retired.append(&mut self.workers);
        say(&format!("serving {} from now on", self.release));
        self.fork_workers()
    }

    /// Calls exec with the listening socket, and with the lock or without. The workers leave when their lifeline ends.
    pub(super) fn exec(&mut self, faults: &Faults) -> Result<Turn, Failed> {
        if faults.has(Fault::LateWorker)
            && let Turn::Work = self.fork_late_worker()?
        {
            return Ok(Turn::Work);
        }
        if faults.has(Fault::ExecDrops) {
            self.kill_workers()?;
        }
        let exec = || -> io::Result<()> {
            let mut command = self.again()?;
            if let Some(lock) = self.lock.as_ref().filter(|_| faults.has(Fault::Exec)) {
                command.arg("--carried").stdout(Stdio::from(lock.try_clone()?));
            }
            Err(command.exec())
        };
        exec().map_err(Failed::at("exec"))?;
        Ok(Turn::Serve)
    }
}
