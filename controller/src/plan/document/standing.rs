//! How a service stood, as it stands in a document.

use baton_proto::custody::Process;
use baton_proto::step;
use serde::{Deserialize, Serialize};

use super::raw::{read_text, read_time, read_time_if, time};
use super::{DocumentError, wrong};
use crate::standing::{Custody, Finding, Lingering, Standing};
use crate::step::Step;

/// Every step that has a name.
const STEPS: [step::Step; 10] = [
    step::Step::Open,
    step::Step::Prepare,
    step::Step::Signal,
    step::Step::Appear,
    step::Step::Ready,
    step::Step::Overlap,
    step::Step::Retire,
    step::Step::Drain,
    step::Step::Close,
    step::Step::Undo,
];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStanding {
    service: String,
    dialect: String,
    custody: RawCustody,
    trouble: String,
    generation: u64,
    release: String,
    master: Option<RawProcess>,
    epoch: u64,
    held_for: Option<String>,
    step: Option<RawStep>,
    fence: u64,
    handover_within: String,
    holders: u32,
    findings: Vec<RawFinding>,
    lingering: Vec<RawLingering>,
    boot: String,
    incarnation: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawCustody {
    Held,
    Orphaned,
    Free,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProcess {
    pid: u32,
    start_ticks: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RawStep {
    Known(String),
    Unknown(i32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFinding {
    kind: String,
    sentence: String,
    pids: Vec<u32>,
    refuses: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLingering {
    generation: u64,
    lingers_for: Option<String>,
    pids: Vec<u32>,
}

impl From<&Standing> for RawStanding {
    fn from(standing: &Standing) -> Self {
        let finding = |found: &Finding| RawFinding {
            kind: found.kind.clone(),
            sentence: found.sentence.clone(),
            pids: found.pids.clone(),
            refuses: found.refuses,
        };
        let lingering = |left: &Lingering| RawLingering {
            generation: left.generation,
            lingers_for: left.lingers_for.map(time),
            pids: left.pids.clone(),
        };
        Self {
            service: standing.service.clone(),
            dialect: standing.dialect.clone(),
            custody: match standing.custody {
                Custody::Held => RawCustody::Held,
                Custody::Orphaned => RawCustody::Orphaned,
                Custody::Free => RawCustody::Free,
            },
            trouble: standing.trouble.clone(),
            generation: standing.generation,
            release: standing.release.clone(),
            master: standing.master.map(|Process { pid, start_ticks }| RawProcess { pid, start_ticks }),
            epoch: standing.epoch,
            held_for: standing.held_for.map(time),
            step: standing.step.map(|step| match step {
                Step::Known(step) => RawStep::Known(step.verb().to_owned()),
                Step::Unknown(number) => RawStep::Unknown(number),
            }),
            fence: standing.fence,
            handover_within: time(standing.handover_within),
            holders: standing.holders,
            findings: standing.findings.iter().map(finding).collect(),
            lingering: standing.lingering.iter().map(lingering).collect(),
            boot: standing.boot.clone(),
            incarnation: standing.incarnation.clone(),
        }
    }
}

impl RawStanding {
    pub(super) fn read(self) -> Result<Standing, DocumentError> {
        Ok(Standing {
            service: read_text("service", self.service)?,
            dialect: read_text("dialect", self.dialect)?,
            custody: match self.custody {
                RawCustody::Held => Custody::Held,
                RawCustody::Orphaned => Custody::Orphaned,
                RawCustody::Free => Custody::Free,
            },
            trouble: read_text("trouble", self.trouble)?,
            generation: self.generation,
            release: read_text("release", self.release)?,
            master: self.master.map(|RawProcess { pid, start_ticks }| Process { pid, start_ticks }),
            epoch: self.epoch,
            held_for: read_time_if("held_for", self.held_for.as_ref())?,
            step: self.step.map(RawStep::read).transpose()?,
            fence: self.fence,
            // What is claimed is not restarted.
            claim: None,
            handover_within: read_time("handover_within", &self.handover_within)?,
            holders: self.holders,
            findings: self.findings.into_iter().map(RawFinding::read).collect::<Result<_, _>>()?,
            lingering: self.lingering.into_iter().map(RawLingering::read).collect::<Result<_, _>>()?,
            boot: read_text("boot", self.boot)?,
            incarnation: read_text("incarnation", self.incarnation)?,
        })
    }
}

impl RawStep {
    fn read(self) -> Result<Step, DocumentError> {
        match self {
            Self::Known(verb) => {
                let known = STEPS.into_iter().find(|step| step.verb() == verb);
                known.map(Step::Known).ok_or_else(|| wrong("step", "it is no step"))
            }
            Self::Unknown(number) => Ok(Step::Unknown(number)),
        }
    }
}

impl RawFinding {
    fn read(self) -> Result<Finding, DocumentError> {
        let Self { kind, sentence, pids, refuses } = self;
        let (kind, sentence) = (read_text("findings.kind", kind)?, read_text("findings.sentence", sentence)?);
        Ok(Finding { kind, sentence, pids, refuses })
    }
}

impl RawLingering {
    fn read(self) -> Result<Lingering, DocumentError> {
        let lingers_for = read_time_if("lingering.lingers_for", self.lingers_for.as_ref())?;
        Ok(Lingering { generation: self.generation, lingers_for, pids: self.pids })
    }
}
