//! `^C` and its like end the demo at once, and everything that it has started.

use std::process;
use std::thread;

use baton_tests::sandbox::Leash;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report;

/// What a shell says of a process that `^C` ended.
const INTERRUPTED: i32 = 130;

/// From here on, a signal that means "end" lets go of the leash, then ends the process.
pub(crate) fn end_when_told(leash: Leash) {
    let runtime = runtime::Builder::new_current_thread().enable_io().build().expect("signals can be waited for");
    let guard = runtime.enter();
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    drop(guard);
    thread::spawn(move || {
        runtime.block_on(any(signals.map(|signal| signal.expect("a signal can be waited for"))));
        report::interrupted();
        let ended = leash.let_go();
        end(if ended { INTERRUPTED } else { 1 })
    });
}

async fn any([mut interrupt, mut terminate, mut hangup]: [Signal; 3]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[expect(clippy::exit, reason = "the story is in the middle of something and cannot be asked to return")]
fn end(code: i32) -> ! {
    process::exit(code)
}
