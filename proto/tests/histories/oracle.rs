//! The judge, written a second time: slowly, by number, and without a look at the first.
//!
//! It asks of each stretch between two neighbouring numbers whether some master had the lock in custody over it, from the
//! end of the look that opened the window to the beginning of the look that closed it. Whatever speaks against the
//! testimony as a whole is asked first.
//!
//! Each question can be left out: a [`Flaw`] is an oracle that does not ask it. The histories must refute every one.

use std::collections::{BTreeMap, BTreeSet};

use baton_proto::custody::{Basis, Fact, FileIdentity, Process, Role, Seq, Shape, Sighting, Testimony};

/// What the oracle says. Why it doubts is for whoever debugs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    Kept(Basis),
    Dropped(Seq),
    Unproven(&'static str),
}

macro_rules! flaws {
    ($($(#[$doc:meta])* $flaw:ident,)*) => {
        /// A question that is not asked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Flaw {
            $($(#[$doc])* $flaw,)*
        }

        /// Every one of them.
        pub(crate) const FLAWS: &[Flaw] = &[$(Flaw::$flaw),*];
    };
}

flaws! {
    /// Two masters need not be seen to hold at once.
    OverlapNotRequired,
    /// A look counts as one instant, its end.
    BeganIgnored,
    HoleAccepted,
    DuplicateAccepted,
    StrayAccepted,
    StoredOrderIgnored,
    TruncationIgnored,
    IncarnationIgnored,
    BootIgnored,
    FileIgnored,
    /// Only the number of the inode counts.
    BirthIgnored,
    MarkIgnored,
    TakerIgnored,
    ImageIgnored,
    TornLookAccepted,
    ProcessIgnored,
    WorkersCount,
    /// A look that ends after another began is still a first or last one.
    EmptyCustodyAccepted,
    OpeningNotRequired,
    CloseNotRequired,
    NoWorkerRequired,
    OldWorkerAccepted,
    /// By exec, a worker that runs the image of before is new.
    ImageOfBeforeAccepted,
    ForeignWorkerAccepted,
    ExecUnmarkedAccepted,
    /// Any offset counts as a mark, also what comes of writing a pid.
    OffsetTakenForMark,
    /// Neither the master nor its worker need run another image, where exec was asked for.
    NoExecRequired,
    /// Neither the process nor the image of the new master need be another.
    OneMasterAccepted,
    SameImageAccepted,
    /// A grant is no drop, and no reason to doubt.
    GrantIgnored,
    AbsenceIgnored,
    ExitIgnored,
}

/// One master's custody, if its sightings are of one piece.
struct Custody {
    first: (Seq, Sighting),
    last: (Seq, Sighting),
    marked: bool,
}

#[derive(Clone, Copy)]
struct Oracle<'a> {
    testimony: &'a Testimony,
    flaw: Option<Flaw>,
}

/// What the testimony shows of a whole handover.
pub(crate) fn judge(testimony: &Testimony, flaw: Option<Flaw>) -> Ruling {
    Oracle { testimony, flaw }.rule(Oracle::handover)
}

/// What it shows of one that was undone.
pub(crate) fn unbroken(testimony: &Testimony, flaw: Option<Flaw>) -> Ruling {
    Oracle { testimony, flaw }.rule(Oracle::stay)
}

impl Oracle<'_> {
    fn rule(self, proves: fn(Self) -> Result<Basis, &'static str>) -> Ruling {
        if let Some(at) = self.drop_seen() {
            return Ruling::Dropped(at);
        }
        match self.whole().and_then(|()| proves(self)) {
            Ok(basis) => Ruling::Kept(basis),
            Err(doubt) => Ruling::Unproven(doubt),
        }
    }

    fn has(self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn sightings(self) -> impl Iterator<Item = (Seq, Sighting)> {
        self.testimony.observations.iter().filter_map(|line| match &line.fact {
            Fact::Sighting(sighting) => Some((line.seq, *sighting)),
            Fact::Absence { .. }
            | Fact::Grant { .. }
            | Fact::Signal { .. }
            | Fact::Readiness { .. }
            | Fact::Exit { .. }
            | Fact::Workers { .. } => None,
        })
    }

    /// The first grant of this file inside the window: what nobody held was dropped, whatever else there is to doubt.
    fn drop_seen(self) -> Option<Seq> {
        let testimony = self.testimony;
        let grants = testimony.observations.iter().filter(|line| {
            let is_grant = grant(&line.fact) == Some(testimony.file);
            is_grant && testimony.opened <= line.seq && line.seq <= testimony.closed && !self.has(Flaw::GrantIgnored)
        });
        grants.map(|line| line.seq).min()
    }

    /// What holds of any testimony before it can show anything.
    fn whole(self) -> Result<(), &'static str> {
        let testimony = self.testimony;
        if testimony.truncated && !self.has(Flaw::TruncationIgnored) {
            return Err("truncated");
        }
        self.numbers()?;
        self.witnesses()?;
        let expected = testimony.file;
        let granted = testimony.observations.iter().filter_map(|line| grant(&line.fact));
        for seen in self.sightings().map(|(_, sighting)| sighting.lock.file).chain(granted) {
            let same_number = seen.device == expected.device && seen.inode == expected.inode;
            let same = seen == expected || (same_number && self.has(Flaw::BirthIgnored));
            if !same && !self.has(Flaw::FileIgnored) {
                return Err("another file");
            }
        }
        Ok(())
    }

    /// Every number of the window is accounted for once, and none outside it.
    fn numbers(self) -> Result<(), &'static str> {
        let (opened, closed) = (self.testimony.opened.0, self.testimony.closed.0);
        if !self.testimony.observations.is_sorted_by_key(|line| line.seq) && !self.has(Flaw::StoredOrderIgnored) {
            return Err("lines out of order");
        }
        let mut lines: BTreeMap<u64, u32> = BTreeMap::new();
        for line in &self.testimony.observations {
            if line.fact.began().is_some_and(|began| began >= line.seq) {
                return Err("a look ends before it begins");
            }
            line.numbers().for_each(|number| *lines.entry(number.0).or_default() += 1);
        }
        if lines.values().any(|count| *count > 1) && !self.has(Flaw::DuplicateAccepted) {
            return Err("a number twice");
        }
        if lines.keys().any(|number| *number < opened || *number > closed) && !self.has(Flaw::StrayAccepted) {
            return Err("a number outside");
        }
        let inside = lines.range(opened..=closed.max(opened)).count() as u64;
        if (opened > closed || inside != closed - opened + 1) && !self.has(Flaw::HoleAccepted) {
            return Err("a number missing");
        }
        Ok(())
    }

    /// The runs of the agent follow one another within one boot, and each line is of the run that had its numbers.
    fn witnesses(self) -> Result<(), &'static str> {
        let testimony = self.testimony;
        let mut from = testimony.opened;
        let mut known = BTreeSet::from([testimony.incarnation.as_str()]);
        for successor in &testimony.successors {
            if successor.boot != testimony.boot && !self.has(Flaw::BootIgnored) {
                return Err("another boot");
            }
            let in_order = from < successor.from && successor.from <= testimony.closed && known.insert(&successor.incarnation);
            if !in_order && !self.has(Flaw::IncarnationIgnored) {
                return Err("runs of the agent out of order");
            }
            from = successor.from;
        }
        for line in &testimony.observations {
            for number in line.numbers() {
                let run = testimony.successors.iter().rfind(|successor| successor.from <= number);
                let witness = run.map_or(&testimony.incarnation, |successor| &successor.incarnation);
                if *witness != line.incarnation && !self.has(Flaw::IncarnationIgnored) {
                    return Err("seen by another run of the agent");
                }
            }
        }
        Ok(())
    }

    fn handover(self) -> Result<Basis, &'static str> {
        match self.testimony.shape {
            Shape::Beside => self.beside(),
            Shape::InPlace | Shape::Exec => self.in_place(),
        }
    }

    fn beside(self) -> Result<Basis, &'static str> {
        let old = self.custody(Role::OldMaster)?;
        let new = self.custody(Role::NewMaster)?;
        if self.has(Flaw::OneMasterAccepted) {
            self.spans(&[&old, &new])?;
            return Ok(basis(old.marked && new.marked));
        }
        if old.first.1.process == new.first.1.process {
            return Err("one process in both roles");
        }
        if old.first.1.image == new.first.1.image && !self.has(Flaw::SameImageAccepted) {
            return Err("one image in both roles");
        }
        self.spans(&[&old, &new])?;
        Ok(basis(old.marked && new.marked))
    }

    fn in_place(self) -> Result<Basis, &'static str> {
        let master = self.custody(Role::Master)?;
        self.spans(&[&master])?;
        if self.testimony.shape == Shape::Exec {
            if master.first.1.image == master.last.1.image && !self.has(Flaw::NoExecRequired) {
                return Err("no exec");
            }
            if !master.marked && !self.has(Flaw::ExecUnmarkedAccepted) {
                return Err("exec without a mark");
            }
        }
        if !self.new_worker(&master) && !self.has(Flaw::NoWorkerRequired) {
            return Err("no new worker");
        }
        Ok(basis(master.marked))
    }

    fn stay(self) -> Result<Basis, &'static str> {
        let role = if self.testimony.shape == Shape::Beside { Role::OldMaster } else { Role::Master };
        let master = self.custody(role)?;
        let execs = |(_, seen): &(Seq, Sighting)| seen.role == role && seen.image != master.first.1.image;
        if self.sightings().any(|seen| execs(&seen)) && !self.has(Flaw::ImageIgnored) {
            return Err("exec");
        }
        self.spans(&[&master])?;
        Ok(basis(master.marked))
    }

    /// From the opening look's end to the closing look's beginning, some master is in custody of each stretch.
    fn spans(self, custodies: &[&Custody]) -> Result<(), &'static str> {
        let (opening, closing) = (custodies[0], custodies[custodies.len() - 1]);
        if opening.first.1.began != self.testimony.opened && !self.has(Flaw::OpeningNotRequired) {
            return Err("not opened by the master");
        }
        if closing.last.0 != self.testimony.closed && !self.has(Flaw::CloseNotRequired) {
            return Err("not closed by the master");
        }
        if self.has(Flaw::OverlapNotRequired) {
            return Ok(());
        }
        let begins = |custody: &Custody| if self.has(Flaw::BeganIgnored) { custody.first.1.began } else { custody.first.0 };
        let ends = |custody: &Custody| if self.has(Flaw::BeganIgnored) { custody.last.0 } else { custody.last.1.began };
        if self.has(Flaw::WorkersCount) && self.sightings().any(|(_, sighting)| sighting.role == Role::Worker) {
            return Ok(());
        }
        let in_custody = |custody: &Custody, number: u64| begins(custody).0 <= number && number < ends(custody).0;
        let mut window = begins(opening).0..ends(closing).0;
        if !window.clone().all(|number| custodies.iter().any(|custody| in_custody(custody, number))) {
            return Err("nobody in custody");
        }
        if custodies.len() == 2 && begins(closing) >= ends(opening) {
            return Err("never both in custody");
        }
        let is_one_look = self.testimony.opened.0 + 1 == self.testimony.closed.0;
        let overlaps = window.any(|number| custodies.iter().all(|custody| in_custody(custody, number)));
        if !overlaps && !is_one_look && !self.has(Flaw::EmptyCustodyAccepted) {
            return Err("looks that overlap prove an instant only");
        }
        Ok(())
    }

    /// All that was seen of one role, if it is one process that holds one lock.
    fn custody(self, role: Role) -> Result<Custody, &'static str> {
        let mut sightings: Vec<(Seq, Sighting)> = self.sightings().filter(|(_, sighting)| sighting.role == role).collect();
        sightings.sort_by_key(|(seq, _)| *seq);
        let (Some(first), Some(last)) = (sightings.first().copied(), sightings.last().copied()) else {
            return Err("never seen");
        };
        for (_, sighting) in &sightings {
            self.same(&first.1, sighting)?;
        }
        for line in &self.testimony.observations {
            let speaks_against = match &line.fact {
                Fact::Absence { process, .. } => *process == first.1.process && !self.has(Flaw::AbsenceIgnored),
                Fact::Exit { process, .. } => *process == first.1.process && !self.has(Flaw::ExitIgnored),
                Fact::Sighting(_) | Fact::Grant { .. } | Fact::Signal { .. } | Fact::Readiness { .. } | Fact::Workers { .. } => {
                    false
                }
            };
            if speaks_against && first.0 < line.seq && line.seq < last.0 {
                return Err("interrupted");
            }
        }
        let least = if self.has(Flaw::OffsetTakenForMark) { 1 } else { 1 << 32 };
        let marked = sightings.iter().all(|(_, sighting)| sighting.lock.mark >= least);
        Ok(Custody { first, last, marked })
    }

    /// Whether two sightings are of one process with one lock, and, but for an exec that was asked for, of one image.
    fn same(self, one: &Sighting, other: &Sighting) -> Result<(), &'static str> {
        if one.process != other.process && !self.has(Flaw::ProcessIgnored) {
            return Err("two processes");
        }
        if other.image != other.image_after && !self.has(Flaw::TornLookAccepted) {
            return Err("exec within a look");
        }
        let may_exec = self.testimony.shape == Shape::Exec || self.has(Flaw::ImageIgnored);
        if one.image != other.image && !may_exec {
            return Err("exec");
        }
        if one.lock.mark != other.lock.mark && !self.has(Flaw::MarkIgnored) {
            return Err("another mark");
        }
        if one.lock.taker != other.lock.taker && !self.has(Flaw::TakerIgnored) {
            return Err("another taker");
        }
        Ok(())
    }

    /// Whether the last look before the closing one is at a child of the master that is not of its old ones.
    fn new_worker(self, master: &Custody) -> bool {
        let before = self.listed_before_signal(master.first.1.process);
        let workers = self.sightings().filter(|(_, sighting)| sighting.role == Role::Worker);
        workers.max_by_key(|(seq, _)| *seq).is_some_and(|(seq, worker)| {
            let is_child = worker.parent == master.first.1.process.pid && worker.process != master.first.1.process;
            let came_later =
                before.is_some_and(|(signalled, listed)| signalled < worker.began && !listed.contains(&worker.process));
            let is_of_before = self.testimony.shape == Shape::Exec && worker.image == master.first.1.image;
            let may_be = self.has(Flaw::ImageOfBeforeAccepted) || self.has(Flaw::NoExecRequired);
            let is_new = came_later && (!is_of_before || may_be);
            let is_whole = worker.image == worker.image_after;
            (is_child || self.has(Flaw::ForeignWorkerAccepted))
                && (is_new || self.has(Flaw::OldWorkerAccepted))
                && (is_whole || self.has(Flaw::TornLookAccepted))
                && seq.0 + 1 == master.last.1.began.0
        })
    }

    /// The number of the first signal to the master, and its workers by the last listing before.
    fn listed_before_signal(&self, master: Process) -> Option<(Seq, &[Process])> {
        let lines = &self.testimony.observations;
        let signals = lines.iter().filter(|line| matches!(line.fact, Fact::Signal { process, .. } if process == master));
        let signalled = signals.map(|line| line.seq).min()?;
        let listings = lines.iter().filter_map(|line| match &line.fact {
            Fact::Workers { master: of, workers, .. } if *of == master && line.seq < signalled => {
                Some((line.seq, workers.as_slice()))
            }
            Fact::Workers { .. }
            | Fact::Sighting(_)
            | Fact::Absence { .. }
            | Fact::Grant { .. }
            | Fact::Signal { .. }
            | Fact::Readiness { .. }
            | Fact::Exit { .. } => None,
        });
        let (_, workers) = listings.max_by_key(|(seq, _)| *seq)?;
        Some((signalled, workers))
    }
}

fn grant(fact: &Fact) -> Option<FileIdentity> {
    if let Fact::Grant { file } = fact { Some(*file) } else { None }
}

fn basis(marked: bool) -> Basis {
    if marked { Basis::Marked } else { Basis::Contract }
}
