//! One client's connection: bytes are received, requests found in them, answers sent when they are due.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::http::{self, HEAD_BYTES_MAX, Parsed, Request};

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    pending: Option<(Request, Instant)>,
    heard_at: Instant,
    is_open: bool,
}

impl Connection {
    /// A connection that was just accepted; none when it is gone again.
    pub(crate) fn new(stream: TcpStream, now: Instant) -> Option<Self> {
        stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).ok()?;
        Some(Self { stream, received: Vec::new(), pending: None, heard_at: now, is_open: true })
    }

    /// What to wake up for: while a request is being answered, no further one is read.
    pub(crate) fn interest(&self) -> PollFlags {
        if self.pending.is_some() { PollFlags::empty() } else { PollFlags::POLLIN }
    }

    /// When the pending request is to be answered.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(|(_, due)| *due)
    }

    /// When the client last sent something, or connected.
    pub(crate) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Whether there is still a client.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Reads what the client sent.
    pub(crate) fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.is_open = false,
            Ok(count) if self.received.len() + count <= 2 * HEAD_BYTES_MAX => {
                self.received.extend_from_slice(&buffer[..count]);
                self.heard_at = now;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => self.is_open = false,
        }
    }

    /// Finds requests and answers those that are due; `may_stay` says whether the client may send more afterwards.
    pub(crate) fn advance(&mut self, now: Instant, may_stay: bool, answer: impl Fn(&str) -> (u16, String)) {
        while self.is_open {
            self.find_request(now);
            match self.pending.take() {
                Some((request, due)) if due <= now => {
                    let (status, body) = answer(&request.target);
                    self.send(&http::answer(status, &body, request.keep_alive && may_stay));
                    self.is_open &= request.keep_alive && may_stay;
                }
                pending => {
                    self.pending = pending;
                    return;
                }
            }
        }
    }

    fn find_request(&mut self, now: Instant) {
        if self.pending.is_some() {
            return;
        }
        match http::parse(&self.received) {
            Parsed::Incomplete => {}
            Parsed::Malformed => {
                self.send(&http::answer(400, "", false));
                self.is_open = false;
            }
            Parsed::Request(request, length) => {
                self.received.drain(..length);
                let service_time = Duration::from_millis(http::slow_milliseconds(&request.target).unwrap_or(0));
                self.pending = Some((request, now + service_time));
            }
        }
    }

    /// An answer is shorter than any send buffer: what does not go out at once goes to a client that is gone.
    fn send(&mut self, answer: &[u8]) {
        self.is_open &= self.stream.write_all(answer).is_ok();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
