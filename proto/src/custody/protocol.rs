//! A finished handover as it is told, on its host and before the fleet alike: what was seen, what the agent says, what that proves.
//!
//! **Invariant:** the verdict is weighed here from the testimony; the agent's word for the ending is only a word.

use std::time::Duration;

use serde_json::{Value, json};

use super::judge::Verdict;
use super::objects::{happening, kept, observation};
use super::settle::weigh;
use super::words::{self, Word};
use super::{Claim, History, Reason, Testimony, picture, reasons};

/// A finished handover: whose it was, what was seen of it, and what the agent says of its end.
#[derive(Debug, Clone, Copy)]
pub struct Protocol<'a> {
    /// The host.
    pub host: &'a str,
    /// The service.
    pub service: &'a str,
    /// The rollout that asked.
    pub rollout: &'a str,
    /// Its attempt.
    pub attempt: u32,
    /// What was seen.
    pub testimony: &'a Testimony,
    /// What the agent says of the ending.
    pub word: Word<'a>,
}

impl Protocol<'_> {
    /// For people: each line, the time line, the conclusion, and what it rests on.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { host, service, rollout, attempt, testimony, word } = self;
        let window = (testimony.opened, testimony.closed);
        let heading = words::heading(&format!("{service} on {host}"), rollout, *attempt, window, testimony.file);
        let begun = testimony.observations.first().map_or(Duration::ZERO, |first| first.at);
        let lines = testimony.observations.iter().map(|seen| words::line(seen, seen.at.saturating_sub(begun)));
        let mut text: Vec<String> = std::iter::once(heading).chain(lines).collect();
        text.push(picture::draw(testimony));
        text.push(words::conclusion(word, testimony));
        text.extend(reasons::of(word.claim, testimony).iter().map(Reason::wrapped));
        text.retain(|part| !part.is_empty());
        text.join("\n")
    }

    /// For programs: one object.
    #[must_use]
    pub fn object(&self) -> Value {
        let Self { host, service, rollout, attempt, testimony, word } = self;
        let sentences: Vec<String> = reasons::of(word.claim, testimony).into_iter().map(|reason| reason.sentence).collect();
        json!({
            "event": "testimony", "host": host, "service": service, "rollout": rollout, "attempt": attempt,
            "boot": testimony.boot, "incarnation": testimony.incarnation,
            "device": testimony.file.device, "inode": testimony.file.inode,
            "opened": testimony.opened.0, "closed": testimony.closed.0, "truncated": testimony.truncated,
            "observations": testimony.observations.iter().map(observation).collect::<Vec<_>>(),
            "result": match word.claim {
                Claim::HandedOver => "handed_over",
                Claim::RolledBack => "rolled_back",
                Claim::Broken => "broken",
            },
            "step": word.step, "cause": word.cause, "generation": word.generation,
            "verdict": verdict(word.claim, testimony),
            "lingering_pids": word.lingering, "reasons": sentences,
            "shape": words::shape(testimony.shape),
            "successors": testimony.successors.iter().map(|run| json!({
                "incarnation": run.incarnation, "boot": run.boot, "from": run.from.0,
            })).collect::<Vec<_>>(),
        })
    }
}

/// What befell a service, as it is told.
#[derive(Debug, Clone, Copy)]
pub struct Chronicle<'a> {
    /// The host.
    pub host: &'a str,
    /// The service.
    pub service: &'a str,
    /// What befell it.
    pub history: &'a History,
}

impl Chronicle<'_> {
    /// For people: a line each, oldest first.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { host, service, history } = self;
        let drops = match (history.epoch, history.happenings.len()) {
            (0, 0) => ": no drop was seen",
            (0, _) => ": no drop was seen, but",
            (_, 0) => ", of which nothing is kept",
            (_, _) => "",
        };
        let heading = format!("{service} on {host}, epoch {}{drops}", history.epoch);
        std::iter::once(heading).chain(history.lines()).collect::<Vec<_>>().join("\n")
    }

    /// For programs: one object.
    #[must_use]
    pub fn object(&self) -> Value {
        let Self { host, service, history } = self;
        let last = history.happenings.len().saturating_sub(1);
        let happenings = history.happenings.iter().enumerate();
        json!({
            "event": "history", "host": host, "service": service, "epoch": history.epoch, "forgotten": history.forgotten,
            "happenings": happenings.map(|(place, told)| happening(told, place == last)).collect::<Vec<_>>(),
        })
    }
}

fn verdict(claim: Claim, testimony: &Testimony) -> Value {
    let weighed = |verdict: &Verdict| match verdict {
        Verdict::Kept(proof) => kept(proof),
        Verdict::Dropped { at } => json!({"verdict": "dropped", "at": at.0}),
        Verdict::Unproven(doubt) => json!({"verdict": "unproven", "doubt": doubt.to_string()}),
    };
    weigh(claim, testimony).map_or_else(
        |verdict| weighed(&verdict),
        |held| json!({"verdict": "unbroken", "basis": held.basis.to_string(), "old_pid": held.master.pid}),
    )
}
