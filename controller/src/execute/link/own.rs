//! Who the operator is, by the certificate that fleet.toml names: looked at once, before anybody is dialled.
//!
//! **Invariant:** this module reads no clock and no file, and does not look at signatures: those are the agents' affair.

use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_proto::identity::{Identity, NoIdentity, Role};
use rustls::pki_types::CertificateDer;

use crate::text::day;

/// Who the operator is, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Who.
    pub identity: Identity,
    /// Until when the certificate is valid, since 1970.
    pub ends: Duration,
}

/// Why nobody needs to be asked with a certificate: no agent would let it in.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// It is nobody's, or of another fleet.
    #[error("{} is of no use in this fleet", path.display())]
    Nobody {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NoIdentity,
    },
    /// It is not valid any more.
    #[error("{} expired on {}", path.display(), day(*.on))]
    Expired {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        identity: Identity,
        /// When, since 1970.
        on: Duration,
    },
    /// It is not valid yet.
    #[error("{} is not valid before {}", path.display(), day(*.on))]
    NotYet {
        /// The file.
        path: PathBuf,
        /// From when on it is, since 1970.
        on: Duration,
    },
    /// It is a host's.
    #[error("{} is of {identity}: the role agent may not look, nor restart", path.display())]
    Agent {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        identity: Identity,
    },
}

impl OwnError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Nobody { .. } => "compare `name` and `certificate` in [fleet] of fleet.toml".to_owned(),
            Self::Expired { identity: Identity { role, name, .. }, .. } => {
                format!("`baton pki issue {role} {name}` makes a new one, when the old files have been moved away")
            }
            Self::NotYet { .. } => "compare the clocks of this machine and of the one where it was issued".to_owned(),
            Self::Agent { .. } => "`baton pki issue operator NAME` makes a certificate that may reload".to_owned(),
        }
    }
}

/// Who the certificate in `path` is, if the agents of `fleet` may listen to it `now` (since 1970).
pub(super) fn identify(certificate: &CertificateDer<'_>, path: &Path, fleet: &str, now: Duration) -> Result<Own, OwnError> {
    let path = path.to_owned();
    let nobody = |source| OwnError::Nobody { path: path.clone(), source };
    let identity = Identity::of(certificate, fleet).map_err(nobody)?;
    let (begins, ends) = dates(certificate).ok_or_else(|| nobody(NoIdentity::Malformed("its dates cannot be read".into())))?;
    if now < begins {
        return Err(OwnError::NotYet { path, on: begins });
    }
    if now > ends {
        return Err(OwnError::Expired { path, identity, on: ends });
    }
    match identity.role {
        Role::Operator | Role::Observer => Ok(Own { identity, ends }),
        Role::Agent => Err(OwnError::Agent { path, identity }),
    }
}

/// From when and until when it is valid, since 1970.
pub(super) fn dates(certificate: &CertificateDer<'_>) -> Option<(Duration, Duration)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = certificate.validity();
    let [begins, ends] = [validity.not_before, validity.not_after]
        .map(|time| Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default()));
    Some((begins, ends))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use baton_proto::identity::Role;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use tempfile::TempDir;

    use super::identify;
    use crate::execute::chain;
    use crate::pki::{self, Validity};

    const DAY: Duration = Duration::from_hours(24);
    const EARLIER: Duration = Duration::from_hours(24 * 19_998);
    const ISSUED: Duration = Duration::from_hours(24 * 20_000);

    /// What is told, so long after `EARLIER`, of a certificate with a role in the fleet `prod`, and the hint.
    fn check(role: Role, fleet: &str, later: Duration, expected: Result<&str, (&str, &str)>) {
        let directory = TempDir::new().unwrap();
        let validity = Validity { now: ISSUED, valid_for: DAY };
        pki::init("prod", directory.path(), validity).unwrap();
        let issued = pki::issue(role, "ada", directory.path(), validity).unwrap();
        let certificate = CertificateDer::from_pem_file(&issued.files.certificate).unwrap();
        let identified = identify(&certificate, Path::new("ada.crt"), fleet, EARLIER + later);
        let told = identified.map(|own| own.identity.to_string()).map_err(|error| (chain(&error), error.hint()));
        match (told, expected) {
            (Ok(told), Ok(expected)) => assert_eq!(told, expected),
            (Err((told, hint)), Err((expected, next))) => {
                assert_eq!(told, expected);
                assert!(hint.contains(next), "{hint}");
            }
            (told, expected) => panic!("{told:?} is not {expected:?}"),
        }
    }

    #[test]
    fn who_may_look_in_date_is_let_through() {
        check(Role::Operator, "prod", 2 * DAY, Ok("spiffe://prod/operator/ada"));
        check(Role::Operator, "prod", 3 * DAY, Ok("spiffe://prod/operator/ada"));
        check(Role::Observer, "prod", 2 * DAY, Ok("spiffe://prod/observer/ada"));
    }

    #[test]
    fn everybody_else_is_told_what_is_wrong_and_what_to_do() {
        let second = Duration::from_secs(1);
        let expired = "ada.crt expired on 2024-10-05";
        check(Role::Operator, "prod", 3 * DAY + second, Err((expired, "`baton pki issue operator ada`")));
        check(Role::Observer, "prod", 9 * DAY, Err((expired, "`baton pki issue observer ada`")));
        check(Role::Operator, "prod", DAY, Err(("ada.crt is not valid before 2024-10-03", "clocks")));
        let other = "ada.crt is of no use in this fleet: \
            the certificate spiffe://prod/operator/ada is not of the fleet \"staging\"";
        check(Role::Operator, "staging", 2 * DAY, Err((other, "`name`")));
        let agent = "ada.crt is of spiffe://prod/agent/ada: the role agent may not look, nor restart";
        check(Role::Agent, "prod", 2 * DAY, Err((agent, "`baton pki issue operator NAME`")));
    }
}
