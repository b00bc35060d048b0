//! What must survive the agent: two small files a service, written in turn.
//!
//! The older file is overwritten in place, with a count and a checksum in front, and the newer whole one is read. A write that
//! was torn leaves the other; and since neither file is made, renamed or grown, one flush of the disk makes it safe.
//!
//! **Invariant:** writes of one service are made one after the other, in the order in which they were asked for. A write
//! that was acknowledged survives the agent; with [`Flush::First`] it survives the host too.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_proto::v1;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use crate::handover::Intent;

/// How many records of handovers are kept.
pub const RECORDS_MAX: usize = 8;
/// Writes that may wait for the disk.
const WRITES_MAX: usize = 16;

/// What every file begins with.
const MAGIC: [u8; 8] = *b"BATON\0\0\x01";
/// The magic, the count, the length and the checksum.
const HEADER_BYTES: usize = 8 + 8 + 4 + 4;
/// What one handover of the usual length takes, so that a file does not grow when it is written.
const FILE_BYTES: u64 = 64 << 10;

/// When a write counts as made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// When it is on disk: it survives a crash of the host.
    First,
    /// When the kernel has it: it survives the agent, and is flushed next.
    Later,
}

/// The bytes to write, when they count as written, and whom to tell.
type Write = (Vec<u8>, Flush, oneshot::Sender<Result<(), String>>);

/// What is kept of a service.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Stored {
    /// The drops seen.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The current generation; 0 before the first.
    #[prost(uint64, tag = "2")]
    pub generation: u64,
    /// The highest fence that was granted. The tag 4, beside it, was once the rollout that carried it.
    #[prost(uint64, tag = "3")]
    pub fence: u64,
    /// The boot in which `master` was seen.
    #[prost(string, tag = "5")]
    pub boot_id: String,
    /// The master of the current generation.
    #[prost(message, optional, tag = "6")]
    pub master: Option<v1::Process>,
    /// The last handovers, newest first.
    #[prost(message, repeated, tag = "7")]
    pub records: Vec<v1::Record>,
    /// Since when that master has been seen holding, by CLOCK_BOOTTIME.
    #[prost(uint64, tag = "9")]
    pub held_since_ns: u64,
    /// What befell the service.
    #[prost(message, optional, tag = "10")]
    pub history: Option<v1::History>,
    /// The last moment at which the service is known to have been watched.
    #[prost(message, optional, tag = "11")]
    pub watched_until: Option<v1::Moment>,
    /// What that master ran.
    #[prost(message, optional, tag = "20")]
    pub image: Option<v1::Image>,
    /// The lock that it held.
    #[prost(message, optional, tag = "21")]
    pub lock: Option<v1::Lock>,
    /// The generations that are not gone yet.
    #[prost(message, optional, tag = "40")]
    pub lingering: Option<Lingerers>,
    /// The release that the current generation runs.
    #[prost(string, tag = "22")]
    pub release: String,
    /// The handover under way, from the moment before its signal.
    #[prost(message, optional, tag = "8")]
    pub under_way: Option<UnderWay>,
    /// What becomes of a service that the agent starts.
    #[prost(message, optional, tag = "30")]
    pub supervised: Option<Supervised>,
    /// The claim that the highest fence was granted with.
    #[prost(message, optional, tag = "50")]
    pub claim: Option<Claim>,
    /// The highest attempts of the rollouts that were here, the latest last.
    #[prost(message, repeated, tag = "51")]
    pub attempted: Vec<Attempted>,
}

/// A claim that was granted.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Claim {
    /// The rollout.
    #[prost(string, tag = "1")]
    pub rollout: String,
    /// The run of its controller.
    #[prost(string, tag = "2")]
    pub session: String,
    /// Who claimed it.
    #[prost(string, tag = "3")]
    pub operator: String,
    /// What for.
    #[prost(string, tag = "4")]
    pub reason: String,
    /// Since when.
    #[prost(message, optional, tag = "5")]
    pub since: Option<v1::Moment>,
    /// Whether it stands.
    #[prost(bool, tag = "6")]
    pub stands: bool,
}

/// The highest attempt of a rollout.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Attempted {
    /// The rollout.
    #[prost(string, tag = "1")]
    pub rollout: String,
    /// Its highest attempt that was begun.
    #[prost(uint32, tag = "2")]
    pub number: u32,
}

/// What must be known of a service that the agent starts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Supervised {
    /// Whether somebody asked for it not to run.
    #[prost(bool, tag = "1")]
    pub stopped: bool,
    /// Its `hold`.
    #[prost(message, optional, tag = "3")]
    pub hold: Option<v1::Process>,
    /// The boot in which that was.
    #[prost(string, tag = "4")]
    pub boot_id: String,
}

