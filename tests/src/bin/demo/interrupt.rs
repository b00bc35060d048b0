//! `^C` and its like end the demo at once, and everything that it has started.
//!
//! **Invariant:** once that has begun, only it is heard: the story, which loses its servers under its feet, says nothing more.

use std::panic;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;

use baton_tests::sandbox::{self, Leash};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report;

/// What a shell says of a process that `^C` ended.
const INTERRUPTED: i32 = 130;
/// Something outlived the demo.
const FAILED: i32 = 1;

/// From here on, a signal that means "end" ends first the controller, whose standard input is in `controller`, then all else.
pub(crate) fn end_when_told(leash: Leash, controller: PathBuf) {
    let runtime = runtime::Builder::new_current_thread().enable_io().build().expect("signals can be waited for");
    let guard = runtime.enter();
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    drop(guard);
    thread::spawn(move || {
        runtime.block_on(any(signals.map(|signal| signal.expect("a signal can be waited for"))));
        exit(end_all(&leash, &controller))
    });
}

async fn any([mut interrupt, mut terminate, mut hangup]: [Signal; 3]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

fn end_all(leash: &Leash, controller: &Path) -> i32 {
    let _silence = report::silence_others();
    panic::set_hook(Box::new(|_| wait_for_the_end()));
    // It draws on the terminal: as long as it lives, nobody else can be read. Whatever outlives this, the leash ends.
    let _ = sandbox::sweep(controller);
    report::gap();
    report::line("Interrupted", "ending the controller, the agents and the servers");
    if leash.let_go() {
        report::ended();
        INTERRUPTED
    } else {
        report::line("Left", "something that was started outlived the demo, or its files could not be removed");
        FAILED
    }
}

fn wait_for_the_end() {
    loop {
        thread::park();
    }
}

#[expect(clippy::exit, reason = "the story is in the middle of something and cannot be asked to return")]
fn exit(code: i32) -> ! {
    process::exit(code)
}
