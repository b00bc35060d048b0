//! Why a testimony proves what it proves, or does not: sentences for people who did not read the design.
//!
//! **Invariant:** nothing is decided here: the judge has spoken, and this says why.

use super::judge::{Basis, Doubt, Kept, Succession, Verdict};
use super::settle::weigh;
use super::{Claim, Fact, Role, Seq, Testimony};
use crate::span::Span;

/// What a sentence is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its label: why, or basis.
    pub label: &'static str,
    /// The sentence.
    pub sentence: String,
}

/// How wide a text may be.
const COLUMNS: usize = 80;
/// What stands before the text: a label.
const LABEL: usize = 9;

impl Reason {
    fn why(sentence: impl Into<String>) -> Self {
        Self { label: "why", sentence: sentence.into() }
    }

    /// In lines that fit into a terminal.
    #[must_use]
    pub fn wrapped(&self) -> String {
        let mut lines = vec![format!("{:LABEL$}", self.label)];
        for word in self.sentence.split_ascii_whitespace() {
            let line = lines.last().map_or("", String::as_str);
            if line.chars().count() + word.chars().count() > COLUMNS && line.trim().len() > self.label.len() {
                lines.push(" ".repeat(LABEL));
            }
            if let Some(line) = lines.last_mut() {
                line.push_str(word);
                line.push(' ');
            }
        }
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        lines.join("\n")
    }
}

/// Why the verdict on this claim is what it is.
pub(super) fn of(claim: Claim, testimony: &Testimony) -> Vec<Reason> {
    match weigh(claim, testimony) {
        Ok(held) => vec![
            Reason::why(
                "The master was seen holding at both ends of the window, as one process with one program image and one lock: it held \
                 all the while.",
            ),
            basis(held.basis),
        ],
        Err(verdict) => weighed(&verdict, testimony),
    }
}

fn weighed(verdict: &Verdict, testimony: &Testimony) -> Vec<Reason> {
    match verdict {
        Verdict::Kept(proof) => vec![Reason::why(passed(proof, testimony)), basis(proof.basis)],
        Verdict::Dropped { at } => vec![Reason::why(format!(
            "The thread that waits for an exclusive lock on the file was granted it at #{}: at that moment nobody held it. That \
             outweighs all else that was seen.",
            at.0
        ))],
        Verdict::Unproven(doubt) => {
            let quiet = "No moment was seen in which nobody held the lock. That alone proves nothing: a gap that is short enough \
                         wakes no waiter.";
            let was_granted = testimony.observations.iter().any(|line| matches!(line.fact, Fact::Grant { .. }));
            let quiet = (!was_granted).then(|| Reason { label: "", sentence: quiet.into() });
            std::iter::once(Reason::why(meaning(doubt))).chain(quiet).collect()
        }
    }
}

/// How the lock passed on.
fn passed(proof: &Kept, testimony: &Testimony) -> String {
    match proof.by {
        Succession::Beside { old, new, overlap } => {
            let first = number(testimony.sightings(Role::NewMaster).next());
            let last = number(testimony.sightings(Role::OldMaster).last());
            format!(
                "The new master {new} was seen holding (#{first}), and after that the old master {old} still was (#{last}): for {} \
                 at least both held at once. The old one was seen from the opening of the window on, the new one up to its close.",
                Span(overlap)
            )
        }
        Succession::InPlace { master, worker } => format!(
            "The master {master} was seen holding at both ends of the window, with one program image and one lock: it held all the \
             while. Its worker {worker} came after the signal, so something was handed over."
        ),
        Succession::Exec { master, worker } => format!(
            "The master {master} was seen holding at both ends of the window. It called exec in between, and its lock is the one \
             that it had before: same mark, same taker. Its worker {worker} was not there before and does not run the image of \
             before, so something was handed over."
        ),
    }
}

fn number<T>(seen: Option<(Seq, T)>) -> u64 {
    seen.map_or(0, |(seq, _)| seq.0)
}

/// What the proof rests on.
fn basis(basis: Basis) -> Reason {
    let sentence = match basis {
        Basis::Marked => {
            "marked: every lock bore one unchanged random mark, so it was one open file, never closed and opened anew. What no mark \
             shows is a server that unlocks its own descriptor and locks it again; the waiter may see that, and saw nothing."
        }
        Basis::Contract => {
            "contract: a lock bore no mark, so this takes the server's word that it does not let go of its lock and take it again \
             between two looks. A mark (`baton-agent hold`, or the hooks in deploy/) would show that the file was never closed and \
             opened anew; only an unlock of the very same descriptor would then be left to that word."
        }
    };
    Reason { label: "basis", sentence: sentence.into() }
}

