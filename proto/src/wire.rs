//! Between the wire and the domain: both sides, the agent's disk and its local commands speak the same testimony.
//!
//! **Invariant:** whatever comes from the wire is hostile until it has passed here; nothing is filled in by a guess.

mod history;

use std::time::Duration;

use crate::custody::{Fact, FileIdentity, Image, Lock, Observation, Process, Role, Seq, Shape, Sighting, Testimony, Witness};
use crate::step::Step;
use crate::v1;

/// What a message lacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that is always sent.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// A number that is none of an enum's.
    #[error("{value} is no {what}")]
    Unknown {
        /// The enum.
        what: &'static str,
        /// The number.
        value: i32,
    },
    /// A field of the wrong size.
    #[error("{what} has {length} bytes")]
    Length {
        /// The field.
        what: &'static str,
        /// Its size.
        length: usize,
    },
}

/// Nanoseconds for the wire; a time that does not fit (after 584 years of uptime) is the last one that does.
#[must_use]
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl From<Process> for v1::Process {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, start_ticks: process.start_ticks }
    }
}

impl From<v1::Process> for Process {
    fn from(process: v1::Process) -> Self {
        Self { pid: process.pid, start_ticks: process.start_ticks }
    }
}

impl From<FileIdentity> for v1::FileIdentity {
    fn from(file: FileIdentity) -> Self {
        Self { device: file.device, inode: file.inode, born_ns: file.born }
    }
}

impl From<v1::FileIdentity> for FileIdentity {
    fn from(file: v1::FileIdentity) -> Self {
        Self { device: file.device, inode: file.inode, born: file.born_ns }
    }
}

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::OldMaster => Self::OldMaster,
            Role::NewMaster => Self::NewMaster,
            Role::Master => Self::Master,
            Role::Worker => Self::Worker,
        }
    }
}

fn role(value: i32) -> Result<Role, Malformed> {
    match v1::Role::try_from(value) {
        Ok(v1::Role::OldMaster) => Ok(Role::OldMaster),
        Ok(v1::Role::NewMaster) => Ok(Role::NewMaster),
        Ok(v1::Role::Master) => Ok(Role::Master),
        Ok(v1::Role::Worker) => Ok(Role::Worker),
        Ok(v1::Role::Unspecified) | Err(_) => Err(Malformed::Unknown { what: "role", value }),
    }
}

impl From<Shape> for v1::Shape {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Beside => Self::Beside,
            Shape::InPlace => Self::InPlace,
            Shape::Exec => Self::Exec,
        }
    }
}

fn shape(value: i32) -> Result<Shape, Malformed> {
    match v1::Shape::try_from(value) {
        // An agent that does not say knows no other.
        Ok(v1::Shape::Beside | v1::Shape::Unspecified) => Ok(Shape::Beside),
        Ok(v1::Shape::InPlace) => Ok(Shape::InPlace),
        Ok(v1::Shape::Exec) => Ok(Shape::Exec),
        Err(_) => Err(Malformed::Unknown { what: "shape", value }),
    }
}

impl From<&Witness> for v1::Witness {
    fn from(witness: &Witness) -> Self {
        Self { incarnation: witness.incarnation.clone(), boot_id: witness.boot.clone(), from_seq: witness.from.0 }
    }
}

impl From<v1::Witness> for Witness {
    fn from(wire: v1::Witness) -> Self {
        Self { incarnation: wire.incarnation, boot: wire.boot_id, from: Seq(wire.from_seq) }
    }
}

impl From<Image> for v1::Image {
    fn from(image: Image) -> Self {
        Self { start_stack: image.start_stack, random: image.random.to_vec() }
    }
}

impl TryFrom<v1::Image> for Image {
    type Error = Malformed;

    fn try_from(wire: v1::Image) -> Result<Self, Malformed> {
        let length = wire.random.len();
        let random = wire.random.try_into().map_err(|_| Malformed::Length { what: "an image's random", length })?;
        Ok(Self { start_stack: wire.start_stack, random })
    }
}

impl From<Lock> for v1::Lock {
    fn from(lock: Lock) -> Self {
        Self { file: Some(lock.file.into()), mark: lock.mark, taker: lock.taker }
    }
}

impl TryFrom<v1::Lock> for Lock {
    type Error = Malformed;

