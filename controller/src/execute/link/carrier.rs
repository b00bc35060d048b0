//! What carries a link: TLS over TCP, or a pipe within this very process.
//!
//! **Invariant:** who is at the other end was found out before anything is carried.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::own;

/// What carries a link.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A pipe.
    Pipe(DuplexStream),
}

impl Carrier {
    /// Until when the certificate of the other side is valid, since 1970, where there is one and that can be read.
    pub(super) fn ends(&self) -> Option<Duration> {
        match self {
            Self::Tls(tls) => own::dates(tls.get_ref().1.peer_certificates()?.first()?).map(|(_, ends)| ends),
            Self::Pipe(_) => None,
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(context, buffer),
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(context, buffer),
            Self::Pipe(pipe) => Pin::new(pipe).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(context),
            Self::Pipe(pipe) => Pin::new(pipe).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
            Self::Pipe(pipe) => Pin::new(pipe).poll_shutdown(context),
        }
    }
}
