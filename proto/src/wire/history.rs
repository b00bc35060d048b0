//! What befell a service, between the wire and the domain.

use std::time::Duration;

use super::{Malformed, nanoseconds};
use crate::custody::{Drop, Ended, Found, Handover, Happening, History, Moment, Process, Seq, Unwatched, What};
use crate::v1;

impl From<&History> for v1::History {
    fn from(history: &History) -> Self {
        Self {
            happenings: history.happenings.iter().map(Into::into).collect(),
            forgotten: history.forgotten,
            epoch: history.epoch,
        }
    }
}

impl TryFrom<v1::History> for History {
    type Error = Malformed;

    fn try_from(wire: v1::History) -> Result<Self, Malformed> {
        let happenings = wire.happenings.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { happenings, forgotten: wire.forgotten, epoch: wire.epoch })
    }
}

impl From<&Happening> for v1::Happening {
    fn from(happening: &Happening) -> Self {
        use v1::happening::What as Wire;
        let what = match &happening.what {
            What::Drop(drop) => Wire::Drop(drop.into()),
            What::Unwatched(unwatched) => Wire::Unwatched(unwatched.into()),
        };
        Self { at: Some((&happening.at).into()), what: Some(what) }
    }
}

impl TryFrom<v1::Happening> for Happening {
    type Error = Malformed;

    fn try_from(wire: v1::Happening) -> Result<Self, Malformed> {
        use v1::happening::What as Wire;
        let what = match wire.what.ok_or(Malformed::Missing("happening's kind"))? {
            Wire::Drop(drop) => What::Drop(drop.try_into()?),
            Wire::Unwatched(unwatched) => What::Unwatched(unwatched.try_into()?),
        };
        Ok(Self { at: wire.at.ok_or(Malformed::Missing("happening's moment"))?.into(), what })
    }
}

impl From<&Drop> for v1::Drop {
    fn from(drop: &Drop) -> Self {
        Self {
            seq: drop.seq.0,
            last_master: drop.last.map(Into::into),
            epoch: drop.epoch,
            file: Some(drop.file.into()),
            held_since_ns: drop.held_since.map(nanoseconds).unwrap_or_default(),
            ended: drop.ended.map(Into::into),
            handover: drop.handover.as_ref().map(Into::into),
            found: drop.found.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Drop> for Drop {
    type Error = Malformed;

    fn try_from(wire: v1::Drop) -> Result<Self, Malformed> {
        Ok(Self {
            seq: Seq(wire.seq),
            epoch: wire.epoch,
            file: wire.file.ok_or(Malformed::Missing("drop's file"))?.into(),
            last: wire.last_master.map(Process::from),
            held_since: (wire.held_since_ns != 0).then(|| Duration::from_nanos(wire.held_since_ns)),
            ended: wire.ended.and_then(ended),
            handover: wire.handover.map(Into::into),
            found: wire.found.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&Unwatched> for v1::Unwatched {
    fn from(unwatched: &Unwatched) -> Self {
        Self {
            from: unwatched.from.as_ref().map(Into::into),
            last_master: Some(unwatched.last.into()),
            found: unwatched.found.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Unwatched> for Unwatched {
    type Error = Malformed;

    fn try_from(wire: v1::Unwatched) -> Result<Self, Malformed> {
        Ok(Self {
            from: wire.from.map(Into::into),
            last: wire.last_master.ok_or(Malformed::Missing("last master"))?.into(),
            found: wire.found.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<Ended> for v1::Ended {
    fn from(ended: Ended) -> Self {
        use v1::ended::How;
        let how = match ended {
            Ended::Exited(code) => How::ExitCode(code),
            Ended::Killed(signal) => How::Signal(signal),
        };
        Self { how: Some(how) }
    }
}

/// How a process ended; none where only a newer agent knows the word for it.
fn ended(wire: v1::Ended) -> Option<Ended> {
    use v1::ended::How;
    wire.how.map(|how| match how {
        How::ExitCode(code) => Ended::Exited(code),
        How::Signal(signal) => Ended::Killed(signal),
    })
}

impl From<&Handover> for v1::HandoverKey {
    fn from(handover: &Handover) -> Self {
        Self { rollout: handover.rollout.clone(), attempt: handover.attempt }
    }
}

impl From<v1::HandoverKey> for Handover {
    fn from(wire: v1::HandoverKey) -> Self {
        Self { rollout: wire.rollout, attempt: wire.attempt }
    }
}

impl From<&Found> for v1::Found {
    fn from(found: &Found) -> Self {
        Self { master: Some(found.master.into()), at: Some((&found.at).into()) }
    }
}

impl TryFrom<v1::Found> for Found {
    type Error = Malformed;

    fn try_from(wire: v1::Found) -> Result<Self, Malformed> {
        let master = wire.master.ok_or(Malformed::Missing("found master"))?.into();
        Ok(Self { master, at: wire.at.ok_or(Malformed::Missing("found master's moment"))?.into() })
    }
}

impl From<&Moment> for v1::Moment {
    fn from(moment: &Moment) -> Self {
        Self { at_ns: nanoseconds(moment.at), boot_id: moment.boot.clone(), unix_ns: nanoseconds(moment.wall) }
    }
}

impl From<v1::Moment> for Moment {
    fn from(wire: v1::Moment) -> Self {
        Self { at: Duration::from_nanos(wire.at_ns), boot: wire.boot_id, wall: Duration::from_nanos(wire.unix_ns) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::custody::samples::FILE;
    use crate::custody::{Drop, Ended, Found, Handover, Happening, History, Moment, Process, Seq, Unwatched, What};
    use crate::v1;

    fn history() -> History {
        let at = Moment { at: Duration::from_nanos(5), boot: "boot-1".into(), wall: Duration::from_nanos(7) };
        let master = Process { pid: 100, start_ticks: 5 };
        let found = Some(Found { master, at: at.clone() });
        let drop = |ended| {
            What::Drop(Drop {
                seq: Seq(3),
                epoch: 2,
                file: FILE,
                last: Some(master),
                held_since: Some(Duration::from_nanos(1)),
                ended,
                handover: Some(Handover { rollout: "r-1".into(), attempt: 1 }),
                found: found.clone(),
            })
        };
        let unwatched = What::Unwatched(Unwatched { from: Some(at.clone()), last: master, found: found.clone() });
        let whats = [drop(Some(Ended::Exited(0))), drop(Some(Ended::Killed(9))), drop(None), unwatched];
        let happenings = whats.into_iter().map(|what| Happening { at: at.clone(), what }).collect();
        History { happenings, forgotten: 4, epoch: 6 }
    }

    #[test]
    fn a_history_comes_back_as_it_went() {
        assert_eq!(History::try_from(v1::History::from(&history())), Ok(history()));
    }

    #[test]
    fn a_happening_that_says_nothing_is_malformed() {
        let wire = v1::History { happenings: vec![v1::Happening::default()], ..v1::History::default() };
        assert!(History::try_from(wire).is_err());
    }
}
