//! Paths of a configuration: absolute, and each for one purpose.
//!
//! **Invariant:** two paths are compared by their parts, as written: no file system is asked, so links are not seen here.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What `PATH_MAX` holds without its closing zero.
pub(super) const LENGTH_MAX: usize = 4_095;

/// What `sun_path` holds without its closing zero: see unix(7).
pub(super) const SOCKET_LENGTH_MAX: usize = 107;

/// Reads an absolute path of at most `length_max` bytes.
pub(super) fn absolute(text: &str, length_max: usize) -> Result<PathBuf, String> {
    if text.len() > length_max {
        return Err(format!("has {} bytes, at most {length_max} are possible", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character in it".to_owned());
    }
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        return Err(format!("{text:?} is not absolute: it must begin with a slash"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{text:?} has a \"..\" in it"));
    }
    if path.file_name().is_none() {
        return Err(format!("{text:?} names no file"));
    }
    Ok(path)
}

/// The beginning of a text, for an error.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Which path is for what.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<PathBuf, String>);

impl Claims {
    /// Claims a path for the purpose `key`; refused when it has another.
    pub(super) fn claim(&mut self, path: &Path, key: &str) -> Result<(), String> {
        if let Some(other) = self.0.get(path) {
            return Err(format!("is {other} already"));
        }
        self.0.insert(path.to_owned(), key.to_owned());
        Ok(())
    }
}
