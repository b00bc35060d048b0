//! A process that calls exec on itself again and again, and each time takes a lock whose mark tells which image took it.
//!
//! `restless LOCK` does so without a pause; `restless LOCK wait` does so for each line of its standard input. The mark is made of the
//! 16 random bytes of the image that set it: whoever sees this image with another mark has mixed up two looks.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use baton_tests::restless::mark;

/// The key of their address in the auxiliary vector (`getauxval(3)`).
const AT_RANDOM: u64 = 25;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let failed = match words[..] {
        [lock] => live(Path::new(lock), false, &arguments),
        [lock, "wait"] => live(Path::new(lock), true, &arguments),
        _ => io::Error::other("restless LOCK, or restless LOCK wait"),
    };
    report(&failed);
    ExitCode::FAILURE
}

/// One life; it returns only when there is no next one.
fn live(lock: &Path, waits: bool, arguments: &[String]) -> io::Error {
    let held = match hold(lock) {
        Ok(held) => held,
        Err(error) => return error,
    };
    if waits && let Err(error) = io::stdin().read_exact(&mut [0]) {
        return error;
    }
    // By the same words as before: what lies on the stack is as long as it was.
    let error = std::env::current_exe().map_or_else(|error| error, |path| Command::new(path).args(arguments).exec());
    drop(held);
    error
}

/// Exec closes the descriptor: the lock is free then, and is taken anew.
fn hold(lock: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(lock)?;
    // Before the lock: it is never seen without its mark.
    file.seek(SeekFrom::Start(mark(own_random()?)))?;
    file.lock_shared()?;
    Ok(file)
}

/// The 16 random bytes that the kernel gave to this image.
fn own_random() -> io::Result<[u8; 16]> {
    let mut auxv = Vec::new();
    File::open("/proc/self/auxv")?.read_to_end(&mut auxv)?;
    let words: Vec<u64> = auxv.chunks_exact(8).filter_map(|word| Some(u64::from_ne_bytes(word.try_into().ok()?))).collect();
    let pair = words.chunks_exact(2).find(|pair| pair[0] == AT_RANDOM);
    let address = pair.map(|pair| pair[1]).ok_or_else(|| io::Error::other("auxv has no AT_RANDOM"))?;
    let mut random = [0; 16];
    File::open("/proc/self/mem")?.read_exact_at(&mut random, address)?;
    Ok(random)
}

#[expect(clippy::print_stderr, reason = "its log is its standard error")]
fn report(error: &io::Error) {
    eprintln!("restless: {error}");
}
