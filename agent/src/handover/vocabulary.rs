//! What a handover is told, and what it answers: reading these two lists is reading the system.

use std::fmt;
use std::time::Duration;

use baton_proto::custody::{Process, Role, Verdict};
use baton_proto::step::Step;

use super::{Ending, Outcome};
use crate::config::Then;
use crate::dialect::Signal;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the reload signal to the first right answer of the new generation.
    pub ready_within: Duration,
    /// For how long the answers must then stay right.
    pub settle: Duration,
    /// From the retire signal to the exit of the last process of the old generation.
    pub drain_within: Duration,
    /// What is done about an old generation that takes longer.
    pub drain_then: Then,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A look was taken at a master.
    Looked(Role, Found),
    /// The intent was written to disk, or could not be.
    Persisted(Result<(), String>),
    /// A signal was sent, or could not be.
    Signalled(Result<(), String>),
    /// The dialect names a new master.
    Appeared(Process),
    /// The dialect says that the old master has given up on a new one.
    Restored,
    /// The pid file names the new master.
    Promoted,
    /// A master exited.
    Exited(Role),
    /// A master and every known process below it are gone; of a master that stays, every worker of before.
    Emptied(Role),
    /// A probe came back.
    Probed(Answer),
    /// The testimony so far was judged.
    Weighed(Verdict),
    /// The release link was switched, forth or back, and this is to be told; or it could not be.
    Switched(Result<String, String>),
    /// A command has ended: well, with this to be told, or not.
    Ran(Errand, Result<String, String>),
    /// Every new worker was looked at: whether each runs the release that is wanted.
    Verified(Result<(), String>),
    /// The deadline passed.
    Expired,
}

/// What a look at a master found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It holds the lock.
    Holding,
    /// It is alive, as far as can be told, and was not seen to hold the lock.
    Otherwise(String),
    /// It is dead.
    Gone(String),
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The wanted answer, and not by the old generation.
    Ready(String),
    /// The new generation answered something else, or took the request and did not answer.
    Failing(String),
    /// Nothing is known of the new generation: the old one answered, or nobody.
    Elsewhere(String),
    /// It may be ready, but not all of it runs the release that is wanted, and never will.
    Stale(String),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Look at a master, or at a new worker, and note what was found; answered by `Looked`.
    Look(Role),
    /// List the workers of the master as it is before the signal: from now on they are those of before. If there are none,
    /// answered by `Emptied`.
    List,
    /// Write the intent to disk; answered by `Persisted`.
    Persist(Intent),
    /// Send a signal; answered by `Signalled`.
    Signal(Role, Whom, Signal),
    /// Probe once after this pause; answered by `Probed`.
    Probe(Duration),
    /// Judge the testimony so far; answered by `Weighed`.
    Weigh,
    /// Look whether all is as it was: the old master holds, and its pid file names it; one that should have been replaced
    /// in place runs the image of before, with every worker of before. Answered by `Looked`.
    Confirm,
    /// Switch the release link to this release; answered by `Switched`.
    Switch(String),
    /// Switch it back to what it was before; answered by `Switched`.
    SwitchBack,
    /// Run a command before the signal; answered by `Ran`.
    Run(Errand),
    /// Run the hook after a handover that ended so; answered by `Ran`.
    RunAfter(Outcome),
    /// Look which release the new workers run; answered by `Verified`.
    Verify,
    /// Look whether the pid file names the new master; answered by `Promoted` when it does, now or later.
    Promotion,
    /// Replace the deadline by this moment, answered by `Expired`; or by none.
    Deadline(Option<Duration>),
    /// Tell whoever listens.
    Tell(Step, String),
    /// It is over.
    Finish(Ending),
}

/// Which processes of a generation a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The master.
    Master,
    /// The master and every known process below it.
    All,
    /// Every known process below the master that runs the same program, and not the master: those that came after a master that stays
    /// was signalled are not among them.
    Workers,
}

/// A command that is run around a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// The hook before the signal.
    Before,
    /// The server's own test of its configuration.
    Check,
    /// The hook when all is over.
    After,
}

impl fmt::Display for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "the hook before",
            Self::Check => "the check",
            Self::After => "the hook after",
        })
    }
}

/// What is about to be done, and must be known after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// To switch the release. Nothing is signalled yet.
    Prepare,
    /// The reload signal.
    Signal,
    /// The retire signal: the overlap was witnessed and the new generation was ready.
    Retire,
}
