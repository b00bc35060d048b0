//! Where the binaries under test are. They are looked for, never built: `make build` does that.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The path of a binary of this workspace, in the same target directory as the running executable.
///
/// # Panics
/// When it is not there.
pub fn find(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running executable has a path");
    let path = beside(&own, name);
    assert!(path.is_file(), "{} is missing; type `make build`, or `make bench` for a bench", path.display());
    path
}

/// Test executables lie one directory deeper than binaries.
fn beside(own: &Path, name: &str) -> PathBuf {
    let folder = own.parent().unwrap_or(own);
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    folder.join(name)
}

/// Whether Unicorn is installed.
pub fn has_unicorn() -> bool {
    let probe = Command::new("unicorn").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::beside;

    #[test]
    fn binaries_lie_beside_or_above() {
        let expected = Path::new("/w/target/debug/baton");
        assert_eq!(beside(Path::new("/w/target/debug/deps/gaps-0f3a"), "baton"), expected);
        assert_eq!(beside(Path::new("/w/target/debug/demo"), "baton"), expected);
    }
}
