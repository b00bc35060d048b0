//! The doubts: each names the piece that a proof misses.

use super::super::{FileIdentity, Process, Role, Seq};

/// The missing piece.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The agent kept only a part of what it saw.
    #[error("the agent saw more than it keeps; lines were left out")]
    Truncated,
    /// A number has no line, two lines, or lies outside the window.
    #[error("the numbering has a hole, a repeat or a stray at #{}", .0.0)]
    NumberingBroken(Seq),
    /// A line was seen by another run of the agent than the one that its number falls to.
    #[error("#{} was not seen by the run of the agent that had the window then", .0.0)]
    OtherWitness(Seq),
    /// The runs of the agent are not told in their order.
    #[error("the testimony does not tell which run of the agent had the window when")]
    WitnessesUnclear,
    /// The agent that went on with the window was of another boot.
    #[error("the host was rebooted within the window")]
    Rebooted,
    /// The agent was restarted, and what it saw before and after does not join.
    #[error("the agent was restarted within the window: {0}")]
    AgentRestarted(Box<Doubt>),
    /// A lock was seen on another file than the one that the window is about.
    #[error("the lock file was replaced: a lock was seen on inode {} instead of {}", .seen.inode, .expected.inode)]
    FileReplaced {
        /// The file of the window.
        expected: FileIdentity,
        /// The file of the sighting.
        seen: FileIdentity,
    },
    /// A master was never seen holding.
    #[error("the {role} was never seen holding the lock{}", because(.reason.as_ref()))]
    NeverSeen {
        /// Which one.
        role: Role,
        /// What was found instead, if it was looked at.
        reason: Option<String>,
    },
    /// One role was played by two processes.
    #[error("two processes were seen as {role}: {one} and {other}")]
    TwoMasters {
        /// Which role.
        role: Role,
        /// The first.
        one: Process,
        /// Another.
        other: Process,
    },
    /// One process was seen in both roles, or ran one image in both.
    #[error("no handover was seen: process {0} was in charge before and after")]
    NoHandover(Process),
    /// A master changed its image in between.
    #[error("the {role} ran another program image the second time (exec)")]
    Exec {
        /// Which one.
        role: Role,
    },
    /// A master's lock bore another mark or another taker in between.
    #[error("the {role} let go of its lock and took it again (mark or taker changed)")]
    Relocked {
        /// Which one.
        role: Role,
    },
    /// A master's first look had not ended when its last one began.
    #[error("the looks at the {role} overlap: they may both be of one instant")]
    NoLength {
        /// Which one.
        role: Role,
    },
    /// A master was looked at in vain, or seen to exit, between two looks that found it holding.
    #[error("the {role} was not seen holding at #{}, between two looks that found it holding", .at.0)]
    Interrupted {
        /// Which one.
        role: Role,
        /// Where.
        at: Seq,
    },
    /// The master called exec with a lock that nothing names.
    #[error("the master called exec and its lock bears no mark: it may have let go of it and taken it again")]
    ExecUnmarked,
    /// No new worker was seen at the close.
    #[error("no new worker of the master was seen holding the lock at the close{}", because(.0.as_ref()))]
    NoNewWorker(Option<String>),
    /// The two masters were never proven to hold at once.
    #[error("no overlap was seen: the old master was not seen holding after the new one was")]
    NoOverlap,
    /// The window was not closed by a look at the master in charge, or not opened by one.
    #[error("the {role} was not seen at the {end} of the window{}", because(.reason.as_ref()))]
    EndOpen {
        /// Which one.
        role: Role,
        /// Which end.
        end: &'static str,
        /// What was found instead, if it was looked at.
        reason: Option<String>,
    },
}

fn because(reason: Option<&String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}