/// What is left of generations that were told to leave.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Lingerers {
    /// The boot in which that is.
    #[prost(string, tag = "1")]
    pub boot_id: String,
    /// The generations, the oldest first.
    #[prost(message, repeated, tag = "2")]
    pub generations: Vec<v1::Lingering>,
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
    /// Whether no signal was about to be sent yet: the release was about to be switched.
    #[prost(bool, tag = "6")]
    pub preparing: bool,
    /// The name of the release that it switches to; empty if to none.
    #[prost(string, tag = "7")]
    pub release: String,
    /// What the release link said before.
    #[prost(bytes = "vec", tag = "8")]
    pub link_before: Vec<u8>,
    /// What it is to say.
    #[prost(bytes = "vec", tag = "9")]
    pub link_after: Vec<u8>,
    /// What of the old generation was known then: below a master that is gone nobody is found any more.
    #[prost(message, repeated, tag = "20")]
    pub old_processes: Vec<v1::Process>,
}

impl UnderWay {
    /// What was about to be done.
    pub fn intent(&self) -> Intent {
        match (self.retiring, self.preparing) {
            (true, _) => Intent::Retire,
            (false, true) => Intent::Prepare,
            (false, false) => Intent::Signal,
        }
    }
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
    /// Another agent has it.
    #[error("the state file {} is in use: another agent runs with this state directory", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The files are there and neither is whole.
    #[error("the state files {} and .b are damaged; move them away to begin anew: the service's epoch and records are lost then", .path.display())]
    Damaged {
        /// The first file.
        path: PathBuf,
    },
}

/// Where one service's state is kept.
#[derive(Debug)]
pub struct Store {
    writes: mpsc::Sender<Write>,
    /// Locked for as long as this agent has the state.
    _claim: File,
}

impl Store {
    /// Reads what is kept of `service` in `directory`, and takes care of the writes from now on.
    ///
    /// # Errors
    /// When the directory cannot be made or the files cannot be read.
    pub fn open(directory: &Path, service: &str) -> Result<(Self, Stored), StoreError> {
        fs::create_dir_all(directory).map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(format!("{service}.state.a"));
        let failed = |source| StoreError::Read { path: path.clone(), source };
        let files = [open(&path).map_err(failed)?, open(&path.with_extension("b")).map_err(failed)?];
        let claim = File::open(&path).map_err(failed)?;
        if claim.try_lock().is_err() {
            return Err(StoreError::InUse { path });
        }
        // Names that were just made must survive the host as what is in them does.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        let [one, other] = [read(&files[0]).map_err(failed)?, read(&files[1]).map_err(failed)?];
        let newest = match (one, other) {
            (Content::Whole(a, one), Content::Whole(b, other)) => Some(if a > b { (a, one) } else { (b, other) }),
            (Content::Whole(count, stored), Content::Empty | Content::Torn)
            | (Content::Empty | Content::Torn, Content::Whole(count, stored)) => Some((count, stored)),
            // A file that was torn beside an empty one was the very first write: nothing was kept before it.
            (Content::Empty, Content::Empty | Content::Torn) | (Content::Torn, Content::Empty) => None,
            (Content::Torn, Content::Torn) => return Err(StoreError::Damaged { path }),
        };
        let (count, stored) = newest.unwrap_or_default();
        let (writes, queue) = mpsc::channel(WRITES_MAX);
        tokio::spawn(write_in_order(Arc::new(files), count, queue));
        Ok((Self { writes, _claim: claim }, *stored))
    }

    /// Begins to write; the receiver tells when it counts as written, or why it could not be.
    pub fn write(&self, stored: &Stored, flush: Flush) -> oneshot::Receiver<Result<(), String>> {
        let (done, told) = oneshot::channel();
        if let Err(refused) = self.writes.try_send((stored.encode_to_vec(), flush, done)) {
            let (_, _, done) = refused.into_inner();
            let _ = done.send(Err("the disk does not keep up: too many writes wait for it".into()));
        }
        told
    }
}

/// What a file holds.
enum Content {
    /// Nothing was ever written to it.
    Empty,
    /// What was written to it did not arrive whole.
    Torn,
    /// The count of the write, and what was written.
    Whole(u64, Box<Stored>),
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.len() == 0 {
        file.set_len(FILE_BYTES)?;
        file.write_all_at(&vec![0; usize::try_from(FILE_BYTES).unwrap_or_default()], 0)?;
        file.sync_all()?;
    }
    Ok(file)
}

fn read(file: &File) -> io::Result<Content> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Content::Empty);
    }
    Ok(parse(&bytes).map_or(Content::Torn, |(count, stored)| Content::Whole(count, Box::new(stored))))
}

