//! How a service stood, as it is written down before it is asked to change.

use std::time::Duration;

use baton_proto::custody::Process;
use baton_proto::step;
use serde::{Deserialize, Serialize};

use super::nanoseconds;
use crate::journal::record::Damage;
use crate::standing::{Custody, Finding, Lingering, Standing};
use crate::step::Step;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RawStanding {
    service: String,
    dialect: String,
    custody: RawCustody,
    trouble: String,
    generation: u64,
    release: String,
    master: Option<RawProcess>,
    epoch: u64,
    held_for_ns: Option<u64>,
    step: Option<RawStep>,
    fence: u64,
    handover_within_ns: u64,
    holders: u32,
    findings: Vec<RawFinding>,
    lingering: Vec<RawLingering>,
    boot: String,
    incarnation: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawCustody {
    Held,
    Orphaned,
    Free,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawProcess {
    pid: u32,
    start_ticks: u64,
}

/// A step by its name, or by its number on the wire where it had none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum RawStep {
    Named(String),
    Numbered(i32),
}

#[derive(Debug, Serialize, Deserialize)]
struct RawFinding {
    kind: String,
    sentence: String,
    pids: Vec<u32>,
    refuses: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawLingering {
    generation: u64,
    lingers_for_ns: Option<u64>,
    pids: Vec<u32>,
}

impl From<&Standing> for RawStanding {
    fn from(standing: &Standing) -> Self {
        let Standing {
            service,
            dialect,
            custody,
            trouble,
            generation,
            release,
            master,
            epoch,
            held_for,
            step,
            fence,
            // Whose it was then is nothing to go on from.
            claim: _,
            handover_within,
            holders,
            findings,
            lingering,
            boot,
            incarnation,
        } = standing;
        Self {
            service: service.clone(),
            dialect: dialect.clone(),
            custody: (*custody).into(),
            trouble: trouble.clone(),
            generation: *generation,
            release: release.clone(),
            master: master.map(|Process { pid, start_ticks }| RawProcess { pid, start_ticks }),
            epoch: *epoch,
            held_for_ns: held_for.map(nanoseconds),
            step: step.map(RawStep::from),
            fence: *fence,
            handover_within_ns: nanoseconds(*handover_within),
            holders: *holders,
            findings: findings.iter().map(RawFinding::from).collect(),
            lingering: lingering.iter().map(RawLingering::from).collect(),
            boot: boot.clone(),
            incarnation: incarnation.clone(),
        }
    }
}

impl TryFrom<RawStanding> for Standing {
    type Error = Damage;

    fn try_from(raw: RawStanding) -> Result<Self, Damage> {
        Ok(Self {
            service: raw.service,
            dialect: raw.dialect,
            custody: raw.custody.into(),
            trouble: raw.trouble,
            generation: raw.generation,
            release: raw.release,
            master: raw.master.map(|RawProcess { pid, start_ticks }| Process { pid, start_ticks }),
            epoch: raw.epoch,
            held_for: raw.held_for_ns.map(Duration::from_nanos),
            step: raw.step.map(Step::try_from).transpose()?,
            fence: raw.fence,
            claim: None,
            handover_within: Duration::from_nanos(raw.handover_within_ns),
            holders: raw.holders,
            findings: raw.findings.into_iter().map(Finding::from).collect(),
            lingering: raw.lingering.into_iter().map(Lingering::from).collect(),
            boot: raw.boot,
            incarnation: raw.incarnation,
        })
    }
}

impl From<Custody> for RawCustody {
    fn from(custody: Custody) -> Self {
        match custody {
            Custody::Held => Self::Held,
            Custody::Orphaned => Self::Orphaned,
            Custody::Free => Self::Free,
        }
    }
}

impl From<RawCustody> for Custody {
    fn from(custody: RawCustody) -> Self {
        match custody {
            RawCustody::Held => Self::Held,
            RawCustody::Orphaned => Self::Orphaned,
            RawCustody::Free => Self::Free,
        }
    }
}

impl From<Step> for RawStep {
    fn from(step: Step) -> Self {
        match step {
            Step::Known(step) => Self::Named(step.verb().to_owned()),
            Step::Unknown(number) => Self::Numbered(number),
        }
    }
}

impl TryFrom<RawStep> for Step {
    type Error = Damage;

    fn try_from(step: RawStep) -> Result<Self, Damage> {
        match step {
            RawStep::Named(verb) => match step::Step::named(&verb) {
                Some(step) => Ok(Self::Known(step)),
                None => Err(Damage::Step(verb)),
            },
            RawStep::Numbered(number) => Ok(Self::Unknown(number)),
        }
    }
}

impl From<&Finding> for RawFinding {
    fn from(Finding { kind, sentence, pids, refuses }: &Finding) -> Self {
        Self { kind: kind.clone(), sentence: sentence.clone(), pids: pids.clone(), refuses: *refuses }
    }
}

impl From<RawFinding> for Finding {
    fn from(RawFinding { kind, sentence, pids, refuses }: RawFinding) -> Self {
        Self { kind, sentence, pids, refuses }
    }
}

impl From<&Lingering> for RawLingering {
    fn from(Lingering { generation, lingers_for, pids }: &Lingering) -> Self {
        Self { generation: *generation, lingers_for_ns: lingers_for.map(nanoseconds), pids: pids.clone() }
    }
}

impl From<RawLingering> for Lingering {
    fn from(RawLingering { generation, lingers_for_ns, pids }: RawLingering) -> Self {
        Self { generation, lingers_for: lingers_for_ns.map(Duration::from_nanos), pids }
    }
}
