//! What was seen, and what it proves, in words for people: the same on a host and in front of the fleet.
//!
//! **Invariant:** nothing is decided here. Reasons, details and names of signals are repeated as they are: whoever shows them
//! makes them fit for a terminal.

use std::fmt;
use std::time::Duration;

use super::judge::{Kept, Succession, Unbroken, Verdict};
use super::settle::weigh;
use super::{Claim, Fact, FileIdentity, Lock, Observation, Seq, Shape, Testimony};
use crate::span::Span;

/// What a testimony is about: who was handed over and for whom, then the window.
#[must_use]
pub fn heading(who: &str, rollout: &str, attempt: u32, (opened, closed): (Seq, Seq), file: FileIdentity) -> String {
    let (opened, closed, inode) = (opened.0, closed.0, file.inode);
    format!("{who}, rollout {rollout} attempt {attempt}\nwindow #{opened} to #{closed} on inode {inode}")
}

/// An observation as a line; it was made so long after the first one.
#[must_use]
pub fn line(observation: &Observation, after: Duration) -> String {
    format!("{:>6}  {:>+9.3} s  {}", format!("#{}", observation.seq.0), after.as_secs_f64(), observation.fact)
}

/// What an agent says of the ending, which is not what is proven of it.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// Which end it was.
    pub claim: Claim,
    /// The step that failed, by its name.
    pub step: Option<&'a str>,
    /// The same as a phrase.
    pub failed: Option<&'a str>,
    /// Why.
    pub cause: &'a str,
    /// The generation in charge.
    pub generation: u64,
    /// Processes of the old generation that were still there.
    pub lingering: &'a [u32],
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, step: _, failed, cause, generation, lingering } = self;
        let at = failed.map(|step| format!(" at {step}")).unwrap_or_default();
        match claim {
            Claim::HandedOver => write!(f, "handed over, generation {generation} is in charge")?,
            Claim::RolledBack => write!(f, "rolled back{at}: {cause}")?,
            Claim::Broken => write!(f, "broken{at}: {cause}")?,
        }
        f.write_str(&left(lingering))
    }
}

/// How many of the old generation were still there at the end, and which, as the end of a sentence.
#[must_use]
pub fn left(lingering: &[u32]) -> String {
    if lingering.is_empty() {
        return String::new();
    }
    let pids: Vec<String> = lingering.iter().map(ToString::to_string).collect();
    format!("; {} of the old generation still there ({})", pids.len(), pids.join(", "))
}

/// The shape of a handover, as a word for programs.
#[must_use]
pub fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Beside => "beside",
        Shape::InPlace => "in_place",
        Shape::Exec => "exec",
    }
}

/// How a protocol ends: the agent's word, and the verdict on the testimony that comes with it.
#[must_use]
pub fn conclusion(word: &Word<'_>, testimony: &Testimony) -> String {
    format!("agent    says: {word}\nverdict  {}", verdict(word.claim, testimony))
}

fn verdict(claim: Claim, testimony: &Testimony) -> String {
    weigh(claim, testimony).map_or_else(
        |verdict| verdict.to_string(),
        |unbroken| format!("unbroken ({}): {} held throughout", unbroken.basis, unbroken.master),
    )
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sighting(seen) => {
                write!(f, "{} {} holds the lock (looked from #{}; {})", seen.role, seen.process, seen.began.0, seen.lock)
            }
            Self::Absence { began, role, process, reason } => {
                write!(f, "{role} {process} was not seen holding the lock (looked from #{}): {reason}", began.0)
            }
            Self::Grant { file } => write!(f, "the waiter was granted: nobody held the lock (inode {})", file.inode),
            Self::Signal { process, signal } => write!(f, "{signal} sent to {process}"),
            Self::Readiness { ready, detail, .. } => {
                write!(f, "{}: {detail}", if *ready { "ready" } else { "not ready" })
            }
            Self::Exit { role, process } => write!(f, "{role} {process} exited"),
            Self::Workers { master, workers, .. } => {
                let count = workers.len();
                let were = if count == 1 { "process was" } else { "processes were" };
                write!(f, "{count} {were} listed below the master {master}")
            }
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, mark, taker } = self;
        match mark {
            0 => write!(f, "inode {}, no mark, taker {taker}", file.inode),
            _ if self.is_marked() => write!(f, "inode {}, mark {mark:#x}, taker {taker}", file.inode),
            offset => write!(f, "inode {}, no mark (offset {offset}), taker {taker}", file.inode),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(kept) => {
                write!(f, "kept ({}): ", kept.basis)?;
                match kept.by {
                    Succession::Beside { old, new, overlap } => write!(f, "{old} -> {new}, overlap {}", Milliseconds(overlap)),
                    Succession::InPlace { master, worker } => write!(f, "{master} in place, new worker {worker}"),
                    Succession::Exec { master, worker } => write!(f, "{master} in place by exec, new worker {worker}"),
                }
            }
            Self::Dropped { at } => write!(f, "dropped: the lock was free at #{}", at.0),
            Self::Unproven(doubt) => write!(f, "unproven: {doubt}"),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            Succession::Beside { old, new, overlap } => write!(f, "{old} -> {new}   overlap {}", Milliseconds(overlap))?,
            Succession::InPlace { master, worker } => write!(f, "{master} in place   new worker {worker}")?,
            Succession::Exec { master, worker } => write!(f, "{master} in place by exec   new worker {worker}")?,
        }
        write!(f, ", {}", self.basis)
    }
}

impl fmt::Display for Unbroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} still serves, its lock unbroken, {}", self.master, self.basis)
    }
}

