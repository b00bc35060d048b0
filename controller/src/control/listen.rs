//! The side of the rollout: it listens, and hands what is ordered to the loop.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{ANSWER_DEADLINE, ControlError, LINE_DEADLINE, LINE_MAX, fits, message};
use crate::rollout::Order;
use crate::store::{Directory, RunLock};

/// How many connections are served at once; others wait to be accepted.
const CONNECTIONS_MAX: usize = 8;

/// Where orders come in, for as long as this lives.
#[derive(Debug)]
pub struct Controls {
    path: PathBuf,
    requests: mpsc::Receiver<Request>,
    listening: JoinHandle<()>,
}

/// An order that wants an answer.
#[derive(Debug)]
pub struct Request {
    /// What is ordered.
    pub order: Order,
    reply: oneshot::Sender<String>,
}

impl Request {
    /// Says what the rollout does now. Whoever has gone is not told.
    pub fn answer(self, sentence: impl Into<String>) {
        let _ = self.reply.send(sentence.into());
    }
}

impl Controls {
    /// Listens for orders to a rollout. Whoever has its lock may: what an earlier process left there is removed.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(directory: &Directory, rollout: &str, _lock: &RunLock) -> Result<Self, ControlError> {
        let path = directory.socket(rollout);
        fits(&path)?;
        let (listener, owner) = bind(&path).map_err(|source| ControlError::Listen { path: path.clone(), source })?;
        let (sender, requests) = mpsc::channel(CONNECTIONS_MAX);
        let listening = tokio::spawn(accept(listener, owner, sender));
        Ok(Self { path, requests, listening })
    }

    /// The next order. May be dropped and called again: none is lost.
    pub async fn next(&mut self) -> Request {
        match self.requests.recv().await {
            Some(request) => request,
            // Nobody listens any more, so nothing comes.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Controls {
    fn drop(&mut self) {
        self.listening.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// The socket, and who we are: its owner.
fn bind(path: &Path) -> io::Result<(UnixListener, u32)> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok((listener, fs::metadata(path)?.uid()))
}

async fn accept(listener: UnixListener, owner: u32, requests: mpsc::Sender<Request>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, most likely: whoever waits outside is let in when one is free.
            tokio::time::sleep(LINE_DEADLINE).await;
            continue;
        };
        let requests = requests.clone();
        tokio::spawn(async move {
            serve(stream, owner, requests).await;
            drop(seat);
        });
    }
}

async fn serve(mut stream: UnixStream, owner: u32, requests: mpsc::Sender<Request>) {
    let is_ours = stream.peer_cred().is_ok_and(|peer| peer.uid() == owner);
    let answered = if is_ours { take(&mut stream, requests).await } else { Err("only the user who walks may order".to_owned()) };
    if let Err(cause) = &answered {
        tracing::warn!(%cause, "an order was not taken");
    }
    let line = message::answer(answered.as_deref().map_err(String::as_str));
    // Whoever does not read the answer has its order carried out all the same.
    let _ = timeout(LINE_DEADLINE, stream.write_all(line.as_bytes())).await;
}

/// Takes one order, and waits for what the rollout says.
async fn take(stream: &mut UnixStream, requests: mpsc::Sender<Request>) -> Result<String, String> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream).take(LINE_MAX);
    let read = timeout(LINE_DEADLINE, reader.read_line(&mut line)).await;
    read.map_err(|_| "no line came in time".to_owned())?.map_err(|error| error.to_string())?;
    if !line.ends_with('\n') {
        return Err("the line did not end".to_owned());
    }
    let order = message::read_request(&line)?;
    let (reply, answer) = oneshot::channel();
    let answered = async {
        requests.send(Request { order, reply }).await.map_err(|_| "the rollout is over".to_owned())?;
        answer.await.map_err(|_| "the rollout is over".to_owned())
    };
    timeout(ANSWER_DEADLINE, answered).await.map_err(|_| "the rollout is busy; it may take the order later".to_owned())?
}
