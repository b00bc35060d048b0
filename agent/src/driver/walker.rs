//! Looks at every process of the host, off the drivers' task: one walk at a time for the whole agent, whoever asks for it.
//!
//! **Invariant:** a walk that was asked for begins after that, so that what it finds is not older than the question.

use baton_proto::custody::FileIdentity;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::Input;
use crate::os::family;

/// Each driver has asked for two at most.
const WANTED_MAX: usize = 512;

/// Where walks are asked for.
#[derive(Debug, Clone)]
pub struct Walker(mpsc::Sender<Wanted>);

#[derive(Debug)]
struct Wanted {
    file: FileIdentity,
    to: mpsc::Sender<Input>,
}

impl Walker {
    /// Starts it; it ends when the last of its handles is gone.
    pub fn start() -> Self {
        let (wanted, inbox) = mpsc::channel(WANTED_MAX);
        tokio::spawn(serve(inbox));
        Self(wanted)
    }

    /// Asks for a walk, of which `to` is told the holders of the file. Whether it will be made: not where too many wait already.
    pub(super) fn walk(&self, file: FileIdentity, to: mpsc::Sender<Input>) -> bool {
        self.0.try_send(Wanted { file, to }).is_ok()
    }
}

async fn serve(mut inbox: mpsc::Receiver<Wanted>) {
    while let Some(first) = inbox.recv().await {
        let mut wanted = vec![first];
        while let Ok(another) = inbox.try_recv() {
            wanted.push(another);
        }
        let files: Vec<FileIdentity> = wanted.iter().map(|wanted| wanted.file).collect();
        // It fails only when it panics, which would be a bug, or when the agent stops.
        let found = spawn_blocking(move || family::walk(&files)).await.unwrap_or_default();
        for Wanted { file, to } in wanted {
            let holders = found.iter().filter(|holder| holder.lock.file == file).map(|holder| holder.process.pid).collect();
            // The driver is gone only when the agent stops.
            let _ = to.send(Input::Walked(file, holders)).await;
        }
    }
}
