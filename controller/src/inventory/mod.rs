//! The inventory: the text of `fleet.toml` in, a [`Fleet`] that can only be valid out, or all mistakes at once.
//!
//! **Invariant:** no two hosts of a fleet share a name or an address, and there is at least one.

mod policy;
mod selector;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_proto::document::{self, Mistakes, Notes, Table, Value};
use baton_proto::name;

pub use policy::{NotACount, Policy, count, stop_after};
pub use selector::{Selector, SelectorError};
pub use share::{NotAShare, Share, in_flight};

/// A host's name; it is the DNS name in the certificate of its agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Reads a host's name.
    ///
    /// # Errors
    /// When it is no plain name, or could not be a DNS name.
    pub fn parse(text: &str) -> Result<Self, NotAHost> {
        name::check("host", text).map_err(|error| NotAHost::Name(error.to_string()))?;
        let label_is_plain = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
        let last_is_number = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if !text.split('.').all(label_is_plain) || last_is_number {
            return Err(NotAHost::NotDns(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAHost {
    /// It is no plain name.
    #[error("{0}")]
    Name(String),
    /// No certificate could be issued to it.
    #[error("{0:?} could not be the DNS name in a certificate; an address belongs in `address`")]
    NotDns(String),
    /// It is no address.
    #[error("{0:?} is no address such as \"10.0.0.11:7646\" or \"web-1.internal:7646\"")]
    Address(String),
}

/// A machine with one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Where its agent listens: `IP:port` or `name:port`.
    pub address: String,
    /// What it can be chosen by.
    pub labels: BTreeMap<String, String>,
}

/// The operator's own certificate files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The fleet's authority, PEM.
    pub authority: PathBuf,
}

/// A valid inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    name: String,
    credentials: Credentials,
    hosts: Vec<Host>,
    policies: BTreeMap<String, Policy>,
}

impl Host {
    /// The zone that it is in, by its label `zone`.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.labels.get("zone").map(String::as_str)
    }
}

impl Fleet {
    /// Reads `fleet.toml`; the paths in it are relative to `base`, the directory that it lies in.
    ///
    /// # Errors
    /// All mistakes in it.
    pub fn read(text: &str, base: &Path) -> Result<Self, Mistakes> {
        document::read(text, |root, notes| {
            let identity = read_identity(root, notes, base);
            let hosts = read_hosts(root, notes);
            let policies = policy::read(root, notes);
            let (name, credentials) = identity?;
            Some(Self { name, credentials, hosts, policies })
        })
    }

    /// The trust domain.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operator's own certificate files.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The hosts, in the order of the file.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The policy for a service; an empty one if the file has none.
    #[must_use]
    pub fn policy(&self, service: &str) -> Policy {
        self.policies.get(service).copied().unwrap_or_default()
    }
}

fn read_identity(root: &mut Table<'_>, notes: &mut Notes, base: &Path) -> Option<(String, Credentials)> {
    let Some(mut fleet) = root.table(notes, "fleet") else {
        root.wrong(notes, "the table [fleet] is missing");
        return None;
    };
    let name = required(&mut fleet, notes, "name")
        .and_then(|value| value.try_map(notes, |name| name::check("fleet", &name).map(|()| name)));
    let certificate = required(&mut fleet, notes, "certificate");
    let key = required(&mut fleet, notes, "key");
    let authority = required(&mut fleet, notes, "authority");
    fleet.finish(notes);
    let credentials = Credentials {
        certificate: base.join(certificate?.value),
        key: base.join(key?.value),
        authority: base.join(authority?.value),
    };
    Some((name?, credentials))
}

fn required(table: &mut Table<'_>, notes: &mut Notes, name: &str) -> Option<Value<String>> {
    let found = table.text(notes, name);
    table.require(notes, name, found)
}

fn read_hosts(root: &mut Table<'_>, notes: &mut Notes) -> Vec<Host> {
    let tables = root.tables(notes, "host");
    if tables.is_empty() {
        root.wrong(notes, "no [[host]] is listed");
    }
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    let hosts = tables.into_iter().map(|table| read_host(table, notes, &mut names, &mut addresses));
    hosts.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn read_host(
    mut table: Table<'_>,
    notes: &mut Notes,
    names: &mut BTreeSet<String>,
    addresses: &mut BTreeSet<String>,
) -> Option<Host> {
    let name = required(&mut table, notes, "name").and_then(|value| {
        if !names.insert(value.value.clone()) {
            notes.wrong(&value, format!("the host {:?} is listed twice", value.value));
        }
        value.try_map(notes, |name| HostName::parse(&name))
    });
    let address = required(&mut table, notes, "address").and_then(|value| {
        if !addresses.insert(value.value.clone()) {
            notes.wrong(&value, format!("another host has the address {:?}", value.value));
        }
        value.try_map(notes, check_address)
    });
    let labels = read_labels(&mut table, notes);
    table.finish(notes);
    Some(Host { name: name?, address: address?, labels })
}

fn check_address(text: String) -> Result<String, NotAHost> {
    if text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) {
        return Ok(text);
    }
    let named = text.rsplit_once(':').is_some_and(|(name, port)| {
        name::check("host", name).is_ok() && HostName::parse(name).is_ok() && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if named { Ok(text) } else { Err(NotAHost::Address(text.chars().take(80).collect())) }
}

fn read_labels(host: &mut Table<'_>, notes: &mut Notes) -> BTreeMap<String, String> {
    let Some(mut table) = host.table(notes, "labels") else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for key in table.names() {
        let Some(value) = table.text(notes, &key) else { continue };
        if let Err(error) = name::check("label", &key) {
            notes.wrong(&value, error.to_string());
        }
        let checked = value.try_map(notes, |text| name::check("label value", &text).map(|()| text));
        labels.extend(checked.map(|value| (key, value)));
    }
    table.finish(notes);
    labels
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Host, HostName};

    /// A host in a zone.
    pub(crate) fn host(name: &str, zone: &str) -> Host {
        Host {
            name: HostName::parse(name).unwrap(),
            address: format!("{name}.internal:7646"),
            labels: [("zone".to_owned(), zone.to_owned())].into(),
        }
    }
}

#[cfg(test)]
mod tests;
