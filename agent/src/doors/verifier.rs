//! Who may knock: a certificate of the fleet's authority that names somebody of the fleet.
//!
//! **Invariant:** the check is a part of the handshake. Whoever fails it gets a TLS alert and never speaks HTTP/2.

use std::sync::Arc;

use baton_proto::identity::Identity;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme};

/// Checks signature and dates first, then the name.
#[derive(Debug)]
pub(super) struct FleetVerifier {
    signatures: Arc<dyn ClientCertVerifier>,
    fleet: String,
}

impl FleetVerifier {
    /// A verifier for certificates of `fleet` that `authority` signed.
    pub(super) fn new(
        authority: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
        fleet: &str,
    ) -> Result<Self, rustls::server::VerifierBuilderError> {
        let signatures = WebPkiClientVerifier::builder_with_provider(authority, provider).build()?;
        Ok(Self { signatures, fleet: fleet.to_owned() })
    }
}

impl ClientCertVerifier for FleetVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signatures.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.signatures.verify_client_cert(end_entity, intermediates, now)?;
        match Identity::of(end_entity, &self.fleet) {
            Ok(_) => Ok(verified),
            // The alert has no room for the reason: it is for our log, where the handshake's end is told.
            Err(reason) => Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(reason))))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_verify_schemes()
    }
}
