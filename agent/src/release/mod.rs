//! Releases: directories side by side, and a link to the one in use, which is switched in one step.
//!
//! **Invariant:** the link is there at every instant, and names the one release or the other: a new link is made beside it and
//! renamed over it.
//! **Invariant:** a link that somebody else has changed meanwhile is left alone.

pub mod truth;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::config::Releases;

/// From one release to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// What the link said before.
    pub before: PathBuf,
    /// What it is to say.
    pub after: PathBuf,
}

/// Why a release is not switched.
#[derive(Debug, thiserror::Error)]
pub enum NotSwitched {
    /// The link cannot be read.
    #[error("the release link {} cannot be read: it must be a symbolic link", .path.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such release.
    #[error("there is no release {name} on this host: {} is not a directory", .path.display())]
    Missing {
        /// Its name.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Somebody else switches, too.
    #[error("the release link {} was changed by somebody else meanwhile: it names {}, and is left so", .path.display(), .found.display())]
    Changed {
        /// The link.
        path: PathBuf,
        /// What it says.
        found: PathBuf,
    },
    /// The link cannot be replaced.
    #[error("the release link {} cannot be replaced; the agent must be allowed to write to its directory", .path.display())]
    Replace {
        /// The link.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What it takes to switch to the release of this name, which was checked.
///
/// # Errors
/// When the link cannot be read, or there is no such release.
pub fn switch_to(releases: &Releases, name: &str) -> Result<Switch, NotSwitched> {
    let before = read(&releases.link)?;
    let after = releases.directory.join(name);
    // A link among the releases would let a name stand for another one.
    if !fs::symlink_metadata(&after).is_ok_and(|found| found.is_dir()) {
        return Err(NotSwitched::Missing { name: name.to_owned(), path: after });
    }
    Ok(Switch { before, after })
}

impl Switch {
    /// Switches to the wanted release.
    ///
    /// # Errors
    /// When the link is not what it was, or cannot be replaced.
    pub fn forth(&self, link: &Path) -> Result<(), NotSwitched> {
        let found = read(link)?;
        if found != self.before {
            return Err(NotSwitched::Changed { path: link.to_owned(), found });
        }
        replace(link, &self.after)
    }

    /// Switches back, if that is not done already, or was never needed.
    ///
    /// # Errors
    /// When somebody else has changed the link, or it cannot be replaced.
    pub fn back(&self, link: &Path) -> Result<(), NotSwitched> {
        let found = read(link)?;
        if found == self.before {
            Ok(())
        } else if found == self.after {
            replace(link, &self.before)
        } else {
            Err(NotSwitched::Changed { path: link.to_owned(), found })
        }
    }
}

/// The name of the release that the link names now, if it is one of them.
pub fn current(releases: &Releases) -> Option<String> {
    let directory = fs::canonicalize(&releases.directory).ok()?;
    let target = fs::canonicalize(&releases.link).ok()?;
    truth::release(&target, &directory).map(str::to_owned)
}

fn read(link: &Path) -> Result<PathBuf, NotSwitched> {
    fs::read_link(link).map_err(|source| NotSwitched::Link { path: link.to_owned(), source })
}

fn replace(link: &Path, target: &Path) -> Result<(), NotSwitched> {
    let failed = |source| NotSwitched::Replace { path: link.to_owned(), source };
    let mut name = std::ffi::OsString::from(".");
    name.push(link.file_name().unwrap_or_default());
    name.push(".baton");
    let new = link.with_file_name(name);
    // One that an agent left behind when it died between the two steps.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    symlink(target, &new).and_then(|()| fs::rename(&new, link)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::{NotSwitched, Switch, current, switch_to};
    use crate::config::Releases;

    fn releases() -> (TempDir, Releases) {
        let root = tempfile::tempdir().expect("a directory");
        let (directory, link) = (root.path().join("releases"), root.path().join("current"));
        for name in ["v1", "v2"] {
            fs::create_dir_all(directory.join(name)).expect("a release");
        }
        symlink("releases/v1", &link).expect("a link");
        (root, Releases { directory, link })
    }

    #[test]
    fn a_release_is_switched_to_and_back_to_the_letter() {
        let (_root, releases) = releases();
        let switch = switch_to(&releases, "v2").expect("it is there");
        assert_eq!(current(&releases).as_deref(), Some("v1"));
        switch.forth(&releases.link).expect("switched");
        assert_eq!(current(&releases).as_deref(), Some("v2"));
        switch.back(&releases.link).expect("switched back");
        switch.back(&releases.link).expect("done already");
        assert_eq!(fs::read_link(&releases.link).expect("a link"), PathBuf::from("releases/v1"));
    }

    #[test]
    fn what_an_agent_that_died_left_beside_the_link_is_in_nobodys_way() {
        let (root, releases) = releases();
        symlink("anywhere", root.path().join(".current.baton")).expect("a link");
        switch_to(&releases, "v2").expect("it is there").forth(&releases.link).expect("switched");
        assert_eq!(current(&releases).as_deref(), Some("v2"));
        assert!(fs::symlink_metadata(root.path().join(".current.baton")).is_err());
    }

    #[test]
    fn only_a_directory_among_the_releases_is_one_and_only_a_link_is_a_link() {
        let (root, mut releases) = releases();
        fs::write(releases.directory.join("file"), "").expect("a file");
        symlink("v1", releases.directory.join("other")).expect("a link");
        for name in ["v3", "file", "other"] {
            assert!(matches!(switch_to(&releases, name), Err(NotSwitched::Missing { .. })), "{name}");
        }
        releases.link = root.path().join("releases");
        assert!(matches!(switch_to(&releases, "v2"), Err(NotSwitched::Link { .. })));
    }

    #[test]
    fn a_link_that_somebody_else_has_changed_is_left_alone() {
        let (root, releases) = releases();
        let switch = switch_to(&releases, "v2").expect("it is there");
        fs::create_dir(releases.directory.join("v3")).expect("a release");
        fs::remove_file(&releases.link).and_then(|()| symlink("releases/v3", &releases.link)).expect("a link");
        for told in [Switch::forth, Switch::back] {
            assert!(matches!(told(&switch, &releases.link), Err(NotSwitched::Changed { .. })));
        }
        assert_eq!(fs::read_link(root.path().join("current")).expect("a link"), PathBuf::from("releases/v3"));
    }
}
