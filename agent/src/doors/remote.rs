//! The door to the fleet: TCP, and mutual TLS 1.3 before anything else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::identity::{Identity, NoIdentity};
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{error::Elapsed, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;

use super::backoff::Backoff;
use super::connection::Connection;
use super::credentials::Credentials;
use super::peer::Peer;
use super::places::{Place, Places};

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A dead peer is found after two minutes: 60 s of silence and four questions.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;
/// The same for one that died with data under way, which keep-alive does not cover.
const UNACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);

/// Lets connections in, for ever.
pub(super) async fn accept(
    listener: TcpListener,
    mut credentials: Credentials,
    mut places: Places,
    arrivals: mpsc::Sender<Connection>,
) {
    let fleet: Arc<str> = credentials.fleet().into();
    let mut backoff = Backoff::new("tcp");
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = handshakes.join_next() => continue,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                backoff.wait(&error).await;
                continue;
            }
        };
        backoff.reset();
        let Some(places) = places.take() else { continue };
        let span = tracing::info_span!("peer", %address);
        let knock = Knock { stream, address, config: credentials.current(), fleet: Arc::clone(&fleet), places };
        handshakes.spawn(knock.answer(arrivals.clone()).instrument(span));
    }
}

/// Somebody at the door, before the handshake.
struct Knock {
    stream: TcpStream,
    address: SocketAddr,
    config: Arc<ServerConfig>,
    fleet: Arc<str>,
    places: (Place, Place),
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error("the TLS handshake took longer than {} s", HANDSHAKE_WITHIN.as_secs())]
    Slow(#[from] Elapsed),
    #[error("the TLS handshake failed")]
    Handshake(#[from] io::Error),
    #[error("the certificate is nobody of ours")]
    Nobody(#[from] NoIdentity),
}

impl Rejection {
    /// Whether a certificate was refused, on one side or the other: that is a mistake of somebody of ours. Anything else is
    /// the weather of an open port.
    fn is_about_certificates(&self) -> bool {
        match self {
            Self::Slow(_) => false,
            Self::Nobody(_) => true,
            Self::Handshake(error) => {
                error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some_and(|error| {
                    matches!(
                        error,
                        rustls::Error::InvalidCertificate(_)
                            | rustls::Error::NoCertificatesPresented
                            | rustls::Error::AlertReceived(_)
                    )
                })
            }
        }
    }
}

impl Knock {
    async fn answer(self, arrivals: mpsc::Sender<Connection>) {
        match self.shake_hands().await {
            // An error is a server that is shutting down.
            Ok(connection) => drop(arrivals.send(connection).await),
            Err(rejection) => {
                let reason = crate::failure::chain(&rejection);
                if rejection.is_about_certificates() {
                    tracing::warn!(reason, "a client was not let in");
                } else {
                    tracing::debug!(reason, "a client was not let in");
                }
            }
        }
    }

    async fn shake_hands(self) -> Result<Connection, Rejection> {
        let Self { stream, address, config, fleet, places: (open, handshake) } = self;
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "the socket's options could not be set");
        }
        let stream = timeout(HANDSHAKE_WITHIN, TlsAcceptor::from(config).accept(stream)).await??;
        drop(handshake);
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let identity = Identity::of(certificate.ok_or(NoIdentity::NotOneUri(0))?, &fleet)?;
        tracing::debug!(%identity, "a client was let in");
        Ok(Connection::remote(stream, Peer::Remote { identity, address }, open))
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
