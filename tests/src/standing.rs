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
            master: object["master"].as_u64()?,
            epoch: object["epoch"].as_u64()?,
        })
    }
}
