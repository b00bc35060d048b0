//! The master: boots, forks workers, and does what signals ask for.
//!
//! ```text
//! boot: pid file, lock, workers ──▶ serving ──USR2──▶ serving beside a successor ──it dies──▶ serving
//!                                      ├────HUP: new workers, old ones retired────▶ serving
//!                                      └────QUIT, TERM────┴──▶ leaving ──last worker gone──▶ gone
//! ```
//!
//! **Invariant:** the lock is opened anew by each master and closed by nothing but its end, except where a fault asks for it.

mod agenda;
mod boot;
mod custody;
mod handover;
mod in_place;

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use baton_tests::clock;
use baton_tests::fault::{Fault, Faults};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, pause, pipe2};

use crate::pidfile::PidFile;
use crate::process::{Side, split};
use crate::signals::Notice;
use crate::worker::Worker;
use crate::{Args, Failed, grpc, say, signals};
use agenda::{Agenda, Deed};

/// Runs a master to its end; in a forked worker, the worker.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failed> {
    let signals = signals::open().map_err(Failed::at("block the signals"))?;
    match Master::boot(args, signals)? {
        Some(master) => master.serve(),
        None => Ok(ExitCode::FAILURE),
    }
}

struct Master {
    args: Args,
    signals: SignalFd,
    listener: Option<TcpListener>,
    pidfile: PidFile,
    lock: Option<File>,
    release: String,
    /// What this generation was told when it booted.
    faults: Faults,
    /// What makes its death take long.
    _memory: Vec<u8>,
    agenda: Agenda,
    closes_listener_at: Option<Instant>,
    /// The workers have the read end; it ends when the write end, which only the master has, is closed.
    lifeline: (OwnedFd, OwnedFd),
    workers: BTreeSet<Pid>,
    /// Workers that were replaced and have not left yet.
    retired: BTreeSet<Pid>,
    successors: BTreeSet<Pid>,
    is_leaving: bool,
    is_late_worker: bool,
}

/// What comes after a notice.
enum Turn {
    /// Go on.
    Serve,
    /// This process is a new worker.
    Work,
    /// This process is a new child that keeps the lock and does nothing.
    Linger,
    /// The master is done.
    Leave,
    /// The master ends as one that crashes: its pid file stays.
    Die,
}

impl Master {
    /// Everything up to the workers; none when the release was told to die.
    fn boot(args: Args, signals: SignalFd) -> Result<Option<Self>, Failed> {
        let listener = boot::listener(&args).map_err(Failed::at(format!("listen on {}", args.listen)))?;
        let pidfile = PidFile::new(&args.pidfile);
        pidfile.write().map_err(Failed::at("write the pid file"))?;
        let faults = boot::faults(&args.faults)?;
        std::thread::sleep(faults.time(Fault::SlowBoot).unwrap_or_default());
        if faults.has(Fault::DieAtBoot) {
            say("told to die at boot");
            return Ok(None);
        }
        let memory = boot::memory(faults.mebibytes().unwrap_or(0));
        let release = boot::release(&args)?;
        let has_no_lock = faults.has(Fault::NoLock) || faults.time(Fault::LockLate).is_some();
        let lock = if has_no_lock { None } else { Some(boot::take_lock(&args, &faults)?) };
        let now = clock::now();
        let mut agenda = Agenda::default();
        agenda.follow(&faults, now);
        Ok(Some(Self {
            signals,
            listener: Some(listener),
            pidfile,
            lock,
            release,
            _memory: memory,
            agenda,
            closes_listener_at: faults.time(Fault::CloseListener).map(|after| now + after),
            faults,
            lifeline: pipe2(OFlag::O_CLOEXEC).map_err(Failed::at("open a pipe"))?,
            workers: BTreeSet::new(),
            retired: BTreeSet::new(),
            successors: BTreeSet::new(),
            is_leaving: false,
            is_late_worker: false,
            args,
        }))
    }

    fn serve(mut self) -> Result<ExitCode, Failed> {
        if let Turn::Linger = self.start_helpers(&self.faults)? {
            return self.linger();
        }
        if let Turn::Work = self.fork_workers()? {
            return self.work();
        }
        say(&format!("serving {} on {}", self.release, self.args.listen));
        loop {
            match self.next_turn()? {
                Turn::Serve => {}
                Turn::Work => return self.work(),
                Turn::Linger => return self.linger(),
                Turn::Leave => return self.leave(),
                Turn::Die => return Ok(ExitCode::FAILURE),
            }
        }
    }

    /// Waits for a signal or an hour, and does what that asks for.
    fn next_turn(&mut self) -> Result<Turn, Failed> {
        while let Some(notice) = signals::next(&self.signals).map_err(Failed::at("read a signal"))? {
            let turn = self.follow(notice)?;
            if !matches!(turn, Turn::Serve) {
                return Ok(turn);
            }
        }
        while let Some(deed) = self.agenda.take_due(clock::now()) {
            let turn = self.act(deed)?;
            if !matches!(turn, Turn::Serve) {
                return Ok(turn);
            }
        }
        let mut readable = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        poll(&mut readable, timeout(self.agenda.pause(clock::now()))).map_err(Failed::at("wait for signals"))?;
        Ok(Turn::Serve)
    }

    fn act(&mut self, deed: Deed) -> Result<Turn, Failed> {
        match deed {
            Deed::Die => {
                say("told to die after boot");
                return Ok(Turn::Die);
            }
            Deed::TakeLock => self.lock = Some(boot::take_lock(&self.args, &self.faults)?),
            Deed::MoveLock => {
                let faults = self.faults.clone();
                self.move_lock(&faults)?;
            }
            Deed::CloseListener => self.listener = None,
            Deed::Finish => return self.begin_leaving(Signal::SIGQUIT),
            Deed::Retire => signal_all(&self.retired, Signal::SIGQUIT),
        }
        Ok(Turn::Serve)
    }

