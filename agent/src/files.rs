//! Tells each service when something happened to its pid file or lock file: one inotify instance for the whole process.
//!
//! A directory that is not there yet is awaited: its nearest ancestor is watched until it comes.
//!
//! Two services on one lock file, by whatever names, have one watch between them: that is how they are found out.
//!
//! **Invariant:** an event only says *look*; what is the case is read from the files, never from the event.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, watch};

use crate::os::inotify::{Event, Inotify, Interest, Watch};
use crate::os::readable::Readable;

/// The files of one service.
#[derive(Debug)]
struct Target {
    service: String,
    paths: Vec<PathBuf>,
    lock: PathBuf,
    changes: mpsc::Sender<()>,
    twin: watch::Sender<Option<String>>,
}

/// What a service is told of its files.
#[derive(Debug)]
pub struct Told {
    /// Something happened to one of them.
    pub changes: mpsc::Receiver<()>,
    /// Another service whose lock is the same file, if there is one.
    pub twin: watch::Receiver<Option<String>>,
}

impl Target {
    fn directories(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter_map(|path| path.parent())
    }

    fn is_about(&self, directory: &Path, name: &OsString) -> bool {
        self.paths.iter().any(|path| path.parent() == Some(directory) && path.file_name() == Some(name))
    }
}

/// Collects the files of all services, then watches them.
#[derive(Debug, Default)]
pub struct Files {
    targets: Vec<Target>,
}

impl Files {
    /// Adds a service: the paths whose coming and going it wants to know of, and the lock, of whose opening too.
    pub fn add(&mut self, service: String, mut paths: Vec<PathBuf>, lock: PathBuf) -> Told {
        let (changes, told) = mpsc::channel(1);
        let (twin, twin_told) = watch::channel(None);
        paths.push(lock.clone());
        self.targets.push(Target { service, paths, lock, changes, twin });
        Told { changes: told, twin: twin_told }
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// When the kernel grants no inotify instance.
    pub fn watch(self) -> io::Result<()> {
        let inotify = Inotify::new()?;
        let readable = Readable::of(inotify.as_fd())?;
        let mut watches =
            Watches { inotify, readable, targets: self.targets, directories: HashMap::new(), locks: HashMap::new() };
        watches.install();
        tokio::spawn(async move { watches.run().await });
        Ok(())
    }
}

struct Watches {
    inotify: Inotify,
    readable: Readable,
    targets: Vec<Target>,
    /// Which directory a watch is on, by all the names that it has.
    directories: HashMap<Watch, BTreeSet<PathBuf>>,
    /// Whose lock files a watch is on.
    locks: HashMap<Watch, Vec<usize>>,
}

impl Watches {
    async fn run(&mut self) {
        while self.readable.ready().await.is_ok() {
            loop {
                let events = match self.inotify.read() {
                    Ok(events) if events.is_empty() => break,
                    Ok(events) => events,
                    Err(error) => {
                        tracing::error!(%error, "inotify cannot be read; pid and lock files are no longer watched");
                        return;
                    }
                };
                for event in events {
                    self.pass_on(event);
                }
            }
        }
    }

    fn pass_on(&mut self, event: Event) {
        match event {
            Event::Changed { watch, name: Some(name) } => {
                let Some(directories) = self.directories.get(&watch).cloned() else { return };
                let is_wanted = |target: &Target| target.directories().any(|wanted| directories.contains(wanted));
                let ancestor = !self.targets.iter().any(is_wanted);
                let lock = self.targets.iter().any(|target| target.lock.file_name() == Some(&name));
                if ancestor || lock {
                    self.install();
                }
                for target in &self.targets {
                    if ancestor || directories.iter().any(|directory| target.is_about(directory, &name)) {
                        tell(target);
                    }
                }
            }
            Event::Changed { watch, name: None } => {
                for target in self.locks.get(&watch).into_iter().flatten().filter_map(|index| self.targets.get(*index)) {
                    tell(target);
                }
            }
            Event::Ended(watch) => {
                self.locks.remove(&watch);
                // A directory that is gone may come again; a lock file's name is watched in its directory.
                if self.directories.remove(&watch).is_some() {
                    self.install();
                    self.tell_all();
                }
            }
            Event::Overflow => {
                self.install();
                self.tell_all();
            }
        }
    }

