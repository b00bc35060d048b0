//! The laws of claims, written a second time: whatever is asked, in whatever order, and whenever.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_proto::custody::Moment;
use proptest::prelude::{Strategy, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Claimant, Claims, Kept, LEASE};

const ROLLOUTS: u8 = 3;
const SESSIONS: u8 = 2;

/// What can happen to the claims on a service.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Opens { rollout: u8, session: u8 },
    Renews { fence: u64 },
    Releases { fence: u64 },
    CannotWrite { fence: u64 },
    Passes { milliseconds: u64 },
    Dies,
}

fn happening() -> impl Strategy<Value = Happening> {
    let fence = 0_u64..12;
    prop_oneof![
        3 => (0..ROLLOUTS, 0..SESSIONS).prop_map(|(rollout, session)| Happening::Opens { rollout, session }),
        2 => fence.clone().prop_map(|fence| Happening::Renews { fence }),
        1 => fence.clone().prop_map(|fence| Happening::Releases { fence }),
        1 => fence.prop_map(|fence| Happening::CannotWrite { fence }),
        3 => (0_u64..15_000).prop_map(|milliseconds| Happening::Passes { milliseconds }),
        1 => prop::strategy::Just(Happening::Dies),
    ]
}

/// What somebody who only listens knows: to whom each fence was granted, and until when it stands at the most.
#[derive(Default)]
struct Listener {
    granted: BTreeMap<u64, (u8, u8)>,
    until: BTreeMap<u64, Duration>,
}

fn moment(at: Duration) -> Moment {
    Moment { at, boot: "boot-1".into(), wall: at }
}

proptest! {
    #[test]
    fn whatever_happens_the_laws_of_claims_hold(happenings in prop::collection::vec(happening(), 1..80)) {
        let mut claims = Claims::restored(Kept::default(), Duration::ZERO);
        let mut listener = Listener::default();
        let mut now = Duration::from_secs(1);
        for happening in happenings {
            let before = claims.fence();
            let holder = listener.until.last_key_value().filter(|(_, until)| **until > now).map(|(fence, _)| *fence);
            match happening {
                Happening::Opens { rollout, session } => {
                    let claimant = Claimant {
                        rollout: format!("r-{rollout}"),
                        session: format!("s-{session}"),
                        operator: "ada".into(),
                        reason: String::new(),
                    };
                    let opened = claims.open(&moment(now), claimant, None);
                    // It is refused exactly when another rollout may be at it.
                    let other = holder.filter(|fence| listener.granted[fence].0 != rollout);
                    prop_assert_eq!(opened.is_err(), other.is_some());
                    if let Ok(opened) = opened {
                        let same = listener.granted.last_key_value().filter(|(_, of)| **of == (rollout, session));
                        let expected = same.map_or(before + 1, |(fence, _)| *fence);
                        prop_assert_eq!(opened.fence, expected, "a new key has a new fence, the last one keeps its own");
                        listener.granted.insert(opened.fence, (rollout, session));
                        listener.until.insert(opened.fence, now + LEASE);
                    }
                }
                Happening::Renews { fence } => {
                    let renewed = claims.renew(now, fence);
                    prop_assert_eq!(renewed.is_ok(), holder == Some(fence));
                    if renewed.is_ok() {
                        listener.until.insert(fence, now + LEASE);
                    }
                }
                Happening::Releases { fence } => {
                    let released = claims.release(now, fence);
                    prop_assert_eq!(released.is_ok(), holder == Some(fence));
                    if released.is_ok() {
                        listener.until.insert(fence, Duration::ZERO);
                    }
                }
                Happening::CannotWrite { fence } => {
                    claims.forgo(fence);
                    if let Some(until) = listener.until.get_mut(&fence).filter(|_| fence == before) {
                        *until = Duration::ZERO;
                    }
                }
                Happening::Passes { milliseconds } => now += Duration::from_millis(milliseconds),
                Happening::Dies => {
                    claims.expire(now);
                    claims = Claims::restored(claims.kept(), now);
                    if let Some(fence) = holder {
                        listener.until.insert(fence, now + LEASE);
                    }
                }
            }
            prop_assert!(claims.fence() >= before, "the fence only grows");
            let mut admitted = 0;
            for fence in 0..=claims.fence() + 1 {
                for rollout in 0..ROLLOUTS {
                    if claims.admit(&moment(now), &format!("r-{rollout}"), fence).is_ok() {
                        admitted += 1;
                        prop_assert_eq!(fence, claims.fence(), "a lower fence never reloads");
                        prop_assert_eq!(listener.granted[&fence].0, rollout);
                        prop_assert!(listener.until[&fence] > now, "after its lease it is free");
                    }
                }
            }
            prop_assert!(admitted <= 1, "never two holders");
        }
    }
}
