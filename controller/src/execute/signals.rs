//! The operator's ^C, and the system's wish that we end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How many interrupts are remembered: the first drains, the second leaves, more say nothing new.
const INTERRUPTS_MAX: usize = 4;

/// Interrupts, as they come.
#[derive(Debug)]
pub struct Interrupts(mpsc::Receiver<()>);

impl Interrupts {
    /// Interrupts that somebody else makes.
    pub fn by_hand() -> (mpsc::Sender<()>, Self) {
        let (sender, interrupts) = mpsc::channel(INTERRUPTS_MAX);
        (sender, Self(interrupts))
    }

    /// Takes over SIGINT and SIGTERM: from here on they no longer end the process.
    ///
    /// # Errors
    /// When the handlers cannot be set.
    pub fn take_over() -> io::Result<Self> {
        let (sender, interrupts) = Self::by_hand();
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        Ok(interrupts)
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
