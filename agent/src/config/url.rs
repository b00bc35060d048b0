//! The URL of a readiness probe.
//!
//! **Invariant:** no name is looked up: who answers must be told without asking anybody else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Place;
use super::path::{self, shown};

const LENGTH_MAX: usize = 2_000;
const PORT: u16 = 80;

/// Reads a URL such as `http://127.0.0.1:8080/up`, or `unix:/run/web.sock:/up`: where to connect, the Host header, the path and query.
pub(super) fn http(url: &str) -> Result<(Place, String, String), String> {
    if url.len() > LENGTH_MAX {
        return Err(format!("has {} bytes, at most {LENGTH_MAX} are taken", url.len()));
    }
    // What goes into a request line must not be able to end it.
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{:?} has a character in it that is not plain visible ASCII", shown(url)));
    }
    if url.starts_with("https://") {
        return Err("https is not supported yet; http is".to_owned());
    }
    if url.contains('#') {
        return Err("a fragment (#) is never sent".to_owned());
    }
    if let Some(rest) = url.strip_prefix("unix:") {
        let (socket, path) = rest.split_once(":/").unwrap_or((rest, ""));
        let place = Place::Unix(path::absolute(socket, path::SOCKET_LENGTH_MAX)?);
        return Ok((place, "localhost".to_owned(), format!("/{path}")));
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!("{:?} is not a URL such as \"http://127.0.0.1:8080/up\" or \"unix:/run/web.sock:/up\"", shown(url)));
    };
    let (authority, path) = split(rest);
    Ok((Place::Tcp(address(authority, Some(PORT))?), authority.to_owned(), path))
}

fn split(rest: &str) -> (&str, String) {
    match rest.find(['/', '?']) {
        None => (rest, "/".to_owned()),
        Some(at) if rest[at..].starts_with('?') => (&rest[..at], format!("/{}", &rest[at..])),
        Some(at) => (&rest[..at], rest[at..].to_owned()),
    }
}

/// Reads an address of this host. The port may be left out where there is a usual one.
pub(super) fn address(authority: &str, usual: Option<u16>) -> Result<SocketAddr, String> {
    let not_one = || {
        let port =
            if usual.is_some() { "with a port or without" } else { "with a port, nor a socket such as \"unix:/run/web.sock\"" };
        let is_not = if usual.is_some() { "is not" } else { "is neither" };
        format!("{:?} {is_not} an IP address of this host or localhost, {port}", shown(authority))
    };
    let port_at = authority.rfind(':').filter(|at| authority.rfind(']').is_none_or(|bracket| bracket < *at));
    let (host, port) = match port_at {
        Some(at) => (&authority[..at], authority[at + 1..].parse().map_err(|_| not_one())?),
        None => (authority, usual.ok_or_else(not_one)?),
    };
    let ip = ip(host).ok_or_else(not_one)?;
    if ip.is_unspecified() || ip.is_multicast() || port == 0 {
        return Err(not_one());
    }
    Ok(SocketAddr::new(ip, port))
}

fn ip(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}
