//! A connection that came through a door, with who is at its other end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::peer::Peer;
use super::places::Place;

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
pub(super) const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that came through a door.
#[derive(Debug)]
pub struct Connection {
    /// What the door has heard already, and the server has yet to read.
    heard: &'static [u8],
    stream: Stream,
    peer: Peer,
    #[expect(dead_code, reason = "held until the connection is closed")]
    places: Vec<Place>,
}

#[derive(Debug)]
enum Stream {
    Remote(Box<TlsStream<TcpStream>>),
    Local(UnixStream),
}

impl Connection {
    /// A client over TCP that has said [`PREFACE`].
    pub(super) fn remote(stream: Box<TlsStream<TcpStream>>, peer: Peer, places: [Place; 2]) -> Self {
        Self { heard: &PREFACE, stream: Stream::Remote(stream), peer, places: places.into() }
    }

    /// A client on this host that has said nothing yet.
    pub(super) fn local(stream: UnixStream, peer: Peer, place: Place) -> Self {
        Self { heard: &[], stream: Stream::Local(stream), peer, places: vec![place] }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Hands a call on to whichever stream it is.
macro_rules! delegate {
    ($self:ident, $trait:ident :: $method:ident ( $($argument:expr),* )) => {
        match &mut $self.get_mut().stream {
            Stream::Remote(stream) => $trait::$method(Pin::new(stream.as_mut()), $($argument),*),
            Stream::Local(stream) => $trait::$method(Pin::new(stream), $($argument),*),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let heard = self.heard;
        if heard.is_empty() {
            return delegate!(self, AsyncRead::poll_read(context, buffer));
        }
        let (now, later) = heard.split_at(heard.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.get_mut().heard = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, AsyncWrite::poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, AsyncWrite::poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, AsyncWrite::poll_shutdown(context))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        delegate!(self, AsyncWrite::poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Remote(stream) => stream.is_write_vectored(),
            Stream::Local(stream) => stream.is_write_vectored(),
        }
    }
}
