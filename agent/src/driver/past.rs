//! What befell the service: drops, and times in which no agent watched. Noted when it happens, completed when more is learnt.
//!
//! How a master ended is known to the kernel only after the drop, for files are closed first: its pidfd is kept, and tells when that
//! is so.
//!
//! **Invariant:** a happening is on its way to the disk before anybody is told of it, and a testimony waits for it to be there. The
//! driver itself does not wait: whoever asks holds up no handover.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::custody::{Drop, Found, Handover, Happening, History, Image, Lock, Moment, Process, Unwatched, What};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Driver, Input};
use crate::history;
use crate::os::process::{self, Handle, Seen};
use crate::os::readable::Readable;
use crate::os::{clock, ending};
use crate::service;
use crate::store::{Flush, Stored};
use crate::waiter::Grant;

/// What this run of the agent knows of the past, beside what is kept on disk.
#[derive(Debug)]
pub(super) struct Past {
    /// What is kept, in our own words.
    history: History,
    /// The master that was seen holding last.
    last: Option<Handle>,
    /// Those before the last drops of which it is not known how they ended, the oldest first.
    unburied: Vec<Unburied>,
    /// What the run of the agent before this one had left, until it is known what became of it.
    left: Option<Left>,
    /// Tells when the disk was done with the last happening.
    writing: watch::Receiver<bool>,
}

/// How long the disk may take before the past is told all the same.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

/// A master that has gone, and of which it is not known how it ended.
#[derive(Debug)]
struct Unburied {
    handle: Arc<Handle>,
    waiting: Option<AbortHandle>,
}

/// How many of them are waited for: each costs a descriptor.
const UNBURIED_MAX: usize = 4;

impl std::ops::Drop for Unburied {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.abort();
        }
    }
}

/// How an earlier run of the agent had left the service: held.
#[derive(Debug)]
struct Left {
    boot: String,
    master: Process,
    image: Option<Image>,
    lock: Option<Lock>,
    until: Option<Moment>,
}

impl Left {
    fn of(stored: &Stored) -> Option<Self> {
        // What becomes of a handover under way is told in its own testimony.
        let is_held = stored.held_since_ns != 0 && stored.under_way.is_none();
        Some(Self {
            boot: stored.boot_id.clone(),
            master: stored.master.filter(|_| is_held)?.into(),
            image: stored.image.clone().and_then(|image| image.try_into().ok()),
            lock: stored.lock.and_then(|lock| lock.try_into().ok()),
            until: stored.watched_until.clone().map(Into::into),
        })
    }

    /// Whether this is the same master with the same lock, which by the contract it has had all the while.
    fn joins(&self, boot: &str, seen: &Seen) -> bool {
        // An exec may let go of a lock that bears no mark, and take it again.
        let is_bound = seen.lock.is_marked() || self.image.is_none_or(|image| image == seen.image);
        self.boot == boot && self.master == seen.process && self.lock.is_none_or(|lock| lock == seen.lock) && is_bound
    }

    fn unwatched(self) -> What {
        What::Unwatched(Unwatched { from: self.until, last: self.master, found: None })
    }
}

impl Past {
    pub(super) fn of(stored: &Stored) -> Self {
        let history = stored.history.clone().unwrap_or_default().try_into().unwrap_or_else(|error| {
            tracing::error!(%error, "what befell the service cannot be read: it is forgotten");
            History::default()
        });
        // An agent that kept no history counted all the same.
        let history = History { epoch: stored.epoch, ..history };
        Self { history, last: None, unburied: Vec::new(), left: Left::of(stored), writing: watch::channel(true).1 }
    }
}

