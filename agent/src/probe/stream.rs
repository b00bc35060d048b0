//! A connection to a service, over TCP or a unix socket.

use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::config::Place;
use crate::os::socket;

/// A connection to a service.
#[derive(Debug)]
pub(super) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Stream {
    pub(super) async fn connect(place: &Place) -> io::Result<Self> {
        Ok(match place {
            Place::Tcp(address) => Self::Tcp(TcpStream::connect(address).await?),
            Place::Unix(path) => Self::Unix(UnixStream::connect(path).await?),
        })
    }

    /// The inode of the socket at the other end: 0 while nobody has accepted the connection, none when it is gone.
    pub(super) fn inode(&self) -> io::Result<Option<u64>> {
        match self {
            Self::Tcp(stream) => socket::inode(stream.peer_addr()?, stream.local_addr()?),
            Self::Unix(stream) => socket::peer(stream.as_fd()),
        }
    }

    /// Returns when there may be something to read, or the connection has ended.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }
}

/// Hands a call on to whichever stream it is.
macro_rules! delegate {
    ($self:ident, $trait:ident :: $method:ident ( $($argument:expr),* )) => {
        match $self.get_mut() {
            Stream::Tcp(stream) => $trait::$method(Pin::new(stream), $($argument),*),
            Stream::Unix(stream) => $trait::$method(Pin::new(stream), $($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, AsyncRead::poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, AsyncWrite::poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, AsyncWrite::poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, AsyncWrite::poll_shutdown(context))
    }
}
