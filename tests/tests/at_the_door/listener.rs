//! Something that listens where an agent should, and is none.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use baton_tests::address;

/// What it does with a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Says nothing, and never hangs up.
    Silent,
    /// Hangs up at once.
    Rude,
    /// Says this, whatever it was told.
    Says(&'static [u8]),
}

/// Listens on a port of its own until the test ends.
pub(crate) fn listen(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind((own(), 0)).expect("an address of our own has free ports");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming().flatten() {
            match manner {
                Manner::Silent => silent.push(stream),
                Manner::Rude => drop(stream),
                Manner::Says(bytes) => say(stream, bytes),
            }
        }
    });
    address
}

fn own() -> Ipv4Addr {
    address::next()
}

/// Hears the caller out first: a reset would take the answer away.
fn say(mut stream: TcpStream, bytes: &[u8]) {
    let mut heard = [0; 1024];
    // The caller may have gone, which is its affair.
    let _said = stream.read(&mut heard).and_then(|_| stream.write_all(bytes));
    let _rest = stream.shutdown(std::net::Shutdown::Write).and_then(|()| stream.read(&mut heard));
}
