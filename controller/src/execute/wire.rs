//! Between the wire and the controller's domain. Wire types go no further than here.
//!
//! **Invariant:** an agent's own words pass through [`plain`] before anybody sees them.

use std::time::Duration;

use baton_proto::custody::{Claim, Process, Testimony};
use baton_proto::wire::Malformed;
use baton_proto::{claim, finding, step, v1};

use crate::outcome::{Account, Ending};
use crate::plan::{About, Clock};
use crate::record::{Past, Record};
use crate::rollout::Seen;
use crate::standing::{Custody, Finding, Lingering, Standing};
use crate::step::Step;
use crate::text::plain;

/// A step; none for the unspecified. No verdict hangs on it, so one that only newer agents make is shown, and no doubt.
pub(crate) fn step(value: i32) -> Option<Step> {
    match v1::Step::try_from(value) {
        Ok(told) => step::Step::try_from(told).ok().map(Step::Known),
        Err(_) => Some(Step::Unknown(value)),
    }
}

/// The services in an agent's answer.
pub(crate) fn standings(reply: v1::StatusReply) -> Result<Vec<Standing>, Malformed> {
    let agent = reply.agent.ok_or(Malformed::Missing("agent"))?;
    reply.services.into_iter().map(|service| standing(&agent, &service)).collect()
}

/// What an agent told of itself `then` (by our own clock, since 1970).
pub(crate) fn about(reply: &v1::StatusReply, then: Duration, certificate_ends: Option<Duration>) -> Result<About, Malformed> {
    let agent = reply.agent.as_ref().ok_or(Malformed::Missing("agent"))?;
    let theirs = Some(agent.unix_ns).filter(|unix_ns| *unix_ns != 0).map(Duration::from_nanos);
    Ok(About {
        version: plain(&agent.version),
        level: agent.level,
        certificate_ends,
        clock: theirs.map(|theirs| Clock::compare(theirs, then)),
    })
}

/// One service, as the agent described it.
pub(crate) fn standing(agent: &v1::AgentInfo, status: &v1::ServiceStatus) -> Result<Standing, Malformed> {
    let custody = match status.custody() {
        v1::Custody::Held => Custody::Held,
        v1::Custody::Orphaned => Custody::Orphaned,
        v1::Custody::Free => Custody::Free,
        v1::Custody::Unspecified => return Err(Malformed::Unknown { what: "custody", value: status.custody }),
    };
    let age = agent.now_ns.checked_sub(status.held_since_ns).map(Duration::from_nanos);
    Ok(Standing {
        service: plain(&status.service),
        dialect: plain(&status.dialect),
        custody,
        trouble: plain(&status.trouble),
        generation: status.generation,
        release: plain(&status.release),
        master: status.master.map(Process::from),
        epoch: status.epoch,
        held_for: age.filter(|_| status.held_since_ns != 0),
        step: step(status.step),
        fence: status.fence,
        claim: status.claim.as_ref().map(|told| claim(told, agent)),
        handover_within: Duration::from_nanos(status.handover_within_ns),
        holders: status.holders,
        findings: status.findings.iter().map(finding).collect(),
        lingering: status.lingering.iter().map(|left| lingering(agent.now_ns, left)).collect(),
        boot: plain(&agent.boot_id),
        incarnation: plain(&agent.incarnation),
    })
}

fn claim(told: &v1::Claim, agent: &v1::AgentInfo) -> claim::Claim {
    let told = claim::Claim::told(told, agent);
    let claim::Claim { rollout, operator, reason, .. } = &told;
    claim::Claim { rollout: plain(rollout), operator: plain(operator), reason: plain(reason), ..told }
}

fn lingering(now_ns: u64, left: &v1::Lingering) -> Lingering {
    let v1::Lingering { generation, since_ns, processes } = left;
    let pids = processes.iter().map(|process| process.pid).collect();
    Lingering { generation: *generation, lingers_for: now_ns.checked_sub(*since_ns).map(Duration::from_nanos), pids }
}

fn finding(found: &v1::Finding) -> Finding {
    let v1::Finding { kind, sentence, pids, refuses } = found;
    Finding { kind: finding::kind(*kind), sentence: plain(sentence), pids: pids.clone(), refuses: *refuses }
}

/// An agent's last word on a handover.
pub(crate) fn ending(ending: v1::Ending) -> Result<Ending, Malformed> {
    let claim = match ending.result() {
        v1::Result::HandedOver => Claim::HandedOver,
        v1::Result::RolledBack => Claim::RolledBack,
        v1::Result::Broken => Claim::Broken,
        v1::Result::Unspecified => return Err(Malformed::Unknown { what: "result", value: ending.result }),
    };
    Ok(Ending {
        claim,
        step: step(ending.step),
        cause: plain(&ending.cause),
        lingering: ending.lingering_pids,
        generation: ending.generation,
        release: plain(&ending.release),
    })
}

