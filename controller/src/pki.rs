//! The fleet's own certificate authority: `baton pki init` and `baton pki issue`.
//!
//! **Invariant:** no file is ever overwritten, and a private key is readable by its owner only from the moment it exists.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_proto::identity::{Identity, Role};
use baton_proto::name::{self, NotAName};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::inventory::{HostName, NotAHost};

/// How far back a certificate begins, for hosts whose clock is late.
const BACKDATED: Duration = Duration::from_hours(1);

/// How long a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Now, since 1970.
    pub now: Duration,
    /// From now on.
    pub valid_for: Duration,
}

impl Validity {
    fn until(self) -> Result<Duration, PkiError> {
        // Years of four digits are all that a certificate can say.
        let last = Duration::from_secs(253_402_300_799);
        self.now.checked_add(self.valid_for).filter(|end| *end <= last).ok_or(PkiError::TooLong)
    }
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The fleet's or the certificate's name is no name.
    #[error(transparent)]
    Name(#[from] NotAName),
    /// The agent's name could be no host.
    #[error(transparent)]
    Host(#[from] NotAHost),
    /// A file is in the way.
    #[error("{} exists already and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// There is no authority to issue from.
    #[error("cannot read the fleet's authority {}", path.display())]
    ReadAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The authority's files are not what `pki init` wrote.
    #[error("the fleet's authority {} is not usable: {why}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The dates are beyond what a certificate can say.
    #[error("the certificate would be valid for longer than a certificate can say")]
    TooLong,
    /// The certificate cannot be made.
    #[error("cannot make the certificate")]
    Make(#[from] rcgen::Error),
}

impl PkiError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists(path) => {
                let [certificate, key] = ["crt", "key"].map(|extension| path.with_extension(extension));
                Some(format!("move the old {} and {} away first", certificate.display(), key.display()))
            }
            Self::ReadAuthority { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("`baton pki init FLEET` makes one; --dir says where it lies".into())
            }
            Self::Name(_)
            | Self::Host(_)
            | Self::ReadAuthority { .. }
            | Self::Authority { .. }
            | Self::Write { .. }
            | Self::TooLong
            | Self::Make(_) => None,
        }
    }
}

/// A new certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Who it is.
    pub identity: Identity,
    /// Where it lies.
    pub files: Files,
    /// Until when it is valid, since 1970.
    pub until: Duration,
    /// Whether that is sooner than was asked for, because its authority is valid no longer.
    pub cut_short: bool,
}

/// The two files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM, mode 0600.
    pub key: PathBuf,
}

impl Files {
    fn new(directory: &Path, name: &str) -> Self {
        Self { certificate: directory.join(format!("{name}.crt")), key: directory.join(format!("{name}.key")) }
    }

    fn check_free(&self) -> Result<(), PkiError> {
        for path in [&self.certificate, &self.key] {
            if path.symlink_metadata().is_ok() {
                return Err(PkiError::Exists(path.clone()));
            }
        }
        Ok(())
    }

    fn write(&self, certificate: &str, key: &str) -> Result<(), PkiError> {
        create(&self.key, 0o600, key)?;
        create(&self.certificate, 0o644, certificate)
    }
}

fn create(path: &Path, mode: u32, text: &str) -> Result<(), PkiError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return PkiError::Exists(path.to_owned());
        }
        PkiError::Write { path: path.to_owned(), source }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Makes the authority of a new fleet: `fleet-ca.crt` and `fleet-ca.key`. Tells until when it is valid, since 1970.
