//! One handover, decided: told what happened and what time it is, it answers what to do.
//!
//! ```text
//! Opening ─ Arming ─ Signalling ─ Appearing ─ Readying ─ Overlapping ─ Committing ─ Assuring
//!    └────────┴──────────┴────────────┴──────────┴────────────┴────────────┴──────────┤
//!                                                                    failed │          │ no way back from here on
//!    Over ─ Confirming ─ Restoring ─ Stopping ─ Deciding ───────────────────┘       Retiring ─ Draining ─ Closing ─ Over
//! ```
//!
//! Until the old generation is told to leave, every failure ends with the new one stopped and the old one serving. If the
//! old generation is gone before that, there is nothing to return to: the new one is followed to its end, and the judge
//! will say what that proves.
//!
//! **Invariant:** the new generation is told to leave only when the old master was looked at just before, and lives.
//! **Invariant:** the reload signal is asked for at most once, and never by a resumed handover.
//! **Invariant:** the retire signal is asked for only after the testimony so far was judged `Kept` and that was written
//! down, and when the new master was looked at just before, and holds.

mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use baton_proto::custody::{Process, Role, Verdict};

use crate::dialect::Signal;
pub use step::{Ending, Outcome, Step};

/// Half of the first pause between two probes; it doubles up to [`PROBE_PAUSE_MAX`].
const PROBE_PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause between two probes.
const PROBE_PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long a stopped new generation may take to finish its requests, if the drain's deadline is not sooner.
const STOP_GRACE_MAX: Duration = Duration::from_secs(10);
/// How long a process may take to go after SIGTERM, and after SIGKILL.
const STOP_RUNG: Duration = Duration::from_secs(5);
/// How long the old master may take to put its pid file back. If a new master may still come, it is waited for longer.
const RESTORE_WITHIN: Duration = Duration::from_secs(10);
/// How long an old master that lives without its lock may take to be gone, before it counts as staying.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long the disk may take to write an intent.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the reload signal to the first right answer of the new generation.
    pub ready_within: Duration,
    /// For how long the answers must then stay right.
    pub settle: Duration,
    /// From the retire signal to the exit of the last process of the old generation.
    pub drain_within: Duration,
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
    /// A master exited.
    Exited(Role),
    /// A master and every known process below it are gone.
    Emptied(Role),
    /// A probe came back.
    Probed(Answer),
    /// The testimony so far was judged.
    Weighed(Verdict),
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
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Look at a master and note what was found; answered by `Looked`.
    Look(Role),
    /// Write the intent to disk; answered by `Persisted`.
    Persist(Intent),
    /// Send a signal; answered by `Signalled`.
    Signal(Role, Whom, Signal),
    /// Probe once after this pause; answered by `Probed`.
    Probe(Duration),
    /// Judge the testimony so far; answered by `Weighed`.
    Weigh,
    /// Look at the old master and at its pid file, which must name it again; answered by `Looked`.
    Confirm,
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
}

/// What is about to be done, and must be known after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// The reload signal.
    Signal,
    /// The retire signal: the overlap was witnessed and the new generation was ready.
    Retire,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Opening,
    Arming,
    Signalling,
    Appearing,
    Readying { deadline: Duration, ready_since: Option<Duration>, pause: Duration, last: String },
    Overlapping,
    Committing,
    Assuring,
    Retiring,
    Draining,
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

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    step: Step,
    cause: String,
}

/// A handover under way.
#[derive(Debug)]
pub struct Handover {
    timing: Timing,
    reload: Signal,
    retire: Signal,
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
    failure: Option<Failure>,
}

impl Handover {
    /// A handover away from `old`, by these signals of its dialect.
    pub fn new(timing: Timing, reload: Signal, retire: Signal, old: Process) -> Self {
        Self {
            timing,
            reload,
            retire,
            old,
            new: None,
            state: State::Opening,
            signalled_at: None,
            restore_until: Duration::ZERO,
            is_resumed: false,
            restored: false,
            old_presence: Presence::Lives,
            new_presence: Presence::Lives,
            failure: None,
        }
    }

    /// The first thing to do.
    pub fn begin(&mut self) -> Vec<Action> {
        vec![Action::Tell(Step::Open, format!("looking at the old master {}", self.old)), Action::Look(Role::OldMaster)]
    }

