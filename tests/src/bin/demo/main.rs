//! `make demo`: a fleet of five hosts on this machine, restarted under load by the real `baton`; then a release that cannot boot.
//!
//! Everything that it prints was measured in this run. It leaves no process and no file behind, however it ends: all that it starts
//! is on the leash of a sandbox.

mod interrupt;
mod report;
mod story;

use std::process::ExitCode;

use baton_tests::sandbox::Sandbox;

fn main() -> ExitCode {
    let sandbox = Sandbox::new();
    interrupt::end_when_told(sandbox.leash());
    match story::play(sandbox) {
        Ok(()) => ExitCode::SUCCESS,
        Err(surprise) => {
            report::surprised(&surprise);
            ExitCode::FAILURE
        }
    }
}
