//! How a service stands on a host: what its agent said when it was asked.

use std::time::Duration;

use baton_proto::custody::Process;

use crate::step::Step;

/// One service on one host, as its agent described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The service.
    pub service: String,
    /// How it is reloaded.
    pub dialect: String,
    /// Whether the master was seen holding the lock and the waiter is armed.
    pub held: bool,
    /// What is wrong, as a sentence; empty when all is well.
    pub trouble: String,
    /// The current generation.
    pub generation: u64,
    /// Its master, when one is known to hold the lock.
    pub master: Option<Process>,
    /// How many drops were seen so far.
    pub epoch: u64,
    /// For how long the master has been seen holding, where that can be told.
    pub held_for: Option<Duration>,
    /// The step of the handover under way.
    pub step: Option<Step>,
    /// The highest fence that a reload carried.
    pub fence: u64,
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
            return Some(format!("a handover is under way (step {step})"));
        }
        if self.held && self.master.is_some() {
            return None;
        }
        let trouble = if self.trouble.is_empty() { "no master holds it" } else { &self.trouble };
        Some(format!("the lock is not held: {trouble}"))
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::Standing;
    use baton_proto::custody::Process;

    /// A service in the best of health.
    pub(crate) fn healthy() -> Standing {
        Standing {
            service: "web".into(),
            dialect: "unicorn".into(),
            held: true,
            trouble: String::new(),
            generation: 3,
            master: Some(Process { pid: 100, start_ticks: 5_000 }),
            epoch: 2,
            held_for: Some(std::time::Duration::from_secs(3_700)),
            step: None,
            fence: 7,
            boot: "boot-1".into(),
            incarnation: "run-1".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing, samples::healthy};
    use crate::step::Step;

    #[test]
    fn only_a_held_and_quiet_service_can_be_reloaded() {
        assert_eq!(healthy().objection(), None);
        let busy = Standing { step: Some(Step::Ready), ..healthy() };
        assert_eq!(busy.objection().as_deref(), Some("a handover is under way (step ready)"));
        let free = Standing { held: false, trouble: "no pid file".into(), ..healthy() };
        assert_eq!(free.objection().as_deref(), Some("the lock is not held: no pid file"));
        let nobody = Standing { master: None, ..healthy() };
        assert_eq!(nobody.objection().as_deref(), Some("the lock is not held: no master holds it"));
    }
}
