//! What the patient can be told to do wrong: words in a file that it reads anew in each generation.
//!
//! **Invariant:** what [`fmt::Display`] writes, [`FromStr`] reads.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One thing that the patient does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// At USR2 the old generation lets go of its lock and leaves; the new one takes it so long after that.
    Gap(Duration),
    /// With a gap: the old master lives on for so long after it has let go.
    LiveOn(Duration),
    /// A new master dies before it takes the lock.
    DieAtBoot,
    /// `/up` is answered with 503.
    NeverReady,
    /// The master dies so long after its workers have started.
    DieAfter(Duration),
    /// The master takes no lock.
    NoLock,
    /// A new master needs so long before it takes the lock.
    SlowBoot(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(gap) => write!(f, "gap-us {}", gap.as_micros()),
            Self::LiveOn(time) => write!(f, "live-on-ms {}", time.as_millis()),
            Self::DieAtBoot => f.write_str("die-at-boot"),
            Self::NeverReady => f.write_str("never-ready"),
            Self::DieAfter(after) => write!(f, "die-after-ms {}", after.as_millis()),
            Self::NoLock => f.write_str("no-lock"),
            Self::SlowBoot(boot) => write!(f, "slow-boot-ms {}", boot.as_millis()),
        }
    }
}

/// Why a line names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fault such as \"gap-us 100\" or \"die-at-boot\"")]
pub struct NotAFault(String);

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(line: &str) -> Result<Self, NotAFault> {
        let wrong = || NotAFault(line.to_owned());
        let (word, number) = line.split_once(' ').unwrap_or((line, ""));
        let number = || number.parse::<u64>().map_err(|_| wrong());
        match word {
            "gap-us" => Ok(Self::Gap(Duration::from_micros(number()?))),
            "live-on-ms" => Ok(Self::LiveOn(Duration::from_millis(number()?))),
            "die-at-boot" => Ok(Self::DieAtBoot),
            "never-ready" => Ok(Self::NeverReady),
            "die-after-ms" => Ok(Self::DieAfter(Duration::from_millis(number()?))),
            "no-lock" => Ok(Self::NoLock),
            "slow-boot-ms" => Ok(Self::SlowBoot(Duration::from_millis(number()?))),
            _ => Err(wrong()),
        }
    }
}

/// Reads the lines of a fault file.
///
/// # Errors
/// The first line that names no fault.
pub fn read(text: &str) -> Result<Vec<Fault>, NotAFault> {
    text.lines().filter(|line| !line.is_empty()).map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, read};

    #[test]
    fn what_is_written_is_read() {
        let faults = [
            Fault::Gap(Duration::from_micros(100)),
            Fault::LiveOn(Duration::from_millis(500)),
            Fault::DieAtBoot,
            Fault::NeverReady,
            Fault::DieAfter(Duration::from_secs(2)),
            Fault::NoLock,
            Fault::SlowBoot(Duration::from_millis(5)),
        ];
        let text = faults.map(|fault| fault.to_string()).join("\n");
        assert_eq!(read(&text), Ok(faults.to_vec()));
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["gap-us", "gap-us soon", "die", "die-after-ms -1"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
