//! Which release a process runs, by where it is: its directory and its executable.
//!
//! A server that was started in the link's directory by its resolved path, or with a stale `PWD`, reloads the old release
//! and calls that a success.

use std::path::{Path, PathBuf};

/// Pids that are named in one sentence.
const NAMED_MAX: usize = 8;

/// Where a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its pid.
    pub pid: u32,
    /// Its directory and its executable, as far as they can be read.
    pub paths: Vec<PathBuf>,
}

/// The name of the release that a path lies in.
pub fn release<'a>(path: &'a Path, directory: &Path) -> Option<&'a str> {
    path.strip_prefix(directory).ok()?.components().next()?.as_os_str().to_str()
}

/// Which releases a process runs: none where its whereabouts do not tell, more than one where they differ.
fn releases<'a>(process: &'a Whereabouts, directory: &'a Path) -> impl Iterator<Item = &'a str> {
    process.paths.iter().filter_map(|path| release(path, directory))
}

/// How many of these processes are seen to run the wanted release.
///
/// # Errors
/// When one runs another: a sentence that names it.
pub fn of(processes: &[Whereabouts], directory: &Path, wanted: &str) -> Result<usize, String> {
    let stale = |process: &&Whereabouts| releases(process, directory).any(|release| release != wanted);
    let strays: Vec<&Whereabouts> = processes.iter().filter(stale).collect();
    let Some(first) = strays.first() else {
        return Ok(processes.iter().filter(|process| releases(process, directory).next().is_some()).count());
    };
    let pids: Vec<String> = strays.iter().take(NAMED_MAX).map(|process| process.pid.to_string()).collect();
    let more = if strays.len() > NAMED_MAX { " and more" } else { "" };
    let found = releases(first, directory).find(|release| *release != wanted).unwrap_or_default();
    let mixed = if strays.len() < processes.len() { "the new generation is mixed: " } else { "" };
    let runs = if strays.len() == 1 { "runs" } else { "run" };
    Err(format!(
        "{mixed}{}{more} {runs} release {found} where {wanted} is wanted; the server must be started in the directory of the \
         link, with PWD naming the link",
        pids.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Whereabouts, of, release};

    fn at(pid: u32, paths: &[&str]) -> Whereabouts {
        Whereabouts { pid, paths: paths.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn a_release_is_the_directory_below_the_releases() {
        let directory = Path::new("/srv/web/releases");
        for (path, name) in [
            ("/srv/web/releases/v1/app", Some("v1")),
            ("/srv/web/releases/v1", Some("v1")),
            ("/srv/web/releases", None),
            ("/srv/web/releases2/v1", None),
            ("/", None),
            ("/usr/bin/ruby", None),
            ("/srv/web/releases/v1 (deleted)", Some("v1 (deleted)")),
        ] {
            assert_eq!(release(Path::new(path), directory), name, "{path}");
        }
    }

    #[test]
    fn processes_of_the_wanted_release_are_counted_and_those_that_do_not_tell_are_not() {
        let processes = [at(1, &["/r/v2", "/usr/bin/ruby"]), at(2, &["/", "/r/v2/bin/server"]), at(3, &["/", "/usr/sbin/nginx"])];
        assert_eq!(of(&processes, Path::new("/r"), "v2"), Ok(2));
        assert_eq!(of(&[], Path::new("/r"), "v2"), Ok(0));
    }

    #[test]
    fn whoever_runs_another_release_is_named() {
        let told = |processes: &[Whereabouts]| of(processes, Path::new("/r"), "v2").expect_err("somebody is stale");
        let all = told(&[at(1, &["/r/v1"]), at(2, &["/r/v1/app"])]);
        assert!(all.starts_with("1, 2 run release v1 where v2 is wanted; "), "{all}");
        let one = told(&[at(1, &["/r/v2"]), at(2, &["/r/v2", "/r/v1/bin/server"])]);
        assert!(one.starts_with("the new generation is mixed: 2 runs release v1 where v2 is wanted; "), "{one}");
        let many: Vec<Whereabouts> = (1..20).map(|pid| at(pid, &["/r/v1"])).collect();
        assert!(told(&many).starts_with("1, 2, 3, 4, 5, 6, 7, 8 and more run release v1"), "{}", told(&many));
    }
}
