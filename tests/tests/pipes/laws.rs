//! What must be true of all that was seen.
//!
//! **Invariant:** a law reads the trace and the scenario alone; it knows nothing of the controller.

#![expect(clippy::wildcard_enum_match_arm, reason = "a law looks at the few things that it is about")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_agent::claim::LEASE;

use crate::scenario::{Kind, Scenario};
use crate::trace::{Line, Seen};

/// A drop is told by the end of every run that goes on for so long after it: the last look at a host is not older.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

type Judged = Result<(), String>;

fn demand(is_so: bool, otherwise: impl FnOnce() -> String) -> Judged {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// What is wrong, by the first law that is broken.
pub(crate) fn check(scenario: &Scenario, lines: &[Line], all_ended: bool) -> Judged {
    demand(all_ended, || "a run did not end within its bound".into())?;
    once(lines)?;
    one_holder(lines)?;
    in_flight(scenario, lines)?;
    drops_are_told(scenario, lines)?;
    proven_is_handed_over(lines)?;
    ends_well(scenario, lines)
}

/// A host is signalled once for an attempt at most, and attempts only grow.
fn once(lines: &[Line]) -> Judged {
    let mut last: BTreeMap<(usize, &str), u32> = BTreeMap::new();
    for line in lines {
        if let Seen::Signalled { host, rollout, attempt, .. } = &line.seen {
            let before = last.insert((*host, rollout), *attempt).unwrap_or(0);
            demand(*attempt > before, || format!("host {host} is signalled for attempt {attempt} of {rollout} after {before}"))?;
        }
    }
    Ok(())
}

/// One rollout has a host at a time, and only it hands over.
fn one_holder(lines: &[Line]) -> Judged {
    let mut holders: BTreeMap<usize, (&str, u64, Duration)> = BTreeMap::new();
    let mut busy: BTreeMap<usize, &str> = BTreeMap::new();
    for line in lines {
        match &line.seen {
            Seen::Granted { host, rollout, fence, .. } => {
                if let Some((holder, before, until)) = holders.get(host) {
                    demand(*holder == rollout || *until <= line.at, || format!("host {host} is {holder}'s and {rollout}'s"))?;
                    demand(fence >= before, || format!("the fence of host {host} goes back to {fence}"))?;
                }
                let other = busy.get(host).filter(|other| *other != rollout);
                demand(other.is_none(), || format!("{rollout} has host {host} while {other:?} hands over"))?;
                holders.insert(*host, (rollout, *fence, line.at + LEASE));
            }
            Seen::Renewed { host, fence } => {
                let holder = holders.get_mut(host).filter(|holder| holder.1 == *fence);
                let holder = holder.ok_or_else(|| format!("a claim on host {host} is renewed that nobody has"))?;
                holder.2 = line.at + LEASE;
            }
            Seen::Released { host, fence } => {
                let holder = holders.get_mut(host).filter(|holder| holder.1 == *fence);
                holder.ok_or_else(|| format!("a claim on host {host} is released that nobody has"))?.2 = line.at;
            }
            // A claim of before stands for a fresh lease, over a death of the agent.
            Seen::AgentBack { host } => {
                if let Some(holder) = holders.get_mut(host).filter(|holder| holder.2 > line.at) {
                    holder.2 = line.at + LEASE;
                }
            }
            Seen::Signalled { host, rollout, .. } => {
                let holder = holders.get(host).map(|(holder, ..)| *holder);
                demand(holder == Some(rollout), || format!("{rollout} hands host {host} over, which is {holder:?}'s"))?;
                busy.insert(*host, rollout);
            }
            Seen::Concluded { host, .. } => drop(busy.remove(host)),
            Seen::Begun { .. }
            | Seen::Killed { .. }
            | Seen::Finished { .. }
            | Seen::Dropped { .. }
            | Seen::AgentDied { .. }
            | Seen::Weather { .. } => {}
        }
    }
    Ok(())
}

/// No more hosts are in flight than may be.
fn in_flight(scenario: &Scenario, lines: &[Line]) -> Judged {
    let mut flying: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for line in lines {
        match &line.seen {
            Seen::Signalled { host, rollout, .. } => {
                let flying = flying.entry(rollout).or_default();
                flying.insert(*host);
                let most = scenario.in_flight_max;
                demand(flying.len() <= most, || format!("{} hosts of {rollout} are in flight, {most} may be", flying.len()))?;
            }
            Seen::Concluded { host, rollout, .. } => drop(flying.entry(rollout).or_default().remove(host)),
            Seen::Begun { .. }
            | Seen::Killed { .. }
            | Seen::Finished { .. }
            | Seen::Granted { .. }
            | Seen::Renewed { .. }
            | Seen::Released { .. }
            | Seen::Dropped { .. }
            | Seen::AgentDied { .. }
            | Seen::AgentBack { .. }
            | Seen::Weather { .. } => {}
        }
    }
    Ok(())
}

/// A drop of a host of the rollout is told as one by the first run that ends well after it; nobody says that it is fine.
fn drops_are_told(scenario: &Scenario, lines: &[Line]) -> Judged {
    let mut touched: BTreeMap<usize, &str> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        match &line.seen {
            Seen::Signalled { host, rollout, .. } => drop(touched.insert(*host, rollout)),
            Seen::Dropped { host } => {
                let Some(mine) = touched.get(host) else { continue };
                let end = lines[number..].iter().find_map(|later| match &later.seen {
                    Seen::Finished { rollout, words, .. } if rollout == mine => Some((later.at, words[*host])),
                    _ => None,
                });
                let Some((at, word)) = end.filter(|(at, _)| *at > line.at + TOLD_WITHIN) else { continue };
                let is_calm = scenario.kind == Kind::Services;
                let is_told = word == Some("dropped") || !is_calm && word == Some("unknown");
                demand(is_told, || format!("host {host} was dropped, and is {word:?} at {at:?}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whoever is proven was handed over, and whoever was rolled back undone.
fn proven_is_handed_over(lines: &[Line]) -> Judged {
    let mut ends: BTreeMap<(&str, usize), &str> = BTreeMap::new();
    for line in lines {
        match &line.seen {
            Seen::Concluded { host, rollout, how, .. } => drop(ends.insert((rollout, *host), how)),
            Seen::Finished { rollout, words, .. } => {
                for (host, word) in words.iter().enumerate() {
                    let how = ends.get(&(rollout.as_str(), host)).copied();
                    let is_so = match *word {
                        Some("proven") => how == Some("handed over"),
                        Some("rolled back") => how == Some("undone"),
                        _ => true,
                    };
                    demand(is_so, || format!("host {host} is {word:?}, and it was {how:?}"))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where only connections and controllers failed, every host is proven in the end, and was signalled once; where nothing did, at once.
fn ends_well(scenario: &Scenario, lines: &[Line]) -> Judged {
    if !scenario.kind.is_mended() {
        return Ok(());
    }
    let ends: Vec<_> = lines.iter().filter(|line| matches!(line.seen, Seen::Finished { .. })).collect();
    let last = ends.last().map(|line| &line.seen);
    let Some(Seen::Finished { exit, words, .. }) = last else { return Err("no run has ended".into()) };
    demand(*exit == 0 && words.iter().all(|word| *word == Some("proven")), || format!("it ends with {exit}: {words:?}"))?;
    demand(scenario.kind != Kind::Undisturbed || ends.len() == 1, || "an undisturbed rollout takes more than one run".into())?;
    for host in 0..scenario.hosts() {
        let mine = |line: &&Line| matches!(&line.seen, Seen::Signalled { host: signalled, .. } if *signalled == host);
        let count = lines.iter().filter(mine).count();
        demand(count == 1, || format!("host {host} was signalled {count} times"))?;
    }
    Ok(())
}