/// A testimony and the ending that goes with it.
pub(crate) fn account(testimony: v1::Testimony, last: v1::Ending) -> Result<Account, Malformed> {
    Ok(Account { testimony: Testimony::try_from(testimony)?, ending: ending(last)? })
}

/// What a watch shows; none for what a guard does not care about, or only newer agents tell.
pub(crate) fn seen(event: v1::WatchEvent, boot: &str) -> Result<Option<Seen>, Malformed> {
    use v1::watch_event::Event;
    let Some(told) = event.event else { return Ok(None) };
    match told {
        Event::Status(status) => {
            // A watch does not repeat the boot: a connection does not outlive one.
            let agent = v1::AgentInfo { incarnation: event.incarnation, boot_id: boot.to_owned(), ..v1::AgentInfo::default() };
            let epoch = event.epoch.max(status.epoch);
            Ok(Some(Seen::Standing(Box::new(Standing { epoch, ..standing(&agent, &status)? }))))
        }
        Event::Drop(_) => Ok(Some(Seen::Drop)),
        Event::Held(held) => {
            let master = held.master.ok_or(Malformed::Missing("master"))?.into();
            Ok(Some(Seen::Held { master, epoch: event.epoch, incarnation: plain(&event.incarnation) }))
        }
        Event::Progress(_) | Event::Ending(_) => Ok(None),
    }
}

/// One finished attempt.
pub(crate) fn record(record: v1::Record) -> Result<Record, Malformed> {
    let account =
        account(record.testimony.ok_or(Malformed::Missing("testimony"))?, record.ending.ok_or(Malformed::Missing("ending"))?)?;
    Ok(Record { rollout: plain(&record.rollout), attempt: record.attempt, account })
}

/// All that an agent keeps of a service.
pub(crate) fn past(reply: v1::TestimonyReply) -> Result<Past, Malformed> {
    let records = reply.records.into_iter().map(record).collect::<Result<_, _>>()?;
    Ok(Past { records, history: reply.history.map(TryInto::try_into).transpose()? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_proto::v1;

    use super::{about, ending, seen, standing};
    use crate::plan::Clock;
    use crate::step::Step;

    #[test]
    fn a_custody_and_a_result_that_we_do_not_know_are_malformed() {
        for custody in [0, 99] {
            assert!(standing(&v1::AgentInfo::default(), &v1::ServiceStatus { custody, ..Default::default() }).is_err());
        }
        for result in [0, 99] {
            assert!(ending(v1::Ending { result, ..Default::default() }).is_err());
        }
    }

    #[test]
    fn what_a_claim_says_cannot_steer_a_terminal() {
        let hostile = || "a\u{1b}[2J".to_owned();
        let told = v1::Claim { rollout: hostile(), operator: hostile(), reason: hostile(), ..v1::Claim::default() };
        let status = v1::ServiceStatus { custody: v1::Custody::Held.into(), claim: Some(told), ..Default::default() };
        let claim = standing(&v1::AgentInfo::default(), &status).unwrap().claim.unwrap();
        assert_eq!([claim.rollout, claim.operator, claim.reason], ["a [2J", "a [2J", "a [2J"]);
    }

    #[test]
    fn a_step_that_we_do_not_know_is_no_doubt() {
        let status = v1::ServiceStatus { custody: v1::Custody::Held.into(), step: 99, ..Default::default() };
        assert_eq!(standing(&v1::AgentInfo::default(), &status).unwrap().step, Some(Step::Unknown(99)));
        let told = v1::Ending { result: v1::Result::RolledBack.into(), step: 99, ..Default::default() };
        assert_eq!(ending(told).unwrap().step, Some(Step::Unknown(99)));
    }

    #[test]
    fn an_event_that_we_do_not_know_says_nothing_to_a_guard() {
        assert_eq!(seen(v1::WatchEvent::default(), "boot-1"), Ok(None));
    }

    #[test]
    fn an_agent_tells_of_itself_what_it_knows() {
        let told = |unix_ns| {
            let agent = v1::AgentInfo { version: "0.1.0".into(), level: 1, unix_ns, ..Default::default() };
            let reply = v1::StatusReply { agent: Some(agent), services: Vec::new() };
            about(&reply, Duration::from_secs(5), None).unwrap()
        };
        assert_eq!((told(0).clock, told(0).level), (None, 1));
        assert_eq!(told(7_000_000_000).clock, Some(Clock::Ahead(Duration::from_secs(2))));
        assert!(about(&v1::StatusReply::default(), Duration::ZERO, None).is_err());
    }

    #[test]
    fn an_age_is_told_only_when_the_agent_said_what_time_it_is() {
        let status = |since| v1::ServiceStatus { custody: v1::Custody::Held.into(), held_since_ns: since, ..Default::default() };
        let agent = |now_ns| v1::AgentInfo { now_ns, ..v1::AgentInfo::default() };
        let age = |now, since| standing(&agent(now), &status(since)).unwrap().held_for.map(|age| age.as_nanos());
        assert_eq!(age(5, 3), Some(2));
        assert_eq!(age(0, 3), None);
        assert_eq!(age(5, 0), None);
    }
}
