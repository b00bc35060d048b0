//! How a service stands on a host: what its agent said when it was asked.

use std::time::Duration;

use baton_proto::claim::Claim;
use baton_proto::custody::Process;

use crate::step::Step;

/// Whether somebody holds a service's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// The master does, and the waiter is armed.
    Held,
    /// Somebody does, but no master that could be handed over.
    Orphaned,
    /// Nobody known does.
    Free,
}

impl Custody {
    /// The state in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Orphaned => "orphaned",
            Self::Free => "free",
        }
    }
}

/// One thing that is amiss about a lock and its holders, as the agent found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing, in one word.
    pub kind: String,
    /// What it is, what it means and what to do.
    pub sentence: String,
    /// The processes that it is about.
    pub pids: Vec<u32>,
    /// Whether the agent begins no handover while it is so.
    pub refuses: bool,
}

/// What is left of a generation that was told to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lingering {
    /// Its number.
    pub generation: u64,
    /// For how long its drain has been over, where that can be told.
    pub lingers_for: Option<Duration>,
    /// What is left of it.
    pub pids: Vec<u32>,
}

/// One service on one host, as its agent described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The service.
    pub service: String,
    /// How it is reloaded.
    pub dialect: String,
    /// Whether somebody holds the lock.
    pub custody: Custody,
    /// What is wrong, as a sentence; empty when all is well.
    pub trouble: String,
    /// The current generation.
    pub generation: u64,
    /// The release that it runs; empty where that is not known.
    pub release: String,
    /// Its master, when one is known to hold the lock.
    pub master: Option<Process>,
    /// How many drops were seen so far.
    pub epoch: u64,
    /// For how long the master has been seen holding, where that can be told.
    pub held_for: Option<Duration>,
    /// The step of the handover under way.
    pub step: Option<Step>,
    /// The highest fence that was granted with a claim.
    pub fence: u64,
    /// The claim that stands.
    pub claim: Option<Claim>,
    /// The longest that a handover may take there; zero where the agent does not say.
    pub handover_within: Duration,
    /// How many processes were found holding the lock.
    pub holders: u32,
    /// All that is amiss, the gravest first.
    pub findings: Vec<Finding>,
    /// The generations that were told to leave and are not gone yet, the oldest first.
    pub lingering: Vec<Lingering>,
    /// The boot of the host.
    pub boot: String,
    /// The run of the agent.
    pub incarnation: String,
}

impl Standing {
    /// Why a reload of this service would be refused now; none when nothing speaks against it.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        if let Some(step) = self.step {
            return Some(format!("a handover is under way ({})", step.phrase()));
        }
        if self.is_held() && self.master.is_some() {
            return self.findings.iter().find(|finding| finding.refuses).map(|finding| finding.sentence.clone());
        }
        Some(self.lapse())
    }

    /// Who else has claimed this service, as a sentence; none when nobody has, or this rollout itself.
    #[must_use]
    pub fn claimed_by_another(&self, rollout: &str) -> Option<String> {
        self.claim.as_ref().filter(|claim| claim.rollout != rollout).map(Claim::sentence)
    }

    /// The number of the generation, and its release where that is known.
    #[must_use]
    pub fn named_generation(&self) -> String {
        if self.release.is_empty() { self.generation.to_string() } else { format!("{} ({})", self.generation, self.release) }
    }

    /// Whether the master holds the lock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.custody == Custody::Held
    }

    /// The sentence for a lock that no master is known to hold.
    #[must_use]
    pub fn lapse(&self) -> String {
        let what = match self.custody {
            Custody::Held | Custody::Free => "the lock is not held",
            Custody::Orphaned => "the lock is held, but not by a master",
        };
        if self.trouble.is_empty() { what.to_owned() } else { format!("{what}: {}", self.trouble) }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Custody, Standing};
    use baton_proto::custody::Process;

    /// A service in the best of health.
    pub(crate) fn healthy() -> Standing {
        Standing {
            service: "web".into(),
            dialect: "unicorn".into(),
            custody: Custody::Held,
            trouble: String::new(),
            generation: 3,
            release: String::new(),
            master: Some(Process { pid: 100, start_ticks: 5_000 }),
            epoch: 2,
            held_for: Some(std::time::Duration::from_secs(3_700)),
            step: None,
            fence: 7,
            claim: None,
            handover_within: std::time::Duration::from_secs(213),
            holders: 3,
            findings: Vec::new(),
            lingering: Vec::new(),
            boot: "boot-1".into(),
            incarnation: "run-1".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_proto::claim::Claim;
    use baton_proto::step::Step;

    use super::{Custody, Finding, Standing, samples::healthy};

    #[test]
    fn a_claim_is_told_to_everybody_but_its_own_rollout() {
        let claim = Claim {
            rollout: "r-1".into(),
            operator: "ada".into(),
            reason: "deploy v42".into(),
            age: Duration::from_secs(12),
            since: None,
            lease_left: Duration::from_secs(7),
            fence: 8,
        };
        let claimed = Standing { claim: Some(claim), ..healthy() };
        assert_eq!((healthy().claimed_by_another("r-2"), claimed.claimed_by_another("r-1")), (None, None));
        let sentence = "rollout r-1 of ada has claimed it 12 s ago (deploy v42)";
        assert_eq!(claimed.claimed_by_another("r-2").as_deref(), Some(sentence));
    }

    #[test]
    fn only_a_held_and_quiet_service_can_be_reloaded() {
        assert_eq!(healthy().objection(), None);
        let busy = Standing { step: Some(Step::Ready.into()), ..healthy() };
        assert_eq!(busy.objection().as_deref(), Some("a handover is under way (step ready)"));
        let free = Standing { custody: Custody::Free, trouble: "no pid file".into(), ..healthy() };
        assert_eq!(free.objection().as_deref(), Some("the lock is not held: no pid file"));
        let orphaned = Standing { custody: Custody::Orphaned, trouble: "master 7 is gone".into(), ..healthy() };
        assert_eq!(orphaned.objection().as_deref(), Some("the lock is held, but not by a master: master 7 is gone"));
        let nobody = Standing { master: None, ..healthy() };
        assert_eq!(nobody.objection().as_deref(), Some("the lock is not held"));
        let finding = |refuses| Finding { kind: "helper".into(), sentence: "sleep (9) holds".into(), pids: vec![9], refuses };
        let found = |findings| Standing { findings, ..healthy() }.objection();
        assert_eq!(found(vec![finding(false)]), None);
        assert_eq!(found(vec![finding(false), finding(true)]).as_deref(), Some("sleep (9) holds"));
    }
}
