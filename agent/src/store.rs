//! What must survive the agent: one small file a service, replaced atomically.
//!
//! **Invariant:** writes of one service are made one after the other, in the order in which they were asked for; a write
//! that was acknowledged is on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use baton_proto::v1;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

/// How many records of handovers are kept.
pub const RECORDS_MAX: usize = 8;
/// Writes that may wait for the disk.
const WRITES_MAX: usize = 16;

/// The bytes to write, and whom to tell.
type Write = (Vec<u8>, oneshot::Sender<Result<(), String>>);

/// What is kept of a service.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Stored {
    /// The drops seen.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The current generation; 0 before the first.
    #[prost(uint64, tag = "2")]
    pub generation: u64,
    /// The highest fence that a reload carried.
    #[prost(uint64, tag = "3")]
    pub fence: u64,
    /// The rollout that carried it.
    #[prost(string, tag = "4")]
    pub fence_rollout: String,
    /// The boot in which `master` was seen.
    #[prost(string, tag = "5")]
    pub boot_id: String,
    /// The master of the current generation.
    #[prost(message, optional, tag = "6")]
    pub master: Option<v1::Process>,
    /// The last handovers, newest first.
    #[prost(message, repeated, tag = "7")]
    pub records: Vec<v1::Record>,
    /// The handover under way, from the moment before its signal.
    #[prost(message, optional, tag = "8")]
    pub under_way: Option<UnderWay>,
}

/// A handover whose signal was about to be sent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UnderWay {
    /// Its key, its steps, and what was seen so far; there is no ending yet.
    #[prost(message, optional, tag = "1")]
    pub record: Option<v1::Record>,
    /// The boot in which that was.
    #[prost(string, tag = "2")]
    pub boot_id: String,
    /// The master that was to be handed over from.
    #[prost(message, optional, tag = "3")]
    pub old: Option<v1::Process>,
    /// The master that was to take over, once it is known.
    #[prost(message, optional, tag = "4")]
    pub new: Option<v1::Process>,
    /// Whether the signal that was about to be sent was the one that retires the old generation.
    #[prost(bool, tag = "5")]
    pub retiring: bool,
}

/// Why what was kept cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made.
    #[error("the state directory {} cannot be made", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there and cannot be read.
    #[error("the state file {} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there and is not ours.
    #[error("the state file {} is damaged; move it away to begin anew: its service's epoch and records are lost then", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: prost::DecodeError,
    },
}

/// Where one service's state is kept.
#[derive(Debug)]
pub struct Store {
    writes: mpsc::Sender<Write>,
}

impl Store {
    /// Reads what is kept of `service` in `directory`, and takes care of the writes from now on.
    ///
    /// # Errors
    /// When the directory cannot be made or the file cannot be read.
    pub fn open(directory: &Path, service: &str) -> Result<(Self, Stored), StoreError> {
        fs::create_dir_all(directory).map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(format!("{service}.state"));
        let stored = match fs::read(&path) {
            Ok(bytes) => Stored::decode(bytes.as_slice()).map_err(|source| StoreError::Damaged { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        let (writes, queue) = mpsc::channel(WRITES_MAX);
        tokio::spawn(write_in_order(path, queue));
        Ok((Self { writes }, stored))
    }

    /// Begins to write; the receiver tells when it is on disk, or why it is not.
    pub async fn write(&self, stored: &Stored) -> oneshot::Receiver<Result<(), String>> {
        let (done, told) = oneshot::channel();
        // The writer outlives the store; were it gone, the receiver would say so.
        let _ = self.writes.send((stored.encode_to_vec(), done)).await;
        told
    }
}

async fn write_in_order(path: PathBuf, mut queue: mpsc::Receiver<Write>) {
    while let Some((bytes, done)) = queue.recv().await {
        let target = path.clone();
        let written = tokio::task::spawn_blocking(move || replace(&target, &bytes)).await;
        let result = match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{} cannot be written: {error}", path.display())),
            Err(error) => Err(format!("{} cannot be written: {error}", path.display())),
        };
        if let Err(error) = &result {
            tracing::error!(error, "what must survive a crash is not on disk");
        }
        let _ = done.send(result);
    }
}

/// Replaces a file so that after a crash it is the old or the new one, whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("state.new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Store, StoreError, Stored};

    #[tokio::test]
    async fn what_was_written_is_read_again() {
        let directory = tempfile::tempdir().expect("directory");
        let state = directory.path().join("a/b");
        let (store, stored) = Store::open(&state, "web").expect("open");
        assert_eq!(stored, Stored::default());
        let first = store.write(&Stored { epoch: 1, ..Stored::default() }).await;
        let second = store.write(&Stored { epoch: 2, ..Stored::default() }).await;
        assert_eq!(first.await, Ok(Ok(())));
        assert_eq!(second.await, Ok(Ok(())));
        let (_, stored) = Store::open(&state, "web").expect("open");
        assert_eq!(stored.epoch, 2);
    }

    #[tokio::test]
    async fn a_damaged_file_is_named_and_not_overwritten() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("web.state");
        std::fs::write(&path, b"\xff\xff\xff").expect("write");
        assert!(matches!(Store::open(directory.path(), "web"), Err(StoreError::Damaged { .. })));
        assert_eq!(std::fs::read(&path).expect("read"), b"\xff\xff\xff");
    }
}
