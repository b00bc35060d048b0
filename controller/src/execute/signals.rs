//! The operator's ^C, and the system's wish that we end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Interrupts, as they come.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Takes over SIGINT and SIGTERM: from here on they no longer end the process.
    ///
    /// # Errors
    /// When the handlers cannot be set.
    pub fn take_over() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
