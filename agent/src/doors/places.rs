//! How many connections a door lets in.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places behind one door: those for open connections, and those of them for handshakes.
#[derive(Debug, Clone)]
pub struct Places {
    door: &'static str,
    open: Arc<Semaphore>,
    open_max: usize,
    handshakes: Arc<Semaphore>,
    handshakes_max: usize,
    is_full: bool,
}

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Places {
    /// The places behind the door of that name.
    pub(super) fn new(door: &'static str, open_max: usize, handshakes_max: usize) -> Self {
        let (open, handshakes) = (Arc::new(Semaphore::new(open_max)), Arc::new(Semaphore::new(handshakes_max)));
        Self { door, open, open_max, handshakes, handshakes_max, is_full: false }
    }

    /// How many connections are open.
    pub fn taken(&self) -> usize {
        self.open_max - self.open.available_permits()
    }

    /// Gives out a place to be open and one to shake hands, unless there is none. Running full is told once, and again
    /// only after half of the places were free.
    pub(super) fn take(&mut self) -> Option<(Place, Place)> {
        let open = Arc::clone(&self.open).try_acquire_owned();
        let handshake = Arc::clone(&self.handshakes).try_acquire_owned();
        if let (Ok(open), Ok(handshake)) = (open, handshake) {
            let has_room = self.taken() <= self.open_max / 2 && self.handshakes.available_permits() >= self.handshakes_max / 2;
            self.is_full &= !has_room;
            return Some((Place(open), Place(handshake)));
        }
        if !self.is_full {
            self.is_full = true;
            let handshakes = self.handshakes_max - self.handshakes.available_permits();
            tracing::warn!(door = self.door, open = self.taken(), handshakes, "too many connections; further ones are closed");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn there_are_as_many_places_as_there_are() {
        let mut places = Places::new("tcp", 3, 2);
        let first = places.take().expect("three are free");
        let second = places.take().expect("two are free");
        assert!(places.take().is_none(), "no third handshake");
        assert_eq!(places.taken(), 2);
        drop(first.1);
        let third = places.take().expect("the first shook hands");
        drop(second.1);
        assert!(places.take().is_none(), "no fourth connection");
        drop((first.0, second.0, third));
        assert_eq!(places.taken(), 0);
        assert!(places.take().is_some());
        assert!(!places.is_full);
    }
}
