//! What was seen, in its order.
//!
//! **Invariant:** only what the services and the operators saw is in it, not what a controller believes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    /// A run of a controller begins.
    Begun {
        rollout: String,
        run: u32,
    },
    /// A controller is cut down.
    Killed {
        rollout: String,
        run: u32,
    },
    /// A run came to its end: its exit code, and a word for each host that was touched.
    Finished {
        rollout: String,
        run: u32,
        exit: u8,
        words: Vec<Option<&'static str>>,
    },
    Granted {
        host: usize,
        rollout: String,
        session: String,
        fence: u64,
    },
    Renewed {
        host: usize,
        fence: u64,
    },
    Released {
        host: usize,
        fence: u64,
    },
    Signalled {
        host: usize,
        rollout: String,
        attempt: u32,
        fence: u64,
    },
    /// A handover is over on the host.
    Concluded {
        host: usize,
        rollout: String,
        attempt: u32,
        how: &'static str,
    },
    /// The lock was free.
    Dropped {
        host: usize,
    },
    AgentDied {
        host: usize,
    },
    AgentBack {
        host: usize,
    },
    /// The network did something to a host.
    Weather {
        host: usize,
        what: &'static str,
    },
}

/// One line of what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub(crate) at: Duration,
    pub(crate) seen: Seen,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} {:?}", self.at.as_secs_f64(), self.seen)
    }
}

/// All that was seen since the world began.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    begun: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), lines: Arc::default() }
    }

    /// The time since the world began.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The moment so long after the world began.
    pub(crate) fn instant(&self, at: Duration) -> Instant {
        self.begun + at
    }

    pub(crate) fn note(&self, seen: Seen) {
        let line = Line { at: self.now(), seen };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
