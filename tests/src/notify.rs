//! The other end of sd_notify: where an agent says that it is ready and where it listens.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

const LISTENING: &str = "STATUS=listening on ";

/// A socket that an agent notifies.
#[derive(Debug)]
pub struct Notifications {
    socket: UnixDatagram,
    path: PathBuf,
    address: Option<SocketAddr>,
    is_ready: bool,
}

impl Notifications {
    /// Opens the socket anew, at `path`.
    ///
    /// # Errors
    /// When it cannot be opened there.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), address: None, is_ready: false })
    }

    /// What to put into `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the agent listens, once it has said that and that it is ready.
    ///
    /// # Errors
    /// What is missing still.
    pub fn ready(&mut self) -> Result<SocketAddr, String> {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.read(&String::from_utf8_lossy(&buffer[..length]));
        }
        let missing = format!("ready: {}, address: {:?}", self.is_ready, self.address);
        self.address.filter(|_| self.is_ready).ok_or(missing)
    }

    fn read(&mut self, message: &str) {
        for line in message.lines() {
            self.is_ready |= line == "READY=1";
            let address = line.strip_prefix(LISTENING).and_then(|rest| rest.split_whitespace().next());
            if let Some(address) = address.and_then(|address| address.trim_end_matches(',').parse().ok()) {
                self.address = Some(address);
            }
        }
    }
}