impl Driver {
    /// Nobody held the lock at the moment of the grant.
    pub(super) fn note_drop(&mut self, grant: Grant) -> Drop {
        let held = self.held.take().map(|held| held.master());
        let stored = self.stored.master.filter(|_| self.stored.boot_id == self.witness.boot);
        let since = std::mem::take(&mut self.stored.held_since_ns);
        self.stored.epoch += 1;
        let last = self.past.last.take();
        let drop = Drop {
            seq: grant.seq,
            epoch: self.stored.epoch,
            file: grant.file,
            last: held.or(stored.map(Into::into)),
            held_since: (since != 0).then(|| Duration::from_nanos(since)),
            ended: last.as_ref().and_then(ending::of),
            handover: self.run.as_ref().map(|run| {
                let attempt = &run.attempt;
                Handover { rollout: attempt.rollout.clone(), attempt: attempt.number }
            }),
            found: None,
        };
        if let Some(last) = last.filter(|_| drop.ended.is_none()) {
            let excess = (self.past.unburied.len() + 1).saturating_sub(UNBURIED_MAX);
            self.past.unburied.drain(..excess);
            self.past.unburied.push(Unburied::of(last, self.own.clone()));
        }
        self.note(Happening { at: self.moment(grant.at), what: What::Drop(drop.clone()) });
        drop
    }

    /// A master was found holding, which is about to be written down. Whether it is the one that an earlier run of the agent had left
    /// is told only here.
    pub(super) fn note_holder(&mut self, seen: &Seen) {
        self.note_burial();
        if let Some(left) = self.past.left.take()
            && !left.joins(&self.witness.boot, seen)
        {
            self.note_unwatched(left);
        }
        let found = Found { master: seen.process, at: self.moment(clock::since_boot()) };
        history::found(&mut self.past.history, found);
        if self.past.last.as_ref().is_none_or(|last| last.process() != seen.process) {
            // One that is gone already will be missed soon enough.
            self.past.last = Handle::open(seen.process).ok();
        }
        self.retain();
    }

    /// After the first look of this run of the agent: if the master that was left is dead, nothing that comes will join it.
    pub(super) fn note_return(&mut self) {
        let boot = &self.witness.boot;
        let is_gone = |left: &mut Left| match process::find(left.master.pid) {
            Ok((found, _)) => left.boot != *boot || found != left.master,
            Err(unseen) => left.boot != *boot || unseen.is_dead(),
        };
        if let Some(left) = self.past.left.take_if(is_gone) {
            self.note_unwatched(left);
        }
    }

    fn note_unwatched(&mut self, left: Left) {
        tracing::warn!(
            last_master = left.master.pid,
            "the master that was held is not the one that is found: whether the lock was free meanwhile is not known"
        );
        // Whoever comes is held from then on.
        self.stored.held_since_ns = 0;
        self.note(Happening { at: self.moment(clock::since_boot()), what: left.unwatched() });
    }

    /// If the kernel tells by now how a master before a drop ended, that is kept.
    pub(super) fn note_burial(&mut self) {
        let history = &mut self.past.history;
        let mut is_news = false;
        self.past.unburied.retain(|unburied| {
            let process = unburied.handle.process();
            let Some(ended) = ending::of(&unburied.handle) else { return true };
            tracing::info!(pid = process.pid, %ended, "the last master before a drop has ended");
            is_news |= history::ended(history, process, ended);
            false
        });
        if is_news {
            self.past.writing = begun(self.remember());
        }
    }

    fn note(&mut self, happening: Happening) {
        history::note(&mut self.past.history, happening);
        self.past.writing = begun(self.remember());
    }

    /// Answers with what is known now of the past, once it is written.
    pub(super) fn tell_past(&mut self, reply: oneshot::Sender<service::Past>) {
        self.note_burial();
        let past = service::Past { records: self.stored.records.clone(), history: (&self.past.history).into() };
        let mut writing = self.past.writing.clone();
        tokio::spawn(async move {
            if timeout(WRITE_WITHIN, writing.wait_for(|is_over| *is_over)).await.is_err() {
                tracing::error!("what befell the service is not written yet");
            }
            // Whoever asked and is gone meanwhile needs no answer.
            drop(reply.send(past));
        });
    }

    /// Puts what is known now, and that the service is watched until now, where the next write takes it.
    fn retain(&mut self) {
        self.stored.history = Some((&self.past.history).into());
        self.stored.watched_until = Some((&self.moment(clock::since_boot())).into());
    }

    /// Begins to write what is known now.
    pub(super) fn remember(&mut self) -> oneshot::Receiver<Result<(), String>> {
        self.retain();
        self.store.write(&self.stored, Flush::Later)
    }

    /// A time of this boot, also by the wall clock as it is set now.
    pub(super) fn moment(&self, at: Duration) -> Moment {
        let ago = clock::since_boot().saturating_sub(at);
        Moment { at, boot: self.witness.boot.clone(), wall: clock::since_1970().saturating_sub(ago) }
    }
}

