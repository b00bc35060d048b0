//! A worker: one loop over the signals, the lifeline, the listening socket and its connections.
//!
//! Told to finish, it accepts no more, answers what comes on open connections with `Connection: close`, and closes idle ones after
//! a while: a client's request may be on its way. It finishes by itself when its master is gone.

mod connection;

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use baton_tests::clock;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signalfd::SignalFd;

use crate::Failed;
use crate::master::timeout;
use crate::signals::{self, Notice};
use connection::Connection;

/// How long a connection may be idle once the worker is leaving.
const LINGER: Duration = Duration::from_millis(250);

/// What a worker has from its master.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    /// The listening socket; none in a generation that takes no connection.
    pub(crate) listener: Option<TcpListener>,
    /// When it closes that.
    pub(crate) closes_listener_at: Option<Instant>,
    /// The blocked signals.
    pub(crate) signals: &'a SignalFd,
    /// Ends when the master is gone.
    pub(crate) lifeline: &'a OwnedFd,
    /// What it serves.
    pub(crate) release: &'a str,
    /// How `/up` is answered.
    pub(crate) ready: bool,
}

/// Who has something to say.
struct Woken {
    signals: bool,
    lifeline: bool,
    listener: bool,
    connections: Vec<bool>,
}

impl Worker<'_> {
    /// Serves until told to leave.
    pub(crate) fn run(mut self) -> Result<(), Failed> {
        let mut connections = Vec::new();
        let mut leaving_since = None;
        while leaving_since.is_none() || !connections.is_empty() {
            let woken = self.wait(&connections, leaving_since).map_err(Failed::at("wait for clients"))?;
            let now = clock::now();
            if self.closes_listener_at.is_some_and(|at| at <= now) {
                (self.listener, self.closes_listener_at) = (None, None);
            }
            if woken.signals && self.is_stopped(&mut leaving_since, now)? {
                break;
            }
            if woken.lifeline {
                leaving_since.get_or_insert(now);
            }
            for (connection, readable) in connections.iter_mut().zip(woken.connections) {
                if readable {
                    connection.receive(now);
                }
                connection.advance(now, leaving_since.is_none(), |target| self.answer(target));
            }
            connections.retain(|connection| connection.is_open() && !is_stale(connection, leaving_since, now));
            if woken.listener && leaving_since.is_none() {
                self.accept(&mut connections, now);
            }
        }
        Ok(())
    }

    fn wait(&self, connections: &[Connection], leaving_since: Option<Instant>) -> io::Result<Woken> {
        let fixed = [self.signals.as_fd(), self.lifeline.as_fd()].into_iter().chain(self.listener.as_ref().map(AsFd::as_fd));
        // Once the worker is leaving, the lifeline may have ended and the listener belongs to others.
        let fixed = fixed.take(if leaving_since.is_some() { 1 } else { usize::MAX });
        let mut readable: Vec<PollFd> = fixed.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let watched = readable.len();
        readable.extend(connections.iter().map(|connection| PollFd::new(connection.as_fd(), connection.interest())));
        let due =
            connections.iter().filter_map(|connection| wake_at(connection, leaving_since)).chain(self.closes_listener_at).min();
        poll(&mut readable, timeout(due.map(|due| due.saturating_duration_since(clock::now()))))?;
        let woken: Vec<bool> = readable.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        let fixed_woken = |index: usize| index < watched && woken[index];
        Ok(Woken {
            signals: fixed_woken(0),
            lifeline: fixed_woken(1),
            listener: fixed_woken(2),
            connections: woken[watched..].to_vec(),
        })
    }

    fn is_stopped(&self, leaving_since: &mut Option<Instant>, now: Instant) -> Result<bool, Failed> {
        while let Some(notice) = signals::next(self.signals).map_err(Failed::at("read a signal"))? {
            match notice {
                Notice::Stop => return Ok(true),
                Notice::Finish => {
                    leaving_since.get_or_insert(now);
                }
                Notice::HandOver | Notice::Reload | Notice::Relock | Notice::ChildEnded => {}
            }
        }
        Ok(false)
    }

    /// Takes what waits; a sibling may have been faster, and a client may be gone again.
    fn accept(&self, connections: &mut Vec<Connection>, now: Instant) {
        let Some(listener) = &self.listener else { return };
        while let Ok((stream, _)) = listener.accept() {
            connections.extend(Connection::new(stream, now));
        }
    }

    fn answer(&self, target: &str) -> (u16, String) {
        let status = if target == "/up" && !self.ready { 503 } else { 200 };
        (status, format!("{} {} {}\n", self.release, std::process::id(), nix::unistd::getppid()))
    }
}

fn wake_at(connection: &Connection, leaving_since: Option<Instant>) -> Option<Instant> {
    connection.due().or_else(|| leaving_since.map(|since| since.max(connection.heard_at()) + LINGER))
}

fn is_stale(connection: &Connection, leaving_since: Option<Instant>, now: Instant) -> bool {
    connection.due().is_none() && wake_at(connection, leaving_since).is_some_and(|at| at <= now)
}
