//! A link to an agent: TCP, mutual TLS 1.3, and the certainty that it is the agent of that host. An agent within this very process
//! is reached over a pipe.
//!
//! **Invariant:** nothing is said over a connection before the other side has proven to be the host that was meant. A link
//! never reconnects by itself: whoever uses it knows which connection a request went over.

mod carrier;
mod error;
mod own;
mod remembering;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::identity::{Identity, Role};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use carrier::Carrier;
pub use error::{LinkError, chain};
pub use own::{Own, OwnError};
pub(crate) use remembering::Fault;
use remembering::Remembering;

use crate::inventory::{Credentials, Fleet, Host};

/// How long TCP, TLS and HTTP/2 may take together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A dead peer is noticed by the kernel after about three of these; the agent is not woken for it.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// After so long without an acknowledgement a connection is dead.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the operator's own certificate files are not usable.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        source: rustls::pki_types::pem::Error,
    },
    /// No agent would let it in.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// The files do not fit together, or cannot be used.
    #[error("cannot use the certificate {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl CredentialsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Own(error) => error.hint(),
            Self::Read { .. } | Self::Pem { .. } | Self::Unusable { .. } => {
                "[fleet] in fleet.toml names the files: `baton pki issue operator NAME` makes certificate and key, \
                 `baton pki init` made the authority"
                    .to_owned()
            }
        }
    }
}

/// Who the operator of `fleet` is by the certificate that it names, if agents may listen to it `now` (since 1970).
///
/// # Errors
/// When the certificate cannot be read, or no agent would let it in.
pub fn identify(fleet: &Fleet, now: Duration) -> Result<Own, CredentialsError> {
    let path = &fleet.credentials().certificate;
    // There is at least one, and the first is the operator's own.
    let own = certificates(path)?.swap_remove(0);
    Ok(own::identify(&own, path, fleet.name(), now)?)
}

/// A connection to an agent that has proven who it is.
pub(super) type Stream = Remembering<Carrier>;

/// Until when the certificate of the other side is valid, since 1970, where that can be read.
pub(super) fn ends(stream: &Stream) -> Option<Duration> {
    stream.inner().ends()
}

/// Lays a pipe to the agent of a host within this very process, or says why there is none to be had.
pub type Lay = dyn Fn(&Host) -> Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>> + Send + Sync;

/// How the agents are reached.
#[derive(Clone)]
enum Way {
    /// Over the network; whoever answers has to prove who it is.
    Tls { connector: TlsConnector, fleet: Arc<str> },
    /// Over pipes; each leads to where it was laid.
    Pipes(Arc<Lay>),
}

/// Dials the agents of one fleet.
#[derive(Clone)]
pub struct Dialler(Way);

impl std::fmt::Debug for Dialler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = match &self.0 {
            Way::Tls { fleet, .. } => fleet,
            Way::Pipes(_) => "pipes",
        };
        f.debug_tuple("Dialler").field(&way).finish()
    }
}

impl Dialler {
    /// A dialler with the operator's certificate.
    ///
    /// # Errors
    /// When the certificate files are not usable.
    pub fn new(fleet: &Fleet) -> Result<Self, CredentialsError> {
        let config = client_config(fleet.credentials())?;
        Ok(Self(Way::Tls { connector: TlsConnector::from(Arc::new(config)), fleet: fleet.name().into() }))
    }

    /// A dialler of agents within this very process, for rollouts on a clock that is turned by hand: nobody proves who he is, since a
    /// pipe leads to where it was laid. All else is as over the network.
    #[must_use]
    pub fn over(lay: Arc<Lay>) -> Self {
        Self(Way::Pipes(lay))
    }

    /// Connects to the agent of `host`, within [`CONNECT_DEADLINE`].
    ///
    /// # Errors
    /// When it cannot be reached, is somebody else, or does not let us in.
    pub(super) async fn dial(&self, host: &Host) -> Result<Stream, LinkError> {
        let timed_out = || LinkError::TimedOut { address: host.address.clone(), within: CONNECT_DEADLINE };
        let carrier = tokio::time::timeout(CONNECT_DEADLINE, self.connect(host)).await.unwrap_or_else(|_| Err(timed_out()))?;
        Ok(Remembering::new(carrier, host.address.clone(), host.name.to_string()))
    }

    async fn connect(&self, host: &Host) -> Result<Carrier, LinkError> {
        match &self.0 {
            Way::Tls { connector, fleet } => connect(connector, fleet, host).await,
            Way::Pipes(lay) => {
                let failed = |source| LinkError::Connect { address: host.address.clone(), source };
                lay(host).await.map(Carrier::Pipe).map_err(failed)
            }
        }
    }
}

/// Connects over the network.
async fn connect(connector: &TlsConnector, fleet: &str, host: &Host) -> Result<Carrier, LinkError> {
    let (address, name) = (host.address.as_str(), host.name.as_str());
    let failed = |source| LinkError::Connect { address: address.to_owned(), source };
    let tcp = TcpStream::connect(address).await.map_err(failed)?;
    prepare(&tcp).map_err(failed)?;
    let server = DnsName::try_from(name.to_owned()).map_err(|_| LinkError::Name(name.to_owned()))?;
    let connected = connector.connect(ServerName::DnsName(server), tcp).await;
    let tls = connected.map_err(|error| LinkError::sort(error, address, name, false))?;
    check_peer(&tls, fleet, host)?;
    Ok(Carrier::Tls(Box::new(tls)))
}

fn check_peer(tls: &TlsStream<TcpStream>, fleet: &str, host: &Host) -> Result<(), LinkError> {
    let address = || host.address.clone();
    let Some(certificate) = tls.get_ref().1.peer_certificates().and_then(<[_]>::first) else {
        return Err(LinkError::Closed { address: address(), greeted: false });
    };
    let found = Identity::of(certificate, fleet).map_err(|source| LinkError::Stranger { address: address(), source })?;
    if found.role != Role::Agent {
        return Err(LinkError::NotAnAgent { address: address(), found });
    }
    if found.name != host.name.as_str() {
        return Err(LinkError::WrongHost { address: address(), found: found.name, wanted: host.name.to_string() });
    }
    Ok(())
}

/// Small messages go out at once, and the kernel notices a peer that is gone.
fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(2))?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

fn client_config(credentials: &Credentials) -> Result<ClientConfig, CredentialsError> {
    let Credentials { certificate, key, authority } = credentials;
    let unusable = |path: &Path, source| CredentialsError::Unusable { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for root in certificates(authority)? {
        roots.add(root).map_err(|source| unusable(authority, source))?;
    }
    let chain = certificates(certificate)?;
    let pem = |source| CredentialsError::Pem { path: key.clone(), what: "private key", source };
    let private_key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(pem)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| unusable(certificate, source))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, private_key)
        .map_err(|source| unusable(certificate, source))?;
    // A resumed session would skip the check of the certificates.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    fs::read(path).map_err(|source| CredentialsError::Read { path: path.to_owned(), source })
}

/// The certificates in a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let pem = |source| CredentialsError::Pem { path: path.to_owned(), what: "certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>().map_err(pem)?;
    if found.is_empty() { Err(pem(rustls::pki_types::pem::Error::NoItemsFound)) } else { Ok(found) }
}
