//! Where a host stands, and what was judged of it, as `baton` tells it.

use serde_json::Value;

/// One host, as `baton status` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub host: String,
    /// The generation in charge.
    pub generation: u64,
    /// Its master.
    pub master: u64,
    /// How many drops were seen.
    pub epoch: u64,
}

impl Standing {
    /// Reads one object of `baton status --output json`.
    pub fn read(object: &Value) -> Option<Self> {
        Some(Self {
            host: object["host"].as_str()?.to_owned(),
            generation: object["generation"].as_u64()?,
            master: object["master_pid"].as_u64()?,
            epoch: object["epoch"].as_u64()?,
        })
    }
}

/// How a host ended, as `baton restart --output json` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOutcome {
    /// Its name.
    pub host: String,
    /// The outcome, such as `proven`.
    pub outcome: String,
    /// What the proof rests on, if there is one.
    pub basis: Option<String>,
}

impl HostOutcome {
    /// Reads one object of `baton restart --output json`; none when it is about something else.
    pub fn read(object: &Value) -> Option<Self> {
        (object["event"] == "host").then_some(())?;
        Some(Self {
            host: object["host"].as_str()?.to_owned(),
            outcome: object["outcome"].as_str()?.to_owned(),
            basis: object["basis"].as_str().map(ToOwned::to_owned),
        })
    }

    /// Whether the handover is proven, on this basis.
    pub fn is_proven(&self, basis: &str) -> bool {
        self.outcome == "proven" && self.basis.as_deref() == Some(basis)
    }
}