    fn try_from(wire: v1::Lock) -> Result<Self, Malformed> {
        Ok(Self { file: wire.file.ok_or(Malformed::Missing("lock's file"))?.into(), mark: wire.mark, taker: wire.taker })
    }
}

impl From<&Testimony> for v1::Testimony {
    fn from(testimony: &Testimony) -> Self {
        Self {
            service: testimony.service.clone(),
            boot_id: testimony.boot.clone(),
            incarnation: testimony.incarnation.clone(),
            file: Some(testimony.file.into()),
            opened_seq: testimony.opened.0,
            closed_seq: testimony.closed.0,
            observations: testimony.observations.iter().map(Into::into).collect(),
            truncated: testimony.truncated,
            shape: v1::Shape::from(testimony.shape).into(),
            successors: testimony.successors.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Testimony> for Testimony {
    type Error = Malformed;

    fn try_from(wire: v1::Testimony) -> Result<Self, Malformed> {
        Ok(Self {
            service: wire.service,
            boot: wire.boot_id,
            incarnation: wire.incarnation,
            file: wire.file.ok_or(Malformed::Missing("testimony's file"))?.into(),
            opened: Seq(wire.opened_seq),
            closed: Seq(wire.closed_seq),
            observations: wire.observations.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            truncated: wire.truncated,
            shape: shape(wire.shape)?,
            successors: wire.successors.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&Observation> for v1::Observation {
    fn from(observation: &Observation) -> Self {
        use v1::observation::Fact as Wire;
        let fact = match &observation.fact {
            Fact::Sighting(sighting) => Wire::Sighting(sighting.into()),
            Fact::Absence { began, role, process, reason } => Wire::Absence(v1::Absence {
                began_seq: began.0,
                role: v1::Role::from(*role).into(),
                process: Some((*process).into()),
                reason: reason.clone(),
            }),
            Fact::Grant { file } => Wire::Grant(v1::Grant { file: Some((*file).into()) }),
            Fact::Signal { process, signal } => {
                Wire::Signal(v1::SignalSent { process: Some((*process).into()), signal: signal.clone() })
            }
            Fact::Readiness { ready, detail, answered_by } => Wire::Readiness(v1::Readiness {
                ready: *ready,
                detail: detail.clone(),
                answered_by: answered_by.unwrap_or_default(),
            }),
            Fact::Exit { role, process } => {
                Wire::Exit(v1::Exit { role: v1::Role::from(*role).into(), process: Some((*process).into()) })
            }
            Fact::Workers { began, master, workers } => Wire::Workers(v1::Workers {
                began_seq: began.0,
                master: Some((*master).into()),
                workers: workers.iter().copied().map(Into::into).collect(),
            }),
        };
        Self {
            seq: observation.seq.0,
            at_ns: nanoseconds(observation.at),
            incarnation: observation.incarnation.clone(),
            fact: Some(fact),
        }
    }
}

impl TryFrom<v1::Observation> for Observation {
    type Error = Malformed;

    fn try_from(wire: v1::Observation) -> Result<Self, Malformed> {
        use v1::observation::Fact as Wire;
        let fact = match wire.fact.ok_or(Malformed::Missing("observation's fact"))? {
            Wire::Sighting(sighting) => Fact::Sighting(sighting.try_into()?),
            Wire::Absence(absence) => Fact::Absence {
                began: Seq(absence.began_seq),
                role: role(absence.role)?,
                process: absence.process.ok_or(Malformed::Missing("absence's process"))?.into(),
                reason: absence.reason,
            },
            Wire::Grant(grant) => Fact::Grant { file: grant.file.ok_or(Malformed::Missing("grant's file"))?.into() },
            Wire::Signal(signal) => Fact::Signal {
                process: signal.process.ok_or(Malformed::Missing("signal's process"))?.into(),
                signal: signal.signal,
            },
            Wire::Readiness(readiness) => Fact::Readiness {
                ready: readiness.ready,
                detail: readiness.detail,
                answered_by: (readiness.answered_by != 0).then_some(readiness.answered_by),
            },
            Wire::Exit(exit) => {
                Fact::Exit { role: role(exit.role)?, process: exit.process.ok_or(Malformed::Missing("exit's process"))?.into() }
            }
            Wire::Workers(workers) => Fact::Workers {
                began: Seq(workers.began_seq),
                master: workers.master.ok_or(Malformed::Missing("listing's master"))?.into(),
                workers: workers.workers.into_iter().map(Into::into).collect(),
            },
        };
        Ok(Self { seq: Seq(wire.seq), at: Duration::from_nanos(wire.at_ns), incarnation: wire.incarnation, fact })
    }
}

impl From<&Sighting> for v1::Sighting {
    fn from(sighting: &Sighting) -> Self {
        Self {
            began_seq: sighting.began.0,
            role: v1::Role::from(sighting.role).into(),
            process: Some(sighting.process.into()),
            parent: sighting.parent,
            image: Some(sighting.image.into()),
            image_after: Some(sighting.image_after.into()),
            lock: Some(sighting.lock.into()),
        }
    }
}

impl TryFrom<v1::Sighting> for Sighting {
    type Error = Malformed;

    fn try_from(wire: v1::Sighting) -> Result<Self, Malformed> {
        let image = wire.image.ok_or(Malformed::Missing("sighting's image"))?.try_into()?;
        Ok(Self {
            began: Seq(wire.began_seq),
            role: role(wire.role)?,
            process: wire.process.ok_or(Malformed::Missing("sighting's process"))?.into(),
            parent: wire.parent,
            image,
            // An agent that does not say kept only looks at whose ends both were the same.
            image_after: wire.image_after.map_or(Ok(image), TryInto::try_into)?,
            lock: wire.lock.ok_or(Malformed::Missing("sighting's lock"))?.try_into()?,
        })
    }
}

impl From<Step> for v1::Step {
    fn from(step: Step) -> Self {
        match step {
            Step::Open => Self::Open,
            Step::Signal => Self::Signal,
            Step::Appear => Self::Appear,
            Step::Ready => Self::Ready,
            Step::Overlap => Self::Overlap,
            Step::Retire => Self::Retire,
            Step::Drain => Self::Drain,
            Step::Close => Self::Close,
            Step::Prepare => Self::Prepare,
            Step::Undo => Self::Undo,
        }
    }
}

impl TryFrom<v1::Step> for Step {
    type Error = Malformed;

    fn try_from(wire: v1::Step) -> Result<Self, Malformed> {
        match wire {
            v1::Step::Unspecified => Err(Malformed::Unknown { what: "step", value: wire.into() }),
            v1::Step::Open => Ok(Self::Open),
            v1::Step::Signal => Ok(Self::Signal),
            v1::Step::Appear => Ok(Self::Appear),
            v1::Step::Ready => Ok(Self::Ready),
            v1::Step::Overlap => Ok(Self::Overlap),
            v1::Step::Retire => Ok(Self::Retire),
            v1::Step::Drain => Ok(Self::Drain),
            v1::Step::Close => Ok(Self::Close),
            v1::Step::Prepare => Ok(Self::Prepare),
            v1::Step::Undo => Ok(Self::Undo),
        }
    }
}

impl v1::Step {
    /// The step's name for people; "none" where none is told.
    #[must_use]
    pub fn verb(self) -> &'static str {
        Step::try_from(self).map_or("none", Step::verb)
    }
}

#[cfg(test)]
mod tests {
    use crate::custody::Testimony;
    use crate::custody::samples::clean;
    use crate::step::Step;
    use crate::v1;

    #[test]
    fn a_step_comes_back_as_it_went_and_none_is_no_step() {
        let told: Vec<v1::Step> = (0..).map_while(|value| v1::Step::try_from(value).ok()).collect();
        assert_eq!(told.len(), 11);
        for wire in told.into_iter().filter(|step| *step != v1::Step::Unspecified) {
            assert_eq!(Step::try_from(wire).map(v1::Step::from), Ok(wire));
        }
        assert!(Step::try_from(v1::Step::Unspecified).is_err());
    }

    #[test]
    fn a_testimony_comes_back_as_it_went() {
        let testimony = clean();
        assert_eq!(Testimony::try_from(v1::Testimony::from(&testimony)), Ok(testimony));
    }

    #[test]
    fn a_testimony_with_an_empty_field_is_malformed() {
        let mut wire = v1::Testimony::from(&clean());
        wire.observations[0].fact = None;
        assert!(Testimony::try_from(wire).is_err());
        let wire = v1::Testimony { file: None, ..v1::Testimony::from(&clean()) };
        assert!(Testimony::try_from(wire).is_err());
    }
}