/// What it means that a piece is missing.
fn meaning(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::Truncated => "Lines are missing, and each of them might say that the lock was free.",
        Doubt::NumberingBroken(_) => {
            "Every number of the window must have one line. One that is missing might say that the lock was free, and one too many \
             was not seen in this window."
        }
        Doubt::OtherWitness(_) | Doubt::WitnessesUnclear => {
            "It must be plain which run of the agent saw what: two runs may have counted the same numbers."
        }
        Doubt::Rebooted => "No process outlives a boot, so no lock does.",
        Doubt::AgentRestarted(_) => {
            "The agent died within the window, and what it saw last may be lost with it. Only a master that both runs of the agent \
             saw, with the same lock, could join the two halves."
        }
        Doubt::FileReplaced { .. } => {
            "Two files are two locks: while one is held the other may be free, and whoever asks for the new one waits for nobody."
        }
        Doubt::NeverSeen { .. } => "Who was not seen holding proves nothing by being alive.",
        Doubt::TwoMasters { .. } => "Between one process and the next the lock may have been free.",
        Doubt::NoHandover(_) => "Nothing new took over, so there is nothing to prove.",
        Doubt::Exec { .. } => {
            "A process that calls exec may close its lock and take it again, and looks like one holder all the while."
        }
        Doubt::Relocked { .. } => "Its lock is another one than before, and between the two there may have been none.",
        Doubt::NoLength { .. } => "Only between the end of one look and the beginning of another is anything proven.",
        Doubt::Interrupted { .. } => "It may have let go, and have taken the lock again before the next look.",
        Doubt::ExecUnmarked => {
            "Only a mark names a lock beyond an exec. Start the server through `baton-agent hold`, or with a hook that marks its lock."
        }
        Doubt::NoNewWorker(_) => {
            "That the master held is not enough: nobody of a new generation was seen that could have taken over."
        }
        Doubt::NoOverlap => {
            "The order is what proves: the new master holding, then the old one still holding. Otherwise the old one may have let \
             go before the new one took the lock."
        }
        Doubt::EndOpen { .. } => "What is not seen at both ends of the window is not proven of all of it.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{FILE, clean, restarted, stationary};
    use super::super::{Claim, Fact, Observation, Seq, Shape, Testimony};
    use super::{COLUMNS, Reason, of};

    fn text(claim: Claim, testimony: &Testimony) -> String {
        of(claim, testimony).iter().map(Reason::wrapped).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_proof_says_how_the_lock_passed_on_and_what_that_rests_on() {
        let expected = "\
why      The new master 200 was seen holding (#16), and after that the old
         master 100 still was (#18): for 200 ms at least both held at once. The
         old one was seen from the opening of the window on, the new one up to
         its close.
basis    marked: every lock bore one unchanged random mark, so it was one open
         file, never closed and opened anew. What no mark shows is a server that
         unlocks its own descriptor and locks it again; the waiter may see that,
         and saw nothing.";
        assert_eq!(text(Claim::HandedOver, &clean()), expected);
        let in_place = text(Claim::HandedOver, &stationary(Shape::InPlace));
        assert!(in_place.starts_with("why      The master 250 was seen holding at both ends"), "{in_place}");
        let exec = text(Claim::HandedOver, &stationary(Shape::Exec));
        assert!(exec.contains("same taker.") && exec.contains("\nbasis    marked"), "{exec}");
    }

    #[test]
    fn a_doubt_says_what_the_missing_piece_would_have_shown() {
        let mut missing = clean();
        missing.observations.remove(4);
        let told = text(Claim::HandedOver, &missing);
        assert!(told.starts_with("why      Every number of the window must have one line."), "{told}");
        assert!(told.contains("\n         No moment was seen in which nobody held the lock."), "{told}");
        let mut testimony = restarted(19);
        testimony.observations.truncate(5);
        testimony.closed = Seq(18);
        assert_ne!(text(Claim::HandedOver, &testimony), told);
    }

    #[test]
    fn a_drop_has_one_reason() {
        let mut testimony = clean();
        let grant = Observation { seq: Seq(25), fact: Fact::Grant { file: FILE }, ..testimony.observations[0].clone() };
        testimony.observations.push(grant);
        testimony.closed = Seq(25);
        for claim in [Claim::HandedOver, Claim::RolledBack, Claim::Broken] {
            let reasons = of(claim, &testimony);
            assert_eq!(reasons.len(), 1);
            assert!(reasons[0].sentence.contains("granted it at #25"), "{reasons:?}");
        }
    }

    #[test]
    fn no_line_is_too_long() {
        for testimony in [clean(), stationary(Shape::InPlace), stationary(Shape::Exec), restarted(19)] {
            for claim in [Claim::HandedOver, Claim::RolledBack, Claim::Broken] {
                let told = text(claim, &testimony);
                assert!(told.lines().all(|line| line.chars().count() <= COLUMNS), "{told}");
            }
        }
    }
}
