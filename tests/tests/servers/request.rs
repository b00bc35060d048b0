//! A request that is in flight: sent, taken up by the server, and answered two seconds later.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use baton_tests::http::{self, Answer};
use baton_tests::server::Server;
use baton_tests::wait;

use super::stage::SOON;

const TAKES: Duration = Duration::from_secs(2);

/// Such a request.
#[derive(Debug)]
pub(super) struct Request(TcpStream);

impl Request {
    /// Sends it, and waits until the server has read it.
    pub(super) fn send(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        http::send(&stream, &format!("/slow?ms={}", TAKES.as_millis()), false).expect("it is sent");
        let client = stream.local_addr().expect("an address");
        wait::until("the server to take up a request", SOON, || {
            let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
            if is_taken_up(&table, server.address(), client) { Ok(()) } else { Err("it waits".to_owned()) }
        });
        Self(stream)
    }

    /// Waits for the answer; or how it failed.
    pub(super) fn answer(self) -> Result<Answer, String> {
        let reply = http::receive(&self.0).map_err(|broken| broken.to_string())?;
        if reply.status != 200 {
            return Err(format!("status {}", reply.status));
        }
        Answer::read(&reply.body).ok_or(reply.body)
    }
}

/// Whether the server's end of a connection was accepted, which gives it an inode, and has nothing left to read.
fn is_taken_up(table: &str, server: SocketAddr, client: SocketAddr) -> bool {
    let (server, client) = (kernel_name(server), kernel_name(client));
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, _, queues, _, _, _, _, inode, ..] = fields[..] else { return false };
        local == server && remote == client && queues.ends_with(":00000000") && inode != "0"
    })
}

/// `0100007F:1F90`: the bytes of the address in the network's order, read as the machine's number.
fn kernel_name(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not of version 4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}