    /// Goes on with a handover in whose middle the agent died. `intent` is what was on disk; `old` and `new` say who lives.
    pub fn resume(&mut self, now: Duration, intent: Intent, old_lives: bool, new: Option<Process>) -> Vec<Action> {
        self.is_resumed = true;
        if !old_lives {
            self.old_presence = Presence::Headless;
        }
        self.new = new;
        self.signalled_at = Some(now);
        match (intent, old_lives, new) {
            (Intent::Retire, true, Some(_)) => self.look_once_more(),
            (Intent::Retire | Intent::Signal, false, Some(_)) => self.await_ready(now),
            (Intent::Retire | Intent::Signal, false, None) => {
                self.fail(now, Step::Signal, "the agent was restarted and found neither master".into())
            }
            (Intent::Retire, true, None) => {
                self.fail(now, Step::Retire, "the agent was restarted and did not find the new master".into())
            }
            (Intent::Signal, true, _) => {
                let cause = "the agent was restarted before the overlap was witnessed; the signal is not sent twice";
                self.fail(now, Step::Signal, cause.into())
            }
        }
    }

    /// The only way a handover moves. A stray event moves nothing.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match event {
            Event::Looked(role, found) => self.looked(now, role, found),
            Event::Persisted(written) => self.persisted(now, written),
            Event::Signalled(sent) => self.signalled(now, sent),
            Event::Appeared(process) => self.appeared(now, process),
            Event::Restored => self.restored(now),
            Event::Exited(Role::OldMaster) => self.old_exited(now),
            Event::Exited(Role::NewMaster) => self.new_exited(now),
            Event::Emptied(Role::OldMaster) => self.old_emptied(),
            Event::Emptied(Role::NewMaster) => self.new_emptied(now),
            Event::Exited(Role::Worker) | Event::Emptied(Role::Worker) => Vec::new(),
            Event::Probed(answer) => self.probed(now, answer),
            Event::Weighed(verdict) => self.weighed(now, &verdict),
            Event::Expired => self.expired(now),
        }
    }

    fn looked(&mut self, now: Duration, role: Role, found: Found) -> Vec<Action> {
        let (lives, found) = match found {
            Found::Holding => (true, Ok(())),
            Found::Otherwise(cause) => (true, Err(cause)),
            Found::Gone(cause) => (false, Err(cause)),
        };
        let may_still_come = lives && self.signalled_at.is_some() && now < self.restore_until;
        // A look may be quicker than the word that the process has exited.
        if role == Role::OldMaster && !lives {
            self.old_presence = self.old_presence.max(Presence::Headless);
        }
        match (&self.state, role, found) {
            (State::Opening, Role::OldMaster, Ok(())) => {
                self.state = State::Arming;
                vec![Action::Persist(Intent::Signal), Action::Deadline(Some(now + WRITE_WITHIN))]
            }
            (State::Opening, Role::OldMaster, Err(cause)) => self.fail(now, Step::Open, cause),
            (State::Assuring, Role::NewMaster, Ok(())) => self.retire(),
            // Before the crash it may have been retired already: only the death of the new one forbids it now.
            (State::Assuring, Role::NewMaster, Err(_)) if self.is_resumed && lives => self.retire(),
            (State::Assuring, Role::NewMaster, Err(cause)) => self.fail(now, Step::Overlap, cause),
            (State::Closing, Role::NewMaster, Ok(())) => self.finish(Outcome::HandedOver),
            (State::Closing, Role::NewMaster, Err(cause)) => {
                self.failure.get_or_insert(Failure { step: Step::Close, cause });
                self.finish(Outcome::Broken)
            }
            (State::Deciding, Role::OldMaster, Ok(())) => self.climb(now, 0),
            // It may be about to leave: then the new one must stay.
            (State::Deciding, Role::OldMaster, Err(_)) if lives => vec![Action::Deadline(Some(now + LEAVE_WITHIN))],
            (State::Deciding, Role::OldMaster, Err(_)) => self.leave_it_alone(),
            (State::Confirming, Role::OldMaster, Ok(())) => self.finish(Outcome::RolledBack),
            (State::Confirming, Role::OldMaster, Err(_)) if may_still_come => {
                self.state = State::Restoring;
                vec![Action::Deadline(Some(self.restore_until))]
            }
            (State::Confirming, Role::OldMaster, Err(cause)) => {
                if let Some(failure) = &mut self.failure {
                    failure.cause = format!("{}; and then: {cause}", failure.cause);
                }
                self.finish(Outcome::Broken)
            }
            // The looks of Overlapping are weighed together; any other is a stray.
            _ => Vec::new(),
        }
    }

    fn persisted(&mut self, now: Duration, written: Result<(), String>) -> Vec<Action> {
        match (&self.state, written) {
            (State::Arming, Ok(())) => {
                self.state = State::Signalling;
                vec![
                    Action::Tell(Step::Signal, format!("{} to the old master {}", self.reload, self.old)),
                    Action::Signal(Role::OldMaster, Whom::Master, self.reload),
                ]
            }
            (State::Arming, Err(cause)) => self.fail(now, Step::Signal, cause),
            (State::Committing, Ok(())) => self.look_once_more(),
            (State::Committing, Err(cause)) => self.fail(now, Step::Retire, cause),
            _ => Vec::new(),
        }
    }

    fn signalled(&mut self, now: Duration, sent: Result<(), String>) -> Vec<Action> {
        match (&self.state, sent) {
            (State::Signalling, Ok(())) => {
                self.state = State::Appearing;
                self.signalled_at = Some(now);
                let deadline = now + self.timing.ready_within;
                vec![Action::Tell(Step::Appear, "waiting for the new master".into()), Action::Deadline(Some(deadline))]
            }
            (State::Signalling, Err(cause)) => self.fail(now, Step::Signal, cause),
            // A signal to one who is gone already has done its work.
            (State::Retiring, Ok(()) | Err(_)) => {
                self.state = State::Draining;
                vec![
                    Action::Tell(Step::Drain, "waiting for the old generation to finish its requests".into()),
                    Action::Deadline(Some(now + self.timing.drain_within)),
                ]
            }
            _ => Vec::new(),
        }
    }

    fn appeared(&mut self, now: Duration, process: Process) -> Vec<Action> {
        let in_time = self.state == State::Appearing;
        // After the failure it has to go.
        let too_late = self.state == State::Restoring && self.new.is_none();
        if in_time || too_late {
            self.new = Some(process);
        }
        match (in_time, too_late) {
            (true, _) => self.await_ready(now),
            (false, true) => self.decide(),
            (false, false) => Vec::new(),
        }
    }

    fn await_ready(&mut self, now: Duration) -> Vec<Action> {
        let deadline = self.signalled_at.unwrap_or(now) + self.timing.ready_within;
        let last = "it has not answered yet".to_owned();
        self.state = State::Readying { deadline, ready_since: None, pause: PROBE_PAUSE_MIN, last };
        let new = self.new.map(|new| new.to_string()).unwrap_or_default();
        vec![
            Action::Tell(Step::Ready, format!("waiting for the new master {new} to be ready")),
            Action::Deadline(Some(deadline)),
            Action::Probe(Duration::ZERO),
        ]
    }

    fn probed(&mut self, now: Duration, answer: Answer) -> Vec<Action> {
        let settle = self.timing.settle;
        let State::Readying { deadline, ready_since, pause, last } = &mut self.state else { return Vec::new() };
        match answer {
            Answer::Ready(detail) => {
                let first = ready_since.is_none();
                let since = *ready_since.get_or_insert(now);
                if now >= since + settle {
                    return self.witness(detail);
                }
                let left = (since + settle).saturating_sub(now);
                let mut actions = vec![Action::Deadline(Some(*deadline + settle)), Action::Probe(left.min(PROBE_PAUSE_MAX))];
                if first {
                    // From here on both are seen to hold: the overlap is as long as it can be shown to be.
                    actions.push(Action::Look(Role::NewMaster));
                    actions.push(Action::Tell(Step::Ready, format!("{detail}; it must stay so for {settle:?}")));
                }
                actions
            }
            Answer::Failing(cause) => {
                *ready_since = None;
                *last = cause;
                *pause = (*pause * 2).min(PROBE_PAUSE_MAX);
                vec![Action::Deadline(Some(*deadline)), Action::Probe(*pause)]
            }
            Answer::Elsewhere(cause) => {
                *last = cause;
                *pause = (*pause * 2).min(PROBE_PAUSE_MAX);
                vec![Action::Probe(*pause)]
            }
        }
    }

    /// The new generation is ready: are both seen to hold at once?
    fn witness(&mut self, detail: String) -> Vec<Action> {
        let told = Action::Tell(Step::Ready, detail);
        if self.old_presence > Presence::Lives {
            return [vec![told], self.close()].concat();
        }
        self.state = State::Overlapping;
        vec![
            told,
            Action::Deadline(None),
            Action::Look(Role::NewMaster),
            Action::Look(Role::OldMaster),
            Action::Look(Role::NewMaster),
            Action::Weigh,
        ]
    }

    fn weighed(&mut self, now: Duration, verdict: &Verdict) -> Vec<Action> {
        let State::Overlapping = self.state else { return Vec::new() };
        let cause = match verdict {
            Verdict::Kept(kept) => {
                self.state = State::Committing;
                let told = format!("{} and {} both hold the lock ({})", kept.new, kept.old, kept.basis);
                let deadline = Action::Deadline(Some(now + WRITE_WITHIN));
                return vec![Action::Tell(Step::Overlap, told), Action::Persist(Intent::Retire), deadline];
            }
            Verdict::Dropped { at } => format!("the lock was free at #{}", at.0),
            Verdict::Unproven(doubt) => doubt.to_string(),
        };
        self.fail(now, Step::Overlap, cause)
    }

    /// It was written down that the old generation may go; is the new one still there?
    fn look_once_more(&mut self) -> Vec<Action> {
        self.state = State::Assuring;
        vec![Action::Look(Role::NewMaster)]
    }

    fn retire(&mut self) -> Vec<Action> {
        self.state = State::Retiring;
        vec![
            Action::Tell(Step::Retire, format!("{} to the old master {}", self.retire, self.old)),
            Action::Signal(Role::OldMaster, Whom::Master, self.retire),
        ]
    }

    fn close(&mut self) -> Vec<Action> {
        self.state = State::Closing;
        vec![
            Action::Deadline(None),
            Action::Tell(Step::Close, "looking at the new master once more".into()),
            Action::Look(Role::NewMaster),
        ]
    }

    fn old_exited(&mut self, now: Duration) -> Vec<Action> {
        self.old_presence = self.old_presence.max(Presence::Headless);
        match self.state {
            State::Opening | State::Arming | State::Signalling => {
                self.fail(now, Step::Signal, "the old master exited before it was signalled".into())
            }
            State::Appearing => vec![Action::Tell(Step::Appear, "the old master left by itself".into())],
            State::Readying { .. } => vec![Action::Tell(Step::Ready, "the old master left by itself".into())],
            State::Restoring => self.confirm(),
            State::Deciding => self.leave_it_alone(),
            State::Overlapping
            | State::Committing
            | State::Assuring
            | State::Retiring
            | State::Draining
            | State::Closing
            | State::Stopping { .. }
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    fn old_emptied(&mut self) -> Vec<Action> {
        self.old_presence = Presence::Gone;
        let State::Draining = self.state else { return Vec::new() };
        let told = Action::Tell(Step::Drain, "every process of the old generation is gone".into());
        [vec![told], self.close()].concat()
    }

    fn new_exited(&mut self, now: Duration) -> Vec<Action> {
        self.new_presence = self.new_presence.max(Presence::Headless);
        let new = self.new.map(|new| new.to_string()).unwrap_or_default();
        match &self.state {
            State::Readying { ready_since: None, last, .. } => {
                let cause =
                    format!("the new master {new} exited before it was ready ({last}); its reason is in the server's own log");
                self.fail(now, Step::Ready, cause)
            }
            State::Readying { ready_since: Some(since), .. } => {
                let lived = now.saturating_sub(*since);
                let cause =
                    format!("the new master {new} exited {lived:.1?} after it was ready; its reason is in the server's own log");
                self.fail(now, Step::Ready, cause)
            }
            State::Overlapping | State::Committing | State::Assuring => {
                self.fail(now, Step::Overlap, format!("the new master {new} exited before the old one was told to leave"))
            }
            State::Opening
            | State::Arming
            | State::Signalling
            | State::Appearing
            | State::Retiring
            | State::Draining
            | State::Closing
            | State::Deciding
            | State::Stopping { .. }
            | State::Restoring
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    fn new_emptied(&mut self, now: Duration) -> Vec<Action> {
        self.new_presence = Presence::Gone;
        let State::Stopping { .. } = self.state else { return Vec::new() };
        self.restore(now)
    }

    fn restored(&mut self, now: Duration) -> Vec<Action> {
        self.restored = true;
        match self.state {
            State::Appearing => {
                let cause = "the new master exited while it booted; its reason is in the server's own log";
                self.fail(now, Step::Appear, cause.into())
            }
            State::Restoring => self.confirm(),
            State::Opening
            | State::Arming
            | State::Signalling
            | State::Readying { .. }
            | State::Overlapping
            | State::Committing
            | State::Assuring
            | State::Retiring
            | State::Draining
            | State::Closing
            | State::Deciding
            | State::Stopping { .. }
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    fn expired(&mut self, now: Duration) -> Vec<Action> {
        let within = self.timing.ready_within;
        match &self.state {
            State::Appearing => self.fail(now, Step::Appear, format!("no new master appeared within {within:?}")),
            State::Readying { last, .. } => {
                let cause = format!("the new generation was not ready within {within:?}: {last}");
                self.fail(now, Step::Ready, cause)
            }
            State::Draining => {
                let told = format!("the old generation is not gone within {:?}", self.timing.drain_within);
                [vec![Action::Tell(Step::Drain, told)], self.close()].concat()
            }
            State::Stopping { rung } => {
                let next = rung + 1;
                self.climb(now, next)
            }
            State::Restoring => self.confirm(),
            State::Arming | State::Committing => {
                let step = if self.state == State::Arming { Step::Signal } else { Step::Retire };
                self.fail(now, step, format!("the intent was not written to disk within {WRITE_WITHIN:?}"))
            }
            State::Deciding => self.climb(now, 0),
            State::Opening
            | State::Signalling
            | State::Overlapping
            | State::Assuring
            | State::Retiring
            | State::Closing
            | State::Confirming
            | State::Over => Vec::new(),
        }
    }

    /// Something failed before the old generation was told to leave: back to it, if it is still there.
    fn fail(&mut self, now: Duration, step: Step, cause: String) -> Vec<Action> {
        let told = Action::Tell(Step::Undo, format!("{step} failed: {cause}"));
        self.failure = Some(Failure { step, cause });
        let next = if self.old_presence > Presence::Lives {
            self.leave_it_alone()
        } else if self.new.is_some() {
            self.decide()
        } else {
            self.restore(now)
        };
        [vec![told], next].concat()
    }

    /// The new generation is to be stopped, if the old master lives.
    fn decide(&mut self) -> Vec<Action> {
        self.state = State::Deciding;
        vec![Action::Deadline(None), Action::Look(Role::OldMaster)]
    }

    /// There is no old generation to return to: the new one, whatever its state, is all there is.
    fn leave_it_alone(&mut self) -> Vec<Action> {
        let was_ready = self.failure.as_ref().is_some_and(|failure| failure.step == Step::Overlap);
        if was_ready && self.new_presence == Presence::Lives {
            self.failure = None;
            return self.close();
        }
        self.finish(Outcome::Broken)
    }

    /// The ladder on which a failed new generation goes: asked to finish its requests, then to leave, then made to.
    fn climb(&mut self, now: Duration, rung: usize) -> Vec<Action> {
        if self.new_presence == Presence::Gone {
            return self.restore(now);
        }
        self.state = State::Stopping { rung };
        let signal = |whom, signal| Action::Signal(Role::NewMaster, whom, signal);
        match rung {
            0 => {
                let deadline = Action::Deadline(Some(now + self.timing.drain_within.min(STOP_GRACE_MAX)));
                // With its master gone, what is left of the generation finishes by itself.
                if self.new_presence > Presence::Lives {
                    vec![deadline]
                } else {
                    vec![signal(Whom::Master, self.retire), deadline]
                }
            }
            1 => vec![signal(Whom::All, Signal::Term), Action::Deadline(Some(now + STOP_RUNG))],
            2 => vec![signal(Whom::All, Signal::Kill), Action::Deadline(Some(now + STOP_RUNG))],
            _ => {
                if let Some(failure) = &mut self.failure {
                    failure.cause = format!("{}; and the new generation outlived SIGKILL", failure.cause);
                }
                self.finish(Outcome::Broken)
            }
        }
    }

    /// The new one is gone: the old one takes its pid file back by itself, if it was ever signalled.
    fn restore(&mut self, now: Duration) -> Vec<Action> {
        if self.restored || self.signalled_at.is_none() {
            return self.confirm();
        }
        self.state = State::Restoring;
        // One that was never seen may come as late as it was allowed to; one that was seen and is gone will not.
        self.restore_until = if self.new.is_none() { now + self.timing.ready_within } else { now };
        vec![Action::Deadline(Some(now + RESTORE_WITHIN))]
    }

    fn confirm(&mut self) -> Vec<Action> {
        self.state = State::Confirming;
        vec![Action::Deadline(None), Action::Confirm]
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<Action> {
        self.state = State::Over;
        let (step, cause) = self.failure.take().map(|failure| (failure.step, failure.cause)).unzip();
        let ending = Ending { outcome, failed_step: step, cause: cause.unwrap_or_default() };
        vec![Action::Deadline(None), Action::Finish(ending)]
    }
}
