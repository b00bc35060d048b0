//! What a simulated controller does at one host: claim, look, ask, guard, look a last time; and what it makes of the answers.

use std::time::Duration;

use baton::outcome::{Account, Outcome, Refusal, settle};
use baton::rollout::{Event, Finding, Guard, Seen as Watched};

use crate::agent::Caller;
use crate::controller::{Claim, Contact, Doing, SLOTS, Slot};
use crate::network::{Answer, Call};
use crate::scenario::name;
use crate::world::{Happening, World};

/// How often a host is dialled that was not asked yet.
const DIALS_MAX: u32 = 3;

impl World<'_> {
    fn contact(&mut self, rollout: usize, host: usize) -> Option<&mut Contact> {
        self.controllers[rollout].process.as_mut()?.contacts.get_mut(&host)
    }

    /// Begins something at a host, in place of what it did in that slot.
    pub(crate) fn start(&mut self, rollout: usize, host: usize, slot: Slot, doing: Doing) {
        let Some(contact) = self.contact(rollout, host) else { return };
        contact.threads[slot as usize].doing = doing;
        self.call(rollout, host, slot);
    }

    /// Makes the call that goes with what is being done.
    fn call(&mut self, rollout: usize, host: usize, slot: Slot) {
        let number = self.next_number();
        let run = self.controllers[rollout].run;
        let Some(contact) = self.contact(rollout, host) else { return };
        contact.threads[slot as usize].number = number;
        let call = match contact.threads[slot as usize].doing {
            Doing::Nothing => return,
            Doing::Claiming { .. } => Call::Open { session: run },
            Doing::Looking { .. } | Doing::LookingLast(_) => Call::Status,
            Doing::Asking { attempt, may_have_begun } => match contact.claim {
                Claim::Stands => Call::Reload { attempt, fence: contact.fence },
                // What was begun before is told without a claim, too.
                Claim::Denied { .. } if may_have_begun => Call::Reload { attempt, fence: 0 },
                Claim::Denied { .. } => return self.settled(rollout, host, Outcome::Refused("it could not be claimed".into())),
                Claim::Sought | Claim::Unwanted => return self.retry_later(Caller { rollout, run, number }, host),
            },
            Doing::Guarding(_) => Call::Watch,
        };
        self.send(Caller { rollout, run, number }, host, call);
    }

    pub(crate) fn ask(&mut self, rollout: usize, host: usize, attempt: u32) {
        let Some(contact) = self.contact(rollout, host) else { return };
        if contact.asked.as_ref().is_none_or(|(asked, _)| *asked != attempt) {
            contact.asked = contact.looked.clone().map(|before| (attempt, before));
        }
        let may_have_begun = contact.may_have_begun && contact.asked.as_ref().is_some_and(|(asked, _)| *asked == attempt);
        self.start(rollout, host, Slot::Task, Doing::Asking { attempt, may_have_begun });
    }

    pub(crate) fn guard(&mut self, rollout: usize, host: usize, outcome: &Outcome, slot: Slot) {
        let master = match outcome {
            Outcome::Proven(proof) => proof.kept.after(),
            Outcome::RolledBack { unbroken, .. } => unbroken.master,
            Outcome::Refused(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_) => return,
        };
        let Some((_, before)) = self.contact(rollout, host).and_then(|contact| contact.asked.as_ref()) else { return };
        let guard = Box::new(Guard::new(before, master));
        let doing = if slot == Slot::Task { Doing::Guarding(guard) } else { Doing::LookingLast(guard) };
        self.start(rollout, host, slot, doing);
    }

    pub(crate) fn abandon(&mut self, rollout: usize, host: usize) {
        let Some(contact) = self.contact(rollout, host) else { return };
        for slot in [Slot::Task, Slot::LastLook] {
            contact.threads[slot as usize].doing = Doing::Nothing;
        }
    }

    /// A wait is over.
    pub(crate) fn retry(&mut self, caller: Caller, host: usize) {
        if let Some(slot) = self.slot_of(caller, host) {
            self.call(caller.rollout, host, slot);
        }
    }

    fn slot_of(&mut self, caller: Caller, host: usize) -> Option<Slot> {
        if self.controllers[caller.rollout].run != caller.run {
            return None;
        }
        let contact = self.contact(caller.rollout, host)?;
        SLOTS.into_iter().find(|slot| contact.threads[*slot as usize].number == caller.number)
    }

    /// An answer has come.
    pub(crate) fn answer(&mut self, caller: Caller, host: usize, answer: Answer) {
        let was_cut = self.agents[host].is_cut && !matches!(answer, Answer::Broken | Answer::Unreachable);
        if was_cut {
            return self.break_call(caller, host, 12_000);
        }
        let Some(slot) = self.slot_of(caller, host) else { return };
        let Some(contact) = self.contact(caller.rollout, host) else { return };
        match &contact.threads[slot as usize].doing {
            Doing::Nothing => {}
            Doing::Claiming { dials } => {
                let dials = *dials;
                self.hear_claim(caller, host, dials, &answer);
            }
            Doing::Looking { dials } => {
                let dials = *dials;
                self.hear_look(caller, host, dials, answer);
            }
            Doing::Asking { attempt, may_have_begun } => {
                let (attempt, may_have_begun) = (*attempt, *may_have_begun);
                self.hear_ask(caller, host, attempt, may_have_begun, answer);
            }
            Doing::Guarding(_) | Doing::LookingLast(_) => self.hear_guard(caller, host, slot, answer),
        }
    }

    fn hear_claim(&mut self, caller: Caller, host: usize, dials: u32, answer: &Answer) {
        let Some(contact) = self.contact(caller.rollout, host) else { return };
        let thread = &mut contact.threads[Slot::Claim as usize];
        match answer {
            Answer::Granted { fence } => {
                thread.doing = Doing::Nothing;
                (contact.fence, contact.claim) = (*fence, Claim::Stands);
                self.news(caller.rollout, Event::Claimed(name(host)));
            }
            Answer::Denied(why) => {
                thread.doing = Doing::Nothing;
                contact.claim = Claim::Denied { is_claimed: true };
                let refusal = Refusal { cause: (*why).into(), hint: None, is_claimed: true };
                self.news(caller.rollout, Event::ClaimRefused(name(host), refusal));
            }
            Answer::Unreachable | Answer::Broken if dials + 1 >= DIALS_MAX && contact.fence == 0 => {
                thread.doing = Doing::Nothing;
                contact.claim = Claim::Denied { is_claimed: false };
                self.news(caller.rollout, Event::ClaimRefused(name(host), "it cannot be reached".into()));
            }
            Answer::Unreachable | Answer::Broken => {
                thread.doing = Doing::Claiming { dials: dials + 1 };
                self.retry_later(caller, host);
            }
            Answer::Standing(_) | Answer::Aborted | Answer::Refused(_) | Answer::Ended(_) | Answer::Dropped => {}
        }
    }

    fn hear_look(&mut self, caller: Caller, host: usize, dials: u32, answer: Answer) {
        let Some(contact) = self.contact(caller.rollout, host) else { return };
        let thread = &mut contact.threads[Slot::Task as usize];
        match answer {
            Answer::Standing(standing) => {
                thread.doing = Doing::Nothing;
                self.news(caller.rollout, Event::Looked(name(host), standing));
            }
            Answer::Unreachable | Answer::Broken if dials + 1 >= DIALS_MAX => {
                thread.doing = Doing::Nothing;
                self.news(caller.rollout, Event::Settled(name(host), Outcome::Refused("it cannot be reached".into())));
            }
            Answer::Unreachable | Answer::Broken => {
                thread.doing = Doing::Looking { dials: dials + 1 };
                self.retry_later(caller, host);
            }
            Answer::Granted { .. }
            | Answer::Denied(_)
            | Answer::Aborted
            | Answer::Refused(_)
            | Answer::Ended(_)
            | Answer::Dropped => {}
        }
    }

    fn hear_ask(&mut self, caller: Caller, host: usize, attempt: u32, may_have_begun: bool, answer: Answer) {
        let outcome = match answer {
            Answer::Ended(account) => self.settle(caller.rollout, host, *account),
            Answer::Refused(why) if may_have_begun => Outcome::Unknown(why.into()),
            Answer::Refused(why) => Outcome::Refused(why.into()),
            // A request that is on its way still would be refused, too.
            Answer::Aborted if self.is_denied(caller.rollout, host) => Outcome::Refused("another has the claim".into()),
            Answer::Aborted | Answer::Unreachable => return self.ask_again(caller, host, attempt, may_have_begun),
            Answer::Broken => return self.ask_again(caller, host, attempt, true),
            Answer::Granted { .. } | Answer::Denied(_) | Answer::Standing(_) | Answer::Dropped => return,
        };
        self.settled(caller.rollout, host, outcome);
    }

    fn settled(&mut self, rollout: usize, host: usize, outcome: Outcome) {
        if let Some(contact) = self.contact(rollout, host) {
            contact.threads[Slot::Task as usize].doing = Doing::Nothing;
        }
        self.news(rollout, Event::Settled(name(host), outcome));
    }

    fn is_denied(&mut self, rollout: usize, host: usize) -> bool {
        self.contact(rollout, host).is_some_and(|contact| contact.claim == Claim::Denied { is_claimed: true })
    }

    fn ask_again(&mut self, caller: Caller, host: usize, attempt: u32, may_have_begun: bool) {
        if let Some(contact) = self.contact(caller.rollout, host) {
            contact.threads[Slot::Task as usize].doing = Doing::Asking { attempt, may_have_begun };
        }
        self.retry_later(caller, host);
    }

    /// The controller judges what was told, by what it saw before.
    fn settle(&mut self, rollout: usize, host: usize, account: Account) -> Outcome {
        let asked = self.contact(rollout, host).and_then(|contact| contact.asked.as_ref());
        asked.map_or_else(|| Outcome::Unknown("nobody knows how it stood before".into()), |(_, before)| settle(before, account))
    }

    fn hear_guard(&mut self, caller: Caller, host: usize, slot: Slot, answer: Answer) {
        let seen = match answer {
            Answer::Standing(standing) => Watched::Standing(standing),
            Answer::Dropped => Watched::Drop,
            Answer::Unreachable | Answer::Broken => {
                self.retry_later(caller, host);
                return self.news(caller.rollout, Event::GuardLost(name(host), "the connection broke".into()));
            }
            Answer::Granted { .. } | Answer::Denied(_) | Answer::Aborted | Answer::Refused(_) | Answer::Ended(_) => return,
        };
        let Some(contact) = self.contact(caller.rollout, host) else { return };
        let thread = &mut contact.threads[slot as usize];
        let (Doing::Guarding(guard) | Doing::LookingLast(guard)) = &mut thread.doing else { return };
        let finding = guard.weigh(seen);
        if slot == Slot::LastLook && !matches!(finding, Finding::NotYet(_)) {
            thread.doing = Doing::Nothing;
        }
        let event = match finding {
            Finding::Stands if slot == Slot::LastLook => Event::StillStands(name(host)),
            Finding::Stands => Event::GuardStands(name(host)),
            Finding::NotYet(why) => Event::GuardLost(name(host), why),
            Finding::Broken(outcome) => Event::GuardBroken(name(host), outcome),
        };
        self.news(caller.rollout, event);
    }

    fn retry_later(&mut self, caller: Caller, host: usize) {
        let waits = self.between(200, 1_500);
        self.after(waits, Happening::Retries { caller, host });
    }

    /// Tells the rollout, and perhaps once more later.
    fn news(&mut self, rollout: usize, event: Event) {
        let may_echo = match event {
            Event::Claimed(_) | Event::Looked(..) | Event::Settled(..) | Event::StillStands(_) => true,
            Event::Started
            | Event::ClaimRefused(..)
            | Event::GuardStands(_)
            | Event::GuardLost(..)
            | Event::GuardBroken(..)
            | Event::Ordered(_)
            | Event::Interrupted
            | Event::Tick => false,
        };
        if may_echo && self.chance(self.scenario.chaos.echoed) {
            let run = self.controllers[rollout].run;
            let later = self.between(0, 3_000);
            self.after(later, Happening::Echoes { rollout, run, event: Box::new(event.clone()) });
        }
        self.tell(rollout, event);
    }

    /// A round of renewals: every claim that stands is renewed, and one that has ended is opened again.
    pub(crate) fn renew(&mut self, rollout: usize, run: u32) {
        if self.controllers[rollout].run != run || self.controllers[rollout].process.is_none() {
            return;
        }
        for index in 0..self.controllers[rollout].hosts.len() {
            let host = self.controllers[rollout].hosts[index];
            let stands = self.contact(rollout, host).is_some_and(|contact| contact.claim == Claim::Stands);
            if !stands || !self.agents[host].can_be_reached() || self.chance(self.scenario.chaos.lost) {
                continue;
            }
            if !self.agents[host].renew(self.now, rollout, run) {
                if let Some(contact) = self.contact(rollout, host) {
                    contact.claim = Claim::Sought;
                }
                self.start(rollout, host, Slot::Claim, Doing::Claiming { dials: 0 });
            }
        }
        self.after(Duration::from_secs(3), Happening::Renews { rollout, run });
    }
}
