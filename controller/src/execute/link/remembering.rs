//! A stream that remembers why it broke.
//!
//! In TLS 1.3 a server refuses a client's certificate after the client has finished its handshake, and says so in an alert
//! that arrives with the first read. By then the client has written, and the write may fail first: what HTTP/2 then reports
//! is a broken pipe. So whatever breaks first is looked into, an unread alert is preferred, and it is kept for the caller.
//!
//! **Invariant:** the first fault stays; later ones are its consequences.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::LinkError;

/// Where a stream leaves its fault.
pub(crate) type Fault = Arc<OnceLock<Arc<LinkError>>>;

/// A stream to `address` that remembers why it broke.
#[derive(Debug)]
pub(crate) struct Remembering<S> {
    inner: S,
    fault: Fault,
    /// A write that failed, while the other side's last words are waited for.
    write_error: Option<io::Error>,
    address: String,
    host: String,
}

impl<S> Remembering<S> {
    pub(super) fn new(inner: S, address: String, host: String) -> Self {
        Self { inner, fault: Fault::default(), write_error: None, address, host }
    }

    pub(crate) fn fault(&self) -> Fault {
        Arc::clone(&self.fault)
    }

    pub(super) fn inner(&self) -> &S {
        &self.inner
    }

    fn remember(&self, error: &io::Error) {
        // An io::Error cannot be cloned: its kind and what it wraps are told anew.
        let copy = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).map_or_else(
            || error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error),
            |tls| io::Error::new(error.kind(), tls.clone()),
        );
        let _ = self.fault.set(Arc::new(LinkError::sort(copy, &self.address, &self.host, true)));
    }
}

impl<S: AsyncRead + Unpin> Remembering<S> {
    /// Waits, after a failed write, for what the other side said last: the connection is dead, so reading ends soon.
    fn poll_last_words(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut bytes = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) => break,
                Err(error) => {
                    self.remember(&error);
                    return Poll::Ready(error);
                }
            }
        }
        let error = self.write_error.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
        self.remember(&error);
        Poll::Ready(error)
    }

    /// A write that failed is answered with the reason that the other side gave, if it gave one.
    fn poll_failed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(error)) => {
                self.write_error = Some(error);
                self.poll_last_words(context).map(Err)
            }
            Poll::Ready(Ok(_)) | Poll::Pending => written,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Remembering<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        match &polled {
            Poll::Ready(Err(error)) => self.remember(error),
            Poll::Ready(Ok(())) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                self.remember(&io::ErrorKind::UnexpectedEof.into());
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Remembering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_error.is_some() {
            return self.poll_last_words(context).map(Err);
        }
        let written = Pin::new(&mut self.inner).poll_write(context, buffer);
        self.poll_failed(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_error.is_some() {
            return self.poll_last_words(context).map(Err);
        }
        let written = Pin::new(&mut self.inner).poll_flush(context);
        self.poll_failed(context, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