/// Overlaps are compared with each other, so they have one unit.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(time) = self;
        if *time < Duration::from_secs(1) { Span(*time).fmt(f) } else { write!(f, "{} ms", time.as_millis()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::samples::{FILE, clean, process};
    use super::super::{Basis, Claim, Doubt, Fact, Kept, Role, Seq, Succession, Unbroken, Verdict};
    use super::{Word, conclusion, heading, line, verdict};

    #[test]
    fn a_testimony_reads_like_a_protocol() {
        let testimony = clean();
        let lines: Vec<String> =
            testimony.observations.iter().map(|seen| line(seen, seen.at.saturating_sub(testimony.observations[0].at))).collect();
        let expected = "
   #12     +0.000 s  old master 100 holds the lock (looked from #11; inode 2, mark 0x1000002bc, taker 100)
   #13     +0.100 s  SIGUSR2 sent to 100
   #14     +0.200 s  ready: 200 from 201
   #16     +0.400 s  new master 200 holds the lock (looked from #15; inode 2, mark 0x100000578, taker 200)
   #18     +0.600 s  old master 100 holds the lock (looked from #17; inode 2, mark 0x1000002bc, taker 100)
   #20     +0.800 s  new master 200 holds the lock (looked from #19; inode 2, mark 0x100000578, taker 200)
   #21     +0.900 s  SIGQUIT sent to 100
   #22     +1.000 s  old master 100 exited
   #24     +1.200 s  new master 200 holds the lock (looked from #23; inode 2, mark 0x100000578, taker 200)";
        assert_eq!(format!("\n{}", lines.join("\n")), expected);
        let window = (testimony.opened, testimony.closed);
        assert_eq!(
            heading("web on web-1", "r-1", 2, window, testimony.file),
            "web on web-1, rollout r-1 attempt 2\nwindow #11 to #24 on inode 2"
        );
        let word = Word { claim: Claim::HandedOver, step: None, failed: None, cause: "", generation: 4, lingering: &[101, 102] };
        assert_eq!(
            conclusion(&word, &testimony),
            "agent    says: handed over, generation 4 is in charge; 2 of the old generation still there (101, 102)\n\
             verdict  kept (marked): 100 -> 200, overlap 200 ms"
        );
    }

    #[test]
    fn a_fact_that_is_no_good_news_has_its_words() {
        let Fact::Sighting(mut seen) = clean().observations[0].fact.clone() else { panic!("it begins with a sighting") };
        seen.lock.mark = 0;
        let unmarked = "old master 100 holds the lock (looked from #11; inode 2, no mark, taker 100)";
        assert_eq!(Fact::Sighting(seen).to_string(), unmarked);
        seen.lock.mark = 5;
        assert_eq!(Fact::Sighting(seen).to_string(), unmarked.replace("no mark", "no mark (offset 5)"));
        let (role, process) = (Role::NewMaster, process(Role::NewMaster));
        let absence = Fact::Absence { began: Seq(11), role, process, reason: "process 200 is gone".into() };
        assert_eq!(absence.to_string(), "new master 200 was not seen holding the lock (looked from #11): process 200 is gone");
        assert_eq!(Fact::Grant { file: FILE }.to_string(), "the waiter was granted: nobody held the lock (inode 2)");
        let listing = |workers| Fact::Workers { began: Seq(11), master: process, workers };
        assert_eq!(listing(vec![process]).to_string(), "1 process was listed below the master 200");
        assert_eq!(listing(Vec::new()).to_string(), "0 processes were listed below the master 200");
        let readiness = Fact::Readiness { ready: false, detail: "503 from 201".into(), answered_by: Some(201) };
        assert_eq!(readiness.to_string(), "not ready: 503 from 201");
    }

    #[test]
    fn every_verdict_has_its_words() {
        let (old, new) = (process(Role::OldMaster), process(Role::NewMaster));
        let kept = |milliseconds| Kept {
            basis: Basis::Marked,
            by: Succession::Beside { old, new, overlap: Duration::from_millis(milliseconds) },
        };
        assert_eq!(Verdict::Kept(kept(3_015)).to_string(), "kept (marked): 100 -> 200, overlap 3015 ms");
        assert_eq!(kept(212).to_string(), "100 -> 200   overlap 212 ms, marked");
        assert_eq!(Verdict::Dropped { at: Seq(57) }.to_string(), "dropped: the lock was free at #57");
        assert_eq!(
            Verdict::Unproven(Doubt::NoOverlap).to_string(),
            "unproven: no overlap was seen: the old master was not seen holding after the new one was"
        );
        let unbroken = Unbroken { basis: Basis::Contract, master: old };
        assert_eq!(unbroken.to_string(), "100 still serves, its lock unbroken, contract");
    }

    #[test]
    fn a_handover_that_was_undone_is_judged_by_who_held_throughout() {
        let mut testimony = clean();
        testimony.observations.truncate(2);
        let mut last = clean().observations.swap_remove(4);
        if let Fact::Sighting(seen) = &mut last.fact {
            seen.began = Seq(14);
        }
        last.seq = Seq(15);
        testimony.closed = last.seq;
        testimony.observations.push(last);
        assert_eq!(verdict(Claim::RolledBack, &testimony), "unbroken (marked): 100 held throughout");
        assert!(verdict(Claim::HandedOver, &testimony).starts_with("unproven: "));
        testimony.closed = Seq(16);
        assert!(verdict(Claim::RolledBack, &testimony).starts_with("unproven: "));
    }

    #[test]
    fn what_an_agent_says_names_the_step_that_failed() {
        let word = |claim, failed, cause| Word { claim, step: None, failed, cause, generation: 3, lingering: &[] }.to_string();
        assert_eq!(word(Claim::RolledBack, Some("step ready"), "503 from 201"), "rolled back at step ready: 503 from 201");
        assert_eq!(word(Claim::Broken, None, "both are gone"), "broken: both are gone");
    }
}
