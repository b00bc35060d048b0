//! What a master that serves does to its lock: nothing, unless it was told to.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use baton_tests::clock;
use baton_tests::fault::{Fault, Faults};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::{Master, Turn, boot};
use crate::process::{Side, split};
use crate::{Args, Failed, lock, relay, say};

/// Longer than any test, in seconds.
const FOR_EVER: &str = "86400";

impl Master {
    /// The faults: helpers that keep the lock.
    pub(super) fn start_helpers(&self, faults: &Faults) -> Result<Turn, Failed> {
        if let Some(lock) = self.lock.as_ref().filter(|_| faults.has(Fault::HelperExecuted)) {
            sleep_with(lock).map_err(Failed::at("start a helper"))?;
        }
        if faults.has(Fault::HelperForked) { fork_lingering() } else { Ok(Turn::Serve) }
    }

    /// The fault: unlocks and locks the same descriptor; neither its mark nor its taker changes.
    pub(super) fn relock(&self, gap: Duration) -> Result<(), Failed> {
        let Some(lock) = &self.lock else { return Ok(()) };
        let relock = || {
            lock.unlock()?;
            let free_since = clock::monotonic()?;
            relay::wait_until(free_since + gap)?;
            lock.lock_shared()?;
            Ok::<_, io::Error>((free_since, clock::monotonic()?))
        };
        let (since, until) = relock().map_err(Failed::at("lock again"))?;
        say(&format!("was without the lock from {} ns to {} ns", since.as_nanos(), until.as_nanos()));
        Ok(())
    }

    /// The fault: the workers are killed, for they have copies, the descriptor is closed, and another one is opened and locked.
    pub(super) fn reopen(&mut self, gap: Duration, faults: &Faults) -> Result<(), Failed> {
        self.kill_workers()?;
        drop(self.lock.take());
        let until = clock::monotonic().map_err(Failed::at("read the clock"))? + gap;
        relay::wait_until(until).map_err(Failed::at("wait"))?;
        self.lock = Some(boot::take_lock(&Args { carried: false, ..self.args.clone() }, faults)?);
        Ok(())
    }

    /// The fault: the path names a new file from now on, and that is the one that this master holds. Its workers keep the old one.
    pub(super) fn move_lock(&mut self, faults: &Faults) -> Result<(), Failed> {
        lock::unlink(&boot::lock_path(&self.args.pidfile)).map_err(Failed::at("unlink the lock file"))?;
        self.lock = Some(boot::take_lock(&Args { carried: false, ..self.args.clone() }, faults)?);
        Ok(())
    }

    /// The fault: nobody of this generation holds the lock any more.
    pub(super) fn unlock(&self) -> Result<(), Failed> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.unlock().map_err(Failed::at("unlock")))
    }
}

/// A child that keeps all that it was born with.
pub(super) fn fork_lingering() -> Result<Turn, Failed> {
    match split().map_err(Failed::at("fork"))? {
        Side::Child => Ok(Turn::Linger),
        Side::Parent(pid) => {
            say(&format!("{pid} keeps the lock"));
            Ok(Turn::Serve)
        }
    }
}

/// Nothing else is started meanwhile, so only this one gets the descriptor.
fn sleep_with(lock: &File) -> io::Result<()> {
    fcntl(lock, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let helper = Command::new("sleep").arg(FOR_EVER).stdin(Stdio::null()).spawn();
    fcntl(lock, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    say(&format!("sleep {} keeps the lock", helper?.id()));
    Ok(())
}
