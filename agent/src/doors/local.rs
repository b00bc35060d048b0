//! The door to this host: a unix socket, and the kernel's word for who is at its other end.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::DoorError;
use super::backoff::Backoff;
use super::connection::Connection;
use super::peer::Peer;
use super::places::Places;
use super::seldom::{Kind, Seldom};
use crate::os::clock;

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A bound unix socket. Its file goes when this does.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    own_uid: u32,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // An agent that took the place over meanwhile keeps its file.
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file could not be removed");
        }
    }
}

/// Binds the socket, in place of one that nobody answers on.
pub(super) async fn bind(path: &Path) -> Result<Socket, DoorError> {
    let failed = |doing| move |source| DoorError::Socket { doing, path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(|source| DoorError::Socket {
            doing: "create the directory",
            path: directory.to_owned(),
            source,
        })?;
    }
    let _sole = sole(path)?;
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            clear(path).await?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
    .map_err(failed("bind the socket"))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed("set the mode of"))?;
    let metadata = fs::symlink_metadata(path).map_err(failed("look at"))?;
    // Whoever creates a file owns it: this is the agent's own user.
    Ok(Socket { listener, path: path.to_owned(), inode: metadata.ino(), own_uid: metadata.uid() })
}

/// Keeps another agent that starts at the same moment from taking our fresh socket for a stale one. The file stays: who removed it
/// would let two hold it.
fn sole(path: &Path) -> Result<File, DoorError> {
    let mut name = path.to_owned().into_os_string();
    name.push(".lock");
    let failed = |source| DoorError::Socket { doing: "lock the place of", path: path.to_owned(), source };
    let file = File::options().create(true).append(true).mode(0o600).open(name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DoorError::Starting { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Removes a socket that nobody answers on: what an agent leaves behind that was killed.
async fn clear(path: &Path) -> Result<(), DoorError> {
    let failed = |doing| move |source| DoorError::Socket { doing, path: path.to_owned(), source };
    let metadata = fs::symlink_metadata(path).map_err(failed("look at"))?;
    if !metadata.file_type().is_socket() {
        return Err(DoorError::NoSocket { path: path.to_owned() });
    }
    match timeout(ANSWER_WITHIN, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the stale socket"))
        }
        // A listener whose queue is full has somebody behind it.
        Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(failed("ask who answers on")(error)),
        Ok(Ok(_) | Err(_)) | Err(_) => Err(DoorError::Answered { path: path.to_owned() }),
    }
}

/// Lets connections in, for ever.
pub(super) async fn accept(socket: Socket, places: Places, arrivals: mpsc::Sender<Connection>) {
    let mut backoff = Backoff::new("unix");
    let mut seldom = Seldom::default();
    loop {
        let stream = match socket.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                backoff.wait(&error).await;
                continue;
            }
        };
        backoff.reset();
        let Some(place) = places.take() else {
            if let Some(untold) = seldom.due(Kind::Full, clock::since_boot()) {
                tracing::warn!(door = "unix", open = places.taken(), untold, "too many connections; further ones are closed");
            }
            continue;
        };
        match stream.peer_cred() {
            Ok(credentials) => {
                let peer = Peer::local(credentials.uid(), socket.own_uid);
                if peer.role().is_none()
                    && let Some(untold) = seldom.due(Kind::Stranger, clock::since_boot())
                {
                    tracing::warn!(%peer, untold, "a stranger called");
                }
                // An error is a server that is shutting down.
                drop(arrivals.send(Connection::local(stream, peer, place)).await);
            }
            Err(error) => tracing::warn!(%error, "the kernel does not say who called on the unix socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DoorError, bind, sole};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn a_socket_is_made_with_its_directory_for_its_owner_alone_and_goes_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/baton/agent.sock");
        let socket = bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        assert!(bind(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_socket_that_answers_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let first = bind(&path).await.unwrap();
        assert!(matches!(bind(&path).await, Err(DoorError::Answered { .. })));
        assert!(path.exists());
        drop(first);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        drop(UnixListener::bind(&path).unwrap());
        let other = sole(&path).unwrap();
        assert!(matches!(bind(&path).await, Err(DoorError::Starting { .. })));
        assert!(path.exists(), "it is the other's to replace");
        drop(other);
        assert!(bind(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_in_the_sockets_place_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path).await, Err(DoorError::NoSocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_file_of_a_successor_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let first = bind(&path).await.unwrap();
        fs::rename(&path, directory.path().join("aside")).unwrap();
        let second = bind(&path).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
    }
}
