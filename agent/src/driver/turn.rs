//! Whose turn it is: how many handovers may be under way on this host at once, over all services.
//!
//! **Invariant:** a turn ends with the handover that has it, however that ends.

use std::sync::Arc;

use baton_proto::step::Step;
use tokio::sync::watch;

/// The turns of one agent, shared by all drivers.
#[derive(Debug, Clone)]
pub struct Turns {
    taken: Arc<watch::Sender<Vec<Taken>>>,
    most: usize,
}

/// A handover under way, of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    service: String,
    step: Step,
}

/// The right to hand a service over, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    taken: Arc<watch::Sender<Vec<Taken>>>,
    service: String,
}

impl Turns {
    /// So many at once.
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::new(watch::Sender::new(Vec::new())), most }
    }

    /// Takes a turn for a service.
    ///
    /// # Errors
    /// When all are taken: by whom, as a sentence.
    pub(super) fn take(&self, service: &str) -> Result<Turn, String> {
        let is_free = |taken: &mut Vec<Taken>| {
            let is_free = taken.len() < self.most;
            if is_free {
                taken.push(Taken::new(service));
            }
            is_free
        };
        if self.taken.send_if_modified(is_free) { Ok(self.turn(service)) } else { Err(self.told()) }
    }

    /// Takes a turn for a handover that an earlier run of the agent had begun: it goes on, however many do.
    pub(super) fn resume(&self, service: &str) -> Turn {
        self.taken.send_modify(|taken| taken.push(Taken::new(service)));
        self.turn(service)
    }

    fn turn(&self, service: &str) -> Turn {
        Turn { taken: Arc::clone(&self.taken), service: service.to_owned() }
    }

    fn told(&self) -> String {
        let others: Vec<String> =
            self.taken.borrow().iter().map(|Taken { service, step }| format!("{service} (step {step})")).collect();
        let limit = if self.most == 1 { "one at a time".to_owned() } else { format!("{} at once", self.most) };
        format!(
            "another service is being handed over on this host: {}; it is {limit} there ([agent] handovers): wait until it is over",
            others.join(", ")
        )
    }
}

impl Taken {
    fn new(service: &str) -> Self {
        Self { service: service.to_owned(), step: Step::Open }
    }
}

impl Turn {
    /// Says how far the handover is.
    pub(super) fn note(&self, step: Step) {
        self.taken.send_modify(|taken| {
            if let Some(own) = taken.iter_mut().find(|taken| taken.service == self.service) {
                own.step = step;
            }
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.taken.send_modify(|taken| {
            if let Some(own) = taken.iter().position(|taken| taken.service == self.service) {
                taken.remove(own);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use baton_proto::step::Step;

    use super::Turns;

    #[test]
    fn a_turn_is_had_until_it_is_dropped_and_whoever_must_wait_is_told_for_whom() {
        let turns = Turns::new(1);
        let api = turns.clone().take("api").expect("it is free");
        api.note(Step::Drain);
        assert_eq!(
            turns.take("web").expect_err("it is taken"),
            "another service is being handed over on this host: api (step drain); it is one at a time there ([agent] handovers): wait until it is over"
        );
        drop(api);
        assert!(turns.take("web").is_ok());
    }

    #[test]
    fn one_that_is_resumed_goes_on_and_counts() {
        let turns = Turns::new(2);
        let resumed = [turns.resume("api"), turns.resume("jobs"), turns.resume("web")];
        let told = turns.take("more").expect_err("all are taken");
        assert!(told.contains("api (step open), jobs (step open), web (step open); it is 2 at once there"), "{told}");
        drop(resumed);
        let two = [turns.take("api"), turns.take("web")];
        assert!(two.iter().all(Result::is_ok) && turns.take("more").is_err());
    }
}
