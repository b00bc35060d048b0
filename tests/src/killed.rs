//! `baton` that is killed at one of its writes to the journal of rollouts: a small library, compiled into the sandbox and loaded before
//! the C library, counts them and kills its own process at the one that was asked for.
//!
//! **Invariant:** nothing of this is in the product: the binary that is killed is the one that is shipped.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("killed/writes.c");

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Each write to the journal or to its log of writes.
    Write,
    /// Each time that one of them is made safe on the disk: as often as something is committed.
    Sync,
}

/// On which side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It is not done.
    Before,
    /// It is done, and nothing after it is.
    After,
}

/// Where to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// What is counted.
    pub deed: Deed,
    /// Which of them, from 1.
    pub at: u32,
    /// On which side of it.
    pub when: When,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.when.word(), self.deed.word(), self.at)
    }
}

impl Deed {
    fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Sync => "sync",
        }
    }
}

impl When {
    fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// The library that kills whom it is loaded into.
#[derive(Debug)]
pub struct Killer {
    library: PathBuf,
}

impl Killer {
    /// Compiles it in `directory`.
    ///
    /// # Panics
    /// When there is no C compiler, or it does not take it.
    pub fn compile(directory: &Path) -> Self {
        let (source, library) = (directory.join("writes.c"), directory.join("writes.so"));
        fs::write(&source, SOURCE).expect("a file in the sandbox can be written");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library).arg(&source);
        let output = compiler.output().expect("a C compiler is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { library }
    }

    /// `command` is to be killed at this point, if it comes to it.
    pub fn kill_at(&self, command: &mut Command, point: Point) {
        command.env("LD_PRELOAD", &self.library);
        command.env("BATON_TEST_KILL_AT", point.at.to_string());
        command.env("BATON_TEST_KILL_ON", point.deed.word()).env("BATON_TEST_KILL_WHEN", point.when.word());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::{Deed, Killer, Point, When};

    /// What is in the journal of a shell that writes three letters, one by one, and is killed.
    fn written(at: u32, when: When) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.current_dir(folder.path()).args(["-c", "for letter in a b c; do printf $letter; done >journal.db"]);
        Killer::compile(folder.path()).kill_at(&mut shell, Point { deed: Deed::Write, at, when });
        let survived = shell.status().unwrap().success();
        (survived, fs::read_to_string(folder.path().join("journal.db")).unwrap())
    }

    #[test]
    fn whoever_writes_is_killed_before_or_after_the_write_that_is_counted_out() {
        assert_eq!(written(2, When::Before), (false, "a".to_owned()));
        assert_eq!(written(2, When::After), (false, "ab".to_owned()));
        assert_eq!(written(4, When::Before), (true, "abc".to_owned()));
    }
}
