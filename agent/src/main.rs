//! Hands the command line to the library and exits with its answer.

use std::process::ExitCode;

use baton_agent::hold;
use clap::Parser;

#[derive(Debug, Parser)]
enum Command {
    /// Runs a server in the foreground of an init system and exits when every process of it is gone.
    Hold(hold::Args),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Hold(args) => hold::run(args),
    }
}
