//! A handover to a new master beside the old one, which then leaves.
//!
//! ```text
//! Opening ─ Preparing ─ Arming ─ Signalling ─ Appearing ─ Readying ─ Overlapping ─ Committing ─ Assuring
//!    └────────┴──────────┴────────────┴──────────┴────────────┴────────────┴──────────┤
//!                                                                    failed │          │ no way back from here on
//!    Over ─ Confirming ─ Restoring ─ Stopping ─ Deciding ───────────────────┘       Retiring ─ Draining ─ Promoting ─ Closing ─ Over
//! ```
//!
//! Where the new master's pid file has a name of its own while the old one lives, it is *promoted* once that is gone: the file is
//! renamed. Only then is the service as it was, and hears of another handover.
//!
//! Until the old generation is told to leave, every failure ends with the new one stopped and the old one serving. If the
//! old generation is gone before that, there is nothing to return to: the new one is followed to its end, and the judge
//! will say what that proves.
//!
//! **Invariant:** the new generation is told to leave only when the old master was looked at just before, and lives.
//! **Invariant:** the reload signal is asked for at most once, and never by a resumed handover.
//! **Invariant:** the retire signal is asked for only after the testimony so far was judged `Kept` and that was written
//! down, and when the new master was looked at just before, and holds.

mod forward;
#[cfg(test)]
mod tests;
mod undo;

use std::time::Duration;

use baton_proto::custody::{Process, Role};
use baton_proto::step::Step;

use super::ladder::Rung;
use super::readiness::{Heard, Readiness};
use super::{Action, Answer, Around, Ending, Event, Failure, Found, Intent, Outcome, Preparation, Prepared, Timing, Whom};
use crate::dialect::Signal;

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Opening,
    Preparing(Preparation),
    Arming,
    Signalling,
    Appearing,
    Readying(Readiness),
    Overlapping,
    Committing,
    Assuring,
    Retiring,
    Draining,
    Promoting,
    Closing,
    Deciding,
    Stopping { rung: usize },
    Restoring,
    Confirming,
    Over,
}

/// How much of a generation is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Presence {
    /// Its master lives.
    Lives,
    /// Its master is gone.
    Headless,
    /// Every known process of it is gone.
    Gone,
}

/// Such a handover under way.
#[derive(Debug)]
pub(super) struct Beside {
    timing: Timing,
    reload: Signal,
    retire: Signal,
    around: Around,
    /// The pid file names the new master only after the old one is gone.
    is_promoted_late: bool,
    old: Process,
    new: Option<Process>,
    state: State,
    /// When the reload signal was sent.
    signalled_at: Option<Duration>,
    /// Until when a new master may come that has to go again.
    restore_until: Duration,
    is_resumed: bool,
    restored: bool,
    old_presence: Presence,
    new_presence: Presence,
    /// When the retire signal was sent.
    retired_at: Option<Duration>,
    /// How the old generation is made to leave.
    rung: Rung,
    failure: Option<Failure>,
}

impl Beside {
    /// A handover away from `old`, by these signals of its dialect.
    pub(super) fn new(timing: Timing, reload: Signal, retire: Signal, around: Around, old: Process) -> Self {
        Self {
            timing,
            reload,
            retire,
            around,
            is_promoted_late: false,
            old,
            new: None,
            state: State::Opening,
            signalled_at: None,
            restore_until: Duration::ZERO,
            is_resumed: false,
            restored: false,
            old_presence: Presence::Lives,
            new_presence: Presence::Lives,
            retired_at: None,
            rung: Rung::Asked,
            failure: None,
        }
    }

    /// The same, in which the pid file names the new master only after the old one is gone.
    pub(super) fn promoted_late(self) -> Self {
        Self { is_promoted_late: true, ..self }
    }

    /// The first thing to do.
    pub(super) fn begin(&mut self) -> Vec<Action> {
        vec![Action::Tell(Step::Open, format!("looking at the old master {}", self.old)), Action::Look(Role::OldMaster)]
    }

    /// Goes on with a handover in whose middle the agent died. `intent` is what was on disk; `old` and `new` say who lives.
    pub(super) fn resume(&mut self, now: Duration, intent: Intent, old_lives: bool, new: Option<Process>) -> Vec<Action> {
        self.is_resumed = true;
        if !old_lives {
            self.old_presence = Presence::Headless;
        }
        if intent == Intent::Prepare {
            return self.fail(now, Step::Prepare, "the agent was restarted before the signal".into());
        }
        self.new = new;
        self.signalled_at = Some(now);
        match (intent, old_lives, new) {
            (Intent::Retire, true, Some(_)) => self.look_once_more(),
            (Intent::Retire | Intent::Signal | Intent::Prepare, false, Some(_)) => self.await_ready(now),
            (Intent::Retire | Intent::Signal | Intent::Prepare, false, None) => {
                self.fail(now, Step::Signal, "the agent was restarted and found neither master".into())
            }
            (Intent::Retire, true, None) => {
                self.fail(now, Step::Retire, "the agent was restarted and did not find the new master".into())
            }
            (Intent::Signal | Intent::Prepare, true, _) => {
                let cause = "the agent was restarted before the overlap was witnessed; the signal is not sent twice";
                self.fail(now, Step::Ready, cause.into())
            }
        }
    }

    /// The only way a handover moves. A stray event moves nothing.
    pub(super) fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        if let State::Preparing(preparation) = &mut self.state
            && event != Event::Exited(Role::OldMaster)
        {
            let prepared = preparation.handle(&event);
            return self.prepared(now, prepared);
        }
        match event {
            Event::Looked(role, found) => self.looked(now, role, found),
            Event::Persisted(written) => self.persisted(now, written),
            Event::Signalled(sent) => self.signalled(now, sent),
            Event::Appeared(process) => self.appeared(now, process),
            Event::Restored => self.restored(now),
            Event::Promoted => self.promoted(),
            Event::Exited(Role::OldMaster) => self.old_exited(now),
            Event::Exited(Role::NewMaster) => self.new_exited(now),
            Event::Emptied(Role::OldMaster) => self.old_emptied(now),
            Event::Emptied(Role::NewMaster) => self.new_emptied(now),
            Event::Probed(answer) => self.probed(now, answer),
            Event::Weighed(verdict) => self.weighed(now, &verdict),
            Event::Expired => self.expired(now),
            // The preparation is over, and workers are verified with every answer.
            Event::Switched(_)
            | Event::Ran(..)
            | Event::Verified(_)
            | Event::Exited(Role::Master | Role::Worker)
            | Event::Emptied(Role::Master | Role::Worker) => Vec::new(),
        }
    }
}
