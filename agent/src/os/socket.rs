//! Which process is at the other end of a connection: asked of the kernel by both addresses (`sock_diag(7)`).
//!
//! One question and one answer, however many connections the host has; reading `/proc/net/tcp` would cost as much as there
//! are.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = HEADER_BYTES + 56;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
/// Where `idiag_inode` stands in the answer: after the header, four bytes, the addresses and four words.
const INODE_AT: usize = HEADER_BYTES + 4 + 48 + 16;

/// The inode of the socket on this host whose own end is `local` and whose other end is `remote`: 0 while nobody has
/// accepted the connection, none when there is no such socket.
///
/// # Errors
/// When the kernel refuses the question.
pub fn inode(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u64>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    send(&socket, &request(local, remote), SendFlags::empty())?;
    let mut answer = [0_u8; 4_096];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    parse(answer.get(..length).unwrap_or_default())
}

/// `struct inet_diag_req_v2` behind its header, asking for one socket by both of its ends.
fn request(local: SocketAddr, remote: SocketAddr) -> [u8; REQUEST_BYTES] {
    let family = match (local.ip(), remote.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => AddressFamily::INET,
        _ => AddressFamily::INET6,
    };
    let mut bytes = Vec::with_capacity(REQUEST_BYTES);
    bytes.extend(u32::try_from(REQUEST_BYTES).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and port: there is one question and one answer on this socket.
    bytes.extend([0; 8]);
    bytes.extend([u8::try_from(family.as_raw()).unwrap_or_default(), IPPROTO_TCP, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(remote.port().to_be_bytes());
    bytes.extend(address(local.ip()));
    bytes.extend(address(remote.ip()));
    bytes.extend(0_u32.to_ne_bytes());
    // No cookie: any socket between these ends.
    bytes.extend([0xff; 8]);
    let mut request = [0; REQUEST_BYTES];
    request[..bytes.len()].copy_from_slice(&bytes);
    request
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(four) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&four.octets());
            bytes
        }
        IpAddr::V6(six) => six.octets(),
    }
}

fn parse(answer: &[u8]) -> io::Result<Option<u64>> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes).ok_or_else(malformed)?;
    let word =
        |at: usize| answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes).ok_or_else(malformed);
    match kind {
        SOCK_DIAG_BY_FAMILY => Ok(Some(u64::from(word(INODE_AT)?))),
        NLMSG_ERROR => {
            let error = io::Error::from_raw_os_error(word(HEADER_BYTES)?.cast_signed().wrapping_neg());
            if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
        }
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::{inode, parse};
    use crate::os::process::has_socket;

    fn check(bind: &str) {
        let listener = TcpListener::bind(bind).expect("bind");
        let server = listener.local_addr().expect("address");
        let client = TcpStream::connect(server).expect("connect");
        let ours = client.local_addr().expect("address");
        assert_eq!(inode(server, ours).expect("ask"), Some(0), "nobody has accepted it yet");
        let (accepted, _) = listener.accept().expect("accept");
        let found = inode(server, ours).expect("ask").expect("the accepted socket");
        assert!(has_socket(std::process::id(), found), "we have it ourselves");
        assert!(!has_socket(1, found), "somebody else does not");
        drop((accepted, client));
    }

    #[test]
    fn the_accepted_end_of_a_connection_is_found() {
        check("127.0.0.1:0");
        check("[::1]:0");
    }

    #[test]
    fn a_connection_that_is_not_there_is_not_found() {
        let nowhere = "127.0.0.1:1".parse().expect("address");
        assert_eq!(inode(nowhere, nowhere).expect("ask"), None);
    }

    #[test]
    fn a_short_answer_is_an_error() {
        for length in 0..88 {
            assert!(parse(&vec![20; length]).is_err(), "{length}");
        }
    }
}
