//! `make demo`: a fleet of five hosts on this machine, restarted under load by the real `baton`; then a release that cannot boot.
//!
//! Everything that it prints was measured in this run. It leaves no process and no file behind, however it ends: all that it starts
//! is on the leash of a sandbox.

mod controller;
mod interrupt;
mod report;
mod story;

use std::process::ExitCode;

use baton_tests::sandbox::Sandbox;
use clap::Parser;

/// Restarts a fleet of five on this machine, under load; then deploys a release that cannot boot.
///
/// Five hosts are started, each with a real server and a real agent, under a throw-away certificate authority. Nothing outside of
/// a temporary directory is touched, and nothing is left behind.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Args {}

fn main() -> ExitCode {
    let Args {} = Args::parse();
    let sandbox = Sandbox::new();
    interrupt::end_when_told(sandbox.leash(), controller::folder(sandbox.path()));
    match story::play(sandbox) {
        Ok(()) => ExitCode::SUCCESS,
        Err(surprise) => {
            report::surprised(&surprise);
            ExitCode::FAILURE
        }
    }
}
