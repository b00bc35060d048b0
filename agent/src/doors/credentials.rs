//! This host's certificate, its key and the fleet's authority, taken up again whenever the files change.
//!
//! **Invariant:** nothing is polled: the files are looked at (three calls of stat) when somebody knocks. New files that do
//! not fit are told once and the old ones stay in use.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_proto::identity::{Identity, NoIdentity, Role};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, VerifierBuilderError};
use rustls::{RootCertStore, ServerConfig};

use super::verifier::FleetVerifier;
use crate::config::Tls;

/// The largest file taken: a chain or a bundle is a few kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why certificate files are unusable.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is too large to be what it should be.
    #[error("{path} has more than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no PEM of the wanted kind.
    #[error("failed to find {wanted} in {path}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was wanted in it.
        wanted: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The authority cannot be used.
    #[error("failed to use the authority in {path}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: VerifierBuilderError,
    },
    /// One of the authority's certificates cannot be used.
    #[error("failed to read a certificate in {path}")]
    Root {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// The certificate names nobody of the fleet.
    #[error("{path} is no certificate for this host")]
    Nobody {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: NoIdentity,
    },
    /// The certificate names somebody else.
    #[error("{path} is the certificate of {found}, not of {wanted}")]
    SomebodyElse {
        /// The file.
        path: PathBuf,
        /// Who it is.
        found: Box<Identity>,
        /// Who this host is.
        wanted: Box<Identity>,
    },
    /// The certificate lacks the host's DNS name, or the host's name cannot be one.
    #[error("{path} has no DNS name {host:?}: clients that dial this host will not accept it")]
    NoDnsName {
        /// The file.
        path: PathBuf,
        /// This host.
        host: String,
    },
    /// Key and certificate do not belong together, or the key is of no known kind.
    #[error("failed to use {key} with {certificate}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

impl CredentialError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("`baton pki issue` makes the files; the agent's user must be able to read them"),
            Self::TooLarge { .. } | Self::Pem { .. } | Self::Authority { .. } | Self::Root { .. } | Self::Pair { .. } => {
                Some("[agent.tls] wants PEM files: certificate, its key, and the fleet's authority")
            }
            Self::Nobody { .. } | Self::SomebodyElse { .. } | Self::NoDnsName { .. } => {
                Some("`baton pki issue` makes a certificate for this host; [agent] must have the same fleet and host")
            }
        }
    }
}

/// What the TCP door shows and what it wants to see.
#[derive(Debug)]
pub struct Credentials {
    files: Tls,
    fleet: String,
    host: String,
    stamps: [Option<Stamp>; 3],
    current: Arc<ServerConfig>,
}

impl Credentials {
    /// Reads the files, which must be those of this host.
    ///
    /// # Errors
    /// When a file is unusable or the certificate is not this host's.
    pub fn load(files: &Tls, fleet: &str, host: &str) -> Result<Self, CredentialError> {
        // The stamps are older than what is read: a change in between is noticed the next time.
        let stamps = stamps(files);
        let current = server_config(files, fleet, host)?;
        Ok(Self { files: files.clone(), fleet: fleet.to_owned(), host: host.to_owned(), stamps, current })
    }

    /// The fleet that these are for.
    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// What to use for the next handshake.
    pub fn current(&mut self) -> Arc<ServerConfig> {
        let stamps = stamps(&self.files);
        if stamps != self.stamps {
            self.stamps = stamps;
            self.renew();
        }
        Arc::clone(&self.current)
    }

    fn renew(&mut self) {
        match server_config(&self.files, &self.fleet, &self.host) {
            Ok(config) => {
                self.current = config;
                tracing::info!(certificate = %self.files.certificate.display(), "the renewed certificate files are in use");
            }
            Err(error) => {
                let error = crate::failure::chain(&error);
                tracing::warn!(error, "the changed certificate files are unusable; the old ones stay in use");
            }
        }
    }
}

/// What changes about a file when it is replaced or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

fn stamps(files: &Tls) -> [Option<Stamp>; 3] {
    [&files.certificate, &files.key, &files.authority].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    })
}

fn server_config(files: &Tls, fleet: &str, host: &str) -> Result<Arc<ServerConfig>, CredentialError> {
    let provider = Arc::new(default_provider());
    let chain = certificates(&files.certificate)?;
    is_of_this_host(&files.certificate, &chain, fleet, host)?;
    let authority = authority(&files.authority)?;
    warn_if_refused(&files.certificate, &chain, &authority, &provider);
    let key = key(&files.key)?;
    let verifier = FleetVerifier::new(authority, Arc::clone(&provider), fleet)
        .map_err(|source| CredentialError::Authority { path: files.authority.clone(), source })?;
    let pair = |source| CredentialError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(pair)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would skip the look at the client's certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialError> {
    let failed = |source| CredentialError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(CredentialError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let missing = |source| CredentialError::Pem { path: path.to_owned(), wanted: "a certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>().map_err(missing)?;
    if found.is_empty() { Err(missing(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, CredentialError> {
    let missing = |source| CredentialError::Pem { path: path.to_owned(), wanted: "a private key", source };
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(missing)
}

fn authority(path: &Path) -> Result<Arc<RootCertStore>, CredentialError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| CredentialError::Root { path: path.to_owned(), source })?;
    }
    Ok(Arc::new(roots))
}

/// The certificate must name this host twice: as an agent of the fleet, and by DNS name for those who dial it.
fn is_of_this_host(path: &Path, chain: &[CertificateDer<'_>], fleet: &str, host: &str) -> Result<(), CredentialError> {
    let nobody = |source| CredentialError::Nobody { path: path.to_owned(), source };
    let own = chain.first().ok_or_else(|| nobody(NoIdentity::NotOneUri(0)))?;
    let found = Identity::of(own, fleet).map_err(nobody)?;
    let wanted = Identity { fleet: fleet.to_owned(), role: Role::Agent, name: host.to_owned() };
    if found != wanted {
        let (path, found, wanted) = (path.to_owned(), Box::new(found), Box::new(wanted));
        return Err(CredentialError::SomebodyElse { path, found, wanted });
    }
    let no_name = || CredentialError::NoDnsName { path: path.to_owned(), host: host.to_owned() };
    let name = ServerName::try_from(host).map_err(|_| no_name())?;
    let own = ParsedCertificate::try_from(own).map_err(|_| no_name())?;
    verify_server_name(&own, &name).map_err(|_| no_name())
}

/// An expired certificate does not keep the agent from watching its locks, but nobody far away will talk to it.
fn warn_if_refused(path: &Path, chain: &[CertificateDer<'_>], authority: &RootCertStore, provider: &CryptoProvider) {
    let Some((own, intermediates)) = chain.split_first() else { return };
    let algorithms = provider.signature_verification_algorithms.all;
    let verified = ParsedCertificate::try_from(own).and_then(|own| {
        let now = UnixTime::now();
        rustls::client::verify_server_cert_signed_by_trust_anchor(&own, authority, intermediates, now, algorithms)
    });
    if let Err(error) = verified {
        tracing::warn!(certificate = %path.display(), %error, "clients will refuse this host's certificate");
    }
}
