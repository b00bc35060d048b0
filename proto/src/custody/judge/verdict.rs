//! What a testimony may show, and what a proof rests on.

use std::fmt;
use std::time::Duration;

use super::super::{Process, Seq, Shape};
use super::Doubt;

/// What a testimony shows about the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Some generation held the lock at every instant of the window.
    Kept(Kept),
    /// The waiter was granted inside the window: nobody held the lock.
    Dropped {
        /// The number of the first grant.
        at: Seq,
    },
    /// Neither: the missing piece is named.
    Unproven(Doubt),
}

/// A proven handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// What the proof rests on.
    pub basis: Basis,
    /// Who took over from whom.
    pub by: Succession,
}

/// Who took over from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// A new master from an old one.
    Beside {
        /// The master that left.
        old: Process,
        /// The master that took over.
        new: Process,
        /// For how long both were seen holding; at least this long both held.
        overlap: Duration,
    },
    /// New workers of a master that kept its program image.
    InPlace {
        /// The master.
        master: Process,
        /// A new worker of it.
        worker: Process,
    },
    /// New workers of a master that called exec.
    Exec {
        /// The master.
        master: Process,
        /// A new worker of it.
        worker: Process,
    },
}

impl Succession {
    /// What kind of handover it was.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self {
            Self::Beside { .. } => Shape::Beside,
            Self::InPlace { .. } => Shape::InPlace,
            Self::Exec { .. } => Shape::Exec,
        }
    }
}

impl Kept {
    /// The master in charge when the window opened.
    #[must_use]
    pub fn before(&self) -> Process {
        match self.by {
            Succession::Beside { old, .. } => old,
            Succession::InPlace { master, .. } | Succession::Exec { master, .. } => master,
        }
    }

    /// The master in charge when it closed.
    #[must_use]
    pub fn after(&self) -> Process {
        match self.by {
            Succession::Beside { new, .. } => new,
            Succession::InPlace { master, .. } | Succession::Exec { master, .. } => master,
        }
    }
}

/// A rolled-back handover in which the old master never let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbroken {
    /// What the proof rests on.
    pub basis: Basis,
    /// The master that stayed.
    pub master: Process,
}

/// What a proof rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Each master's lock bore one unchanged random mark: it was one open file description throughout.
    Marked,
    /// Some lock bore no mark: the proof takes the server's word that it does not let go and take again.
    Contract,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marked => "marked",
            Self::Contract => "contract",
        })
    }
}
