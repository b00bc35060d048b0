//! What can be wrong between here and an agent, as sentences that name it.

use std::io;
use std::time::Duration;

use baton_proto::identity::{Identity, NoIdentity};
use rustls::{AlertDescription, CertificateError};

/// Why there is no connection to an agent, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address cannot be connected to.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error("cannot connect to {address}: timed out after {} s", within.as_secs())]
    TimedOut {
        /// Where.
        address: String,
        /// The deadline.
        within: Duration,
    },
    /// Something else than TLS came.
    #[error("what listens at {address} does not speak TLS: {why}")]
    NotTls {
        /// Where.
        address: String,
        /// What came.
        why: String,
    },
    /// It is another host, by its certificate.
    #[error("the host at {address} is {found}, not {wanted}")]
    WrongHost {
        /// Where.
        address: String,
        /// Who it is.
        found: String,
        /// Who it should be.
        wanted: String,
    },
    /// The host's certificate is not valid.
    #[error("the certificate of the host at {address} is not valid: {why}")]
    Certificate {
        /// Where.
        address: String,
        /// Why not.
        why: String,
    },
    /// The host's certificate says no identity of this fleet.
    #[error("the host at {address} is nobody of this fleet")]
    Stranger {
        /// Where.
        address: String,
        /// Why.
        source: NoIdentity,
    },
    /// The certificate is a person's.
    #[error("the host at {address} shows the certificate of {found}, not of an agent")]
    NotAnAgent {
        /// Where.
        address: String,
        /// Whose certificate it is.
        found: Identity,
    },
    /// The agent does not let us in.
    #[error("the agent at {address} refused our certificate: {why}")]
    RefusedUs {
        /// Where.
        address: String,
        /// Why, as far as a TLS alert can say.
        why: String,
    },
    /// Something else went wrong in TLS.
    #[error("cannot speak TLS with {address}")]
    Tls {
        /// Where.
        address: String,
        /// What.
        source: rustls::Error,
    },
    /// The other side closed the connection.
    #[error("{address} closed the connection{}", if *.greeted { "" } else { " before it had said who it is" })]
    Closed {
        /// Where.
        address: String,
        /// Whether the TLS handshake had been made.
        greeted: bool,
    },
    /// The connection broke.
    #[error("the connection to {address} was lost")]
    Lost {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The host's name can be in no certificate.
    #[error("{0:?} cannot be a DNS name")]
    Name(String),
}

impl LinkError {
    /// Sorts an error of a TLS stream.
    pub(super) fn sort(error: io::Error, address: &str, wanted: &str, greeted: bool) -> Self {
        let address = address.to_owned();
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::sort_tls(tls.clone(), address, wanted);
        }
        // Whoever hangs up at once has left our first words unread: then the kernel resets the connection.
        let is_reset = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        if error.kind() == io::ErrorKind::UnexpectedEof || (is_reset && !greeted) {
            return Self::Closed { address, greeted };
        }
        Self::Lost { address, source: error }
    }

    fn sort_tls(error: rustls::Error, address: String, wanted: &str) -> Self {
        if let rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) = &error {
            return Self::WrongHost { address, found: presented_names(presented), wanted: wanted.to_owned() };
        }
        if let rustls::Error::InvalidCertificate(why) = &error {
            return Self::Certificate { address, why: certificate_fault(why) };
        }
        if let rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } = &error {
            return Self::NotTls { address, why: error.to_string() };
        }
        if let rustls::Error::AlertReceived(alert) = &error
            && let Some(why) = refusal(*alert)
        {
            return Self::RefusedUs { address, why: why.to_owned() };
        }
        Self::Tls { address, source: error }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RefusedUs { .. } => {
                Some("`certificate`, `key` and `authority` in fleet.toml must be of this fleet and in date")
            }
            Self::WrongHost { .. } => Some("compare `name` and `address` of the host in fleet.toml"),
            Self::Connect { .. } => Some("see that the agent runs on the host, and that its `address` in fleet.toml is right"),
            Self::TimedOut { .. } => {
                Some("see that its `address` in fleet.toml is right, and that no firewall swallows what is sent there")
            }
            Self::NotTls { .. } | Self::NotAnAgent { .. } => {
                Some("compare its `address` in fleet.toml with `listen` in the host's agent.toml")
            }
            Self::Closed { greeted: false, .. } => Some(
                "compare its `address` in fleet.toml with `listen` in the host's agent.toml; if they fit, the agent's log may say why",
            ),
            Self::Certificate { .. } => Some(
                "the host needs a certificate in date, signed by the `authority` in fleet.toml: `baton pki issue agent HOST` makes one",
            ),
            Self::Stranger { .. } => Some("compare `name` in [fleet] of fleet.toml with `fleet` in the host's agent.toml"),
            Self::Closed { greeted: true, .. } | Self::Lost { .. } => Some("the agent's log on the host may say why"),
            Self::Tls { .. } | Self::Name(_) => None,
        }
    }
}

