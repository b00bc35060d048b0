//! A fleet's authority, and the certificates that it issues.

use std::path::Path;

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate says.
pub(crate) struct Leaf {
    pub(crate) names: Vec<String>,
    pub(crate) uris: Vec<String>,
    pub(crate) is_expired: bool,
}

impl Leaf {
    pub(crate) fn agent(host: &str) -> Self {
        Self { names: vec![host.into()], uris: vec![format!("spiffe://prod/agent/{host}")], is_expired: false }
    }

    pub(crate) fn operator(name: &str) -> Self {
        Self::of(&[&format!("spiffe://prod/operator/{name}")])
    }

    pub(crate) fn observer(name: &str) -> Self {
        Self::of(&[&format!("spiffe://prod/observer/{name}")])
    }

    pub(crate) fn of(uris: &[&str]) -> Self {
        Self { names: Vec::new(), uris: uris.iter().map(ToString::to_string).collect(), is_expired: false }
    }
}

/// A certificate and its key, PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn issue(&self, leaf: &Leaf) -> Issued {
        let mut params = CertificateParams::new(leaf.names.clone()).unwrap();
        for uri in &leaf.uris {
            params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri.as_str()).unwrap()));
        }
        if leaf.is_expired {
            (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2001, 1, 2));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Issued {
    /// Writes the files that the agent's configuration names, each replaced at once.
    pub(crate) fn write(&self, directory: &Path) {
        for (name, text) in [("own.key", &self.key), ("own.crt", &self.certificate)] {
            let fresh = directory.join(format!("{name}.new"));
            std::fs::write(&fresh, text).unwrap();
            std::fs::rename(fresh, directory.join(name)).unwrap();
        }
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}