///
/// # Errors
/// When a file exists already or cannot be written.
pub fn init(fleet: &str, directory: &Path, validity: Validity) -> Result<(Files, Duration), PkiError> {
    name::check("fleet", fleet)?;
    let files = Files::new(directory, "fleet-ca");
    files.check_free()?;
    let key = KeyPair::generate()?;
    let until = validity.until()?;
    let mut params = params(fleet, validity.now, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    files.write(&certificate.pem(), &key.serialize_pem())?;
    Ok((files, until))
}

/// Issues a certificate from the authority in `directory`: `NAME.crt` and `NAME.key`. It ends with its authority at the latest.
///
/// # Errors
/// When there is no authority in date, or a file exists already or cannot be written.
pub fn issue(role: Role, name: &str, directory: &Path, validity: Validity) -> Result<Issued, PkiError> {
    name::check("certificate", name)?;
    let files = Files::new(directory, name);
    files.check_free()?;
    let Authority { fleet, until: authority_until, issuer } = authority(&Files::new(directory, "fleet-ca"), validity.now)?;
    let identity = Identity { fleet, role, name: name.to_owned() };
    let wanted = validity.until()?;
    let until = wanted.min(authority_until);
    let key = KeyPair::generate()?;
    let mut params = params(name, validity.now, until);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
    if role == Role::Agent {
        let host = HostName::parse(name)?;
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names.push(SanType::DnsName(host.as_str().try_into()?));
    }
    let certificate = params.signed_by(&key, &issuer)?;
    files.write(&certificate.pem(), &key.serialize_pem())?;
    Ok(Issued { identity, files, until, cut_short: until < wanted })
}

fn params(common_name: &str, now: Duration, until: Duration) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + until;
    params
}

/// What certificates are issued from.
struct Authority {
    fleet: String,
    until: Duration,
    issuer: Issuer<'static, KeyPair>,
}

/// Reads the authority, which must be in date.
fn authority(files: &Files, now: Duration) -> Result<Authority, PkiError> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|source| PkiError::ReadAuthority { path: path.to_owned(), source });
    let unusable = |path: &Path, why: String| PkiError::Authority { path: path.to_owned(), why };
    let (certificate_pem, key_pem) = (read(&files.certificate)?, read(&files.key)?);
    let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
        .map_err(|error| unusable(&files.certificate, error.to_string()))?;
    let key = KeyPair::from_pem(&key_pem).map_err(|error| unusable(&files.key, error.to_string()))?;
    let (fleet, until, public_key) =
        read_authority(&certificate).ok_or_else(|| unusable(&files.certificate, "its subject names no fleet".into()))?;
    if until <= now {
        return Err(unusable(&files.certificate, "it has expired".into()));
    }
    if public_key != key.subject_public_key_info() {
        return Err(unusable(&files.key, "it is not the key of that certificate".into()));
    }
    name::check("fleet", &fleet)?;
    let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
    Ok(Authority { fleet, until, issuer })
}

