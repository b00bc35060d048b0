//! Plans.

use std::time::Duration;

use super::{objects, page};
use crate::inventory::Share;
use crate::plan::samples::{builder, plan};
use crate::report::Told;

#[test]
fn a_plan_says_who_is_left_out_or_refused_and_why() {
    let (good, bad) = (plan("+x+", 2, 1), builder("xc+").failures(1).plan());
    let told = [(0, Told::Planned { plan: &good, rollout: None }), (0, Told::Planned { plan: &bad, rollout: None })];
    insta::assert_snapshot!(page(&told), @r#"
|         Plan   web on 3 hosts, 2 at once; tolerates 1 failure; halts on the next, or on any doubt
|      Restart   web-1   generation 3, master 100
|    Leave out   web-2   connection refused
|      Restart   web-3   generation 3, master 100
|     Estimate   at most 3 min 33 s
|         Plan   web on 3 hosts, 1 at once; tolerates 1 failure; halts on the next, or on any doubt
|       Refuse   web-1   connection refused
|       Refuse   web-2   rollout r-9 of ada has claimed it 12 s ago (a hot fix)
|      Restart   web-3   generation 3, master 100
|     Estimate   at most 3 min 33 s
|    Objection   2 hosts are refused, and not left out
|         Halt   nothing would be touched
: hint: `baton status web-1` shows how it stands; `--leave-out-broken` restarts the others
: hint: `baton claims` shows who has what; a claim whose controller is dead ends by itself; `--leave-out-broken` restarts the others
"#);
    let objects = objects(&told[1..]);
    let objections = r#""objections":[{"objection":"broken","host":"web-1","sentence":"web-1 is broken already: connection refused","hint":"`baton status web-1` shows how it stands; `--leave-out-broken` restarts the others","exit_code":2},{"objection":"claimed","host":"web-2","sentence":"web-2: rollout r-9 of ada has claimed it 12 s ago (a hot fix)","hint":"`baton claims` shows who has what; a claim whose controller is dead ends by itself; `--leave-out-broken` restarts the others","exit_code":6}],"exit_code":6}"#;
    assert!(objects.trim_end().ends_with(objections), "{objects}");
}

#[test]
fn a_plan_shows_its_waves_its_limits_and_how_they_were_rounded() {
    let plan = builder("+++++x+").zones("a a b b a b -").canaries(1).by_zone().soak(30).leave_out();
    let plan = plan.usual(Duration::from_millis(9_700)).limits(|limits| {
        limits.max_in_flight = Share::Percent(30);
        limits.max_failures = Share::Percent(20);
        limits.max_failures_per_zone = Some(Share::Count(1));
        limits.min_available = Share::Percent(50);
        limits.min_available_per_zone = Share::Percent(30);
        limits.stop_after = Some(6);
        limits.deadline = Some(Duration::from_hours(4));
    });
    let plan = plan.plan();
    let told = [
        (0, Told::Planned { plan: &plan, rollout: None }),
        (0, Told::Planned { plan: &plan, rollout: Some("20261124-054100-3fa2") }),
    ];
    insta::assert_snapshot!(page(&told), @r#"
|         Plan   web on 7 hosts, 2 at once; tolerates 1 failure; halts on the next, or on any doubt
|        Limit   30% of 7 hosts, rounded down: 2 at once
|        Limit   20% of 7 hosts, rounded down: 1 failure tolerated
|        Limit   50% of 7 hosts, rounded up: 4 stay available
|        Limit   failures tolerated: 1 in zone a and 1 in zone b
|        Limit   30% of each zone, rounded up: these stay available: 1 in zone a and 1 in zone b
|        Limit   stops after 6 hosts
|        Limit   nothing new starts after 4 h
|         Wave   1 of 4: the canary web-1, then a soak of 30 s
|      Restart   web-1   generation 3, master 100
|         Wave   2 of 4: zone a, 2 hosts, then a soak of 1 min
|      Restart   web-2   generation 3, master 100
|      Restart   web-5   generation 3, master 100
|         Wave   3 of 4: zone b, 3 hosts, then a soak of 30 s
|      Restart   web-3   generation 3, master 100
|      Restart   web-4   generation 3, master 100
|    Leave out   web-6   connection refused
|         Wave   4 of 4: no zone, 1 host, then a soak of 30 s
|      Restart   web-7   generation 3, master 100
|     Estimate   usually 3 min 18 s, at most 20 min 15 s
|         Plan   web on 7 hosts, 2 at once; tolerates 1 failure; halts on the next, or on any doubt; rollout 20261124-054100-3fa2
|        Order   web-1, web-2, web-5, web-3, web-4 and web-7; 1 left out
|        Waves   the canary web-1, then a soak of 30 s; zone a, 2 hosts, then a soak of 1 min; zone b, 3 hosts, then a soak of 30 s; no zone, 1 host, then a soak of 30 s
"#);
    let waves = r#""waves":[{"wave":"canaries","zone":null,"hosts":["web-1"],"then":"soak","soak_ms":30000},{"wave":"zone","zone":"a","hosts":["web-2","web-5"],"then":"soak","soak_ms":60000},"#;
    assert!(objects(&told[..1]).contains(waves), "{}", objects(&told[..1]));
}

#[test]
fn a_plan_for_ten_thousand_hosts_can_be_read() {
    let hosts: String = (1..=10_000).map(|number| if number % 100 == 0 { 'x' } else { '+' }).collect();
    let plan = builder(&hosts).canaries(10).leave_out().limits(|limits| limits.max_in_flight = Share::Percent(1)).plan();
    let told = page(&[(0, Told::Planned { plan: &plan, rollout: None })]);
    assert!(told.lines().count() < 80 && told.lines().all(|line| line.len() < 300), "{told}");
    insta::assert_snapshot!(told.lines().take(7).collect::<Vec<_>>().join("\n"), @r#"
|         Plan   web on 10000 hosts, 100 at once; halts on the first failure or doubt
|        Limit   1% of 10000 hosts, rounded down: 100 at once
|         Wave   1 of 2: 10 canaries, then a person says when to go on
|      Restart   web-1 to web-10 (10 hosts)
|         Wave   2 of 2: the other 9990 hosts
|      Restart   web-11 to web-99, web-101 to web-199, web-201 to web-299, web-301 to web-399, web-401 to web-499, web-501 to web-599, web-601 to web-699, web-701 to web-799, web-801 to web-899, web-901 to web-999 and 90 more (9890 hosts)
|    Leave out   web-100   connection refused
"#);
}

#[test]
fn where_nothing_is_restarted_no_order_is_told() {
    let plan = builder("xx").plan();
    insta::assert_snapshot!(page(&[(0, Told::Planned { plan: &plan, rollout: Some("20261124-054100-3fa2") })]), @r#"
|         Plan   web on 2 hosts, 1 at once; halts on the first failure or doubt; rollout 20261124-054100-3fa2
"#);
}

#[test]
fn a_plan_warns_of_a_deadline_that_is_shorter_than_a_handover_may_take() {
    let plan = builder("++").limits(|limits| limits.host_deadline = Some(Duration::from_mins(1))).plan();
    let rollout = Some("20261124-054100-3fa2");
    let told = [(0, Told::Planned { plan: &plan, rollout }), (0, Told::Planned { plan: &plan, rollout: None })];
    insta::assert_snapshot!(page(&told), @r#"
|         Plan   web on 2 hosts, 1 at once; halts on the first failure or doubt; rollout 20261124-054100-3fa2
|        Order   web-1 and web-2
|      Warning   by its configuration a handover may take 3 min 33 s (web-1 and web-2); a host is given up as unknown after 1 min
|         Plan   web on 2 hosts, 1 at once; halts on the first failure or doubt
|        Limit   a host may take 1 min
|      Restart   web-1   generation 3, master 100
|      Restart   web-2   generation 3, master 100
|     Estimate   at most 2 min
|      Warning   by its configuration a handover may take 3 min 33 s (web-1 and web-2); a host is given up as unknown after 1 min
: hint: a longer `--host-deadline` gives them the time
"#);
    let json: serde_json::Value = serde_json::from_str(&objects(&told[..1])).unwrap();
    assert_eq!((&json["host_deadline_ms"], &json["cut_short"]), (&60_000.into(), &["web-1", "web-2"].as_slice().into()));
}
