//! A client that is not `baton`: Ruby's own TLS, which can do what ours cannot.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use crate::certificate::Pair;

const SCRIPT: &str = include_str!("caller.rb");

/// What it speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Version {
    /// What the agent wants.
    Tls13,
    /// What it does not.
    Tls12,
}

/// Shakes hands and waits for the agent's first word; the error if there is none.
pub(crate) fn shake_hands(address: SocketAddr, version: Version, pair: Option<&Pair>) -> Result<(), String> {
    let mut command = Command::new("ruby");
    command.args(["-ropenssl", "-rsocket", "-e", SCRIPT]).arg(address.ip().to_string()).arg(address.port().to_string());
    command.arg(match version {
        Version::Tls13 => "1.3",
        Version::Tls12 => "1.2",
    });
    if let Some(pair) = pair {
        command.arg(&pair.certificate).arg(&pair.key);
    }
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output().expect("ruby starts; type `make setup`");
    if status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&stderr).into_owned()) }
}
