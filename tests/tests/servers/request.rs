//! A request that is in flight: sent, taken up by the server, and answered two seconds later.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use baton_tests::http::{self, Answer};
use baton_tests::server::Server;
use baton_tests::wait;

use super::stage::SOON;

const TAKES: Duration = Duration::from_secs(2);
/// As the kernel's table says it.
const ESTABLISHED: &str = "01";

/// Such a request.
#[derive(Debug)]
pub(super) struct Request(TcpStream);

impl Request {
    /// Sends it, and waits until the server has read it.
    pub(super) fn send(server: &Server) -> Self {
        wait::until("a request to be in flight", SOON, || {
            let request = Self::begin(server);
            // One whose answer came before anybody looked was in flight, and is no more.
            match wait::look("the server to take it up", TAKES, || request.is_taken_up(server)) {
                Ok(()) => Ok(request),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn begin(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        http::send(&stream, &format!("/slow?ms={}", TAKES.as_millis()), false).expect("it is sent");
        Self(stream)
    }

    /// Whether the server's end of the connection was accepted, which gives it an inode, and has nothing left to read.
    fn is_taken_up(&self, server: &Server) -> Result<(), String> {
        let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        let ends = [server.address(), self.0.local_addr().expect("an address")].map(kernel_name);
        let line = table.lines().find(|line| line.split_whitespace().skip(1).take(2).eq(&ends)).ok_or("it is not there")?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, ESTABLISHED, queues, _, _, _, _, inode, ..] = fields[..] else { return Err(line.to_owned()) };
        if queues.ends_with(":00000000") && inode != "0" { Ok(()) } else { Err(line.to_owned()) }
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

/// `0100007F:1F90`: the bytes of the address in the network's order, read as the machine's number.
fn kernel_name(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not of version 4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}