    fn tell_all(&self) {
        for target in &self.targets {
            tell(target);
        }
    }

    /// Watches every wanted directory, or its nearest ancestor, and every lock file that is there.
    fn install(&mut self) {
        let inotify = &self.inotify;
        self.locks.clear();
        for (index, target) in self.targets.iter().enumerate() {
            for directory in target.directories() {
                for (watch, path) in nearest(inotify, directory) {
                    self.directories.entry(watch).or_default().insert(path.to_owned());
                }
            }
            if let Ok(watch) = inotify.watch(&target.lock, Interest::Opens) {
                self.locks.entry(watch).or_default().push(index);
            }
        }
        self.tell_twins();
    }

    /// Tells each service which other one has the same lock file.
    fn tell_twins(&self) {
        for (index, target) in self.targets.iter().enumerate() {
            let sharers = self.locks.values().find(|sharers| sharers.contains(&index)).into_iter().flatten();
            let other = sharers.copied().find(|sharer| *sharer != index).and_then(|other| self.targets.get(other));
            target.twin.send_replace(other.map(|other| other.service.clone()));
        }
    }
}

/// Watches the directory or its nearest ancestor; further ones, if the path grew while that was done.
fn nearest<'a>(inotify: &Inotify, directory: &'a Path) -> Vec<(Watch, &'a Path)> {
    let mut watched: Vec<(Watch, &Path)> = Vec::new();
    // Each round that goes on has found a deeper directory, so there are no more rounds than directories.
    loop {
        // The root is always there, so some ancestor is.
        let found = directory.ancestors().find_map(|path| Some((inotify.watch(path, Interest::Names).ok()?, path)));
        match found {
            Some((watch, path)) if !watched.iter().any(|(_, known)| *known == path) => watched.push((watch, path)),
            Some(_) | None => return watched,
        }
    }
}

fn tell(target: &Target) {
    // With one word waiting already, the driver will look; a driver that is gone needs no news.
    let _ = target.changes.try_send(());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Files;

    #[tokio::test]
    async fn a_pid_file_in_a_directory_that_comes_later_is_noticed() {
        let root = tempfile::tempdir().expect("directory");
        let directory = root.path().join("run/web");
        let pid = directory.join("unicorn.pid");
        let mut files = Files::default();
        let mut changes = files.add("web".into(), vec![pid.clone()], directory.join("unicorn.pid.lock")).changes;
        files.watch().expect("watch");
        fs::create_dir_all(&directory).expect("create");
        assert_eq!(changes.recv().await, Some(()));
        fs::write(&pid, "1").expect("write");
        assert_eq!(changes.recv().await, Some(()));
    }

    #[tokio::test]
    async fn somebody_who_opens_the_lock_is_noticed_and_a_stranger_is_not() {
        let root = tempfile::tempdir().expect("directory");
        let lock = root.path().join("unicorn.pid.lock");
        fs::write(&lock, "").expect("write");
        let mut files = Files::default();
        let mut changes = files.add("web".into(), vec![root.path().join("unicorn.pid")], lock.clone()).changes;
        files.watch().expect("watch");
        fs::write(root.path().join("another"), "").expect("write");
        tokio::task::yield_now().await;
        assert!(changes.try_recv().is_err());
        fs::File::open(&lock).expect("open");
        assert_eq!(changes.recv().await, Some(()));
    }

    #[tokio::test]
    async fn two_services_on_one_lock_file_are_found_out_under_any_names() {
        let root = tempfile::tempdir().expect("directory");
        fs::create_dir(root.path().join("run")).expect("create");
        std::os::unix::fs::symlink("run", root.path().join("alias")).expect("link");
        fs::write(root.path().join("run/lock"), "").expect("write");
        fs::write(root.path().join("run/other"), "").expect("write");
        let mut files = Files::default();
        let [one, alias, other] = [("one", "run/lock"), ("alias", "alias/lock"), ("other", "run/other")]
            .map(|(service, lock)| files.add(service.into(), Vec::new(), root.path().join(lock)));
        files.watch().expect("watch");
        assert_eq!(one.twin.borrow().as_deref(), Some("alias"));
        assert_eq!(alias.twin.borrow().as_deref(), Some("one"));
        assert_eq!(other.twin.borrow().as_deref(), None);
    }
}
