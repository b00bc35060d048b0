//! What befell a service, as its driver keeps it: bounded, and completed when more is learnt.
//!
//! ```text
//! drop ──────────┐                       ┌── how the last master ended, once its parent has buried it
//!                ├─▶ noted, still open ──┤
//! not watched ───┘                       └── who was found holding next
//! ```
//!
//! **Invariant:** what was filled in is never changed. Who came next is told of the newest happening only.

use baton_proto::custody::{Ended, Found, Happening, History, Process, What};

/// How many happenings are kept.
pub const HAPPENINGS_MAX: usize = 64;

/// Notes what happened; of too many the oldest is forgotten, and that is counted.
pub fn note(history: &mut History, happening: Happening) {
    if let What::Drop(drop) = &happening.what {
        history.epoch = drop.epoch;
    }
    history.happenings.push(happening);
    let excess = history.happenings.len().saturating_sub(HAPPENINGS_MAX);
    history.happenings.drain(..excess);
    history.forgotten = history.forgotten.saturating_add(excess as u64);
}

/// A master was found holding: that completes the newest happening, unless it is complete.
pub fn found(history: &mut History, found: Found) {
    if let Some(newest) = history.happenings.last_mut() {
        newest.found_mut().get_or_insert(found);
    }
}

/// The kernel tells how a master ended. Whether that was still to be told of the last drop before which it was the master.
pub fn ended(history: &mut History, master: Process, how: Ended) -> bool {
    let drops = history.happenings.iter_mut().rev().filter_map(|happening| match &mut happening.what {
        What::Drop(drop) => Some(drop),
        What::Unwatched(_) => None,
    });
    match drops.into_iter().find(|drop| drop.last == Some(master)) {
        Some(drop) if drop.ended.is_none() => {
            drop.ended = Some(how);
            true
        }
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_proto::custody::{Drop, Ended, FileIdentity, Found, Happening, History, Moment, Process, Seq, Unwatched, What};

    use super::{HAPPENINGS_MAX, ended, found, note};

    const MASTER: Process = Process { pid: 100, start_ticks: 5 };

    fn moment(seconds: u64) -> Moment {
        Moment { at: Duration::from_secs(seconds), boot: "boot-1".into(), wall: Duration::from_secs(seconds) }
    }

    fn drop(epoch: u64) -> Happening {
        let drop = Drop {
            seq: Seq(epoch),
            epoch,
            file: FileIdentity { device: 1, inode: 2, born: 3 },
            last: Some(MASTER),
            held_since: None,
            ended: None,
            handover: None,
            found: None,
        };
        Happening { at: moment(epoch), what: What::Drop(drop) }
    }

    fn unwatched() -> Happening {
        Happening { at: moment(50), what: What::Unwatched(Unwatched { from: None, last: MASTER, found: None }) }
    }

    fn epochs(history: &History) -> Vec<u64> {
        let epoch = |happening: &Happening| match &happening.what {
            What::Drop(drop) => drop.epoch,
            What::Unwatched(_) => 0,
        };
        history.happenings.iter().map(epoch).collect()
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten_and_counted() {
        let mut history = History::default();
        let kept = HAPPENINGS_MAX as u64;
        for epoch in 1..=kept {
            note(&mut history, drop(epoch));
        }
        assert_eq!((history.forgotten, epochs(&history)), (0, (1..=kept).collect()));
        for epoch in kept + 1..=kept + 3 {
            note(&mut history, drop(epoch));
        }
        assert_eq!((history.forgotten, history.epoch), (3, kept + 3));
        assert_eq!(epochs(&history), (4..=kept + 3).collect::<Vec<_>>());
    }

    #[test]
    fn the_newest_is_completed_once() {
        let mut history = History::default();
        let next = |seconds| Found { master: MASTER, at: moment(seconds) };
        found(&mut history, next(1));
        assert!(!ended(&mut history, MASTER, Ended::Killed(9)));
        assert_eq!(history, History::default());
        note(&mut history, drop(1));
        note(&mut history, drop(2));
        assert!(!ended(&mut history, Process { pid: 101, start_ticks: 5 }, Ended::Exited(0)));
        assert!(ended(&mut history, MASTER, Ended::Killed(9)) && !ended(&mut history, MASTER, Ended::Exited(0)));
        found(&mut history, next(3));
        found(&mut history, next(4));
        let told = |place: usize| match &history.happenings[place].what {
            What::Drop(drop) => (drop.ended, drop.found.clone()),
            What::Unwatched(_) => panic!("it is a drop"),
        };
        assert_eq!(told(0), (None, None));
        assert_eq!(told(1), (Some(Ended::Killed(9)), Some(next(3))));
    }

    #[test]
    fn a_time_that_nobody_watched_raises_no_epoch_and_leaves_the_drop_before_it_to_be_completed() {
        let mut history = History::default();
        note(&mut history, drop(7));
        note(&mut history, unwatched());
        assert_eq!(history.epoch, 7);
        assert!(ended(&mut history, MASTER, Ended::Exited(0)));
        let next = Found { master: MASTER, at: moment(51) };
        found(&mut history, next.clone());
        assert_eq!((history.happenings[0].found(), history.happenings[1].found()), (None, Some(&next)));
    }
}