fn parse(bytes: &[u8]) -> Option<(u64, Stored)> {
    let (header, body) = bytes.split_at_checked(HEADER_BYTES)?;
    let count = header.get(8..16)?.try_into().ok().map(u64::from_le_bytes)?;
    let length = header.get(16..20)?.try_into().ok().map(u32::from_le_bytes)?;
    let payload = body.get(..usize::try_from(length).ok()?)?;
    (header == self::header(count, payload)).then_some(())?;
    Some((count, Stored::decode(payload).ok()?))
}

fn header(count: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&count.to_le_bytes());
    checksum.update(payload);
    [&MAGIC[..], &count.to_le_bytes(), &length.to_le_bytes(), &checksum.finalize().to_le_bytes()].concat()
}

async fn write_in_order(files: Arc<[File; 2]>, mut count: u64, mut queue: mpsc::Receiver<Write>) {
    while let Some((payload, flush, done)) = queue.recv().await {
        count += 1;
        let files = Arc::clone(&files);
        let write = move || write(&files[usize::from(count.is_multiple_of(2))], count, &payload, flush, done);
        if let Err(error) = tokio::task::spawn_blocking(write).await {
            tracing::error!(%error, "what must survive is not written");
        }
    }
}

fn write(file: &File, count: u64, payload: &[u8], flush: Flush, done: oneshot::Sender<Result<(), String>>) {
    let told = |result: io::Result<()>| {
        result.map_err(|error| {
            tracing::error!(%error, "what must survive is not written");
            format!("the state cannot be written: {error}")
        })
    };
    let written = file.write_all_at(&[&header(count, payload), payload].concat(), 0);
    // Whoever asked and is gone meanwhile needs no answer.
    match flush {
        Flush::First => drop(done.send(told(written.and_then(|()| file.sync_data())))),
        Flush::Later => {
            drop(done.send(told(written)));
            // It is only logged: the next write that must be safe is flushed by itself.
            let _ = told(file.sync_data());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use baton_proto::v1;
    use prost::Message as _;

    use super::{Attempted, Claim, FILE_BYTES, Flush, HEADER_BYTES, RECORDS_MAX, Store, StoreError, Stored};
    use crate::claim::ATTEMPTED_MAX;
    use crate::history::HAPPENINGS_MAX;

    async fn write(directory: &Path, epochs: &[u64]) {
        let (store, _) = Store::open(directory, "web").expect("open");
        for epoch in epochs {
            let flush = if epoch % 2 == 0 { Flush::First } else { Flush::Later };
            let told = store.write(&Stored { epoch: *epoch, ..Stored::default() }, flush);
            assert_eq!(told.await, Ok(Ok(())));
        }
    }

    fn epoch(directory: &Path) -> u64 {
        Store::open(directory, "web").expect("open").1.epoch
    }

    #[tokio::test]
    async fn the_last_write_is_read_again() {
        let directory = tempfile::tempdir().expect("directory");
        let state = directory.path().join("a/b");
        write(&state, &[]).await;
        assert_eq!(epoch(&state), 0);
        write(&state, &[7, 8, 9]).await;
        assert_eq!(epoch(&state), 9);
        write(&state, &[10]).await;
        assert_eq!(epoch(&state), 10);
    }

    #[tokio::test]
    async fn a_torn_write_leaves_the_one_before_it() {
        let directory = tempfile::tempdir().expect("directory");
        write(directory.path(), &[1, 2]).await;
        // Counts 1 and 2 went to the first and the second file: the second is the newer.
        for (name, left) in [("web.state.a", 2), ("web.state.b", 1)] {
            let path = directory.path().join(name);
            let whole = fs::read(&path).expect("read");
            for torn in [0, 9, 17, 21, 24] {
                let mut bytes = whole.clone();
                bytes[torn] ^= 0x40;
                fs::write(&path, &bytes).expect("write");
                assert_eq!(epoch(directory.path()), left, "{name} torn at {torn}");
            }
            fs::write(&path, &whole).expect("write");
        }
    }

    /// A record of the usual length, and a history of the greatest.
    fn usual() -> Stored {
        let process = Some(v1::Process { pid: 4_000_000, start_ticks: u64::MAX });
        let file = Some(v1::FileIdentity { device: u64::MAX, inode: u64::MAX, born_ns: u64::MAX });
        let image = Some(v1::Image { start_stack: u64::MAX, random: vec![7; 16] });
        let lock = Some(v1::Lock { file, mark: u64::MAX, taker: u32::MAX });
        let sighting =
            v1::Sighting { began_seq: u64::MAX, role: 1, process, image: image.clone(), lock, image_after: image, parent: 1 };
        let fact = Some(v1::observation::Fact::Sighting(sighting));
        let line = v1::Observation { seq: u64::MAX, at_ns: u64::MAX, incarnation: "x".repeat(16), fact };
        let testimony = Some(v1::Testimony { observations: vec![line; 16], ..v1::Testimony::default() });
        let step = v1::Progress { detail: "x".repeat(80), at_ns: u64::MAX, step: 1 };
        let record = v1::Record { rollout: "x".repeat(30), steps: vec![step; 12], testimony, ..v1::Record::default() };
        let moment = Some(v1::Moment { at_ns: u64::MAX, boot_id: "x".repeat(36), unix_ns: u64::MAX });
        let handover = Some(v1::HandoverKey { rollout: "x".repeat(63), attempt: 1 });
        let found = Some(v1::Found { master: process, at: moment.clone() });
        let ended = Some(v1::Ended { how: Some(v1::ended::How::Signal(9)) });
        let drop = v1::Drop {
            seq: u64::MAX,
            last_master: process,
            epoch: u64::MAX,
            file,
            held_since_ns: u64::MAX,
            ended,
            handover,
            found,
        };
        let happening = v1::Happening { at: moment, what: Some(v1::happening::What::Drop(drop)) };
        let moment = happening.at.clone();
        let happenings = vec![happening; HAPPENINGS_MAX];
        let history = Some(v1::History { happenings, forgotten: u64::MAX, epoch: u64::MAX });
        let claim = Some(Claim {
            rollout: "x".repeat(63),
            session: "x".repeat(63),
            operator: "x".repeat(63),
            reason: "x".repeat(200),
            since: moment,
            stands: true,
        });
        let attempted = vec![Attempted { rollout: "x".repeat(63), number: 1 }; ATTEMPTED_MAX];
        Stored { epoch: 1, records: vec![record; RECORDS_MAX], history, claim, attempted, ..Stored::default() }
    }

    #[tokio::test]
    async fn what_is_usual_fits_into_a_file_and_what_does_not_makes_it_grow() {
        let directory = tempfile::tempdir().expect("directory");
        let (store, _) = Store::open(directory.path(), "web").expect("open");
        let fits = usual();
        assert!((fits.encoded_len() + HEADER_BYTES) as u64 <= FILE_BYTES, "{} bytes", fits.encoded_len());
        // A handover whose answers flapped.
        let mut large = usual();
        if let Some(testimony) = &mut large.records[0].testimony {
            let line = testimony.observations[0].clone();
            testimony.observations.resize(4_096, line);
        }
        for stored in [&fits, &large, &large] {
            assert_eq!(store.write(stored, Flush::First).await, Ok(Ok(())));
        }
        drop(store);
        let grown = |name: &str| fs::metadata(directory.path().join(name)).expect("it is there").len() > FILE_BYTES;
        assert!(grown("web.state.a") && grown("web.state.b"));
        let reopened = open_once_free(directory.path()).await;
        assert_eq!(reopened, large);
        // Whole again, in a file that is too long for it now.
        let (store, _) = Store::open(directory.path(), "web").expect("open");
        assert_eq!(store.write(&fits, Flush::First).await, Ok(Ok(())));
        drop(store);
        assert_eq!(open_once_free(directory.path()).await, fits);
    }

    /// What is kept, as soon as whoever had it has let go.
    async fn open_once_free(directory: &Path) -> Stored {
        loop {
            match Store::open(directory, "web") {
                Ok((_, stored)) => return stored,
                Err(StoreError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[tokio::test]
    async fn a_second_agent_does_not_get_the_state_of_the_first() {
        let directory = tempfile::tempdir().expect("directory");
        let _first = Store::open(directory.path(), "web").expect("open");
        assert!(matches!(Store::open(directory.path(), "web"), Err(StoreError::InUse { .. })));
        assert!(Store::open(directory.path(), "other").is_ok());
    }

    #[tokio::test]
    async fn damaged_files_are_named_and_not_overwritten() {
        let directory = tempfile::tempdir().expect("directory");
        for name in ["web.state.a", "web.state.b"] {
            fs::write(directory.path().join(name), b"something else").expect("write");
        }
        assert!(matches!(Store::open(directory.path(), "web"), Err(StoreError::Damaged { .. })));
        assert_eq!(fs::read(directory.path().join("web.state.a")).expect("read"), b"something else");
    }

    #[tokio::test]
    async fn the_first_write_ever_may_be_torn() {
        let directory = tempfile::tempdir().expect("directory");
        write(directory.path(), &[5]).await;
        let path = directory.path().join("web.state.b");
        let path = if fs::read(&path).expect("read").iter().all(|byte| *byte == 0) { path.with_extension("a") } else { path };
        let mut bytes = fs::read(&path).expect("read");
        bytes[24] ^= 1;
        fs::write(&path, bytes).expect("write");
        assert_eq!(epoch(directory.path()), 0);
    }
}
