//! The exit codes: one enum, one table, shown by `--help`.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How a run of `baton` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Every host is proven, or what was asked for was shown.
    Proven,
    /// A mistake of ours, or of this machine.
    Fault,
    /// What was asked makes no sense: arguments, configuration or plan.
    Usage,
    /// Some host was refused, unreachable or rolled back.
    Failed,
    /// Some host is unproven or unknown.
    Unproven,
    /// Some lock was dropped.
    Dropped,
    /// Another rollout has a claim.
    Claimed,
    /// Stopped where it was asked to stop.
    Stopped,
    /// The rollout's own deadline passed.
    Deadline,
    /// Interrupted, after what was in flight had ended.
    Interrupted,
}

/// Each way to end, its code, and what it means. Where several apply, 5 goes before 4, 4 before 3, and 3 before 130.
pub const TABLE: [(Exit, u8, &str); 10] = [
    (Exit::Proven, 0, "every host proven"),
    (Exit::Fault, 1, "our fault"),
    (Exit::Usage, 2, "usage, config or plan"),
    (Exit::Failed, 3, "some host refused, unreachable or rolled back, within the budget or past it"),
    (Exit::Unproven, 4, "a host unproven or unknown"),
    (Exit::Dropped, 5, "a lock dropped"),
    (Exit::Claimed, 6, "claimed by another"),
    (Exit::Stopped, 7, "paused or stopped as asked"),
    (Exit::Deadline, 8, "the rollout's own deadline"),
    (Exit::Interrupted, 130, "interrupted, safely"),
];

impl Exit {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        TABLE.iter().find(|(exit, ..)| *exit == self).map_or(1, |(_, code, _)| *code)
    }

    /// The graver of two: 5 before 4 before 3 before 130 before 0.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        if other.gravity() > self.gravity() { other } else { self }
    }

    fn gravity(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Stopped | Self::Deadline | Self::Interrupted => 1,
            Self::Claimed => 2,
            Self::Failed => 3,
            Self::Unproven => 4,
            Self::Dropped => 5,
            Self::Usage => 6,
            Self::Fault => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The table as `--help` shows it.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("Exit codes (where several apply, 5 goes before 4 before 3 before 130):\n");
    for (_, code, meaning) in TABLE {
        writeln!(text, "  {code:>3}  {meaning}").expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Exit, TABLE, help};

    // The table of the design, written a second time.
    const DESIGN: &str = "0 every host proven; 1 our fault; 2 usage, config or plan; \
        3 some host refused, unreachable or rolled back, within the budget or past it; 4 a host unproven or unknown; \
        5 a lock dropped; 6 claimed by another; 7 paused or stopped as asked; 8 the rollout's own deadline; \
        130 interrupted, safely";

    #[test]
    fn the_table_is_the_designs_and_help_shows_it() {
        let ours = TABLE.map(|(_, code, meaning)| format!("{code} {meaning}"));
        assert_eq!(ours.join("; "), DESIGN);
        for (exit, code, meaning) in TABLE {
            assert_eq!(exit.code(), code);
            assert!(help().lines().any(|line| line.trim_start() == format!("{code}  {meaning}")), "{code}");
        }
    }

    #[test]
    fn five_goes_before_four_before_three() {
        let worst = |exits: &[Exit]| exits.iter().fold(Exit::Proven, |worst, exit| worst.or_worse(*exit));
        assert_eq!(worst(&[Exit::Failed, Exit::Dropped, Exit::Unproven]), Exit::Dropped);
        assert_eq!(worst(&[Exit::Failed, Exit::Unproven, Exit::Proven]), Exit::Unproven);
        assert_eq!(worst(&[Exit::Interrupted, Exit::Failed]), Exit::Failed);
        assert_eq!(worst(&[Exit::Interrupted, Exit::Proven]), Exit::Interrupted);
        assert_eq!(worst(&[]), Exit::Proven);
    }
}
