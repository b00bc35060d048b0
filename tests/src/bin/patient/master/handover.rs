//! A new generation beside the old one, in order or as it was told.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use baton_tests::fault::{Fault, Faults};
use baton_tests::server::HANDOVER_ASKED;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use super::{Master, Turn, boot};
use crate::process::{Side, split};
use crate::relay::{self, Relay};
use crate::{Failed, say};

/// How long a successor may take to come to its lock when there must be a gap.
const SUCCESSOR_MILLISECONDS: u16 = 10_000;

/// How long after the first successor a second one is started.
const BETWEEN_SUCCESSORS: Duration = Duration::from_millis(100);

impl Master {
    pub(super) fn hand_over(&mut self) -> Result<Turn, Failed> {
        say(HANDOVER_ASKED);
        let faults = boot::faults(&self.args.faults)?;
        if self.is_leaving || !self.successors.is_empty() && !faults.has(Fault::TwoSuccessors) {
            say("USR2 ignored: leaving, or the successor is alive");
            return Ok(Turn::Serve);
        }
        if faults.has(Fault::CrashAtHandover) {
            return self.die();
        }
        if faults.has(Fault::Exec) || faults.has(Fault::ExecDrops) {
            return self.exec(&faults);
        }
        let gap = faults.time(Fault::Gap);
        let relay =
            gap.map(|_| Relay::open(&boot::relay_path(&self.args.pidfile))).transpose().map_err(Failed::at("open the relay"))?;
        if self.successors.is_empty() {
            self.pidfile.step_aside().map_err(Failed::at("rename the pid file"))?;
        }
        self.start_successor(gap)?;
        if faults.has(Fault::TwoSuccessors) {
            // The first is named by the pid file meanwhile.
            std::thread::sleep(BETWEEN_SUCCESSORS);
            self.start_successor(gap)?;
        }
        if faults.has(Fault::LateWorker)
            && let Turn::Work = self.fork_late_worker()?
        {
            return Ok(Turn::Work);
        }
        if faults.has(Fault::DieAtHandover) {
            return self.die();
        }
        match relay {
            None => Ok(Turn::Serve),
            Some(relay) => self.leave_first(relay, &faults),
        }
    }

    fn start_successor(&mut self, gap: Option<Duration>) -> Result<(), Failed> {
        let spawn = || -> io::Result<Pid> {
            let mut command = self.again()?;
            if let Some(gap) = gap {
                command.arg("--gap-us").arg(gap.as_micros().to_string());
            }
            let id = command.spawn()?.id();
            Ok(Pid::from_raw(i32::try_from(id).map_err(io::Error::other)?))
        };
        let successor = spawn().map_err(Failed::at("start the successor"))?;
        self.successors.insert(successor);
        Ok(())
    }

    /// The same program with the same arguments and the listening socket.
    pub(super) fn again(&self) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--listen").arg(self.args.listen.to_string());
        command.arg("--pidfile").arg(&self.args.pidfile).arg("--release").arg(&self.args.release);
        command.arg("--faults").arg(&self.args.faults).arg("--workers").arg(self.args.workers.to_string());
        if self.args.grpc {
            command.arg("--grpc");
        }
        if let Some(listener) = &self.listener {
            command.arg("--inherited").stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)));
        }
        Ok(command)
    }

    /// The fault: the old generation is killed, all of it but what it does not know.
    pub(super) fn die(&self) -> Result<Turn, Failed> {
        say("told to die at the handover");
        self.signal_workers(Signal::SIGKILL);
        kill(getpid(), Signal::SIGKILL).map_err(Failed::at("die"))?;
        Ok(Turn::Leave)
    }

    /// The fault: a worker of the old generation that nobody listed before the signal. Its lifeline never ends.
    pub(super) fn fork_late_worker(&mut self) -> Result<Turn, Failed> {
        match split().map_err(Failed::at("fork"))? {
            Side::Child => {
                self.is_late_worker = true;
                Ok(Turn::Work)
            }
            Side::Parent(pid) => {
                say(&format!("the late worker is {pid}"));
                Ok(Turn::Serve)
            }
        }
    }

    /// The fault: the whole old generation lets go and leaves before the successor takes the lock.
    fn leave_first(&mut self, relay: Relay, faults: &Faults) -> Result<Turn, Failed> {
        let successor = match relay.await_successor(SUCCESSOR_MILLISECONDS) {
            Ok(successor) => successor,
            Err(error) => {
                say(&format!("no gap was made: {error}"));
                return Ok(Turn::Serve);
            }
        };
        self.kill_workers()?;
        let at = relay::let_go(self.lock.take(), &successor).map_err(Failed::at("let go of the lock"))?;
        say(&format!("let go at {} ns", at.as_nanos()));
        std::thread::sleep(faults.time(Fault::LiveOn).unwrap_or_default());
        Ok(Turn::Leave)
    }
}
