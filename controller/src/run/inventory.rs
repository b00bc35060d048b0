//! Where the inventory lies, and what is in it.

use std::path::{Path, PathBuf};

use super::{RunError, Setting, file};
use crate::inventory::Fleet;

/// The longest inventory that is read: about eight hundred bytes for each of ten thousand hosts.
const BYTES_MAX: u64 = 8 << 20;

/// Reads the inventory that the arguments or the surroundings name.
pub(super) fn load(setting: &Setting<'_>) -> Result<Fleet, RunError> {
    let path = find(setting)?;
    let text = file::read(&path, BYTES_MAX).map_err(|source| RunError::Inventory { path: path.clone(), source })?;
    let Some(text) = text else { return Err(RunError::TooLong { path, max: BYTES_MAX }) };
    let base = path.parent().unwrap_or(Path::new("."));
    Fleet::read(&text, base).map_err(|source| RunError::Mistakes { path: path.clone(), source })
}

fn find(setting: &Setting<'_>) -> Result<PathBuf, RunError> {
    if let Some(path) = &setting.global.config {
        return Ok(path.clone());
    }
    let at_home = setting.surroundings.home.as_ref().map(|home| home.join(".config/baton/fleet.toml"));
    let candidates = std::iter::once(PathBuf::from("fleet.toml")).chain(at_home);
    candidates.into_iter().find(|path| path.exists()).ok_or(RunError::NoInventory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::super::{RunError, Setting, Surroundings};
    use super::{BYTES_MAX, load};
    use crate::args::Global;
    use crate::execute::chain;
    use crate::outcome::Exit;
    use crate::report::Format;

    fn check(text: &[u8], expected: &[&str]) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("fleet.toml");
        fs::write(&path, text).unwrap();
        told(&path, expected);
    }

    fn told(path: &Path, expected: &[&str]) {
        let global = Global { config: Some(path.to_owned()), output: Format::Human, verbose: 0 };
        let error: RunError = load(&Setting { global: &global, surroundings: &Surroundings::default() }).unwrap_err();
        let text = chain(&error).replace(&path.display().to_string(), "FILE");
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(error.exit(), Exit::Usage);
    }

    #[test]
    fn several_mistakes_have_a_line_each() {
        let rest = "certificate = \"ada.crt\"\nauthority = \"fleet-ca.crt\"\n";
        let one = "line 1: fleet.key: is missing";
        let host = "[[host]]\nname = \"web-1\"\naddress = \"10.0.0.11:7646\"\n";
        check(format!("[fleet]\nname = \"prod\"\n{rest}{host}").as_bytes(), &[&format!("FILE has mistakes: {one}")]);
        let two = ["FILE has mistakes:", "line 1: no [[host]] is listed", one];
        check(format!("[fleet]\nname = \"prod\"\n{rest}").as_bytes(), &two);
    }

    #[test]
    fn what_is_too_long_for_an_inventory_is_not_read_to_its_end() {
        let length = usize::try_from(BYTES_MAX).unwrap() + 1;
        check(&vec![b'#'; length], &["FILE is longer than 8388608 bytes: it is no inventory"]);
        told(Path::new("/dev/zero"), &["FILE is longer than 8388608 bytes: it is no inventory"]);
    }

    #[test]
    fn what_is_no_text_is_no_inventory() {
        check(b"name = \xff", &["cannot read the inventory FILE: invalid utf-8 sequence of 1 bytes from index 7"]);
    }
}
