//! One connection: bytes that are passed on in both directions, as the weather allows.
//!
//! **Invariant:** bytes arrive in their order, or the connection is cut. What is under way when it is cut is lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_tests::dice::Dice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// How much is read at once at most.
const CHUNK_BYTES_MAX: usize = 16 << 10;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToAgent,
    ToController,
}

/// Until when each way is silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    pub(crate) to_agent: Instant,
    pub(crate) to_controller: Instant,
}

impl Silence {
    fn of(self, way: Way) -> Instant {
        match way {
            Way::ToAgent => self.to_agent,
            Way::ToController => self.to_controller,
        }
    }
}

/// How one connection behaves.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// After how many bytes, both ways together, it is cut.
    pub(crate) cut_after: Option<u64>,
    /// How long a chunk takes at most.
    pub(crate) delay_max: Duration,
    pub(crate) dice: Dice,
}

/// Passes bytes on until either end is gone, or one of `cuts` changes.
pub(crate) async fn pass(
    controller: DuplexStream,
    agent: DuplexStream,
    manner: Manner,
    silence: watch::Receiver<Silence>,
    mut cuts: [watch::Receiver<u64>; 2],
) {
    let (from_controller, to_controller) = split(controller);
    let (from_agent, to_agent) = split(agent);
    let [one, other] = &mut cuts;
    let left = Arc::new(Mutex::new(manner.cut_after));
    let mut dice = manner.dice;
    let mut pump = |way| Pump {
        way,
        left: Arc::clone(&left),
        delay_max: manner.delay_max,
        dice: Dice::new(dice.next_number()),
        silence: silence.clone(),
    };
    let (forth, back) = (pump(Way::ToAgent), pump(Way::ToController));
    tokio::select! {
        biased;
        _ = one.changed() => {}
        _ = other.changed() => {}
        () = forth.run(from_controller, to_agent) => {}
        () = back.run(from_agent, to_controller) => {}
    }
}

struct Pump {
    way: Way,
    left: Arc<Mutex<Option<u64>>>,
    delay_max: Duration,
    dice: Dice,
    silence: watch::Receiver<Silence>,
}

impl Pump {
    async fn run(mut self, mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
        let mut bytes = vec![0; CHUNK_BYTES_MAX];
        loop {
            let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
            self.travel().await;
            let allowed = self.allowed(count);
            if to.write_all(&bytes[..allowed]).await.is_err() || allowed < count {
                return;
            }
        }
    }

    /// The time that it takes, and that it is held up by silence.
    async fn travel(&mut self) {
        let longest = u64::try_from(self.delay_max.as_millis()).expect("it is short");
        if longest > 0 {
            sleep(Duration::from_millis(self.dice.below(longest + 1))).await;
        }
        loop {
            let until = self.silence.borrow_and_update().of(self.way);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// How many of so many bytes get through.
    fn allowed(&self, count: usize) -> usize {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = left.as_mut() else { return count };
        let allowed = usize::try_from(*left).unwrap_or(usize::MAX).min(count);
        *left -= u64::try_from(allowed).expect("it fits");
        allowed
    }
}
