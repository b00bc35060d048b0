//! The least that can hold a lock, and the least that can wait for one: what the benches measure against.
//!
//! `bare hold LOCK PIDFILE` takes a shared lock, writes its pid file and sleeps until it is killed. `bare wait LOCK` waits, for each
//! line of its standard input, until nobody holds the lock, and prints when that was, in nanoseconds of CLOCK_BOOTTIME.

use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use baton_tests::clock;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["hold", lock, pidfile] => hold(Path::new(lock), Path::new(pidfile)),
        ["wait", lock] => wait(Path::new(lock)),
        _ => Err(io::Error::other("bare hold LOCK PIDFILE, or bare wait LOCK")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn hold(lock: &Path, pidfile: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(lock)?;
    file.lock_shared()?;
    let draft = pidfile.with_extension("draft");
    fs::write(&draft, format!("{}\n", std::process::id()))?;
    fs::rename(draft, pidfile)?;
    loop {
        thread::park();
    }
}

fn wait(lock: &Path) -> io::Result<()> {
    let mut output = io::stdout();
    for line in io::stdin().lock().lines() {
        line?;
        let file = File::open(lock)?;
        file.lock()?;
        let at = clock::since_boot()?;
        file.unlock()?;
        drop(file);
        writeln!(output, "{}", at.as_nanos())?;
        output.flush()?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "it has no other way to say why it ended")]
fn report(error: &io::Error) {
    eprintln!("bare: {error}");
}
