//! Addresses that no other test has.
//!
//! All of 127.0.0.0/8 is this machine's. Each host gets an address made of the process id and a counter, so that tests that run side
//! by side never meet, and any port on it is free.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Addresses that one process can have: 127.A.B.1 to 127.A.B.254.
const HOSTS_MAX: u32 = 254;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The next address of this process; after 254 hosts the first one comes round again.
pub fn next() -> Ipv4Addr {
    numbered(std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// 127.0.x.y is left to everybody else.
fn numbered(process: u32, counter: u32) -> Ipv4Addr {
    let [_, _, high, low] = (process % 0xff00 + 0x0100).to_be_bytes();
    let [_, _, _, host] = (counter % HOSTS_MAX + 1).to_be_bytes();
    Ipv4Addr::new(127, high, low, host)
}

/// A port that nobody listens on, with its address. On an address of our own it stays free until it is used.
///
/// # Errors
/// When the kernel has none.
pub fn with_free_port(address: Ipv4Addr) -> io::Result<SocketAddr> {
    TcpListener::bind((IpAddr::V4(address), 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{HOSTS_MAX, numbered};

    #[test]
    fn hosts_of_two_processes_never_meet() {
        let addresses: BTreeSet<_> =
            [1, 2, 0xff00 - 1].iter().flat_map(|process| (0..HOSTS_MAX).map(|host| numbered(*process, host))).collect();
        assert_eq!(addresses.len(), 3 * usize::try_from(HOSTS_MAX).unwrap());
        assert!(addresses.iter().all(|address| address.is_loopback() && address.octets()[1] != 0));
    }
}
