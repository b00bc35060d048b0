//! Who a certificate is: its SPIFFE URI names the fleet, the role and the name.
//!
//! `spiffe://FLEET/operator/NAME` may reload, `spiffe://FLEET/observer/NAME` may look, `spiffe://FLEET/agent/HOST` is a host.
//!
//! **Invariant:** this module does not verify signatures or dates; it reads a certificate that TLS has already verified.

use std::fmt;

use rustls_pki_types::CertificateDer;

use crate::name;

/// What a certificate may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reloads services and looks at them.
    Operator,
    /// Looks at services.
    Observer,
    /// Is a host.
    Agent,
}

impl Role {
    /// The role's segment in the URI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Observer => "observer",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The trust domain.
    pub fleet: String,
    /// What it may do.
    pub role: Role,
    /// The operator's, observer's or host's name.
    pub name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}/{}", self.fleet, self.role, self.name)
    }
}

/// Why a certificate is nobody of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoIdentity {
    /// It is no certificate.
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// SPIFFE allows exactly one URI.
    #[error("the certificate has {0} URI names where one is wanted, such as spiffe://FLEET/operator/NAME")]
    NotOneUri(usize),
    /// The URI is of another form.
    #[error("the certificate's URI {0:?} is not spiffe://FLEET/ROLE/NAME with the role operator, observer or agent")]
    NotOurs(String),
    /// It is somebody of another fleet.
    #[error("the certificate {certificate} is not of the fleet {fleet:?}")]
    OtherFleet {
        /// Who it is.
        certificate: Identity,
        /// The fleet that was wanted.
        fleet: String,
    },
}

impl Identity {
    /// Reads the identity in a verified certificate, which must be of `fleet`.
    ///
    /// # Errors
    /// When the certificate has no such URI, or another fleet's.
    pub fn of(certificate: &CertificateDer<'_>, fleet: &str) -> Result<Self, NoIdentity> {
        let certificate =
            webpki::EndEntityCert::try_from(certificate).map_err(|error| NoIdentity::Malformed(error.to_string()))?;
        let uris: Vec<&str> = certificate.valid_uri_names().collect();
        let [uri] = uris.as_slice() else {
            return Err(NoIdentity::NotOneUri(uris.len()));
        };
        let identity = Self::parse(uri)?;
        if identity.fleet != fleet {
            return Err(NoIdentity::OtherFleet { certificate: identity, fleet: fleet.to_owned() });
        }
        Ok(identity)
    }

    /// Reads a URI such as `spiffe://prod/agent/web-1`.
    ///
    /// # Errors
    /// When it is of another form.
    pub fn parse(uri: &str) -> Result<Self, NoIdentity> {
        let not_ours = || NoIdentity::NotOurs(uri.chars().take(200).collect());
        let parts: Vec<&str> = uri.strip_prefix("spiffe://").ok_or_else(not_ours)?.split('/').collect();
        let [fleet, role, name] = parts.as_slice() else {
            return Err(not_ours());
        };
        let role = [Role::Operator, Role::Observer, Role::Agent]
            .into_iter()
            .find(|known| known.as_str() == *role)
            .ok_or_else(not_ours)?;
        if name::check("fleet", fleet).is_err() || name::check("certificate", name).is_err() {
            return Err(not_ours());
        }
        Ok(Self { fleet: (*fleet).to_owned(), role, name: (*name).to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Role};

    #[test]
    fn the_three_roles_are_read_and_written_alike() {
        for (uri, role) in [
            ("spiffe://prod/operator/ada", Role::Operator),
            ("spiffe://prod/observer/grafana", Role::Observer),
            ("spiffe://prod/agent/web-1.example.com", Role::Agent),
        ] {
            let identity = Identity::parse(uri).expect(uri);
            assert_eq!(identity.role, role);
            assert_eq!(identity.to_string(), uri);
        }
    }

    #[test]
    fn anything_else_is_nobody() {
        for uri in [
            "",
            "https://prod/operator/ada",
            "spiffe://prod/root/ada",
            "spiffe://prod/operator",
            "spiffe://prod/operator/",
            "spiffe://prod/operator/ada/more",
            "spiffe:///operator/ada",
            "spiffe://prod/operator/../ada",
            "spiffe://prod/operator/a%20da",
        ] {
            assert!(Identity::parse(uri).is_err(), "{uri}");
        }
    }
}
