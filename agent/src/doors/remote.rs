//! The door to the fleet: TCP, mutual TLS 1.3, and the first bytes of HTTP/2.
//!
//! **Invariant:** every wait for a client has a deadline, up to the moment when it has begun to speak HTTP/2; from then on it has
//! one of the few places of its identity.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::identity::{Identity, NoIdentity};
use baton_proto::span::Span;
use rustls::{CertificateError, OtherError, ServerConfig};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::backoff::Backoff;
use super::connection::{Connection, PREFACE};
use super::credentials::Credentials;
use super::handshakes::Handshakes;
use super::peer::Peer;
use super::places::{Place, Places, Shares};
use super::seldom::{Kind, Seldom};
use super::{HANDSHAKES_MAX, SHARE_MAX};
use crate::os::clock;

/// How long the TLS handshake may take, and then again what makes it HTTP/2.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A dead peer is found after two minutes: 60 s of silence and four questions.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;
/// The same for one that died with data under way, which keep-alive does not cover.
const UNACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);

/// Lets connections in, for ever.
pub(super) async fn accept(listener: TcpListener, credentials: Credentials, places: Places, arrivals: mpsc::Sender<Connection>) {
    let mut door = Door {
        fleet: credentials.fleet().into(),
        credentials,
        places,
        handshakes: Handshakes::new(HANDSHAKES_MAX),
        shares: Shares::new(SHARE_MAX),
        seldom: Seldom::default(),
    };
    let mut backoff = Backoff::new("tcp");
    loop {
        let full = door.handshakes.is_full_for(clock::since_boot());
        let event = tokio::select! {
            accepted = listener.accept(), if full.is_none() => Event::Knocked(accepted),
            Some(ended) = door.handshakes.next() => Event::Answered(ended),
            () = sleep(full.unwrap_or_default()), if full.is_some() => Event::Room,
        };
        match event {
            Event::Room => {}
            Event::Knocked(Ok((stream, address))) => {
                backoff.reset();
                door.answer(stream, address);
            }
            Event::Knocked(Err(error)) => backoff.wait(&error).await,
            Event::Answered(ended) => {
                if let Some(connection) = door.admit(ended) {
                    // An error is a server that is shutting down.
                    drop(arrivals.send(connection).await);
                }
            }
        }
    }
}

enum Event {
    Knocked(io::Result<(TcpStream, SocketAddr)>),
    Answered(Result<Answered, JoinError>),
    Room,
}

/// What the door keeps in mind.
struct Door {
    fleet: Arc<str>,
    credentials: Credentials,
    places: Places,
    handshakes: Handshakes<Answered>,
    shares: Shares,
    seldom: Seldom,
}

/// A handshake that came to its end, and with whom.
struct Answered {
    address: SocketAddr,
    result: Result<Guest, Rejection>,
}

/// Somebody who has shown who they are, and has begun to speak HTTP/2.
struct Guest {
    stream: Box<TlsStream<TcpStream>>,
    identity: Identity,
    place: Place,
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error("the TLS handshake took longer than {}", Span(HANDSHAKE_WITHIN))]
    Slow,
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the certificate is nobody of ours")]
    Nobody(#[from] NoIdentity),
    #[error("nothing was said within {} of the handshake", Span(HANDSHAKE_WITHIN))]
    Silent,
    #[error("the connection ended before HTTP/2 began")]
    Ended(#[source] io::Error),
    #[error("what was said is no HTTP/2")]
    Foreign,
}

impl Rejection {
    /// A handshake that failed; for the reason that our verifier gave, where it was that.
    fn of(error: io::Error) -> Self {
        let reason = error.get_ref().and_then(|inner| {
            let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) = inner.downcast_ref()? else {
                return None;
            };
            reason.downcast_ref().cloned()
        });
        reason.map_or_else(|| Self::Handshake(error), Self::Nobody)
    }

    /// What to tell people. A certificate that was refused, on one side or the other, is a mistake of somebody of ours; anything
    /// else is the weather of an open port.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Slow | Self::Silent | Self::Ended(_) | Self::Foreign => None,
            Self::Nobody(_) => Some(Kind::Certificate),
            Self::Handshake(error) => {
                let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
                let is_ours = matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
                let is_theirs = matches!(error, rustls::Error::AlertReceived(_));
                if is_theirs { Some(Kind::Alert) } else { is_ours.then_some(Kind::Certificate) }
            }
        }
    }
}

