//! inotify: told when a file of a directory changes, asleep otherwise (`inotify(7)`).

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
/// What the kernel calls a watch.
pub use nix::sys::inotify::WatchDescriptor as Watch;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify as Instance};

/// What a watch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Names that come and go in a directory, and files there that were written.
    Names,
    /// Somebody opens this file.
    Opens,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something happened to a name in a watched directory, or to a watched file itself (then without a name).
    Changed {
        /// The watch.
        watch: Watch,
        /// The name in the directory.
        name: Option<OsString>,
    },
    /// The watch has lost its name: what it watched is gone, or was renamed.
    Ended(Watch),
    /// Events were lost: anything may have happened.
    Overflow,
}

/// An instance of inotify. Hosts allow few of them (128 a user, by default): one a process is enough.
#[derive(Debug)]
pub struct Inotify(Instance);

impl Inotify {
    /// Opens an instance.
    ///
    /// # Errors
    /// When the user has too many already (`fs.inotify.max_user_instances`).
    pub fn new() -> io::Result<Self> {
        Ok(Self(Instance::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?))
    }

    /// Begins to watch; watching the same thing twice is one watch.
    ///
    /// # Errors
    /// When it is not there, or there are too many watches.
    pub fn watch(&self, path: &Path, interest: Interest) -> io::Result<Watch> {
        let flags = match interest {
            Interest::Names => {
                AddWatchFlags::IN_CREATE
                    | AddWatchFlags::IN_MOVED_TO
                    | AddWatchFlags::IN_MOVED_FROM
                    | AddWatchFlags::IN_DELETE
                    | AddWatchFlags::IN_CLOSE_WRITE
                    | AddWatchFlags::IN_MOVE_SELF
                    | AddWatchFlags::IN_ONLYDIR
            }
            Interest::Opens => AddWatchFlags::IN_OPEN | AddWatchFlags::IN_DONT_FOLLOW,
        };
        Ok(self.0.add_watch(path, flags)?)
    }

    /// Everything that has happened since the last call; empty when nothing has.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn read(&self) -> io::Result<Vec<Event>> {
        let events = match self.0.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let event = |event: nix::sys::inotify::InotifyEvent| {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                Event::Overflow
            } else if event.mask.intersects(AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF) {
                Event::Ended(event.wd)
            } else {
                Event::Changed { watch: event.wd, name: event.name }
            }
        };
        Ok(events.into_iter().map(event).collect())
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