/// The common name, the end since 1970 and the public key in a certificate.
fn read_authority(certificate: &CertificateDer<'_>) -> Option<(String, Duration, Vec<u8>)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let fleet = certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    let until = Duration::from_secs(certificate.validity().not_after.timestamp().try_into().unwrap_or_default());
    Some((fleet, until, certificate.public_key().raw.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use baton_proto::identity::{Identity, Role};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    use tempfile::tempdir;

    use super::{Issued, PkiError, Validity, init, issue};

    const VALIDITY: Validity = Validity { now: Duration::from_hours(500_000), valid_for: Duration::from_hours(24) };

    #[test]
    fn a_certificate_says_who_it_is() {
        let directory = tempdir().unwrap();
        init("prod", directory.path(), VALIDITY).unwrap();
        for (role, name) in [(Role::Agent, "web-1"), (Role::Operator, "ada"), (Role::Observer, "grafana")] {
            let Issued { identity, files, .. } = issue(role, name, directory.path(), VALIDITY).unwrap();
            let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
            assert_eq!(Identity::of(&certificate, "prod"), Ok(identity));
            let parsed = webpki_names(&certificate);
            assert_eq!(parsed, if role == Role::Agent { vec![name.to_owned()] } else { vec![] });
            assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    fn webpki_names(certificate: &CertificateDer<'_>) -> Vec<String> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.iter();
        let dns = |name: &x509_parser::extensions::GeneralName<'_>| {
            if let x509_parser::extensions::GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }
        };
        names.filter_map(dns).collect()
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempdir().unwrap();
        init("prod", directory.path(), VALIDITY).unwrap();
        let before = fs::read(directory.path().join("fleet-ca.key")).unwrap();
        let error = init("other", directory.path(), VALIDITY).unwrap_err();
        assert!(
            matches!(error, PkiError::Exists(_)) && error.hint().is_some_and(|hint| hint.contains("fleet-ca.key")),
            "{error}"
        );
        assert_eq!(fs::read(directory.path().join("fleet-ca.key")).unwrap(), before);
        issue(Role::Operator, "ada", directory.path(), VALIDITY).unwrap();
        fs::remove_file(directory.path().join("ada.crt")).unwrap();
        assert!(matches!(issue(Role::Operator, "ada", directory.path(), VALIDITY), Err(PkiError::Exists(_))));
        assert!(!directory.path().join("ada.crt").exists());
        // The authority's own name is taken as well.
        assert!(matches!(issue(Role::Operator, "fleet-ca", directory.path(), VALIDITY), Err(PkiError::Exists(_))));
    }

    #[test]
    fn without_an_authority_the_next_step_is_named() {
        let directory = tempdir().unwrap();
        let error = issue(Role::Operator, "ada", directory.path(), VALIDITY).unwrap_err();
        assert!(error.hint().unwrap().contains("baton pki init"), "{error}");
        fs::write(directory.path().join("fleet-ca.crt"), "garbage").unwrap();
        fs::write(directory.path().join("fleet-ca.key"), "garbage").unwrap();
        assert!(matches!(issue(Role::Operator, "ada", directory.path(), VALIDITY), Err(PkiError::Authority { .. })));
    }

    #[test]
    fn a_certificate_ends_with_its_authority_at_the_latest() {
        let directory = tempdir().unwrap();
        let (_, end) = init("prod", directory.path(), VALIDITY).unwrap();
        let longer = Validity { valid_for: VALIDITY.valid_for * 2, ..VALIDITY };
        for (name, validity, cut_short) in [("ada", VALIDITY, false), ("bob", longer, true)] {
            let issued = issue(Role::Operator, name, directory.path(), validity).unwrap();
            assert_eq!((issued.until, issued.cut_short), (end, cut_short), "{name}");
            let der = CertificateDer::from_pem_file(&issued.files.certificate).unwrap();
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
            assert_eq!(u64::try_from(certificate.validity().not_after.timestamp()), Ok(end.as_secs()), "{name}");
        }
        let late = Validity { now: end, ..VALIDITY };
        assert!(matches!(issue(Role::Operator, "eve", directory.path(), late), Err(PkiError::Authority { .. })));
    }

    #[test]
    fn anothers_key_signs_nothing() {
        let (ours, theirs) = (tempdir().unwrap(), tempdir().unwrap());
        init("prod", ours.path(), VALIDITY).unwrap();
        init("prod", theirs.path(), VALIDITY).unwrap();
        fs::copy(theirs.path().join("fleet-ca.key"), ours.path().join("fleet-ca.key")).unwrap();
        assert!(matches!(issue(Role::Operator, "ada", ours.path(), VALIDITY), Err(PkiError::Authority { .. })));
    }

    #[test]
    fn names_and_dates_are_checked_first() {
        let directory = tempdir().unwrap();
        assert!(matches!(init("a/b", directory.path(), VALIDITY), Err(PkiError::Name(_))));
        let forever = Validity { valid_for: Duration::from_secs(u64::MAX), ..VALIDITY };
        assert!(matches!(init("prod", directory.path(), forever), Err(PkiError::TooLong)));
        init("prod", directory.path(), VALIDITY).unwrap();
        assert!(matches!(issue(Role::Agent, "../x", directory.path(), VALIDITY), Err(PkiError::Name(_))));
        assert!(matches!(issue(Role::Agent, "10.0.0.1", directory.path(), VALIDITY), Err(PkiError::Host(_))));
    }
}
