//! Which socket is at the other end of a connection: asked of the kernel by both addresses, or by our own end (`sock_diag(7)`).
//!
//! One question and one answer, however many connections the host has; reading `/proc/net/tcp` would cost as much as there
//! are. Over a unix socket the kernel tells the inode of the peer, which the process has that accepted the connection;
//! `SO_PEERCRED` would name whoever called `listen(2)`: of a prefork server the first master, for every worker of all its heirs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use rustix::fs::fstat;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

const HEADER_BYTES: usize = 16;
/// What `struct inet_diag_req_v2` has.
const INET_REQUEST_BYTES: usize = 56;
/// What `struct unix_diag_req` has, and `struct unix_diag_msg` after the header of the answer.
const UNIX_REQUEST_BYTES: usize = 24;
const UNIX_ANSWER_BYTES: usize = 16;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_PEER: u16 = 2;
/// The length and the kind of an attribute.
const ATTRIBUTE_BYTES: usize = 4;
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
    parse(&ask(&inet_request(local, remote))?)
}

/// The inode of the unix socket that ours is connected to: 0 while nobody has accepted the connection, none when it is gone.
///
/// # Errors
/// When the kernel refuses the question.
pub fn peer(ours: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let inode = u32::try_from(fstat(ours)?.st_ino).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    parse_peer(&ask(&unix_request(inode))?)
}

fn ask(question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    send(&socket, question, SendFlags::empty())?;
    let mut answer = [0_u8; 4_096];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    Ok(answer.get(..length).unwrap_or_default().to_vec())
}

/// The header of one question. Sequence number and port are 0: there is one question and one answer on this socket.
fn header(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + length);
    bytes.extend(u32::try_from(HEADER_BYTES + length).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes
}

/// `struct inet_diag_req_v2` behind its header, asking for one socket by both of its ends.
fn inet_request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = match (local.ip(), remote.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => AddressFamily::INET,
        _ => AddressFamily::INET6,
    };
    let mut bytes = header(INET_REQUEST_BYTES);
    bytes.extend([u8::try_from(family.as_raw()).unwrap_or_default(), IPPROTO_TCP, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(remote.port().to_be_bytes());
    bytes.extend(address(local.ip()));
    bytes.extend(address(remote.ip()));
    bytes.extend(0_u32.to_ne_bytes());
    // No cookie: any socket between these ends.
    bytes.extend([0xff; 8]);
    bytes
}

/// `struct unix_diag_req` behind its header, asking for the peer of one socket by its inode.
fn unix_request(inode: u32) -> Vec<u8> {
    let mut bytes = header(UNIX_REQUEST_BYTES);
    bytes.extend([u8::try_from(AddressFamily::UNIX.as_raw()).unwrap_or_default(), 0, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(inode.to_ne_bytes());
    bytes.extend(UDIAG_SHOW_PEER.to_ne_bytes());
    bytes.extend([0xff; 8]);
    bytes
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
    if is_found(answer)? { Ok(Some(u64::from(word(answer, INODE_AT)?))) } else { Ok(None) }
}

/// The attributes follow `struct unix_diag_msg`, each with its length, which is rounded up to four.
fn parse_peer(answer: &[u8]) -> io::Result<Option<u64>> {
    if !is_found(answer)? {
        return Ok(None);
    }
    let mut attributes = answer.get(HEADER_BYTES + UNIX_ANSWER_BYTES..).ok_or_else(malformed)?;
    while attributes.len() >= ATTRIBUTE_BYTES {
        let length = usize::from(half(attributes, 0)?);
        if half(attributes, 2)? == UNIX_DIAG_PEER {
            return word(attributes, ATTRIBUTE_BYTES).map(|inode| Some(u64::from(inode)));
        }
        let next = length.max(ATTRIBUTE_BYTES).next_multiple_of(4);
        attributes = attributes.get(next..).unwrap_or_default();
    }
    Ok(None)
}

/// Whether the answer is about a socket; not, when there is no such socket.
fn is_found(answer: &[u8]) -> io::Result<bool> {
    match half(answer, 4)? {
        SOCK_DIAG_BY_FAMILY => Ok(true),
        NLMSG_ERROR => {
            let error = io::Error::from_raw_os_error(word(answer, HEADER_BYTES)?.cast_signed().wrapping_neg());
            if error.kind() == io::ErrorKind::NotFound { Ok(false) } else { Err(error) }
        }
        _ => Err(malformed()),
    }
}

fn half(answer: &[u8], at: usize) -> io::Result<u16> {
    answer.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes).ok_or_else(malformed)
}

fn word(answer: &[u8], at: usize) -> io::Result<u32> {
    answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use std::os::fd::AsFd as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::{inode, parse, parse_peer, peer};
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
    fn the_accepted_end_of_a_connection_over_a_unix_socket_is_found() {
        let folder = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(folder.path().join("socket")).expect("bind");
        let client = UnixStream::connect(folder.path().join("socket")).expect("connect");
        assert_eq!(peer(client.as_fd()).expect("ask"), Some(0), "nobody has accepted it yet");
        let (accepted, _) = listener.accept().expect("accept");
        let found = peer(client.as_fd()).expect("ask").expect("the accepted socket");
        assert!(has_socket(std::process::id(), found), "we have it ourselves");
        assert!(!has_socket(1, found), "somebody else does not");
        drop(accepted);
        assert!(matches!(peer(client.as_fd()).expect("ask"), None | Some(0)), "nobody has it any more");
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
        for length in 0..32 {
            assert!(parse_peer(&vec![20; length]).is_err(), "{length}");
        }
        // An attribute that says it has no length at all leads nowhere.
        let header = [&[0; 4][..], &20_u16.to_ne_bytes(), &[0; 26], &[0; 64]].concat();
        assert_eq!(parse_peer(&header).expect("a socket without a peer"), None);
    }
}
