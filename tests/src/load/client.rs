//! One client: one thread, one request after the other.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::stop::Stop;
use super::tally::{Failure, Tally};
use crate::clock;
use crate::http::{self, Answer, Broken};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// After a failure, so that a dead server is not hammered.
const BREATH: Duration = Duration::from_millis(20);

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    target: SocketAddr,
    path: String,
    keep_alive: bool,
    pace: Duration,
    connection: Option<TcpStream>,
    tally: Tally,
}

impl Client {
    pub(super) fn new(target: SocketAddr, path: String, keep_alive: bool, pace: Duration) -> Self {
        Self { target, path, keep_alive, pace, connection: None, tally: Tally::default() }
    }

    /// Sends requests until the order to stop.
    pub(super) fn run(mut self, stop: &Stop) -> Tally {
        loop {
            let began = clock::now();
            let outcome = self.request();
            let took = began.elapsed();
            stop.count(outcome.is_ok());
            let pause = match outcome {
                Ok(answer) => {
                    self.tally.count_served(self.target, answer, took);
                    self.pace.saturating_sub(took)
                }
                Err(failure) => {
                    self.tally.count_failed(self.target, failure);
                    BREATH.max(self.pace)
                }
            };
            if stop.wait(pause) {
                return self.tally;
            }
        }
    }

    fn request(&mut self) -> Result<Answer, Failure> {
        let (stream, is_reused) = match self.kept_connection()? {
            Some(stream) => (stream, true),
            None => (connect(self.target).map_err(|error| name(&error, false))?, false),
        };
        let reply = http::exchange(&stream, &self.path, self.keep_alive).map_err(|broken| classify(&broken, is_reused))?;
        if self.keep_alive && !reply.closes {
            self.connection = Some(stream);
        }
        if reply.status != 200 {
            return Err(Failure::BadStatus(reply.status));
        }
        Answer::read(&reply.body).ok_or(Failure::Malformed)
    }

    /// The connection of the last request, unless the server has closed it in good order since.
    fn kept_connection(&mut self) -> Result<Option<TcpStream>, Failure> {
        let Some(stream) = self.connection.take() else { return Ok(None) };
        if is_closed(&stream).map_err(|error| name(&error, true))? {
            self.tally.count_idle_close();
            return Ok(None);
        }
        Ok(Some(stream))
    }
}

fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&target, CONNECT_WITHIN)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    Ok(stream)
}

/// Whether the server has closed an idle connection.
fn is_closed(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match peeked {
        Ok(count) => Ok(count == 0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn classify(broken: &Broken, is_reused: bool) -> Failure {
    match broken {
        Broken::EndBefore if is_reused => Failure::EndOnReused,
        Broken::EndBefore => Failure::EndOnFresh,
        Broken::EndWithin => Failure::EndWithin,
        Broken::Malformed(_) => Failure::Malformed,
        Broken::Io(error) => name(error, is_reused),
    }
}

fn name(error: &io::Error, is_reused: bool) -> Failure {
    let is = |kinds: [io::ErrorKind; 2]| kinds.contains(&error.kind());
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Failure::Refused
    } else if is([io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe]) {
        if is_reused { Failure::ResetOnReused } else { Failure::ResetOnFresh }
    } else if is([io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock]) {
        Failure::Timeout
    } else {
        Failure::Other
    }
}
