//! The handshakes under way, of which there is a limited number: when it is reached, the oldest makes room for the next.
//!
//! Whoever is refused comes again at once; were the newcomer refused, a crowd that says nothing would keep everybody out. So each has
//! a moment that nobody takes from it, and after that stays only while there is room. Until there is, newcomers wait in the kernel's
//! queue, where the first to come is the first to be let in.
//!
//! **Invariant:** this module never reads the clock.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinSet};

/// The moment that each has: enough for a client on the other side of the world.
const MOMENT: Duration = Duration::from_millis(500);

/// The handshakes under way.
#[derive(Debug)]
pub(super) struct Handshakes<T> {
    max: usize,
    tasks: JoinSet<T>,
    /// In the order in which they began.
    under_way: VecDeque<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    task: AbortHandle,
    began: Duration,
}

impl<T: Send + 'static> Handshakes<T> {
    /// None yet, and never more than `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { max, tasks: JoinSet::new(), under_way: VecDeque::new() }
    }

    /// How long until there is room for another; none when there is.
    pub(super) fn is_full_for(&self, now: Duration) -> Option<Duration> {
        let oldest = self.under_way.front().filter(|_| self.under_way.len() >= self.max)?;
        let wait = oldest.began.saturating_add(MOMENT).saturating_sub(now);
        (wait > Duration::ZERO).then_some(wait)
    }

    /// Begins another, and says whether the oldest was ended for it.
    pub(super) fn begin(&mut self, now: Duration, handshake: impl Future<Output = T> + Send + 'static) -> bool {
        let is_one_too_many = self.under_way.len() >= self.max;
        if is_one_too_many && let Some(oldest) = self.under_way.pop_front() {
            oldest.task.abort();
        }
        let task = self.tasks.spawn(handshake);
        self.under_way.push_back(UnderWay { task, began: now });
        is_one_too_many
    }

    /// Waits until one has come to its end; none when none is under way. One that was ended to make room has no result.
    pub(super) async fn next(&mut self) -> Option<Result<T, JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        self.under_way.retain(|under_way| under_way.task.id() != id);
        Some(ended.map(|(_, result)| result))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::Handshakes;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[tokio::test]
    async fn when_all_have_had_their_moment_the_oldest_makes_room() {
        let mut handshakes = Handshakes::new(2);
        let never = || async { pending::<u8>().await };
        assert!(!handshakes.begin(at(0), never()));
        assert_eq!(handshakes.is_full_for(at(100)), None);
        assert!(!handshakes.begin(at(100), never()));
        assert_eq!(handshakes.is_full_for(at(200)), Some(at(300)));
        assert_eq!(handshakes.is_full_for(at(500)), None);
        assert!(handshakes.begin(at(500), async { 7 }), "the first is ended");
        assert_eq!(handshakes.is_full_for(at(500)), Some(at(100)), "the second is the oldest now");
        let results = [handshakes.next().await.unwrap(), handshakes.next().await.unwrap()];
        assert!(results.iter().any(|result| matches!(result, Ok(7))), "{results:?}");
        assert!(results.iter().any(|result| matches!(result, Err(error) if error.is_cancelled())), "{results:?}");
        assert_eq!((handshakes.under_way.len(), handshakes.is_full_for(at(500))), (1, None));
    }
}
