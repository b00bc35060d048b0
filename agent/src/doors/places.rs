//! How many connections may be open: at one door, or by one identity.

use std::collections::HashMap;
use std::sync::Arc;

use baton_proto::identity::Identity;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places that there are.
#[derive(Debug, Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    max: usize,
}

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Places {
    /// So many places, all of them free.
    pub(super) fn new(max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(max)), max }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.max - self.free.available_permits()
    }

    /// Gives out a place, unless there is none.
    pub(super) fn take(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok().map(Place)
    }
}

/// The same number of places for each identity, so that one certificate cannot take all that there are.
#[derive(Debug)]
pub(super) struct Shares {
    each: usize,
    of: HashMap<Identity, Places>,
}

impl Shares {
    /// So many places for each.
    pub(super) fn new(each: usize) -> Self {
        Self { each, of: HashMap::new() }
    }

    /// Gives out one of the identity's places, unless it has them all.
    pub(super) fn take(&mut self, identity: &Identity) -> Option<Place> {
        // What is kept is bounded by the connections that are open.
        self.of.retain(|_, places| places.taken() > 0);
        self.of.entry(identity.clone()).or_insert_with(|| Places::new(self.each)).take()
    }
}

#[cfg(test)]
mod tests {
    use baton_proto::identity::{Identity, Role};

    use super::{Places, Shares};

    #[test]
    fn there_are_as_many_places_as_there_are() {
        let places = Places::new(2);
        let first = places.take().expect("two are free");
        let second = places.take().expect("one is free");
        assert!(places.take().is_none(), "no third");
        assert_eq!(places.taken(), 2);
        drop(first);
        assert!(places.take().is_some());
        drop(second);
        assert_eq!(places.taken(), 0);
    }

    #[test]
    fn nobody_takes_the_share_of_another_and_nobody_is_remembered_for_ever() {
        let of = |name: &str| Identity { fleet: "prod".into(), role: Role::Operator, name: name.into() };
        let mut shares = Shares::new(2);
        let taken = [shares.take(&of("ada")), shares.take(&of("ada"))];
        assert!(taken.iter().all(Option::is_some));
        assert!(shares.take(&of("ada")).is_none(), "no third");
        let other = shares.take(&of("eve"));
        assert!(other.is_some());
        drop(taken);
        assert!(shares.take(&of("ada")).is_some());
        drop(other);
        drop(shares.take(&of("bob")));
        assert_eq!(shares.of.len(), 1);
    }
}
