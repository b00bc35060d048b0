//! One host with one server, and the kernel's ledger of its lock.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::fleet::{Builder, Fleet, Host, SERVICE, Timing};
use baton_tests::ledger::Ledger;
use baton_tests::server::{Release, Server};
use baton_tests::testified::{Testified, local};
use baton_tests::wait;
use baton_tests::witnessed;
use serde_json::Value;

use super::Case;

/// What comes, comes within that.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// Those workers that look for their master at all have done so by then, where there are requests.
const LEAVE_WITHIN: Duration = Duration::from_secs(4);

/// So many in a row reach every worker.
pub(super) const REQUESTS: usize = 20;

/// One host with one server.
#[derive(Debug)]
pub(super) struct Stage {
    // Before the sandbox with the lock, which is the fleet's.
    ledger: Ledger,
    pub(super) fleet: Fleet,
    /// The number of the last release.
    release: u32,
}

impl Stage {
    /// Starts such a server and its agent; the ledger from before the lock is first held.
    pub(super) fn set(case: &Case, timing: Timing) -> Self {
        Self::set_as(case, |fleet| fleet.timing(timing))
    }

    /// The same, configured like this.
    pub(super) fn set_as(case: &Case, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let (ledger, fleet) = witnessed::start(configure(Fleet::of(1).server(case.kind)));
        Self { ledger, fleet, release: 1 }
    }

    pub(super) fn host(&self) -> &Host {
        &self.fleet.hosts[0]
    }

    pub(super) fn server(&self) -> &Server {
        &self.host().server
    }

    pub(super) fn master(&self) -> u32 {
        self.server().master().expect("it serves")
    }

    /// Puts another release in place, and returns its name.
    pub(super) fn deploy(&mut self) -> String {
        self.release += 1;
        let name = format!("v{}", self.release);
        self.server().deploy(&Release::sound(&name));
        name
    }

    /// A reload that is asked for on the host, to its end.
    #[track_caller]
    pub(super) fn reload(&self) -> Run {
        local(&self.fleet, self.host(), &["reload", SERVICE, "--output", "json"])
    }

    /// What is on record of the last handover. Whatever is judged of it, the ledger must not show the contrary.
    #[track_caller]
    pub(super) fn testified(&mut self) -> Testified {
        let testified = Testified::last(&self.fleet, self.host()).expect("a handover is on record");
        self.ledger.take_down().expect("a ledger without a loss");
        let account = self.ledger.account(&self.server().lock()).expect("an account");
        let free = account.free_within(testified.from, testified.to);
        assert!(free.is_empty() || !testified.claims_custody(), "the ledger says {free:?}: {}", testified.judged);
        testified
    }

    /// The service as `baton-agent status` shows it.
    #[track_caller]
    pub(super) fn status(&self) -> Value {
        self.status_by(&[])
    }

    #[track_caller]
    fn status_by(&self, more: &[&str]) -> Value {
        let args = [&["status", SERVICE, "--output", "json"], more].concat();
        let run = local(&self.fleet, self.host(), &args).expect_code(0);
        run.objects().first().cloned().unwrap_or_else(|| panic!("{run}"))
    }

    /// Waits until the status says this of the lock.
    #[track_caller]
    pub(super) fn await_lock(&self, word: &str) {
        wait::until(&format!("the lock to be {word}"), SOON, || {
            let status = self.status();
            if status["lock"] == word { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// Gives workers without a master the time that they need to leave.
    ///
    /// # Errors
    /// When they do not.
    pub(super) fn await_no_orphans(&self) -> Result<(), wait::TimedOut> {
        wait::look("workers without a master to leave", LEAVE_WITHIN, || {
            // An idle worker of Gunicorn looks for its master once in half of its timeout, and after each request. Each gets some.
            let _answers: Vec<_> = (0..REQUESTS).map(|_| self.serving()).collect();
            // Whoever is no process of the master in charge is found by a look at every process.
            let status = self.status_by(&["--census"]);
            let findings = status["findings"].as_array().into_iter().flatten();
            let are_there = status["lock"] == "orphaned" || findings.into_iter().any(|finding| finding["kind"] == "orphans");
            if are_there { Err(status.to_string()) } else { Ok(()) }
        })
    }

    /// Waits until somebody serves this release.
    #[track_caller]
    pub(super) fn await_release(&self, release: &str) {
        wait::until(&format!("{release} to serve"), SOON, || match self.serving() {
            Some(serving) if serving == release => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// How many drops the agent has seen.
    #[track_caller]
    pub(super) fn epoch(&self) -> u64 {
        let status = self.status();
        status["epoch"].as_u64().unwrap_or_else(|| panic!("{status}"))
    }

    /// The pid files of all masters that it may have.
    fn pidfiles(&self) -> [PathBuf; 3] {
        ["pid", "pid.oldbin", "pid.2"].map(|extension| self.server().pidfile().with_extension(extension))
    }

    /// The master beside this one.
    #[track_caller]
    pub(super) fn other_master(&self, old: u32) -> u32 {
        let pids = self.pidfiles().map(|pidfile| fs::read_to_string(pidfile).ok()?.trim().parse().ok());
        pids.into_iter().flatten().find(|pid| *pid != old).unwrap_or_else(|| panic!("no master but {old}: {pids:?}"))
    }

    /// Ends whatever is left of the server, and starts it again.
    pub(super) fn boot_again(&self) {
        self.server().kill();
        self.await_lock("free");
        // A corpse that nobody has buried yet counts as alive for whoever finds it in a pid file.
        for pidfile in self.pidfiles().into_iter().filter(|pidfile| pidfile.exists()) {
            fs::remove_file(pidfile).expect("a file in the sandbox can be removed");
        }
        self.server().boot();
        self.fleet.await_held();
    }

    /// The release that serves; none where nobody does.
    pub(super) fn serving(&self) -> Option<String> {
        self.server().ask("/").ok().map(|answer| answer.release)
    }
}

/// How a reload ended, in the words of `baton-agent reload`.
#[track_caller]
pub(super) fn outcome(run: &Run) -> String {
    let objects = run.objects();
    let outcome = objects.iter().rev().find_map(|object| object["outcome"].as_str());
    outcome.unwrap_or_else(|| panic!("{run}")).to_owned()
}
