//! The leash of a sandbox: `leash DIRECTORY` waits for the end of its standard input, then kills whatever has a standard stream in
//! the directory, and removes it.

use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use baton_tests::sandbox;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else { return ExitCode::FAILURE };
    let folder = Path::new(&folder);
    // The end comes however the holder of the other end dies; nothing is ever sent.
    let ended = io::stdin().read_to_end(&mut Vec::new());
    let swept = sandbox::sweep(folder);
    let removed = std::fs::remove_dir_all(folder);
    if ended.is_ok() && swept.is_ok() && removed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
