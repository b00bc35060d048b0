//! What an agent saw of one handover, line by line, and what it proves.

use baton_proto::custody::words::{self, Word};

use crate::inventory::HostName;
use crate::record::Record;
use crate::step::Step;
use crate::text::plain;

/// A record as a small protocol, ending with the controller's own verdict.
pub(super) fn render(host: &HostName, service: &str, record: &Record) -> String {
    let (testimony, ending) = (&record.account.testimony, &record.account.ending);
    let window = (testimony.opened, testimony.closed);
    let mut text = words::heading(&format!("{service} on {host}"), &record.rollout, record.attempt, window, testimony.file);
    text.push('\n');
    let begun = testimony.observations.first().map(|observation| observation.at).unwrap_or_default();
    for observation in &testimony.observations {
        text.push_str(&shown(&words::line(observation, observation.at.saturating_sub(begun))));
    }
    let failed = ending.step.map(Step::phrase);
    let word = Word {
        claim: ending.claim,
        failed: failed.as_deref(),
        cause: &ending.cause,
        generation: ending.generation,
        lingering: &ending.lingering,
    };
    text.extend(words::conclusion(&word, testimony).lines().map(shown));
    text
}

/// A line that repeats words from another machine.
fn shown(line: &str) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    format!("{:indent$}{}\n", "", plain(line))
}
