//! Reads `release`: where releases lie, and the link that names the one in use.

use std::path::PathBuf;

use baton_proto::document::{Notes, Table};

use super::value::required_path;

/// Where the releases of a service lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Releases {
    /// Each is a directory in this one.
    pub directory: PathBuf,
    /// The symbolic link to the one in use.
    pub link: PathBuf,
}

/// Reads `release = { directory, link }`.
pub(super) fn releases(service: &mut Table<'_>, notes: &mut Notes) -> Option<Releases> {
    let mut table = service.table(notes, "release")?;
    let directory = required_path(&mut table, notes, "directory");
    let link = required_path(&mut table, notes, "link");
    let (directory, link) = (directory?, link?);
    if link == directory || link.starts_with(&directory) {
        table.wrong(notes, "the link lies among the releases: it must be outside of their directory");
    }
    table.finish(notes);
    Some(Releases { directory, link })
}
