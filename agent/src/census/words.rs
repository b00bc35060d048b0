//! The sentences of the findings: what it is, what it means, what to do.

use baton_proto::custody::Process;
use baton_proto::span::Span;

use super::{Facts, Holder, OldGeneration};

/// More names than a sentence should have.
const NAMES_MAX: usize = 8;

pub(super) fn network(facts: &Facts, name: &str) -> String {
    format!(
        "the lock file {} is on {name}: a process of another host may hold it, and nobody here would see it; put it on a disk of this host",
        facts.path
    )
}

pub(super) fn twin(facts: &Facts, twin: &str) -> String {
    format!("the lock file {} is also that of the service {twin}: each needs one of its own", facts.path)
}

pub(super) fn replaced(facts: &Facts) -> String {
    format!(
        "the lock file {} was replaced: the master holds another file than the path names; find who replaced it, then restart the service once",
        facts.path
    )
}

pub(super) fn unlinked(facts: &Facts) -> String {
    format!(
        "the lock file {} is gone: the master holds a file that the path does not name any more, and a new one would take another; find who removed it, then restart the service once",
        facts.path
    )
}

pub(super) fn unreadable(facts: &Facts, why: &str) -> String {
    format!("the lock file {} cannot be looked at: {why}", facts.path)
}

pub(super) fn no_waiter(facts: &Facts) -> String {
    format!("nobody waits for the lock {}: a drop would not be seen", facts.path)
}

pub(super) fn stale(facts: &Facts, pid: u32) -> String {
    format!(
        "the pid file {} is stale: it names process {pid}, which is dead; if nobody serves, start the service",
        facts.pid_file.path
    )
}

pub(super) fn reused(facts: &Facts, process: Process, command: &str) -> String {
    format!(
        "the pid file {} is stale: the master {process} is gone and its pid was given to another process ({command}); do not signal it; start the service",
        facts.pid_file.path
    )
}

pub(super) fn younger(facts: &Facts, process: Process, command: &str) -> String {
    format!(
        "the pid file {} is stale: it names process {process} ({command}), which does not hold the lock and started after the file was written; do not signal it; start the service",
        facts.pid_file.path
    )
}

pub(super) fn no_holder(facts: &Facts, process: Process, command: &str, others: &[&Holder]) -> String {
    let head = format!("the pid file {} names process {process} ({command}), which does not hold the lock", facts.pid_file.path);
    if others.is_empty() {
        format!("{head}: it has no lock hook, or takes another file than {}", facts.path)
    } else {
        format!("{head}; the master that does is {}: two servers share one pid file, or it was written by another", names(others))
    }
}

pub(super) fn two_masters(facts: &Facts, masters: &[&Holder]) -> String {
    let pid_file = &facts.pid_file.path;
    // While it lives, an old master may keep the pid file.
    let is_named = facts.chief().is_none_or(|chief| facts.pid_file.names(chief));
    let whom = if is_named { "does not name" } else { "names: it is the old one" };
    format!("two masters hold the lock, and both may serve: {}; end the one that the pid file {pid_file} {whom}", names(masters))
}

pub(super) fn predecessor(facts: &Facts, pid: u32) -> String {
    format!("an older generation is still there: {} names the living process {pid}", facts.pid_file_old.path)
}

pub(super) fn successor(facts: &Facts, pid: u32) -> String {
    format!(
        "a newer generation is there that nobody hands over to: {} names the living process {pid}; the server ignores a reload while both live",
        facts.pid_file_new.path
    )
}

pub(super) fn unburied(facts: &Facts, pid: u32) -> String {
    format!(
        "an older generation is not buried yet: {} names the dead process {pid}, whose parent has not waited for it; the server takes it for alive and would ignore a reload",
        facts.pid_file_old.path
    )
}

pub(super) fn unseen(takers: &[u32]) -> String {
    format!(
        "somebody who cannot be found holds the lock, too: it was taken by process {}; a drop would not be seen; `baton-agent status --census` looks at every process",
        listed(takers.iter().map(ToString::to_string))
    )
}