impl Door {
    /// Begins to shake hands with somebody who knocked.
    fn answer(&mut self, stream: TcpStream, address: SocketAddr) {
        let Some(place) = self.places.take() else {
            if let Some(untold) = self.seldom.due(Kind::Full, clock::since_boot()) {
                let open = self.places.taken();
                tracing::warn!(door = "tcp", open, untold, "too many connections; further ones are closed");
            }
            return;
        };
        let knock = Knock { stream, config: self.credentials.current(), fleet: Arc::clone(&self.fleet), place };
        let now = clock::since_boot();
        let handshake = async move { Answered { address, result: knock.shake_hands().await } };
        if self.handshakes.begin(now, handshake)
            && let Some(untold) = self.seldom.due(Kind::Crowd, now)
        {
            tracing::warn!(door = "tcp", %address, untold, "too many handshakes at once; the oldest is ended for a new one");
        }
    }

    /// Gives somebody who has shown who they are a place of their identity's, if there is one.
    fn admit(&mut self, ended: Result<Answered, JoinError>) -> Option<Connection> {
        let Answered { address, result } = match ended {
            Ok(answered) => answered,
            // It was ended to make room.
            Err(error) if error.is_cancelled() => return None,
            Err(error) => {
                tracing::error!(%error, "a handshake failed by a fault of ours");
                return None;
            }
        };
        let Guest { stream, identity, place } = match result {
            Ok(guest) => guest,
            Err(rejection) => {
                self.rejected(address, &rejection);
                return None;
            }
        };
        let Some(share) = self.shares.take(&identity) else {
            if let Some(untold) = self.seldom.due(Kind::Share, clock::since_boot()) {
                tracing::warn!(%identity, %address, untold, "too many connections of one identity; further ones are closed");
            }
            return None;
        };
        tracing::debug!(%identity, %address, "a client was let in");
        Some(Connection::remote(stream, Peer::Remote { identity, address }, [place, share]))
    }

    fn rejected(&mut self, address: SocketAddr, rejection: &Rejection) {
        let reason = crate::failure::chain(rejection);
        if let Some(untold) = rejection.kind().and_then(|kind| self.seldom.due(kind, clock::since_boot())) {
            tracing::warn!(%address, reason, untold, "a client was not let in");
        } else {
            tracing::debug!(%address, reason, "a client was not let in");
        }
    }
}

/// Somebody at the door, before the handshake.
struct Knock {
    stream: TcpStream,
    config: Arc<ServerConfig>,
    fleet: Arc<str>,
    place: Place,
}

impl Knock {
    async fn shake_hands(self) -> Result<Guest, Rejection> {
        let Self { stream, config, fleet, place } = self;
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "the socket's options could not be set");
        }
        let handshake = TlsAcceptor::from(config).accept(stream);
        let handshake = timeout(HANDSHAKE_WITHIN, handshake).await.map_err(|_| Rejection::Slow)?;
        let mut stream = Box::new(handshake.map_err(Rejection::of)?);
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let identity = Identity::of(certificate.ok_or(NoIdentity::NotOneUri(0))?, &fleet)?;
        let mut heard = [0; PREFACE.len()];
        let preface = timeout(HANDSHAKE_WITHIN, stream.read_exact(&mut heard)).await.map_err(|_| Rejection::Silent)?;
        preface.map_err(Rejection::Ended)?;
        if heard == PREFACE { Ok(Guest { stream, identity, place }) } else { Err(Rejection::Foreign) }
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_WITHIN))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use baton_proto::identity::NoIdentity;
    use rustls::{CertificateError, OtherError};

    use super::Rejection;
    use crate::failure::chain;

    #[test]
    fn who_is_nobody_of_ours_is_told_as_a_sentence() {
        let check = |error: CertificateError, expected: &str| {
            let rejection = Rejection::of(io::Error::other(rustls::Error::InvalidCertificate(error)));
            assert_eq!(chain(&rejection), expected);
        };
        let reason = NoIdentity::NotOneUri(0);
        check(
            CertificateError::Other(OtherError(Arc::new(reason.clone()))),
            &format!("the certificate is nobody of ours: {reason}"),
        );
        check(CertificateError::UnknownIssuer, "the TLS handshake failed: invalid peer certificate: UnknownIssuer");
    }
}
