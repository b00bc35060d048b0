//! To which generation a process belongs, and which process holds the other end of a connection.
//!
//! **Invariant:** whoever cannot be told counts as of before, or as a stranger; never as new.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use baton_proto::custody::{Image, Process};
use tokio::time::{Instant, timeout_at};

use super::stream::Stream;
use crate::os::process;

/// The first pause while nobody has accepted the connection; it doubles.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_micros(500);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_millis(20);

/// The two generations between which the probe has to tell.
#[derive(Debug, Clone)]
pub enum Sides {
    /// Each has a master.
    Masters {
        /// The old master.
        old: u32,
        /// The new master.
        new: u32,
    },
    /// They have one master.
    Workers {
        /// The master.
        master: u32,
        /// The processes of before.
        old: BTreeSet<u32>,
        /// What the master ran before, if its new workers run something else.
        image: Option<Image>,
        /// When the master was signalled: whoever is older is of before.
        since: Option<Duration>,
    },
}

/// Who holds the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    /// A process of the new generation.
    New(u32),
    /// A process of the old one.
    Old(u32),
    /// Nobody who is seen to be of the service.
    Stranger,
}

impl Sides {
    /// Every process of the new generation but its master, as it is now.
    pub(super) fn workers(&self) -> Vec<Process> {
        let mut found = match self {
            Self::Masters { old, new } => process::descendants(*new, Some(*old)),
            Self::Workers { master, .. } => process::descendants(*master, None),
        };
        found.retain(|process| self.is_new(*process));
        found
    }

    /// The master of the new generation.
    pub(super) fn master(&self) -> u32 {
        match self {
            Self::Masters { new: master, .. } | Self::Workers { master, .. } => *master,
        }
    }

    /// To whom the process belongs that is looked for.
    pub(super) fn find(&self, is_it: impl Fn(u32) -> bool) -> Party {
        let below = |master: u32, other: Option<u32>| process::descendants(master, other).into_iter().find(|one| is_it(one.pid));
        let among = |master, other| below(master, other).map(|one| one.pid).or_else(|| Some(master).filter(|pid| is_it(*pid)));
        match self {
            // The new master may be a child of the old one: each is asked without the other.
            Self::Masters { old, new } => match among(*new, Some(*old)) {
                Some(pid) => Party::New(pid),
                None => among(*old, Some(*new)).map_or(Party::Stranger, Party::Old),
            },
            Self::Workers { master, .. } => match below(*master, None) {
                Some(process) if self.is_new(process) => Party::New(process.pid),
                Some(process) => Party::Old(process.pid),
                // It was there before, whatever it runs now.
                None if is_it(*master) => Party::Old(*master),
                None => Party::Stranger,
            },
        }
    }

    /// Whether a process below the master is not of before: it was not there, it is no older than the signal, and it was not forked by
    /// one that still ran what the master ran before.
    fn is_new(&self, found: Process) -> bool {
        match self {
            Self::Masters { .. } => true,
            Self::Workers { old, image, since, .. } => {
                let is_old = old.contains(&found.pid)
                    || since.is_some_and(|since| process::started(found) + process::TICK <= since)
                    || image.is_some_and(|image| process::image(found.pid).is_none_or(|now| now == image));
                !is_old
            }
        }
    }
}

/// Who accepted the connection; none when it was closed meanwhile.
pub(super) async fn accepted(stream: &Stream, sides: &Sides) -> io::Result<Option<Party>> {
    let mut pause = ACCEPT_PAUSE_MIN;
    let mut is_readable = false;
    loop {
        match stream.inode()? {
            None => return Ok(None),
            // There is nothing to read but its end while nobody has it.
            Some(0) if is_readable => return Ok(None),
            // It waits in the listener's queue: nothing tells when a worker takes it.
            Some(0) => is_readable = timeout_at(Instant::now() + pause, stream.readable()).await.is_ok(),
            Some(inode) => return Ok(Some(sides.find(|pid| process::has_socket(pid, inode)))),
        }
        pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
    }
}
