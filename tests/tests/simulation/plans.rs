//! The plans of a scenario, made by the real planner from what the simulated agents would answer.

use std::time::Duration;

use baton::inventory::Share;
use baton::plan::{About, Choices, Circumstances, LEVEL_MIN, Limits, Looked, Plan, Releases};
use baton_tests::dice::Dice;

use crate::agent::Agent;
use crate::scenario::{Kind, name};

/// A plan for the `number`th operator of a scenario.
pub(crate) fn plan(kind: Kind, number: usize, epochs: &[u64], dice: &mut Dice) -> Plan {
    let zones = dice.below(4);
    let mut looked = Vec::new();
    for (place, epoch) in epochs.iter().enumerate() {
        let is_chosen = number == 0 || place == 0 || dice.below(3) > 0;
        if is_chosen {
            let zone = (zones > 0).then(|| format!("z{}", dice.below(zones + 1)));
            looked.push(look(place, *epoch, zone.filter(|zone| zone != "z3")));
        }
    }
    let limits = limits(kind, looked.len(), dice);
    let choices = Choices { service: "web".into(), releases: Releases::Current, limits };
    Plan::new(choices, looked, Circumstances::default())
}

fn look(place: usize, epoch: u64, zone: Option<String>) -> Looked {
    let about = About { version: "0.0.0".into(), level: LEVEL_MIN, certificate_ends: None, clock: None };
    let (host, address) = (name(place), format!("web-{place}.internal:7646"));
    Looked { host, address, zone, standing: Ok(Agent::new(epoch).standing()), about: Some(about) }
}

fn limits(kind: Kind, hosts: usize, dice: &mut Dice) -> Limits {
    let mut count = |most: usize| usize::try_from(dice.below(u64::try_from(most).expect("it is small"))).expect("it is small");
    let plain = kind == Kind::Undisturbed || kind == Kind::Killed;
    let in_flight = 1 + count(6);
    let failures = if kind == Kind::Killed { hosts } else { count(4) };
    let of_zone = if count(2) == 0 || plain { None } else { Some(Share::Count(count(2))) };
    // What must be available leaves room for what may be in flight or fail, or not much.
    let room = if plain { in_flight + hosts / 5 } else { in_flight + count(3) };
    let floor = if count(2) == 0 && kind != Kind::Killed { hosts.saturating_sub(room) } else { 0 };
    let zone_floor = if plain || count(3) > 0 { 0 } else { 30 + 10 * count(4) };
    Limits {
        max_in_flight: Share::Count(in_flight),
        max_failures: Share::Count(failures),
        max_failures_per_zone: of_zone,
        min_available: Share::Count(floor),
        min_available_per_zone: Share::Percent(zone_floor),
        canaries: if count(3) == 0 { 1 + count(3) } else { 0 },
        soak: if count(2) == 0 { Some(Duration::from_secs(1 + u64::try_from(count(40)).expect("it is small"))) } else { None },
        by_zone: count(3) == 0,
        stop_after: if !plain && count(8) == 0 { Some(1 + count(hosts)) } else { None },
        host_deadline: None,
        deadline: if !plain && count(10) == 0 {
            Some(Duration::from_secs(10 + u64::try_from(count(60)).expect("it is small")))
        } else {
            None
        },
        leave_out_broken: false,
    }
}
