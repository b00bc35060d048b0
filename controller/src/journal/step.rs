//! What is written down of one step of a rollout: of the event that it was told, and of all that it answered.

use super::{Entry, Evidence};
use crate::inventory::HostName;
use crate::outcome::Outcome;
use crate::rollout::{Action, Event};
use crate::standing::Standing;

/// What the loop knows of a host, beside what the rollout does.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// How the service stood when it was last looked at before it was asked.
    pub before: &'a Standing,
    /// The attempt that it was asked for last.
    pub attempt: u32,
}

/// The entries of a step, in their order. They have to be written before any of `actions` is done.
pub fn entries<'a>(
    event: &Event,
    actions: &[Action],
    evidence: Option<Evidence>,
    known: impl Fn(&HostName) -> Option<Known<'a>>,
) -> Vec<Entry> {
    let mut evidence = evidence;
    let is_ignored = actions.iter().any(|action| matches!(action, Action::Ignore(_)));
    let mut entries: Vec<Entry> = told(event).filter(|_| !is_ignored).into_iter().collect();
    for action in actions {
        entries.extend(match action {
            Action::Ask(host, attempt) => known(host).map(|known| Entry::Asked {
                host: host.clone(),
                attempt: *attempt,
                before: Box::new(known.before.clone()),
            }),
            Action::TellOutcome(host, outcome) => Some(ended(event, host, outcome, &mut evidence, &known)),
            Action::TellStop(stop) => Some(Entry::Stopping(stop.clone())),
            Action::Tell(note) => Some(Entry::Noted(*note)),
            Action::Finish(summary) => Some(Entry::Finished { exit: summary.exit().code() }),
            Action::Claim(_)
            | Action::Look(_)
            | Action::Guard(..)
            | Action::LastLook(..)
            | Action::Abandon(_)
            | Action::Ignore(_) => None,
        });
    }
    entries
}

/// What an event says by itself.
fn told(event: &Event) -> Option<Entry> {
    match event {
        Event::Claimed(host) => Some(Entry::Claimed(host.clone())),
        Event::Ordered(order) => Some(Entry::Ordered(*order)),
        Event::Started
        | Event::ClaimRefused(..)
        | Event::Looked(..)
        | Event::Settled(..)
        | Event::GuardStands(_)
        | Event::GuardLost(..)
        | Event::GuardBroken(..)
        | Event::StillStands(_)
        | Event::Interrupted
        | Event::Tick => None,
    }
}

/// How a host has ended: by its handover, or otherwise. What was refused was no handover.
fn ended<'a>(
    event: &Event,
    host: &HostName,
    outcome: &Outcome,
    evidence: &mut Option<Evidence>,
    known: &impl Fn(&HostName) -> Option<Known<'a>>,
) -> Entry {
    let settled = matches!(event, Event::Settled(settled, _) if settled == host);
    match known(host).filter(|_| settled && !matches!(outcome, Outcome::Refused(_))) {
        Some(Known { attempt, .. }) => {
            Entry::Settled { host: host.clone(), attempt, outcome: outcome.clone(), evidence: evidence.take() }
        }
        None => Entry::Outcome { host: host.clone(), outcome: outcome.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, entries};
    use crate::inventory::HostName;
    use crate::journal::{Entry, Evidence};
    use crate::outcome::Outcome;
    use crate::outcome::samples::proven;
    use crate::rollout::{Action, Event, Order};
    use crate::standing::samples::healthy;

    fn host() -> HostName {
        HostName::parse("web-1").unwrap()
    }

    fn check(event: &Event, actions: &[Action], expected: &[Entry]) {
        let evidence = Evidence { testimony: vec![1], ending: vec![2] };
        let before = healthy();
        let found = entries(event, actions, Some(evidence), |_| Some(Known { before: &before, attempt: 2 }));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_host_is_written_down_before_it_is_asked_and_with_the_evidence_when_it_is_done() {
        let asked = Entry::Asked { host: host(), attempt: 2, before: Box::new(healthy()) };
        check(&Event::Looked(host(), Box::new(healthy())), &[Action::Ask(host(), 2)], &[asked]);
        let evidence = Some(Evidence { testimony: vec![1], ending: vec![2] });
        let settled = Entry::Settled { host: host(), attempt: 2, outcome: proven(), evidence };
        let actions = [Action::TellOutcome(host(), proven()), Action::Guard(host(), proven())];
        check(&Event::Settled(host(), proven()), &actions, &[settled]);
    }

    #[test]
    fn what_is_no_end_of_a_handover_is_no_evidence_of_one() {
        let refused = Outcome::Refused("busy".into());
        let told = |outcome: &Outcome| [Action::TellOutcome(host(), outcome.clone())];
        let ended = |outcome: &Outcome| [Entry::Outcome { host: host(), outcome: outcome.clone() }];
        check(&Event::Settled(host(), refused.clone()), &told(&refused), &ended(&refused));
        let lost = Outcome::Unknown("lost".into());
        check(&Event::Tick, &told(&lost), &ended(&lost));
    }

    #[test]
    fn an_order_is_written_down_if_it_was_taken() {
        let event = Event::Ordered(Order::Pause);
        check(&event, &[], &[Entry::Ordered(Order::Pause)]);
        check(&event, &[Action::Ignore(event.clone())], &[]);
    }
}
