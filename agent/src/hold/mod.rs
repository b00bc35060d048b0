//! `baton-agent hold`: a server as one foreground job of an init system.
//!
//! # Theory of operation
//!
//! A prefork server that restarts without a gap leaves no process that lives through it: the old master exits, the new
//! one is another. What does live through it is the lock that every generation holds. So hold starts the command, waits
//! until somebody holds the lock, and from then on sleeps in an exclusive flock on it, which is granted when the last holder
//! is gone: then it exits, and init starts it again. A handover, a command that daemonises or dies alone: nothing wakes it.
//!
//! hold itself may die at any moment. The server lives on, and the next hold finds it holding the lock and adopts it. For
//! that the command runs in a process group of its own, and nothing of the server depends on hold.
//!
//! The decisions are in `job`; here is the one loop that waits, tells it what happened, and does what it answers.
//!
//! **Invariant:** no runtime and no timer while the lock is held: two threads, both asleep.

mod args;
mod burials;
mod census;
mod exit;
mod job;
mod looks;
mod report;
mod waiter;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use baton_proto::custody::Process;

pub use args::Args;
pub use exit::Exit;
pub use job::Ended;

use crate::os::carried::{Carried, NotCarried};
use crate::os::inotify::{Inotify, Interest};
use crate::os::signal::{Inbox, Received};
use crate::os::{child, clock, memory, process, wait};
use burials::{Burials, Telling};
use census::{Census, Reach};
use job::{Action, Event, Job, NotStarted, Note, Policy};
use waiter::Waiter;

/// What speaks for one process to the init system and is not for the server to use.
const NOT_INHERITED: [&str; 1] = ["NOTIFY_SOCKET"];

/// How long the dead may take to become ready to be buried, when all else is over.
const LAST_BURIALS_WITHIN: Duration = Duration::from_millis(100);

/// It costs a millisecond.
const LIGHTEN_EVERY: Duration = Duration::from_secs(1);

