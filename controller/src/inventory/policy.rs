//! What the inventory says about restarting one service: `[service.NAME]`, each key of which is also a flag of `restart`.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_proto::document::{Notes, Table};
use baton_proto::name;

use super::share::{self, Share};

/// What the inventory, or whoever types, says about restarting one service; nothing where it is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// How many hosts may be in flight at once.
    pub max_in_flight: Option<Share>,
    /// How many hosts may fail without halting the rollout.
    pub max_failures: Option<Share>,
    /// How many of each zone may.
    pub max_failures_per_zone: Option<Share>,
    /// How many hosts must be available at any time.
    pub min_available: Option<Share>,
    /// How many of each zone must.
    pub min_available_per_zone: Option<Share>,
    /// How many hosts go first, to see how they fare.
    pub canary: Option<usize>,
    /// How long hosts that are done must stand before it goes on.
    pub soak: Option<Duration>,
    /// Whether one zone goes after the other.
    pub by_zone: Option<bool>,
    /// After how many hosts it stops.
    pub stop_after: Option<usize>,
    /// How long one host may take.
    pub host_deadline: Option<Duration>,
    /// How long all of it may take.
    pub deadline: Option<Duration>,
}

impl Policy {
    /// This one, and where it says nothing the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_in_flight: self.max_in_flight.or(other.max_in_flight),
            max_failures: self.max_failures.or(other.max_failures),
            max_failures_per_zone: self.max_failures_per_zone.or(other.max_failures_per_zone),
            min_available: self.min_available.or(other.min_available),
            min_available_per_zone: self.min_available_per_zone.or(other.min_available_per_zone),
            canary: self.canary.or(other.canary),
            soak: self.soak.or(other.soak),
            by_zone: self.by_zone.or(other.by_zone),
            stop_after: self.stop_after.or(other.stop_after),
            host_deadline: self.host_deadline.or(other.host_deadline),
            deadline: self.deadline.or(other.deadline),
        }
    }
}

/// Why a text is no number of hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACount {
    /// It is of another form.
    #[error("{0:?} is not a number of hosts")]
    Malformed(String),
    /// It would stop before anything was restarted.
    #[error("to stop after 0 hosts would never restart anything; at least 1 is wanted")]
    None,
}

/// Reads a number of hosts.
///
/// # Errors
/// When it is none.
pub fn count(text: &str) -> Result<usize, NotACount> {
    let malformed = || NotACount::Malformed(text.chars().take(40).collect());
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    text.parse().map_err(|_| malformed())
}

/// Reads after how many hosts a rollout stops, which cannot be none.
///
/// # Errors
/// When it is no number of hosts, or `0`.
pub fn stop_after(text: &str) -> Result<usize, NotACount> {
    match count(text)? {
        0 => Err(NotACount::None),
        count => Ok(count),
    }
}

/// Reads all `[service.NAME]`.
pub(super) fn read(root: &mut Table<'_>, notes: &mut Notes) -> BTreeMap<String, Policy> {
    let Some(mut services) = root.table(notes, "service") else { return BTreeMap::new() };
    let mut policies = BTreeMap::new();
    for name in services.names() {
        let Some(mut table) = services.table(notes, &name) else { continue };
        if let Err(error) = name::check("service", &name) {
            table.wrong(notes, error.to_string());
        }
        let policy = read_one(&mut table, notes);
        table.finish(notes);
        policies.insert(name, policy);
    }
    services.finish(notes);
    policies
}

fn read_one(table: &mut Table<'_>, notes: &mut Notes) -> Policy {
    Policy {
        max_in_flight: table
            .scalar(notes, "max-in-flight")
            .and_then(|value| value.try_map(notes, |text| share::in_flight(&text))),
        max_failures: read_share(table, notes, "max-failures"),
        max_failures_per_zone: read_share(table, notes, "max-failures-per-zone"),
        min_available: read_share(table, notes, "min-available"),
        min_available_per_zone: read_share(table, notes, "min-available-per-zone"),
        canary: table.scalar(notes, "canary").and_then(|value| value.try_map(notes, |text| count(&text))),
        soak: table.duration(notes, "soak").map(|value| value.value),
        by_zone: table.flag(notes, "by-zone").map(|value| value.value),
        stop_after: table.scalar(notes, "stop-after").and_then(|value| value.try_map(notes, |text| stop_after(&text))),
        host_deadline: table.duration(notes, "host-deadline").map(|value| value.value),
        deadline: table.duration(notes, "deadline").map(|value| value.value),
    }
}

fn read_share(table: &mut Table<'_>, notes: &mut Notes, name: &str) -> Option<Share> {
    table.scalar(notes, name).and_then(|value| value.try_map(notes, |text| text.parse()))
}

#[cfg(test)]
mod tests {
    use super::{NotACount, count, stop_after};

    #[test]
    fn a_number_of_hosts_is_digits() {
        assert_eq!((count("0"), count("12")), (Ok(0), Ok(12)));
        for text in ["", "-1", "+1", "1.5", "10%", "99999999999999999999"] {
            assert_eq!(count(text), Err(NotACount::Malformed(text.to_owned())));
        }
        assert_eq!((stop_after("0"), stop_after("1")), (Err(NotACount::None), Ok(1)));
    }
}
