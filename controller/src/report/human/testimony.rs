//! What an agent saw of one handover, line by line, and what it proves.

use std::fmt::Write as _;
use std::time::Duration;

use baton_proto::custody::{Claim, Fact, Lock, Observation, Testimony, Verdict, judge, unbroken};

use crate::inventory::HostName;
use crate::outcome::Ending;
use crate::record::Record;
use crate::text::plain;

/// A record as a small protocol, ending with the controller's own verdict.
pub(super) fn render(host: &HostName, service: &str, record: &Record) -> String {
    let testimony = &record.account.testimony;
    let mut text = format!(
        "{service} on {host}, rollout {} attempt {}\nwindow #{} to #{} on inode {}\n",
        record.rollout, record.attempt, testimony.opened.0, testimony.closed.0, testimony.file.inode
    );
    let begun = testimony.observations.first().map(|observation| observation.at).unwrap_or_default();
    for observation in &testimony.observations {
        text.push_str(&line(observation, begun));
    }
    writeln!(text, "agent    {}", ending(&record.account.ending)).expect("writing to a string cannot fail");
    writeln!(text, "verdict  {}", verdict(testimony, record.account.ending.claim)).expect("writing to a string cannot fail");
    text
}

fn line(observation: &Observation, begun: Duration) -> String {
    let since = observation.at.saturating_sub(begun).as_secs_f64() * 1_000.0;
    format!("{:>6}  {since:>10.3} ms  {}\n", format!("#{}", observation.seq.0), fact(&observation.fact))
}

fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Sighting(seen) => {
            format!("{} {} holds the lock (looked from #{}; {})", seen.role, seen.process, seen.began.0, lock(&seen.lock))
        }
        Fact::Absence { began, role, process, reason } => {
            format!("{role} {process} was not found holding the lock (looked from #{}): {}", began.0, plain(reason))
        }
        Fact::Grant { file } => format!("the waiter was granted: nobody held the lock (inode {})", file.inode),
        Fact::Signal { process, signal } => format!("{} sent to {process}", plain(signal)),
        Fact::Readiness { ready, detail, .. } => {
            let word = if *ready { "ready" } else { "not ready" };
            format!("{word}: {}", plain(detail))
        }
        Fact::Exit { role, process } => format!("{role} {process} exited"),
    }
}

fn lock(lock: &Lock) -> String {
    if lock.mark == 0 { format!("no mark, taker {}", lock.taker) } else { format!("mark {:#x}, taker {}", lock.mark, lock.taker) }
}

fn ending(ending: &Ending) -> String {
    let step = ending.step.map(|step| format!(" at {}", step.phrase())).unwrap_or_default();
    match ending.claim {
        Claim::HandedOver => format!("says: handed over, generation {} is in charge", ending.generation),
        Claim::RolledBack => format!("says: rolled back{step}: {}", ending.cause),
        Claim::Broken => format!("says: broken{step}: {}", ending.cause),
    }
}

fn verdict(testimony: &Testimony, claim: Claim) -> String {
    let text = |verdict: Verdict| match verdict {
        Verdict::Kept(kept) => format!("kept ({}): {} -> {}, overlap {:?}", kept.basis, kept.old, kept.new, kept.overlap),
        Verdict::Dropped { at } => format!("dropped: the lock was free at #{}", at.0),
        Verdict::Unproven(doubt) => format!("unproven: {}", plain(&doubt.to_string())),
    };
    match claim {
        Claim::RolledBack => unbroken(testimony)
            .map_or_else(text, |unbroken| format!("unbroken ({}): {} held throughout", unbroken.basis, unbroken.master)),
        Claim::HandedOver | Claim::Broken => text(judge(testimony)),
    }
}
