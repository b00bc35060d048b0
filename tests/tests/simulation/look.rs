//! How a simulated service stands, in the words of the controller.

use std::time::Duration;

use baton::standing::{Custody, Standing};
use baton_proto::step::Step;

use crate::agent::Agent;

impl Agent {
    /// What the agent answers when it is asked how the service stands.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            service: "web".into(),
            dialect: "unicorn".into(),
            custody: if self.refuses { Custody::Free } else { Custody::Held },
            trouble: String::new(),
            generation: self.generation,
            release: String::new(),
            master: (!self.refuses).then_some(self.master),
            epoch: self.epoch,
            held_for: None,
            step: self.underway.map(|_| Step::Ready.into()),
            fence: self.fence,
            claim: None,
            handover_within: Duration::from_mins(3),
            holders: 3,
            findings: Vec::new(),
            lingering: Vec::new(),
            boot: self.boot_name(),
            incarnation: self.incarnation_name(),
        }
    }
}