/// Tells when the disk is done with a write, as often as somebody asks.
fn begun(write: oneshot::Receiver<Result<(), String>>) -> watch::Receiver<bool> {
    let (told, writing) = watch::channel(false);
    tokio::spawn(async move {
        if !matches!(write.await, Ok(Ok(()))) {
            tracing::error!("what befell the service is not written");
        }
        told.send_replace(true);
    });
    writing
}

impl Unburied {
    /// Tells `inputs` when it is known how it ended.
    fn of(handle: Handle, inputs: mpsc::Sender<Input>) -> Self {
        let handle = Arc::new(handle);
        let waiting = match Readable::of(handle.as_fd()) {
            Ok(pidfd) => {
                let own = Arc::clone(&handle);
                let buried = async move {
                    // It is readable at its end, and once more when its parent has waited for it (since Linux 6.9).
                    while pidfd.ready().await.is_ok() {
                        if ending::of(&own).is_some() {
                            // The driver is gone only when the agent stops.
                            let _ = inputs.send(Input::Buried).await;
                            return;
                        }
                    }
                };
                Some(tokio::spawn(buried).abort_handle())
            }
            // It is asked again when the next master is found, and when somebody wants to know.
            Err(error) => {
                tracing::warn!(%error, "the end of a master cannot be waited for");
                None
            }
        };
        Self { handle, waiting }
    }
}

#[cfg(test)]
mod tests {
    use baton_proto::custody::{FileIdentity, Image, Lock, Process};

    use tokio::sync::oneshot;

    use super::{Left, begun};
    use crate::os::process::Seen;

    const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

    fn seen(mark: u64) -> Seen {
        let image = Image { start_stack: 7, random: [1; 16] };
        Seen { process: Process { pid: 100, start_ticks: 5 }, parent: 1, image, lock: Lock { file: FILE, mark, taker: 100 } }
    }

    fn left(mark: u64) -> Left {
        let Seen { process, image, lock, .. } = seen(mark);
        Left { boot: "boot-1".into(), master: process, image: Some(image), lock: Some(lock), until: None }
    }

    #[test]
    fn only_the_same_master_with_the_same_lock_joins_what_was_left() {
        assert!(left(9 << 32).joins("boot-1", &seen(9 << 32)));
        assert!(!left(9 << 32).joins("boot-2", &seen(9 << 32)));
        assert!(!left(9 << 32).joins("boot-1", &Seen { process: Process { pid: 100, start_ticks: 6 }, ..seen(9 << 32) }));
        let relocked = Lock { file: FileIdentity { born: 4, ..FILE }, ..seen(9 << 32).lock };
        assert!(!left(9 << 32).joins("boot-1", &Seen { lock: relocked, ..seen(9 << 32) }));
        assert!(!left(9 << 32).joins("boot-1", &seen(8 << 32)));
        // Whose child it is now does not matter.
        assert!(left(9 << 32).joins("boot-1", &Seen { parent: 50, ..seen(9 << 32) }));
    }

    #[test]
    fn over_an_exec_only_a_mark_joins() {
        let image = Image { start_stack: 8, random: [2; 16] };
        assert!(left(9 << 32).joins("boot-1", &Seen { image, ..seen(9 << 32) }));
        assert!(!left(0).joins("boot-1", &Seen { image, ..seen(0) }));
        assert!(left(0).joins("boot-1", &seen(0)));
        // What comes of writing a pid names nothing.
        assert!(!left(5).joins("boot-1", &Seen { image, ..seen(5) }));
    }

    #[tokio::test]
    async fn whoever_asks_while_it_is_written_waits_for_the_same_write_whatever_comes_of_it() {
        for result in [Ok(()), Err("the disk is full".to_owned())] {
            let (done, write) = oneshot::channel();
            let writing = begun(write);
            let askers = [writing.clone(), writing.clone()];
            assert!(askers.iter().all(|asker| !*asker.borrow()));
            done.send(result).expect("it is waited for");
            for mut asker in askers {
                assert!(asker.wait_for(|is_over| *is_over).await.is_ok());
            }
        }
    }
}