/// Why hold cannot go on.
#[derive(Debug, thiserror::Error)]
enum HoldError {
    #[error("cannot receive signals")]
    Signals(#[source] io::Error),
    #[error("cannot become the parent of orphans")]
    Orphans(#[source] io::Error),
    #[error("cannot watch {path}")]
    Watch { path: PathBuf, source: io::Error },
    #[error("cannot wait for events")]
    Wait(#[source] io::Error),
    #[error("cannot carry the lock {}", .path.display())]
    Carry { path: PathBuf, source: NotCarried },
    #[error("cannot execute {program:?}")]
    Start { program: OsString, source: io::Error },
    #[error("cannot change into the directory {}", .path.display())]
    Directory { path: PathBuf, source: io::Error },
}

/// Holds a server until its end, and says how it ended.
pub fn run(args: Args) -> ExitCode {
    let outcome = Hold::begin(args).and_then(Hold::run);
    let exit = outcome.unwrap_or_else(|error| {
        report::failed(&error);
        Exit::Failed
    });
    exit.into()
}

struct Hold {
    args: Args,
    job: Job,
    census: Census,
    inbox: Inbox,
    watched: Option<Inotify>,
    waiter: Option<Waiter>,
    command: Option<u32>,
    burials: Burials,
    exit: Option<Exit>,
    /// When the last sleep began that was prepared for.
    lightened: Option<Duration>,
}

impl Hold {
    fn begin(args: Args) -> Result<Self, HoldError> {
        let inbox = Inbox::open().map_err(HoldError::Signals)?;
        child::adopt_orphans().map_err(HoldError::Orphans)?;
        let policy = Policy { stop_within: args.stop_within, first_holder_within: args.first_holder_within };
        let census = Census::new(args.lock.clone(), args.pid_files());
        let job = Job::new(policy, clock::since_boot());
        let burials = Burials::default();
        Ok(Self { args, job, census, inbox, watched: None, waiter: None, command: None, burials, exit: None, lightened: None })
    }

    fn run(mut self) -> Result<Exit, HoldError> {
        self.tell([Event::Began]);
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            let events = self.next_events()?;
            self.tell(events);
        }
    }

    /// Tells the job what happened, does what it answers, and tells it what came of that.
    fn tell(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut events: VecDeque<Event> = events.into_iter().collect();
        while let Some(event) = events.pop_front() {
            for action in self.job.handle(clock::since_boot(), &event) {
                events.extend(self.perform(action));
            }
        }
    }

    fn next_events(&mut self) -> Result<Vec<Event>, HoldError> {
        let within = self.job.due().map(|due| due.saturating_sub(clock::since_boot()));
        if within.is_none() {
            self.lighten();
        }
        let descriptors = [
            Some(self.inbox.as_fd()),
            self.waiter.as_ref().map(|waiter| waiter.as_fd()),
            self.watched.as_ref().map(|watched| watched.as_fd()),
        ];
        let [told, granted, stirred] = wait::readable(descriptors, within).map_err(HoldError::Wait)?;
        let mut events = Vec::new();
        if granted {
            events.extend(self.waiter.take().map(|waiter| outcome(waiter.outcome())));
        }
        if told {
            self.received(&mut events)?;
        }
        if stirred && let Some(watched) = &self.watched {
            // What changed does not matter: the next look sees it. A file that came by now can be watched for its opens.
            watched.read().map_err(HoldError::Wait)?;
            watch_opens(watched, &self.args.lock);
            events.push(Event::Stirred);
        }
        events.push(Event::Tick);
        Ok(events)
    }

    /// This may be a sleep of weeks: keeps mapped what it takes, and no more. Whoever wakes us often does not make us do it often.
    fn lighten(&mut self) {
        let now = clock::since_boot();
        if self.lightened.is_none_or(|last| now.saturating_sub(last) >= LIGHTEN_EVERY) {
            memory::forget_files();
            self.lightened = Some(now);
        }
    }

    fn received(&mut self, events: &mut Vec<Event>) -> Result<(), HoldError> {
        while let Some(received) = self.inbox.next().map_err(HoldError::Signals)? {
            match received {
                Received::Stop => events.push(Event::ToldToStop),
                Received::StopOnce => events.push(Event::ToldToStopOnce),
                Received::Other(name) => report::ignored(name),
                Received::Child => events.extend(self.bury()),
            }
        }
        Ok(())
    }

    /// Buries whoever has ended, and says how: of masters and workers whose parent is gone nobody else learns it.
    fn bury(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (pid, ended) in child::bury() {
            if self.command.take_if(|command| *command == pid).is_some() {
                events.push(Event::Ended(ended));
                continue;
            }
            match self.burials.another(clock::since_boot()) {
                Telling::Told { untold } => report::buried(pid, ended, untold),
                Telling::Untold => {}
            }
            events.push(Event::Stirred);
        }
        events
    }

    /// The lock is free before the last of its holders can be buried, and how that one ended is what people want to know.
    fn bury_the_last(&mut self) {
        let deadline = clock::since_boot() + LAST_BURIALS_WITHIN;
        loop {
            drop(self.bury());
            let left = deadline.saturating_sub(clock::since_boot());
            if left.is_zero() || !process::has_dead_child(std::process::id()) {
                return;
            }
            // What cannot be waited for is not told.
            let Ok([true]) = wait::readable([Some(self.inbox.as_fd())], Some(left)) else { return };
            while let Ok(Some(_)) = self.inbox.next() {}
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Look => return Some(Event::Looked(self.census.look(Reach::Known))),
            Action::Search => return Some(Event::Looked(self.census.look(Reach::Everybody))),
            Action::Start => return Some(self.start()),
            Action::Arm(file) => match Waiter::arm(&self.args.lock, file) {
                Ok(waiter) => {
                    self.waiter = Some(waiter);
                    // Without NOTIFY_SOCKET nobody is told, and nobody wants to know.
                    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
                    return Some(Event::Armed);
                }
                Err(error) => return Some(outcome(Err(error))),
            },
            Action::Watch => match self.watch() {
                Ok(watched) => self.watched = Some(watched),
                Err(error) => {
                    report::failed(&error);
                    return Some(Event::NotWatched);
                }
            },
            Action::Unwatch => self.watched = None,
            Action::Ask(process) => {
                let signal = self.args.graceful();
                report::asking(process, signal, self.args.stop_within);
                census::send(process, signal);
            }
            Action::Force(force) => self.census.force(force),
            Action::Say(note) => {
                let left = if note == Note::StillThere { self.census.left() } else { Vec::new() };
                let obstacle = self.census.obstacle().map(|obstacle| obstacle as &dyn std::error::Error);
                report::note(note, &self.args.lock, obstacle, &left);
            }
            Action::Exit(exit) => {
                self.bury_the_last();
                self.exit = Some(exit);
            }
        }
        None
    }

    fn start(&mut self) -> Event {
        let Some((program, arguments)) = self.args.command.split_first() else {
            return Event::NotStarted(NotStarted::NotFound);
        };
        if let Some(path) = &self.args.directory
            && let Err(source) = std::fs::read_dir(path)
        {
            report::failed(&HoldError::Directory { path: path.clone(), source });
            return Event::NotStarted(NotStarted::NoRoom);
        }
        // It is closed here once the server has it.
        let carried = self.args.carries().then(|| Carried::take(&self.args.lock).and_then(Carried::exposed)).transpose();
        let _carried = match carried {
            Ok(carried) => carried,
            Err(source) => {
                report::failed(&HoldError::Carry { path: self.args.lock.clone(), source });
                return Event::NotStarted(NotStarted::NoRoom);
            }
        };
        match child::start(program, arguments, self.args.directory.as_deref(), &NOT_INHERITED) {
            Ok(pid) => {
                self.command = Some(pid);
                // Not yet buried, so its pid is its own even if it has ended; only then is there nothing to find.
                let started = process::find(pid).map_or(Process { pid, start_ticks: 0 }, |(process, _)| process);
                Event::Started(started)
            }
            Err(source) => {
                let why = not_started(source.kind());
                report::failed(&HoldError::Start { program: program.clone(), source });
                Event::NotStarted(why)
            }
        }
    }

    /// Has the names told that come and go beside the lock and the pid file.
    fn watch(&self) -> Result<Inotify, HoldError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| HoldError::Watch { path, source }
        };
        let watched = Inotify::new().map_err(failed(&self.args.lock))?;
        for file in [Some(&self.args.lock), self.args.pidfile.as_ref()].into_iter().flatten() {
            let directory = match file.parent() {
                Some(parent) if parent != Path::new("") => parent,
                Some(_) | None => Path::new("."),
            };
            watched.watch(directory, Interest::Names).map_err(failed(directory))?;
        }
        watch_opens(&watched, &self.args.lock);
        Ok(watched)
    }
}

fn not_started(kind: io::ErrorKind) -> NotStarted {
    if kind == io::ErrorKind::NotFound {
        return NotStarted::NotFound;
    }
    // EAGAIN and ENOMEM are about this machine at this moment, all else is about the file.
    let is_room = matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory);
    if is_room { NotStarted::NoRoom } else { NotStarted::NotExecutable }
}

/// Has the opens of the lock file told, if it is there.
fn watch_opens(watched: &Inotify, lock: &Path) {
    // When it is not there, its directory tells of its coming.
    let _ = watched.watch(lock, Interest::Opens);
}

fn outcome(waited: Result<(), waiter::WaiterError>) -> Event {
    match waited {
        Ok(()) => Event::Granted,
        Err(error) => {
            report::failed(&error);
            Event::WaiterFailed
        }
    }
}