/// The DNS names in a certificate, from the form in which rustls tells them: `DnsName("web-2")`.
fn presented_names(presented: &[String]) -> String {
    let dns = |name: &String| Some(name.strip_prefix("DnsName(\"")?.strip_suffix("\")")?.to_owned());
    let names: Vec<String> = presented.iter().filter_map(dns).collect();
    if names.is_empty() { "nobody with a DNS name".to_owned() } else { names.join(" and ") }
}

fn certificate_fault(error: &CertificateError) -> String {
    if let CertificateError::Expired | CertificateError::ExpiredContext { .. } = error {
        return "certificate expired".to_owned();
    }
    if let CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } = error {
        return "certificate not valid yet; compare the clocks".to_owned();
    }
    // Two authorities of one name: the issuer is found, and the signature is not its own.
    if let CertificateError::UnknownIssuer | CertificateError::BadSignature = error {
        return "unknown issuer: it is not signed by this fleet's authority".to_owned();
    }
    error.to_string()
}

/// What an alert says about our certificate; none if it is about something else.
fn refusal(alert: AlertDescription) -> Option<&'static str> {
    let table = [
        (AlertDescription::AccessDenied, "access denied"),
        (AlertDescription::UnknownCA, "unknown CA, it is not of the agent's authority"),
        (AlertDescription::CertificateRequired, "certificate required, none was shown"),
        (AlertDescription::CertificateExpired, "certificate expired"),
        (AlertDescription::CertificateRevoked, "certificate revoked"),
        (AlertDescription::CertificateUnknown, "certificate not acceptable"),
        (AlertDescription::BadCertificate, "bad certificate"),
        (AlertDescription::UnsupportedCertificate, "unsupported certificate"),
        (AlertDescription::DecryptError, "decrypt error, another authority has signed it"),
    ];
    table.into_iter().find(|(known, _)| *known == alert).map(|(_, why)| why)
}

/// What tonic calls every error of a connection.
const SAYS_NOTHING: &str = "transport error";

/// An error and what caused it, in one line; a cause that has several lines gets them below.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut link = Some(error);
    while let Some(cause) = link {
        link = cause.source();
        let cause_text = cause.to_string();
        // A link that says nothing is left out, unless it is all there is.
        if cause_text == SAYS_NOTHING && (link.is_some() || !text.is_empty()) {
            continue;
        }
        // Some libraries print their source; what was said already is not repeated.
        if text.is_empty() || !text.ends_with(&cause_text) {
            let joint = if cause_text.contains('\n') { ":\n" } else { ": " };
            text.push_str(if text.is_empty() { "" } else { joint });
            text.push_str(&cause_text);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{AlertDescription, CertificateError, InvalidMessage};

    use super::{LinkError, chain};

    fn check(error: rustls::Error, expected: &str) {
        let error = LinkError::sort(io::Error::new(io::ErrorKind::InvalidData, error), "10.0.0.7:7646", "web-1", true);
        assert_eq!(chain(&error), expected);
    }

    #[test]
    fn a_connection_is_closed_before_the_greeting_or_lost_after_it() {
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe] {
            let error = LinkError::sort(kind.into(), "10.0.0.7:7646", "web-1", false);
            assert_eq!(chain(&error), "10.0.0.7:7646 closed the connection before it had said who it is");
        }
        let lost = LinkError::sort(io::ErrorKind::ConnectionReset.into(), "10.0.0.7:7646", "web-1", true);
        assert_eq!(chain(&lost), "the connection to 10.0.0.7:7646 was lost: connection reset");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    #[test]
    fn a_link_that_says_nothing_is_left_out() {
        for (links, expected) in [
            (&["transport error", "broken pipe"][..], "broken pipe"),
            (&["the call broke off", "transport error", "broken pipe"], "the call broke off: broken pipe"),
            (&["the call broke off", "transport error"], "the call broke off"),
            (&["transport error"], "transport error"),
            (&["no use: broken pipe", "broken pipe"], "no use: broken pipe"),
        ] {
            let whole = links.iter().rev().fold(None, |source, text| Some(Box::new(Link(text, source)))).unwrap();
            assert_eq!(chain(&*whole), expected);
        }
    }

    #[test]
    fn every_failure_of_tls_has_its_sentence() {
        let wrong = CertificateError::NotValidForNameContext {
            expected: "web-1".try_into().unwrap(),
            presented: vec!["DnsName(\"web-2\")".into(), "UniformResourceIdentifier(\"spiffe://prod/agent/web-2\")".into()],
        };
        check(wrong.into(), "the host at 10.0.0.7:7646 is web-2, not web-1");
        let invalid = "the certificate of the host at 10.0.0.7:7646 is not valid: ";
        check(CertificateError::Expired.into(), &format!("{invalid}certificate expired"));
        check(
            CertificateError::UnknownIssuer.into(),
            &format!("{invalid}unknown issuer: it is not signed by this fleet's authority"),
        );
        let refused = "the agent at 10.0.0.7:7646 refused our certificate: ";
        check(rustls::Error::AlertReceived(AlertDescription::AccessDenied), &format!("{refused}access denied"));
        check(rustls::Error::AlertReceived(AlertDescription::CertificateExpired), &format!("{refused}certificate expired"));
        check(
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
            "what listens at 10.0.0.7:7646 does not speak TLS: received corrupt message of type InvalidContentType",
        );
    }
}
