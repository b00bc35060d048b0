//! What an agent saw, line by line, and what it proves; and what befell the service otherwise.

use baton_proto::custody::Chronicle;

use crate::inventory::HostName;
use crate::record::Record;
use crate::text::plain;

/// A record as a small protocol, ending with the controller's own verdict.
pub(super) fn render(host: &HostName, service: &str, record: &Record) -> String {
    record.tell(host.as_str(), service, |protocol| shown(&protocol.text()))
}

/// What befell the service, a line each.
pub(super) fn chronicle(chronicle: &Chronicle<'_>) -> String {
    shown(&chronicle.text())
}

/// Lines that repeat words from another machine.
fn shown(text: &str) -> String {
    let line = |line: &str| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        format!("{:indent$}{}\n", "", plain(line))
    };
    text.lines().map(line).collect()
}
