//! The signals that servers are spoken to with.

use std::fmt;
use std::str::FromStr;

/// A signal of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
    /// SIGWINCH.
    Winch,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// Those that a configuration may name: a server must have its say.
const NAMED: [Signal; 7] = [Signal::Hup, Signal::Usr1, Signal::Usr2, Signal::Winch, Signal::Int, Signal::Quit, Signal::Term];

impl Signal {
    /// The name that people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hup => "SIGHUP",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Winch => "SIGWINCH",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Term => "SIGTERM",
            Self::Kill => "SIGKILL",
        }
    }

    /// The name without its SIG, as it is configured.
    pub fn short(self) -> &'static str {
        &self.name()[3..]
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a signal that is known here; known: {}", NAMED.map(Signal::short).join(", "))]
pub struct NotASignal {
    name: String,
}

impl FromStr for Signal {
    type Err = NotASignal;

    fn from_str(text: &str) -> Result<Self, NotASignal> {
        let wanted = text.strip_prefix("SIG").unwrap_or(text);
        let found = NAMED.into_iter().find(|signal| signal.short() == wanted);
        found.ok_or_else(|| NotASignal { name: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::{NAMED, Signal};

    #[test]
    fn a_signal_is_named_with_or_without_its_sig() {
        for signal in NAMED {
            assert_eq!((signal.name().parse(), signal.short().parse()), (Ok(signal), Ok(signal)));
        }
        for text in ["KILL", "usr2", "", "SIG", "RTMIN+1", "12"] {
            let told = text.parse::<Signal>().expect_err("no signal").to_string();
            assert!(told.ends_with("known: HUP, USR1, USR2, WINCH, INT, QUIT, TERM"), "{told}");
        }
    }
}
