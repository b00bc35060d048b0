//! A socket to which processes say how they are, as `sd_notify(3)` does, and who said it.
//!
//! **Invariant:** who has sent a message is what the kernel says (`SCM_CREDENTIALS`), never what the message does.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt};

use super::readable::Readable;

/// More than any message of `sd_notify(3)` that is about being ready; of a longer one the beginning is read.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// A bound socket.
#[derive(Debug)]
pub struct Notices {
    socket: UnixDatagram,
    readable: Readable,
}

impl Notices {
    /// Binds the socket at `path`, in place of one that an earlier run has left there. Everybody may write to it who can get there.
    ///
    /// # Errors
    /// When it cannot be bound there, or something else is there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) | Err(_) => {}
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        let readable = Readable::of(socket.as_fd())?;
        Ok(Self { socket, readable })
    }

    /// Returns when there may be a message.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn ready(&self) -> io::Result<()> {
        self.readable.ready().await
    }

    /// The next message, and the pid of who sent it, which is 0 where that is not known; none when there is none. What cannot be read is
    /// dropped. One that nobody can have sent counts as one, too: whoever reads a few and pauses must not be kept here by many.
    pub fn next(&self) -> Option<(u32, String)> {
        loop {
            match self.receive() {
                Ok(message) => return Some(message),
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// One message. Descriptors that come with it are closed by the kernel: there is no room for them.
    fn receive(&self) -> Result<(u32, String), Errno> {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let mut credentials = nix::cmsg_space!(UnixCredentials);
        let mut vector = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(self.socket.as_raw_fd(), &mut vector, Some(&mut credentials), flags)?;
        let length = received.bytes;
        let sender = received.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| {
                let ControlMessageOwned::ScmCredentials(credentials) = message else { return None };
                u32::try_from(credentials.pid()).ok()
            })
        });
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        // The pid is 0 where it is not of this pid namespace, and no process has that.
        Ok((sender.unwrap_or_default(), text))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use nix::sys::socket::{setsockopt, sockopt};

    use super::{MESSAGE_BYTES_MAX, Notices};

    #[tokio::test]
    async fn what_is_said_comes_with_who_said_it() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("web.notify");
        drop(Notices::bind(&path).expect("bind"));
        let notices = Notices::bind(&path).expect("the socket of before is replaced");
        assert_eq!(notices.next(), None);
        let client = UnixDatagram::unbound().expect("a socket");
        client.send_to(b"READY=1\nMAINPID=1", &path).expect("send");
        client.send_to(&[b'a'; MESSAGE_BYTES_MAX * 2], &path).expect("send");
        notices.ready().await.expect("a message");
        let own = std::process::id();
        assert_eq!(notices.next(), Some((own, "READY=1\nMAINPID=1".to_owned())));
        assert_eq!(notices.next().map(|(pid, text)| (pid, text.len())), Some((own, MESSAGE_BYTES_MAX)));
        assert_eq!(notices.next(), None);
    }

    #[tokio::test]
    async fn messages_of_nobody_known_are_read_one_by_one() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("web.notify");
        let notices = Notices::bind(&path).expect("bind");
        let client = UnixDatagram::unbound().expect("a socket");
        // As if they came out of another pid namespace: the kernel is not asked who sends them.
        setsockopt(&notices.socket, sockopt::PassCred, &false).expect("an option");
        for _ in 0..3 {
            client.send_to(b"READY=1", &path).expect("send");
        }
        for _ in 0..3 {
            assert_eq!(notices.next(), Some((0, "READY=1".to_owned())));
        }
        assert_eq!(notices.next(), None);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("web.notify");
        std::fs::write(&path, "precious").expect("write");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _inside = runtime.enter();
        assert!(Notices::bind(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "precious");
    }
}
