//! Requests and answers on their way: late, lost, doubled; connections that break, and are noticed to have broken later.

use std::time::Duration;

use baton::outcome::Account;
use baton::standing::Standing;

use crate::agent::{Caller, Reload, Underway};
use crate::trace::Seen;
use crate::world::{Happening, World};

/// What is asked of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Open { session: u32 },
    Release { session: u32 },
    Reload { attempt: u32, fence: u64 },
    Status,
    Watch,
}

/// What comes of it.
#[derive(Debug)]
pub(crate) enum Answer {
    Granted {
        fence: u64,
    },
    Denied(&'static str),
    Standing(Box<Standing>),
    Aborted,
    Refused(&'static str),
    Ended(Box<Account>),
    /// A watched lock was free.
    Dropped,
    /// The connection broke down after the request may have arrived.
    Broken,
    /// No connection could be made.
    Unreachable,
}

/// How long it takes to find out that nobody answers.
const DIAL: Duration = Duration::from_secs(3);

impl World<'_> {
    /// A request sets out.
    pub(crate) fn send(&mut self, caller: Caller, host: usize, call: Call) {
        let agent = &self.agents[host];
        if !agent.can_be_reached() {
            let after = if agent.is_cut { DIAL } else { Duration::from_millis(20) };
            return self.after(after, Happening::Answers { caller, host, answer: Answer::Unreachable });
        }
        let chaos = self.scenario.chaos;
        let mut takes = self.between(1, 20);
        if self.chance(chaos.late) {
            takes += self.between(0, 8_000);
        }
        if self.chance(chaos.doubled) {
            let again = takes + self.between(0, 30_000);
            self.after(again, Happening::Arrives { caller, host, call });
        }
        if self.chance(chaos.lost) {
            return self.break_call(caller, host, 12_000);
        }
        self.after(takes, Happening::Arrives { caller, host, call });
    }

    /// An answer sets out.
    pub(crate) fn reply(&mut self, caller: Caller, host: usize, answer: Answer) {
        let takes = self.between(1, 20);
        if self.chance(self.scenario.chaos.lost) {
            return self.break_call(caller, host, 12_000);
        }
        self.after(takes, Happening::Answers { caller, host, answer });
    }

    /// A connection is found broken, after a while of at most so many milliseconds.
    pub(crate) fn break_call(&mut self, caller: Caller, host: usize, most: u64) {
        let noticed = self.between(5, most);
        self.after(noticed, Happening::Answers { caller, host, answer: Answer::Broken });
    }

    /// All connections to a host break.
    pub(crate) fn break_calls(&mut self, host: usize, most: u64) {
        let callers: Vec<Caller> =
            (0..self.controllers.len()).flat_map(|rollout| self.controllers[rollout].callers(rollout, host)).collect();
        for caller in callers {
            self.break_call(caller, host, most);
        }
    }

    /// A request has reached its agent.
    pub(crate) fn arrive(&mut self, caller: Caller, host: usize, call: &Call) {
        if !self.agents[host].can_be_reached() {
            return self.break_call(caller, host, 5_000);
        }
        match *call {
            Call::Open { session } => self.open(caller, host, session),
            Call::Release { session } => {
                if self.agents[host].release(caller.rollout, session) {
                    self.see(Seen::Released { rollout: caller.rollout, host });
                }
            }
            Call::Reload { attempt, fence } => self.reload(caller, host, attempt, fence),
            Call::Status => {
                let standing = Answer::Standing(Box::new(self.agents[host].standing()));
                self.reply(caller, host, standing);
            }
            Call::Watch => {
                self.agents[host].watchers.push(caller);
                let standing = Answer::Standing(Box::new(self.agents[host].standing()));
                self.reply(caller, host, standing);
            }
        }
    }

    fn open(&mut self, caller: Caller, host: usize, session: u32) {
        let rollout = caller.rollout;
        match self.agents[host].open(self.now, rollout, session) {
            Ok(fence) => {
                self.see(Seen::Granted { rollout, host, session, fence });
                self.reply(caller, host, Answer::Granted { fence });
            }
            Err(why) => self.reply(caller, host, Answer::Denied(why)),
        }
    }

    fn reload(&mut self, caller: Caller, host: usize, attempt: u32, fence: u64) {
        let rollout = caller.rollout;
        let behaviour = self.scenario.behaviour(host, attempt);
        match self.agents[host].reload(self.now, rollout, attempt, fence) {
            Reload::Begin => {
                self.agents[host].begin(Underway { rollout, attempt, tale: behaviour.tale, conceals: behaviour.conceals });
                self.agents[host].listeners.push(caller);
                self.see(Seen::Signalled { rollout, host, attempt, fence });
                self.after(behaviour.takes, Happening::Ends { host, rollout, attempt });
            }
            Reload::Joined => self.agents[host].listeners.push(caller),
            Reload::Replayed(account) => self.reply(caller, host, Answer::Ended(account)),
            Reload::Aborted => self.reply(caller, host, Answer::Aborted),
            Reload::Refused(why) => self.reply(caller, host, Answer::Refused(why)),
        }
    }
}
