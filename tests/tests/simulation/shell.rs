//! The walking of a simulated controller: one event, one decision, what is to be written is written, and then it is done.
//!
//! It may be killed before it writes, after it wrote, and after each single thing that it does.

use baton::journal::step::entries;
use baton::journal::{Entry, fold};
use baton::rollout::{Action, Event, Note, Order, Rollout};

use crate::agent::Caller;
use crate::controller::{Claim, Contact, Doing, Process, Slot};
use crate::network::Call;
use crate::scenario::{Deed, Kind, name, place};
use crate::trace::{Did, Heard, Seen, Word};
use crate::world::{Happening, World};

impl World<'_> {
    /// A process begins to walk: for the first time, or where its journal ends.
    pub(crate) fn begin(&mut self, rollout: usize, retries: bool) {
        let plan = &self.scenario.walks[rollout].plan;
        let controller = &mut self.controllers[rollout];
        if controller.process.is_some() {
            return;
        }
        if retries {
            self.agents.iter_mut().enumerate().for_each(|(host, agent)| agent.refuses = self.scenario.behaviour(host, 2).refuses);
        }
        let past = fold(&controller.journal);
        let machine = if controller.run == 0 { Rollout::new(plan) } else { Rollout::resume(plan, &past, retries) };
        controller.run += 1;
        let run = controller.run;
        controller.journal.push(Entry::Begun { run, operator: "ada".into(), retry_failed: retries });
        let contact = |host: &usize| {
            let known = past.hosts.get(&name(*host)).filter(|known| known.attempt > 0);
            let asked = known.and_then(|known| Some((known.attempt, known.before.clone()?)));
            let may_have_begun = known.is_some();
            (*host, Contact { asked, may_have_begun, ..Contact::default() })
        };
        let contacts = controller.hosts.iter().map(contact).collect();
        controller.process = Some(Process { rollout: machine, begun: self.now, contacts, tick: None });
        let run = controller.run;
        self.see(Seen::Begun { rollout, run, retries });
        self.after(std::time::Duration::from_secs(3), Happening::Renews { rollout, run });
        self.tell(rollout, Event::Started);
    }

    /// Tells a rollout of an event, and does what it answers.
    #[expect(clippy::needless_pass_by_value, reason = "an event is told once")]
    pub(crate) fn tell(&mut self, rollout: usize, event: Event) {
        let Some(process) = &mut self.controllers[rollout].process else { return };
        if let Event::Looked(host, standing) = &event
            && let Some(contact) = process.contacts.get_mut(&place(host))
        {
            contact.looked = Some((**standing).clone());
        }
        let actions = process.rollout.handle(self.now.saturating_sub(process.begun), event.clone());
        self.see(Seen::Heard { rollout, heard: Heard::from(&event) });
        if self.is_killed_here(rollout) {
            return;
        }
        self.write(rollout, &event, &actions);
        if self.is_killed_here(rollout) {
            return;
        }
        for action in actions {
            self.perform(rollout, action);
            if self.controllers[rollout].process.is_none() || self.is_killed_here(rollout) {
                return;
            }
        }
        self.await_deadline(rollout);
    }

    fn write(&mut self, rollout: usize, event: &Event, actions: &[Action]) {
        let controller = &mut self.controllers[rollout];
        let Some(process) = &mut controller.process else { return };
        let entries = entries(event, actions, None, |host| process.contacts.get(&place(host))?.known());
        if entries.is_empty() {
            return;
        }
        let (count, ended) = (entries.len(), entries.iter().filter_map(ended).collect());
        let is_finished = entries.iter().any(|entry| matches!(entry, Entry::Finished { .. }));
        controller.journal.extend(entries);
        self.see(Seen::Wrote { rollout, entries: count, ended, is_finished });
    }

    fn perform(&mut self, rollout: usize, action: Action) {
        self.see(Seen::Did { rollout, did: Did::from(&action) });
        match action {
            Action::Claim(host) => {
                if let Some(contact) = self.controllers[rollout].contact(&host) {
                    contact.claim = Claim::Sought;
                }
                self.start(rollout, place(&host), Slot::Claim, Doing::Claiming { dials: 0 });
            }
            Action::Look(host) => self.start(rollout, place(&host), Slot::Task, Doing::Looking { dials: 0 }),
            Action::Ask(host, attempt) => self.ask(rollout, place(&host), attempt),
            Action::Guard(host, outcome) => self.guard(rollout, place(&host), &outcome, Slot::Task),
            Action::LastLook(host, outcome) => self.guard(rollout, place(&host), &outcome, Slot::LastLook),
            Action::Abandon(host) => self.abandon(rollout, place(&host)),
            Action::Tell(note) => self.note(rollout, note),
            Action::Finish(summary) => self.finish(rollout, summary.stop.is_some()),
            Action::TellOutcome(..) | Action::TellStop(_) | Action::Ignore(_) => {}
        }
    }

    /// Whether this is one of the steps before which it is killed.
    fn is_killed_here(&mut self, rollout: usize) -> bool {
        let controller = &mut self.controllers[rollout];
        controller.steps += 1;
        let killed = controller.process.is_some() && self.scenario.walks[rollout].kills.contains(&controller.steps);
        if killed {
            self.kill(rollout);
        }
        killed
    }

    fn kill(&mut self, rollout: usize) {
        if self.controllers[rollout].process.take().is_some() {
            self.see(Seen::Killed { rollout });
            let back = self.between(100, 30_000);
            self.after(back, Happening::Begins { rollout, retries: false });
        }
    }

    fn finish(&mut self, rollout: usize, has_stopped: bool) {
        let run = self.controllers[rollout].run;
        let Some(process) = self.controllers[rollout].process.take() else { return };
        for (host, contact) in process.contacts {
            if contact.claim != Claim::Unwanted {
                let number = self.next_number();
                self.send(Caller { rollout, run, number }, host, Call::Release { session: run });
            }
        }
        let goes_on = self.scenario.walks[rollout].goes_on;
        if let Some(retries) = goes_on.filter(|_| has_stopped && !self.controllers[rollout].has_gone_on) {
            self.controllers[rollout].has_gone_on = true;
            let looked = self.between(1_000, 60_000);
            self.after(looked, Happening::Begins { rollout, retries });
        }
    }

    /// A person reads what the rollout tells.
    fn note(&mut self, rollout: usize, note: Note) {
        match note {
            Note::AwaitingPerson { .. } | Note::Paused => {
                let thinks = self.between(500, 40_000);
                let is_calm = matches!(self.scenario.kind, Kind::Undisturbed | Kind::Killed);
                let order = if !is_calm && self.chance(60) { Order::Abort } else { Order::Resume };
                self.after(thinks, Happening::Does { rollout, deed: Deed::Order(order) });
            }
            Note::WaveBegins(_) | Note::Soaking { .. } | Note::WaveEnds(_) | Note::GoingOn => {}
        }
    }

    /// An operator does something.
    pub(crate) fn deed(&mut self, rollout: usize, deed: Deed) {
        match deed {
            Deed::Order(order) => self.tell(rollout, Event::Ordered(order)),
            Deed::Interrupt => self.tell(rollout, Event::Interrupted),
            Deed::Kill => self.kill(rollout),
        }
    }

    /// What was heard once is heard again, if the run still lives.
    pub(crate) fn echo(&mut self, rollout: usize, run: u32, event: Event) {
        if self.controllers[rollout].run == run {
            self.tell(rollout, event);
        }
    }

    /// A timer of the loop is over: the rollout is told the time, if one of its deadlines is due.
    pub(crate) fn tick(&mut self, rollout: usize, run: u32) {
        let now = self.now;
        let controller = &mut self.controllers[rollout];
        let Some(process) = controller.process.as_mut().filter(|_| controller.run == run) else { return };
        if process.tick.is_none_or(|tick| tick > now) {
            return;
        }
        process.tick = None;
        if process.rollout.deadline_next().is_some_and(|deadline| process.begun + deadline <= now) {
            self.tell(rollout, Event::Tick);
        } else {
            self.await_deadline(rollout);
        }
    }

    fn await_deadline(&mut self, rollout: usize) {
        let now = self.now;
        let controller = &mut self.controllers[rollout];
        let run = controller.run;
        let Some(process) = &mut controller.process else { return };
        let Some(deadline) = process.rollout.deadline_next() else { return };
        let due = (process.begun + deadline).max(now);
        if process.tick.is_none_or(|tick| due < tick || tick < now) {
            process.tick = Some(due);
            self.at(due, Happening::Ticks { rollout, run });
        }
    }
}

/// The host that has ended otherwise than by its handover, and how.
fn ended(entry: &Entry) -> Option<(usize, Word)> {
    if let Entry::Outcome { host, outcome } = entry { Some((place(host), outcome.into())) } else { None }
}
