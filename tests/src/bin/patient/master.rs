//! The master: boots, forks workers, and does what signals ask for.
//!
//! ```text
//! boot: pid file, lock, workers ──▶ serving ──USR2──▶ serving beside a successor ──it dies──▶ serving
//!                                      └────QUIT, TERM────┴──▶ leaving ──last worker gone──▶ gone
//! ```
//!
//! **Invariant:** the lock is opened anew by each master and closed by nothing but its end, except for the gap that was asked for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use baton_tests::clock;
use baton_tests::fault::{self, Fault};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, pipe2};

use crate::pidfile::{PidFile, suffixed};
use crate::process::{Side, split};
use crate::relay::{self, Relay};
use crate::signals::Notice;
use crate::worker::Worker;
use crate::{Args, Failed, lock, say, signals};

/// How long a successor may take to come to its lock when there must be a gap.
const SUCCESSOR_MILLISECONDS: u16 = 10_000;

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
    listener: TcpListener,
    pidfile: PidFile,
    lock: Option<File>,
    release: String,
    ready: bool,
    dies_at: Option<Instant>,
    /// The workers have the read end; it ends when the write end, which only the master has, is closed.
    lifeline: (OwnedFd, OwnedFd),
    workers: BTreeSet<Pid>,
    successor: Option<Pid>,
    is_leaving: bool,
}

/// What comes after a notice.
enum Turn {
    /// Go on.
    Serve,
    /// This process is a new worker.
    Work,
    /// The master is done.
    Leave,
}

impl Master {
    /// Everything up to the workers; none when the release was told to die.
    fn boot(args: Args, signals: SignalFd) -> Result<Option<Self>, Failed> {
        let listener = listener(&args).map_err(Failed::at(format!("listen on {}", args.listen)))?;
        let pidfile = PidFile::new(&args.pidfile);
        pidfile.write().map_err(Failed::at("write the pid file"))?;
        let faults = faults(&args.faults)?;
        if let Some(boot) = faults.iter().find_map(|fault| if let Fault::SlowBoot(boot) = fault { Some(*boot) } else { None }) {
            std::thread::sleep(boot);
        }
        if faults.contains(&Fault::DieAtBoot) {
            say("told to die at boot");
            return Ok(None);
        }
        let release = fs::read_to_string(&args.release).map_err(Failed::at("read the release"))?.trim().to_owned();
        let lock = if faults.contains(&Fault::NoLock) { None } else { Some(take_lock(&args)?) };
        let die_after = faults.iter().find_map(|fault| if let Fault::DieAfter(after) = fault { Some(*after) } else { None });
        Ok(Some(Self {
            signals,
            listener,
            pidfile,
            lock,
            release,
            ready: !faults.contains(&Fault::NeverReady),
            dies_at: die_after.map(|after| clock::now() + after),
            lifeline: pipe2(OFlag::O_CLOEXEC).map_err(Failed::at("open a pipe"))?,
            workers: BTreeSet::new(),
            successor: None,
            is_leaving: false,
            args,
        }))
    }

    fn serve(mut self) -> Result<ExitCode, Failed> {
        for _ in 0..self.args.workers {
            if let Turn::Work = self.fork_worker()? {
                return self.work();
            }
        }
        say(&format!("serving {} on {}", self.release, self.args.listen));
        loop {
            if !self.wait()? {
                say("told to die after boot");
                return Ok(ExitCode::FAILURE);
            }
            while let Some(notice) = signals::next(&self.signals).map_err(Failed::at("read a signal"))? {
                match self.follow(notice)? {
                    Turn::Serve => {}
                    Turn::Work => return self.work(),
                    Turn::Leave => return self.leave(),
                }
            }
        }
    }

    /// Waits for a signal; false when the hour of the master's death came first.
    fn wait(&self) -> Result<bool, Failed> {
        let mut readable = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let remaining = self.dies_at.map(|at| at.saturating_duration_since(clock::now()));
        let woken = poll(&mut readable, timeout(remaining)).map_err(Failed::at("wait for signals"))?;
        Ok(woken > 0 || self.dies_at.is_none_or(|at| clock::now() < at))
    }

    fn follow(&mut self, notice: Notice) -> Result<Turn, Failed> {
        match notice {
            Notice::HandOver => self.hand_over(),
            Notice::Finish => self.begin_leaving(Signal::SIGQUIT),
            Notice::Stop => self.begin_leaving(Signal::SIGTERM),
            Notice::ChildEnded => self.reap(),
        }
    }

    fn hand_over(&mut self) -> Result<Turn, Failed> {
        if self.is_leaving || self.successor.is_some() {
            say("USR2 ignored: leaving, or the successor is alive");
            return Ok(Turn::Serve);
        }
        let gap =
            faults(&self.args.faults)?.into_iter().find_map(|fault| if let Fault::Gap(gap) = fault { Some(gap) } else { None });
        let relay =
            gap.map(|_| Relay::open(&relay_path(&self.args.pidfile))).transpose().map_err(Failed::at("open the relay"))?;
        self.pidfile.step_aside().map_err(Failed::at("rename the pid file"))?;
        self.successor = Some(self.start_successor(gap).map_err(Failed::at("start the successor"))?);
        match relay {
            None => Ok(Turn::Serve),
            Some(relay) => self.leave_first(relay),
        }
    }