pub(super) fn lingering(facts: &Facts, old: &OldGeneration) -> String {
    let OldGeneration { number, overtime, processes } = old;
    let (who, over) = (listed(processes.iter().map(|process| process.pid.to_string())), Span(*overtime));
    let (they, them) = if processes.len() == 1 { ("it is", "it") } else { ("they are", "them") };
    let allowed = facts.lingering_allowed;
    let what = if facts.is_one_too_many() {
        format!(
            "a reload would pile another on it; wait until {they} done, end {them}, or let more linger (drain.lingering, now {allowed})"
        )
    } else {
        format!("up to {allowed} may linger (drain.lingering)")
    };
    format!("generation {number} was told to leave and is there still, {over} after its drain was over: {who}; {what}")
}

/// What of a service nobody would see.
const BLINDS: &str = "a drop of the service would not be seen";

/// The first word for one, or the second for several.
fn number<'a>(holders: &[&Holder], one: &'a str, several: &'a str) -> &'a str {
    if holders.len() == 1 { one } else { several }
}

pub(super) fn orphans(facts: &Facts, holders: &[&Holder]) -> String {
    let (who, holds) = (names(holders), number(holders, "holds", "hold"));
    let (they, them) = (number(holders, "it", "they"), number(holders, "it", "them"));
    if facts.master.is_none() {
        let have = number(holders, "has", "have");
        let next = match &facts.started_as {
            Some(name) => format!("`baton-agent stop {name}` ends {them}, and `baton-agent start {name}` starts it anew"),
            None => format!("end {them} when {they} can be spared, and start the service"),
        };
        format!("orphans: {who} {holds} the lock and {they} {have} no master any more: a signal restarts nobody; {next}")
    } else {
        let live = number(holders, "lives", "live");
        format!("orphans: {who} {holds} the lock of a master that is gone: as long as {they} {live} {BLINDS}; end {them}")
    }
}

pub(super) fn wrapper(_: &Facts, holders: &[&Holder]) -> String {
    let (who, holds) = (names(holders), number(holders, "holds", "hold"));
    format!(
        "a wrapper: {who}, above the master, {holds} the lock that the server took or inherited: it holds on when the server is dead, so {BLINDS}; start the server with exec, or close the descriptor there"
    )
}

pub(super) fn leak(_: &Facts, holders: &[&Holder]) -> String {
    let (who, holds, are) = (names(holders), number(holders, "holds", "hold"), number(holders, "is", "are"));
    let (they, them, live) = (number(holders, "it", "they"), number(holders, "it", "them"), number(holders, "lives", "live"));
    format!(
        "a leaked descriptor: {who} {holds} the server's own lock and {are} not of the server: as long as {they} {live} {BLINDS}; end {them}"
    )
}

pub(super) fn helper(_: &Facts, holders: &[&Holder]) -> String {
    let (who, holds) = (names(holders), number(holders, "holds", "hold"));
    format!(
        "a helper: {who}, below the master, {holds} the lock that it inherited and runs another program: should it outlive the server, {BLINDS}; close the descriptor in it"
    )
}

pub(super) fn foreign(_: &Facts, holders: &[&Holder]) -> String {
    let (who, holds, are) = (names(holders), number(holders, "holds", "hold"), number(holders, "is", "are"));
    let them = number(holders, "it", "them");
    format!(
        "a foreign holder blinds the waiter: {who} {holds} the lock and {are} not of the service: {BLINDS}; end {them}, and have {them} use another file"
    )
}

/// Commands with their pids.
fn names(holders: &[&Holder]) -> String {
    listed(holders.iter().map(|holder| format!("{} ({})", holder.command, holder.process)))
}

/// The first of these, and how many more there are: a sentence travels in the header of a refusal, which has no room for thousands.
fn listed(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMES_MAX);
    let mut names: Vec<String> = all.take(NAMES_MAX).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
