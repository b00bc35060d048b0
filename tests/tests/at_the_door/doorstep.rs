//! Whatever is thrown at the agent's own port: it turns it away, and goes on.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use baton_tests::fleet::{Fleet, OPERATOR};
use baton_tests::server::Kind;
use baton_tests::wait;

use crate::caller::{Version, shake_hands};
use crate::certificate::Pair;
use crate::facts::Facts;

/// More than the ten seconds that the agent gives to a handshake.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// More silent clients than the agent shakes hands with at once.
const CROWD: usize = 300;

/// An alert is seven bytes.
const ANSWER_MAX: usize = 7;

/// What comes back for these bytes, up to the end of the connection.
fn answer_to(address: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    // The agent may hang up before it has read all: what it said first is read in any case.
    let _sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        Ok(_) | Err(_) => Ok(answer),
    }
}

#[test]
fn garbage_on_the_agents_port_changes_nothing() {
    let fleet = Fleet::of(1).start();
    let before = Facts::of(&fleet);
    let address = fleet.hosts[0].agent.address();
    let megabyte = vec![0xa5; 1 << 20];
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: web-1\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        // The beginning of a handshake that never goes on.
        b"\x16\x03\x01\x02\x00\x01\x00",
        &[0; 64],
        &[0xff; 4096],
        &megabyte,
    ] {
        let answer = answer_to(address, bytes).expect("the agent hangs up");
        assert!(answer.len() <= ANSWER_MAX, "{answer:?} for {:?}", &bytes[..bytes.len().min(64)]);
    }
    assert_eq!(Facts::of(&fleet), before);
    let _proven = fleet.baton(&["restart", "web"]).expect_code(0);
}

/// Keeps so many connections open that say nothing, and dials again for each that ends, until `is_over`.
fn crowd(address: SocketAddr, size: usize, is_over: &AtomicBool) -> io::Result<()> {
    let mut silent = Vec::with_capacity(size);
    while !is_over.load(Ordering::Relaxed) {
        silent.retain(is_open);
        while silent.len() < size {
            let stream = TcpStream::connect(address)?;
            stream.set_nonblocking(true)?;
            silent.push(stream);
        }
        thread::yield_now();
    }
    Ok(())
}

fn is_open(mut stream: &TcpStream) -> bool {
    stream.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn a_crowd_of_silent_clients_that_dial_again_and_again_keeps_no_operator_out() {
    let fleet = Fleet::of(1).server(Kind::Patient).start();
    let before = Facts::of(&fleet);
    let address = fleet.hosts[0].agent.address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let crowd = scope.spawn(|| crowd(address, CROWD, &is_over));
        wait::until("the crowd to be too large", ANSWER_WITHIN, || {
            let log = fleet.hosts[0].agent.log();
            if log.contains("too many handshakes at once") { Ok(()) } else { Err(log) }
        });
        let answered: Vec<_> = (0..10).map(|_| fleet.baton(&["status"])).collect();
        is_over.store(true, Ordering::Relaxed);
        crowd.join().expect("no panic").expect("the port can be dialled");
        for run in answered {
            let _shown = run.expect_code(0);
        }
    });
    assert_eq!(Facts::of(&fleet), before);
    let lines = fleet.hosts[0].agent.log().matches("too many handshakes at once").count();
    assert_eq!(lines, 1, "the log is not flooded");
}

#[test]
fn a_client_without_a_certificate_or_with_an_old_tls_is_not_let_in() {
    let fleet = Fleet::of(1).server(Kind::Patient).start();
    let before = Facts::of(&fleet);
    let address = fleet.hosts[0].agent.address();
    let operator = Pair::of(&fleet.pki, OPERATOR);
    shake_hands(address, Version::Tls13, Some(&operator)).expect("an operator is let in");
    for (version, pair, word) in
        [(Version::Tls13, None, "certificate required"), (Version::Tls12, Some(&operator), "protocol version")]
    {
        let error = shake_hands(address, version, pair).expect_err("nobody is let in so");
        assert!(error.contains(word), "{version:?}: {error}");
    }
    assert_eq!(Facts::of(&fleet), before);
    assert!(fleet.hosts[0].agent.log().contains("a client was not let in"));
}

#[test]
fn an_agent_whose_renewed_files_do_not_parse_goes_on_with_the_old_ones_and_says_so() {
    let fleet = Fleet::of(1).server(Kind::Patient).start();
    let before = Facts::of(&fleet);
    let own = Pair::of(&fleet.pki, "web-1");
    for file in [&own.certificate, &own.key] {
        fs::write(file, "no PEM").expect("a file in the sandbox can be written");
        assert_eq!(Facts::of(&fleet), before);
    }
    assert!(fleet.hosts[0].agent.log().contains("the old ones stay in use"));
    let _proven = fleet.baton(&["restart", "web"]).expect_code(0);
}