    fn start_successor(&self, gap: Option<Duration>) -> io::Result<Pid> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--listen").arg(self.args.listen.to_string());
        command.arg("--pidfile").arg(&self.args.pidfile).arg("--release").arg(&self.args.release);
        command.arg("--faults").arg(&self.args.faults).arg("--workers").arg(self.args.workers.to_string());
        command.arg("--inherited").stdin(Stdio::from(OwnedFd::from(self.listener.try_clone()?)));
        if let Some(gap) = gap {
            command.arg("--gap-us").arg(gap.as_micros().to_string());
        }
        let id = command.spawn()?.id();
        Ok(Pid::from_raw(i32::try_from(id).map_err(io::Error::other)?))
    }

    /// The fault: the whole old generation lets go and leaves before the successor takes the lock.
    fn leave_first(&mut self, relay: Relay) -> Result<Turn, Failed> {
        let successor = match relay.await_successor(SUCCESSOR_MILLISECONDS) {
            Ok(successor) => successor,
            Err(error) => {
                say(&format!("no gap was made: {error}"));
                return Ok(Turn::Serve);
            }
        };
        self.signal_workers(Signal::SIGKILL);
        for worker in std::mem::take(&mut self.workers) {
            waitpid(worker, None).map_err(Failed::at("wait for a worker"))?;
        }
        let at = relay::let_go(self.lock.take(), &successor).map_err(Failed::at("let go of the lock"))?;
        say(&format!("let go at {} ns", at.as_nanos()));
        let live_on = faults(&self.args.faults)?
            .into_iter()
            .find_map(|fault| if let Fault::LiveOn(time) = fault { Some(time) } else { None });
        std::thread::sleep(live_on.unwrap_or_default());
        Ok(Turn::Leave)
    }

    fn begin_leaving(&mut self, signal: Signal) -> Result<Turn, Failed> {
        self.is_leaving = true;
        self.signal_workers(signal);
        self.reap()
    }

    /// A worker that is gone already is found by [`Self::reap`].
    fn signal_workers(&self, signal: Signal) {
        for worker in &self.workers {
            let _gone = kill(*worker, signal);
        }
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
        Ok(if self.is_leaving && self.workers.is_empty() { Turn::Leave } else { Turn::Serve })
    }

    fn bury(&mut self, pid: Pid) -> Result<Turn, Failed> {
        if self.successor == Some(pid) {
            self.successor = None;
            say(&format!("the successor {pid} is dead"));
            self.pidfile.step_back().map_err(Failed::at("rename the pid file back"))?;
        } else if self.workers.remove(&pid) && !self.is_leaving {
            return self.fork_worker();
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
        drop(masters_end);
        let worker = Worker {
            listener: &self.listener,
            signals: &self.signals,
            lifeline: &lifeline,
            release: &self.release,
            ready: self.ready,
        };
        worker.run()?;
        // Until here the worker has held its copy of the lock.
        drop(self.lock);
        Ok(ExitCode::SUCCESS)
    }

    fn leave(self) -> Result<ExitCode, Failed> {
        self.pidfile.remove_own().map_err(Failed::at("remove the pid file"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn listener(args: &Args) -> io::Result<TcpListener> {
    let listener = if args.inherited {
        TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        TcpListener::bind(args.listen)?
    };
    // Several processes accept from one socket: who comes too late must not block.
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn faults(path: &Path) -> Result<Vec<Fault>, Failed> {
    let read = || fault::read(&fs::read_to_string(path)?).map_err(io::Error::other);
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(Failed::at("read the faults")),
    }
}

fn take_lock(args: &Args) -> Result<File, Failed> {
    if let Some(gap) = args.gap_us {
        relay::await_turn(&relay_path(&args.pidfile), Duration::from_micros(gap)).map_err(Failed::at("await the turn"))?;
    }
    let lock = lock::take(&suffixed(&args.pidfile, ".lock")).map_err(Failed::at("take the lock"))?;
    let at = clock::monotonic().map_err(Failed::at("read the clock"))?;
    say(&format!("took the lock at {} ns", at.as_nanos()));
    Ok(lock)
}

fn relay_path(pidfile: &Path) -> PathBuf {
    suffixed(pidfile, ".relay")
}

/// As poll wants it: rounded up, so that nothing is due a little later than the wake-up.
pub(crate) fn timeout(remaining: Option<Duration>) -> PollTimeout {
    let Some(remaining) = remaining else { return PollTimeout::NONE };
    PollTimeout::try_from(remaining.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX)
}