    fn follow(&mut self, notice: Notice) -> Result<Turn, Failed> {
        match notice {
            Notice::HandOver => self.hand_over(),
            Notice::Reload => self.reload(),
            Notice::Relock => {
                let gap = boot::faults(&self.args.faults)?.time(Fault::Relock).unwrap_or_default();
                self.relock(gap).map(|()| Turn::Serve)
            }
            Notice::Finish => self.finish(),
            Notice::Stop if boot::faults(&self.args.faults)?.has(Fault::IgnoreTerm) => Ok(Turn::Serve),
            Notice::Stop => self.begin_leaving(Signal::SIGTERM),
            Notice::ChildEnded => self.reap(),
        }
    }

    fn finish(&mut self) -> Result<Turn, Failed> {
        let faults = boot::faults(&self.args.faults)?;
        if faults.has(Fault::UnlockAtQuit) {
            self.unlock()?;
        }
        if faults.has(Fault::IgnoreQuit) {
            return Ok(Turn::Serve);
        }
        if let Some(drain) = faults.time(Fault::SlowDrain) {
            self.agenda.add(clock::now() + drain, Deed::Finish);
            return Ok(Turn::Serve);
        }
        if faults.has(Fault::Orphan)
            && let Turn::Linger = custody::fork_lingering()?
        {
            return Ok(Turn::Linger);
        }
        self.begin_leaving(Signal::SIGQUIT)
    }

    fn begin_leaving(&mut self, signal: Signal) -> Result<Turn, Failed> {
        self.is_leaving = true;
        self.signal_workers(signal);
        self.reap()
    }

    fn signal_workers(&self, signal: Signal) {
        signal_all(&self.workers, signal);
        signal_all(&self.retired, signal);
    }

    fn kill_workers(&mut self) -> Result<(), Failed> {
        self.signal_workers(Signal::SIGKILL);
        for worker in std::mem::take(&mut self.workers) {
            waitpid(worker, None).map_err(Failed::at("wait for a worker"))?;
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<Turn, Failed> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)).map(|status| status.pid()) {
                Ok(Some(pid)) => {
                    if let Turn::Work = self.bury(pid)? {
                        return Ok(Turn::Work);
                    }
                }
                Ok(None) | Err(nix::errno::Errno::ECHILD) => break,
                Err(error) => return Err(Failed::at("wait for children")(error)),
            }
        }
        Ok(if self.is_leaving && self.workers.is_empty() && self.retired.is_empty() { Turn::Leave } else { Turn::Serve })
    }

    fn bury(&mut self, pid: Pid) -> Result<Turn, Failed> {
        if self.successors.remove(&pid) {
            say(&format!("the successor {pid} is dead"));
            if self.successors.is_empty() {
                self.pidfile.step_back().map_err(Failed::at("rename the pid file back"))?;
            }
        } else if !self.retired.remove(&pid) && self.workers.remove(&pid) && !self.is_leaving {
            return self.fork_worker();
        }
        Ok(Turn::Serve)
    }

    fn fork_workers(&mut self) -> Result<Turn, Failed> {
        let workers = if self.faults.has(Fault::NoWorkers) { 0 } else { self.args.workers };
        for _ in 0..workers {
            if let Turn::Work = self.fork_worker()? {
                return Ok(Turn::Work);
            }
        }
        Ok(Turn::Serve)
    }

    fn fork_worker(&mut self) -> Result<Turn, Failed> {
        match split().map_err(Failed::at("fork"))? {
            Side::Child => Ok(Turn::Work),
            Side::Parent(pid) => {
                self.workers.insert(pid);
                Ok(Turn::Serve)
            }
        }
    }

    fn work(self) -> Result<ExitCode, Failed> {
        let (lifeline, masters_end) = self.lifeline;
        let held = self.is_late_worker.then_some(masters_end);
        let worker = Worker {
            listener: self.listener.filter(|_| !self.faults.has(Fault::Deaf)),
            closes_listener_at: self.closes_listener_at,
            signals: &self.signals,
            lifeline: &lifeline,
            release: &self.release,
            ready: !self.faults.has(Fault::NeverReady),
        };
        if self.args.grpc {
            grpc::run(worker)?;
        } else {
            worker.run()?;
        }
        // Until here the worker has held its copy of the lock, and a late one has kept its own lifeline from ending.
        drop((self.lock, held));
        Ok(ExitCode::SUCCESS)
    }

    /// Keeps the lock and nothing else, until it is killed: the signals are blocked.
    fn linger(self) -> Result<ExitCode, Failed> {
        let _lock = self.lock;
        drop((self.lifeline, self.listener, self.signals));
        loop {
            pause();
        }
    }

    fn leave(self) -> Result<ExitCode, Failed> {
        self.pidfile.remove_own().map_err(Failed::at("remove the pid file"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// One that is gone already is found by [`Master::reap`].
fn signal_all(workers: &BTreeSet<Pid>, signal: Signal) {
    for worker in workers {
        let _gone = kill(*worker, signal);
    }
}

/// As poll wants it: rounded up, so that nothing is due a little later than the wake-up.
pub(crate) fn timeout(remaining: Option<Duration>) -> PollTimeout {
    let Some(remaining) = remaining else { return PollTimeout::NONE };
    PollTimeout::try_from(remaining.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX)
}
