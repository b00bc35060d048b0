//! The dance of the pid files, as Unicorn dances it.
//!
//! At USR2 the old master renames its pid file to `.oldbin`; the new one writes the pid file before it loads the application. A
//! new master that dies makes the old one rename its file back. Whoever leaves in order unlinks the files with its own pid.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The pid files of one service.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    old: PathBuf,
}

impl PidFile {
    /// The pid file at `path`, and the one beside it.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), old: suffixed(path, ".oldbin") }
    }

    /// Says that this process is the master. Readers see the whole pid or none.
    pub(crate) fn write(&self) -> io::Result<()> {
        let own = std::process::id();
        let draft = suffixed(&self.path, &format!(".{own}"));
        fs::write(&draft, format!("{own}\n"))?;
        fs::rename(draft, &self.path)
    }

    /// Makes room for a new master.
    pub(crate) fn step_aside(&self) -> io::Result<()> {
        fs::rename(&self.path, &self.old)
    }

    /// Takes the room back: the new master is dead.
    pub(crate) fn step_back(&self) -> io::Result<()> {
        fs::rename(&self.old, &self.path)
    }

    /// Removes what names this process.
    pub(crate) fn remove_own(&self) -> io::Result<()> {
        let own = std::process::id().to_string();
        for path in [&self.path, &self.old] {
            match fs::read_to_string(path) {
                Ok(text) if text.trim() == own => fs::remove_file(path)?,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// `path` with `suffix` appended to its last part.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
