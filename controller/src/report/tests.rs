//! What people and programs see, word for word.

use std::time::Duration;

use baton_proto::claim::Claim;
use baton_proto::custody::{
    self, Chronicle, Doubt, Ended, FileIdentity, Found, Happening, History, Moment, Seq, Unwatched, What,
};
use baton_proto::step::Step;
use tokio::time::Instant;

use super::contacts::Contacts;
use super::human::{self, Look};
use super::{Format, Report, Told, json, status_exit};
use crate::inventory::{Host, HostName, Share, samples::host};
use crate::outcome::samples::{NEW, OLD, handed_over, proven, rolled_back};
use crate::outcome::{DropSeen, Exit, Outcome, Unproven};
use crate::plan::samples::{builder, plan};
use crate::record::Record;
use crate::rollout::{Awaited, Stop, Summary};
use crate::standing::samples::healthy;
use crate::standing::{Custody, Finding, Lingering, Standing};

fn name(number: usize) -> HostName {
    HostName::parse(&format!("web-{number}")).unwrap()
}

/// Everything told, as one page: stdout after `|`, stderr after `:`.
fn page(told: &[(u64, Told<'_>)]) -> String {
    let mut page = String::new();
    for (tenths, told) in told {
        let look = Look { at: Duration::from_millis(tenths * 100), host_width: 5, painted: false };
        let text = human::render(told, &look);
        for (sign, text) in [("|", &text.result), (":", &text.progress)] {
            for line in text.lines() {
                page.push_str(format!("{sign} {line}").trim_end());
                page.push('\n');
            }
        }
    }
    page
}

fn objects(told: &[(u64, Told<'_>)]) -> String {
    told.iter().map(|(tenths, told)| json::render(told, Duration::from_millis(tenths * 100))).collect()
}

fn outcomes() -> [Outcome; 6] {
    [
        proven(),
        rolled_back(),
        Outcome::Refused("cannot connect to 10.0.0.13:7646: connection refused".into()),
        Outcome::Unproven(Unproven::Doubt(Doubt::NoOverlap)),
        Outcome::Dropped(DropSeen::InWindow(baton_proto::custody::Seq(57))),
        Outcome::Unknown("its guard was lost: connection reset".into()),
    ]
}

fn halted() -> Summary {
    let hosts = vec![
        (name(1), Some(proven())),
        (name(2), Some(Outcome::Dropped(DropSeen::Guarded))),
        (name(3), Some(proven())),
        (name(4), None),
        (name(5), None),
    ];
    Summary { hosts, stop: Some(Stop::Doubt(name(2))) }
}

fn interrupted() -> Summary {
    let hosts = vec![(name(1), Some(proven())), (name(2), None), (name(3), None)];
    Summary { hosts, stop: Some(Stop::Interrupted) }
}

fn refused() -> Summary {
    let hosts = vec![(name(1), None), (name(2), Some(Outcome::Refused("connection refused".into())))];
    Summary { hosts, stop: Some(Stop::PastBudget { host: name(2), max: 0, zone: None }) }
}

fn finished(summary: &Summary) -> Told<'_> {
    Told::Finished { service: "web", rollout: "20261124-054100-3fa2", summary }
}

#[test]
fn a_rollout_reads_like_a_story() {
    let plan = plan("+++++", 2, 0);
    let (one, two, three) = (name(1), name(2), name(3));
    let (outcome, kept, summary) = (Outcome::Dropped(DropSeen::Guarded), proven(), halted());
    let both = Awaited { in_flight: vec![one.clone(), two.clone()], ..Awaited::default() };
    let third = Awaited { in_flight: vec![three.clone()], ..Awaited::default() };
    let stop = Stop::Doubt(two.clone());
    let story = [
        (0, Told::Planned { plan: &plan, rollout: Some("20261124-054100-3fa2") }),
        (0, Told::Started { host: &one }),
        (1, Told::Step { host: &one, step: Step::Signal.into(), detail: "SIGUSR2 to the old master 100" }),
        (2, Told::Retrying { host: &one, cause: "the connection to 10.0.0.11:7646 was lost" }),
        (30, Told::Waiting { awaited: &both }),
        (42, Told::Outcome { host: &one, outcome: &kept }),
        (61, Told::Outcome { host: &two, outcome: &outcome }),
        (61, Told::Stopping { stop: &stop, awaited: &third }),
        (70, Told::Regained { host: &one }),
        (80, Told::Outcome { host: &three, outcome: &kept }),
        (80, finished(&summary)),
    ];
    insta::assert_snapshot!(page(&story), @r#"
|         Plan   web on 5 hosts, 2 at once; halts on the first failure or doubt; rollout 20261124-054100-3fa2
|        Order   web-1, web-2, web-3, web-4 and web-5
:         Step [   0.1s]   web-1   signal: SIGUSR2 to the old master 100
:     Retrying [   0.2s]   web-1   the connection to 10.0.0.11:7646 was lost
:      Waiting [   3.0s]   web-1   for its handover
:      Waiting [   3.0s]   web-2   for its handover
|         Kept [   4.2s]   web-1   100 -> 200   overlap 212 ms, marked
|      Dropped [   6.1s]   web-2   the lock was free after the handover had ended
:      Halting   nothing new starts, because of web-2; waiting for web-3
:     Regained [   7.0s]   web-1   its guard stands again, with no drop seen meanwhile
|         Kept [   8.0s]   web-3   100 -> 200   overlap 212 ms, marked
|       Halted [   8.0s]   2 of 5 proven; web-2 dropped; web-4 and web-5 untouched
:
: error: web-2 dropped its lock: the lock was free after the handover had ended
: hint: `baton testimony web-2 web` shows what its agent saw
: hint: once that is mended, `baton restart web web-4,web-5` restarts the hosts that were not touched
"#);
    insta::assert_snapshot!(objects(&story), @r#"
{"event":"plan","rollout":"20261124-054100-3fa2","service":"web","release":null,"max_in_flight":2,"max_failures":0,"host_deadline_ms":600000,"cut_short":[],"hosts":[{"host":"web-1","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-1.internal:7646","to_release":null},{"host":"web-2","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-2.internal:7646","to_release":null},{"host":"web-3","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-3.internal:7646","to_release":null},{"host":"web-4","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-4.internal:7646","to_release":null},{"host":"web-5","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-5.internal:7646","to_release":null}],"waves":[{"wave":"rest","zone":null,"hosts":["web-1","web-2","web-3","web-4","web-5"],"then":"go_on","soak_ms":null}],"min_available":0,"zones":{},"stop_after":null,"deadline_ms":null,"leave_out_broken":true,"asked":{"max_in_flight":"2","max_failures":"0","max_failures_per_zone":null,"min_available":"0","min_available_per_zone":"0","canary":0,"soak_ms":null,"by_zone":false},"estimate":{"usual_ms":null,"longest_ms":639000,"persons":0},"warnings":[],"objections":[],"exit_code":0}
{"event":"started","at_ms":0,"host":"web-1"}
{"event":"step","at_ms":100,"host":"web-1","step":"signal","detail":"SIGUSR2 to the old master 100"}
{"event":"retrying","at_ms":200,"host":"web-1","cause":"the connection to 10.0.0.11:7646 was lost"}
{"event":"waiting","at_ms":3000,"hosts":["web-1","web-2"],"claims":[],"in_flight":["web-1","web-2"],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false}
{"event":"host","at_ms":4200,"host":"web-1","outcome":"proven","verdict":"kept","basis":"marked","shape":"beside","old_pid":100,"new_pid":200,"overlap_ms":212.0,"generation":4,"release":null,"lingering_pids":[]}
{"event":"host","at_ms":6100,"host":"web-2","outcome":"dropped","verdict":"dropped","cause":"the lock was free after the handover had ended"}
{"event":"stopping","at_ms":6100,"cause":"doubt","host":"web-2","claims":[],"in_flight":["web-3"],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false}
{"event":"regained","at_ms":7000,"host":"web-1"}
{"event":"host","at_ms":8000,"host":"web-3","outcome":"proven","verdict":"kept","basis":"marked","shape":"beside","old_pid":100,"new_pid":200,"overlap_ms":212.0,"generation":4,"release":null,"lingering_pids":[]}
{"event":"summary","at_ms":8000,"service":"web","rollout":"20261124-054100-3fa2","exit_code":5,"stopped":"doubt","total":5,"hosts":{"proven":["web-1","web-3"],"dropped":["web-2"],"untouched":["web-4","web-5"]},"remaining_command":"baton restart web web-4,web-5"}
"#);
}

#[test]
fn every_outcome_has_its_line() {
    let host = name(1);
    let all = outcomes();
    let told: Vec<_> = all.iter().map(|outcome| (42, Told::Outcome { host: &host, outcome })).collect();
    insta::assert_snapshot!(page(&told), @r#"
|         Kept [   4.2s]   web-1   100 -> 200   overlap 212 ms, marked
|   RolledBack [   4.2s]   web-1   at step ready: 503 from 201; 100 still serves, its lock unbroken, marked
|      Refused [   4.2s]   web-1   cannot connect to 10.0.0.13:7646: connection refused
|     Unproven [   4.2s]   web-1   no overlap was seen: the old master was not seen holding after the new one was
|      Dropped [   4.2s]   web-1   the lock was free at #57 of the handover
|      Unknown [   4.2s]   web-1   its guard was lost: connection reset
"#);
    insta::assert_snapshot!(objects(&told), @r#"
{"event":"host","at_ms":4200,"host":"web-1","outcome":"proven","verdict":"kept","basis":"marked","shape":"beside","old_pid":100,"new_pid":200,"overlap_ms":212.0,"generation":4,"release":null,"lingering_pids":[]}
{"event":"host","at_ms":4200,"host":"web-1","outcome":"rolled_back","verdict":"unbroken","basis":"marked","old_pid":100,"step":"ready","cause":"503 from 201"}
{"event":"host","at_ms":4200,"host":"web-1","outcome":"refused","verdict":null,"cause":"cannot connect to 10.0.0.13:7646: connection refused"}
{"event":"host","at_ms":4200,"host":"web-1","outcome":"unproven","verdict":"unproven","cause":"no overlap was seen: the old master was not seen holding after the new one was"}
{"event":"host","at_ms":4200,"host":"web-1","outcome":"dropped","verdict":"dropped","cause":"the lock was free at #57 of the handover"}
{"event":"host","at_ms":4200,"host":"web-1","outcome":"unknown","verdict":null,"cause":"its guard was lost: connection reset"}
"#);
}

#[test]
fn every_outcome_ends_with_an_error_and_a_hint() {
    let summaries: Vec<Summary> = outcomes()
        .into_iter()
        .map(|outcome| Summary { hosts: vec![(name(1), Some(outcome))], stop: None })
        .chain([interrupted(), refused()])
        .collect();
    let told: Vec<_> = summaries.iter().map(|summary| (42, finished(summary))).collect();
    insta::assert_snapshot!(page(&told), @r#"
|         Done [   4.2s]   1 of 1 proven
|         Done [   4.2s]   0 of 1 proven; web-1 rolled back
:
: error: web-1 was rolled back at step ready: 503 from 201
: hint: its old generation serves; `baton testimony web-1 web` shows what its agent saw
|         Done [   4.2s]   0 of 1 proven; web-1 refused; nothing was touched
:
: error: web-1 was refused and not touched: cannot connect to 10.0.0.13:7646: connection refused
: hint: `baton status web-1` shows how it stands
|         Done [   4.2s]   0 of 1 proven; web-1 unproven
:
: error: nothing is proven of web-1: no overlap was seen: the old master was not seen holding after the new one was
: hint: `baton testimony web-1 web` shows what its agent saw
|         Done [   4.2s]   0 of 1 proven; web-1 dropped
:
: error: web-1 dropped its lock: the lock was free at #57 of the handover
: hint: `baton testimony web-1 web` shows what its agent saw
|         Done [   4.2s]   0 of 1 proven; web-1 unknown
:
: error: nobody knows how web-1 stands: its guard was lost: connection reset
: hint: `baton status web-1` shows it; what is under way there its agent finishes alone
|  Interrupted [   4.2s]   1 of 3 proven; web-2 and web-3 untouched
: hint: `baton restart web web-2,web-3` restarts the hosts that were not touched
|       Halted [   4.2s]   0 of 2 proven; web-2 refused; nothing was touched
:
: error: web-2 was refused and not touched: connection refused
: hint: `baton status web-2` shows how it stands
: hint: once that is mended, `baton restart web web-1` restarts the hosts that were not touched
"#);
    insta::assert_snapshot!(objects(&told[6..]), @r#"
{"event":"summary","at_ms":4200,"service":"web","rollout":"20261124-054100-3fa2","exit_code":130,"stopped":"interrupted","total":3,"hosts":{"proven":["web-1"],"untouched":["web-2","web-3"]},"remaining_command":"baton restart web web-2,web-3"}
{"event":"summary","at_ms":4200,"service":"web","rollout":"20261124-054100-3fa2","exit_code":3,"stopped":"past_budget","total":2,"hosts":{"untouched":["web-1"],"refused":["web-2"]},"remaining_command":"baton restart web web-1"}
"#);
}

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

fn rows() -> Vec<(Host, Result<Vec<Standing>, String>)> {
    let free = Standing { custody: Custody::Free, master: None, held_for: None, trouble: "no pid file".into(), ..healthy() };
    let busy = Standing { service: "api".into(), step: Some(Step::Drain.into()), ..healthy() };
    vec![
        (host("web-1", "a"), Ok(vec![busy, healthy()])),
        (host("web-2", "a"), Ok(vec![free])),
        (host("web-10", "b"), Err("cannot connect to web-10.internal:7646: timed out after 5 s".into())),
    ]
}

#[test]
fn the_fleet_is_a_table() {
    let rows = rows();
    let told = [(0, Told::Fleet { rows: &rows })];
    insta::assert_snapshot!(page(&told), @r#"
| HOST    SERVICE  LOCK  GENERATION  MASTER  EPOCH  SINCE      TROUBLE
| web-1   api      held  3           100     2      1 h 1 min  handover under way: drain
| web-1   web      held  3           100     2      1 h 1 min
| web-2   web      free  3           -       2      -          no pid file
| web-10  -        ?     -           -       -      -          cannot connect to web-10.internal:7646: timed out after 5 s
"#);
    insta::assert_snapshot!(objects(&told), @r#"
{"event":"status","host":"web-1","address":"web-1.internal:7646","reachable":true,"service":"api","dialect":"unicorn","lock":"held","generation":3,"release":null,"master_pid":100,"epoch":2,"held_for_ms":3700000,"step":"drain","fence":7,"trouble":"","holders":3,"findings":[],"lingering":[],"claim":null}
{"event":"status","host":"web-1","address":"web-1.internal:7646","reachable":true,"service":"web","dialect":"unicorn","lock":"held","generation":3,"release":null,"master_pid":100,"epoch":2,"held_for_ms":3700000,"step":null,"fence":7,"trouble":"","holders":3,"findings":[],"lingering":[],"claim":null}
{"event":"status","host":"web-2","address":"web-2.internal:7646","reachable":true,"service":"web","dialect":"unicorn","lock":"free","generation":3,"release":null,"master_pid":null,"epoch":2,"held_for_ms":null,"step":null,"fence":7,"trouble":"no pid file","holders":3,"findings":[],"lingering":[],"claim":null}
{"event":"status","host":"web-10","address":"web-10.internal:7646","reachable":false,"trouble":"cannot connect to web-10.internal:7646: timed out after 5 s"}
"#);
}

#[test]
fn claims_say_whose_they_are_and_who_gives_no_answer_is_shown() {
    let claim = Claim {
        rollout: "20261124-054100-3fa2".into(),
        operator: "ada".into(),
        reason: "restart to release v42".into(),
        age: Duration::from_secs(12),
        since: None,
        lease_left: Duration::from_secs(7),
        fence: 8,
    };
    let claimed = Standing { claim: Some(claim), ..healthy() };
    let rows = vec![
        (host("web-1", "a"), Ok(vec![Standing { service: "api".into(), ..healthy() }, claimed])),
        (host("web-10", "b"), Err("cannot connect to web-10.internal:7646: timed out after 5 s".into())),
    ];
    let told = [(0, Told::Claims { rows: &rows })];
    insta::assert_snapshot!(page(&told), @r#"
| HOST    SERVICE  ROLLOUT               OPERATOR  SINCE  ENDS IN  REASON
| web-1   web      20261124-054100-3fa2  ada       12 s   7 s      restart to release v42
| web-10  -        ?                     -         -      -        cannot connect to web-10.internal:7646: timed out after 5 s
"#);
    insta::assert_snapshot!(objects(&told), @r#"
{"event":"claim","host":"web-1","address":"web-1.internal:7646","reachable":true,"service":"web","rollout":"20261124-054100-3fa2","operator":"ada","reason":"restart to release v42","claimed_for_ms":12000,"since":null,"lease_left_ms":7000,"fence":8}
{"event":"claim","host":"web-10","address":"web-10.internal:7646","reachable":false,"trouble":"cannot connect to web-10.internal:7646: timed out after 5 s"}
"#);
    let rows = vec![(host("web-1", "a"), Ok(vec![healthy()]))];
    insta::assert_snapshot!(page(&[(0, Told::Claims { rows: &rows })]), @"| nothing is claimed on 1 host");
}

#[test]
fn what_lingers_is_an_object_with_its_age() {
    let left = |lingers_for| Lingering { generation: 2, lingers_for, pids: vec![101, 102] };
    let old = Standing { lingering: vec![left(Some(Duration::from_secs(90))), left(None)], ..healthy() };
    let rows = vec![(host("web-1", "a"), Ok(vec![old]))];
    let told = objects(&[(0, Told::Fleet { rows: &rows })]);
    let expected = r#""lingering":[{"generation":2,"lingers_for_ms":90000,"pids":[101,102]},{"generation":2,"lingers_for_ms":null,"pids":[101,102]}],"claim":null}"#;
    assert!(told.trim_end().ends_with(expected), "{told}");
}

#[test]
fn each_finding_that_is_not_the_trouble_has_its_line_below_its_service() {
    let finding =
        |kind: &str, sentence: &str, refuses| Finding { kind: kind.into(), sentence: sentence.into(), pids: vec![9], refuses };
    let findings =
        vec![finding("foreign_holder", "flock (9) holds the lock", true), finding("helper", "sleep (9) holds it", false)];
    let foul = Standing { trouble: "flock (9) holds the lock".into(), findings, ..healthy() };
    let rows = vec![(host("web-1", "a"), Ok(vec![healthy(), foul])), (host("web-2", "a"), Ok(vec![healthy()]))];
    let told = [(0, Told::Fleet { rows: &rows })];
    insta::assert_snapshot!(page(&told), @r#"
| HOST   SERVICE  LOCK  GENERATION  MASTER  EPOCH  SINCE      TROUBLE
| web-1  web      held  3           100     2      1 h 1 min
| web-1  web      held  3           100     2      1 h 1 min  flock (9) holds the lock
|     sleep (9) holds it
| web-2  web      held  3           100     2      1 h 1 min
"#);
    assert!(
        objects(&told).contains(
            r#""findings":[{"kind":"foreign_holder","sentence":"flock (9) holds the lock","pids":[9],"refuses":true},"#
        )
    );
}

#[test]
fn status_fails_when_a_host_is_silent_or_a_lock_free() {
    let rows = rows();
    assert_eq!(status_exit(&rows[..1]), Exit::Proven);
    assert_eq!(status_exit(&rows[1..2]), Exit::Failed);
    assert_eq!(status_exit(&rows[2..]), Exit::Failed);
}

#[test]
fn a_testimony_ends_with_our_own_verdict() {
    let record = Record { rollout: "20261124-054100-3fa2".into(), attempt: 1, account: handed_over() };
    let host = name(1);
    let told = [(0, Told::Testimony { host: &host, service: "web", record: &record })];
    insta::assert_snapshot!(page(&told), @r#"
| web on web-1, rollout 20261124-054100-3fa2 attempt 1
| window #1 to #10 on inode 2
|     #2     +0.000 s  old master 100 holds the lock (looked from #1; inode 2, mark 0x1000002bc, taker 100)
|     #3     +0.100 s  SIGUSR2 sent to 100
|     #5     +0.300 s  new master 200 holds the lock (looked from #4; inode 2, mark 0x100000578, taker 200)
|     #7     +0.500 s  old master 100 holds the lock (looked from #6; inode 2, mark 0x1000002bc, taker 100)
|     #8     +0.600 s  SIGQUIT sent to 100
|    #10     +0.800 s  new master 200 holds the lock (looked from #9; inode 2, mark 0x100000578, taker 200)
|             #2      #3      #5      #7      #8      #10
| old master  S=======================S
| new master                  S=======================S
| agent               USR2                    QUIT
|             S seen holding  = held all the while
| agent    says: handed over, generation 4 is in charge
| verdict  kept (marked): 100 -> 200, overlap 200 ms
| why      The new master 200 was seen holding (#5), and after that the old master
|          100 still was (#7): for 200 ms at least both held at once. The old one
|          was seen from the opening of the window on, the new one up to its
|          close.
| basis    marked: every lock bore one unchanged random mark, so it was one open
|          file, never closed and opened anew. What no mark shows is a server that
|          unlocks its own descriptor and locks it again; the waiter may see that,
|          and saw nothing.
"#);
    insta::assert_snapshot!(objects(&told), @r#"{"event":"testimony","host":"web-1","service":"web","rollout":"20261124-054100-3fa2","attempt":1,"boot":"boot-1","incarnation":"run-1","device":1,"inode":2,"opened":1,"closed":10,"truncated":false,"observations":[{"seq":2,"at_ms":200.0,"incarnation":"run-1","fact":"sighting","began":1,"role":"old master","pid":100,"parent":1,"start_ticks":5000,"inode":2,"mark":4294967996,"taker":100,"image":"64000:64646464646464646464646464646464","image_after":"64000:64646464646464646464646464646464"},{"seq":3,"at_ms":300.0,"incarnation":"run-1","fact":"signal","pid":100,"signal":"SIGUSR2"},{"seq":5,"at_ms":500.0,"incarnation":"run-1","fact":"sighting","began":4,"role":"new master","pid":200,"parent":1,"start_ticks":9000,"inode":2,"mark":4294968696,"taker":200,"image":"c8000:c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8","image_after":"c8000:c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8"},{"seq":7,"at_ms":700.0,"incarnation":"run-1","fact":"sighting","began":6,"role":"old master","pid":100,"parent":1,"start_ticks":5000,"inode":2,"mark":4294967996,"taker":100,"image":"64000:64646464646464646464646464646464","image_after":"64000:64646464646464646464646464646464"},{"seq":8,"at_ms":800.0,"incarnation":"run-1","fact":"signal","pid":100,"signal":"SIGQUIT"},{"seq":10,"at_ms":1000.0,"incarnation":"run-1","fact":"sighting","began":9,"role":"new master","pid":200,"parent":1,"start_ticks":9000,"inode":2,"mark":4294968696,"taker":200,"image":"c8000:c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8","image_after":"c8000:c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8"}],"result":"handed_over","step":null,"cause":"","generation":4,"verdict":{"verdict":"kept","basis":"marked","shape":"beside","old_pid":100,"new_pid":200,"overlap_ms":200.0},"lingering_pids":[],"reasons":["The new master 200 was seen holding (#5), and after that the old master 100 still was (#7): for 200 ms at least both held at once. The old one was seen from the opening of the window on, the new one up to its close.","marked: every lock bore one unchanged random mark, so it was one open file, never closed and opened anew. What no mark shows is a server that unlocks its own descriptor and locks it again; the waiter may see that, and saw nothing."],"shape":"beside","successors":[]}"#);
}

#[test]
fn what_befell_a_service_is_told_line_by_line() {
    let moment = |seconds: u64| {
        let wall = Duration::from_secs(1_795_509_000 + seconds);
        Moment { at: Duration::from_secs(90_000 + seconds), boot: "boot-1".into(), wall }
    };
    let drop = custody::Drop {
        seq: Seq(7),
        epoch: 2,
        file: FileIdentity { device: 1, inode: 2, born: 3 },
        last: Some(OLD),
        held_since: Some(Duration::from_hours(1)),
        ended: Some(Ended::Killed(9)),
        handover: None,
        found: Some(Found { master: NEW, at: moment(3) }),
    };
    let unwatched = What::Unwatched(Unwatched { from: Some(moment(10)), last: NEW, found: None });
    let happenings = vec![Happening { at: moment(0), what: What::Drop(drop) }, Happening { at: moment(70), what: unwatched }];
    let history = History { happenings, forgotten: 0, epoch: 2 };
    let told = [(0, Told::History(Chronicle { host: "web-1", service: "web", history: &history }))];
    insta::assert_snapshot!(page(&told), @r#"
| web on web-1, epoch 2
| epoch 2    2026-11-24 08:30:00.000 UTC   the lock was free; last master 100 (seen for 1 d), killed by SIGKILL; found held by 200 within 3 s
| unwatched  2026-11-24 08:31:10.000 UTC   the agent did not watch for at most 1 min; before, the master was 200; whether the lock was free is not known; nobody was found holding since
"#);
    insta::assert_snapshot!(objects(&told), @r#"{"event":"history","host":"web-1","service":"web","epoch":2,"forgotten":0,"happenings":[{"kind":"drop","at":"2026-11-24T08:30:00.000Z","at_ms":90000000.0,"boot":"boot-1","epoch":2,"seq":7,"device":1,"inode":2,"last_master_pid":100,"held_for_ms":86400000,"ended":"killed","exit_code":null,"signal":"SIGKILL","handover":null,"found":{"pid":200,"within_ms":3000.0,"at":"2026-11-24T08:30:03.000Z","at_ms":90003000.0,"boot":"boot-1"},"text":"the lock was free; last master 100 (seen for 1 d), killed by SIGKILL; found held by 200 within 3 s"},{"kind":"unwatched","at":"2026-11-24T08:31:10.000Z","at_ms":90070000.0,"boot":"boot-1","from":{"at":"2026-11-24T08:30:10.000Z","at_ms":90010000.0,"boot":"boot-1"},"at_most_ms":60000.0,"last_master_pid":200,"found":null,"text":"the agent did not watch for at most 1 min; before, the master was 200; whether the lock was free is not known; nobody was found holding since"}]}"#);
}

#[test]
fn a_host_that_is_done_is_not_waited_for_but_its_guard_or_the_last_look_at_it() {
    let stop = Stop::PastBudget { host: name(1), max: 0, zone: None };
    let nothing = Awaited::default();
    let guard = Awaited { guards: vec![name(1)], ..Awaited::default() };
    let looks = Awaited { last_looks: vec![name(1), name(2)], ..Awaited::default() };
    let all = Awaited { in_flight: vec![name(3)], guards: vec![name(1)], last_looks: vec![name(2)], ..Awaited::default() };
    let told: Vec<_> =
        [&nothing, &guard, &looks, &all].into_iter().map(|awaited| (0, Told::Stopping { stop: &stop, awaited })).collect();
    insta::assert_snapshot!(page(&told), @r#"
:      Halting   nothing new starts, because web-1 failed; waiting for the guard of web-1 to stand
:      Halting   nothing new starts, because web-1 failed; waiting for the last look at web-1 and web-2
:      Halting   nothing new starts, because web-1 failed; waiting for web-3, and for the guard of web-1 to stand, and for the last look at web-2
"#);
    let asked = [(0, Told::Stopping { stop: &Stop::Interrupted, awaited: &looks }), (20, Told::Waiting { awaited: &all })];
    insta::assert_snapshot!(page(&asked), @r#"
:      Halting   nothing new starts, as asked; waiting for the last look at web-1 and web-2 (^C again leaves at once)
:      Waiting [   2.0s]   web-3   for its handover
:      Waiting [   2.0s]   web-1   for its guard to stand
:      Waiting [   2.0s]   web-2   for the last look at it
"#);
    insta::assert_snapshot!(objects(&asked[1..]), @r#"{"event":"waiting","at_ms":2000,"hosts":["web-3","web-1","web-2"],"claims":[],"in_flight":["web-3"],"guards":["web-1"],"last_looks":["web-2"],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false}"#);
}

#[test]
fn a_wait_says_in_which_step_since_when_and_until_when() {
    let (one, two) = (name(1), name(2));
    let awaited = Awaited {
        in_flight: vec![one.clone(), two.clone()],
        deadlines: [(one.clone(), Duration::from_mins(10))].into(),
        ..Awaited::default()
    };
    let (mut contacts, begun) = (Contacts::default(), Instant::now());
    contacts.learn(&Told::Started { host: &one }, begun);
    contacts.learn(&Told::Step { host: &one, step: Step::Ready.into(), detail: "" }, begun + Duration::from_secs(7));
    contacts.learn(&Told::Retrying { host: &one, cause: "connection refused" }, begun + Duration::from_secs(9));
    contacts.learn(&Told::Started { host: &two }, begun);
    let look = Look { at: Duration::from_millis(498_400), host_width: 5, painted: false };
    let shown = human::waiting(&awaited, |host| contacts.of(host, begun + look.at), &look);
    insta::assert_snapshot!(shown.trim_end(), @r#"
         Waiting [ 498.4s]   web-1   in step ready, no contact for 491 s; gives up at 600 s
         Waiting [ 498.4s]   web-2   for its first step
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_silent_for_longer_when_there_was_no_news_for_half_a_minute() {
    let mut report = Report::to(Format::Human, Box::new(std::io::sink()), Box::new(std::io::sink()));
    let awaited = Awaited::default();
    let mut lines = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(2) {
        tokio::time::advance(report.silence_left()).await;
        report.tell(&Told::Waiting { awaited: &awaited });
        lines += 1;
    }
    assert_eq!(lines, 15 + 9);
    report.tell(&Told::Started { host: &name(1) });
    assert_eq!(report.silence_left(), Duration::from_secs(2));
}

#[test]
fn many_names_are_counted_not_spelt_out() {
    let awaited = Awaited { in_flight: (1..=14).map(name).collect(), ..Awaited::default() };
    let told = [(0, Told::Waiting { awaited: &awaited }), (0, Told::Asking { answered: 3, total: 14 })];
    insta::assert_snapshot!(page(&told), @r#"
:      Waiting [   0.0s]   web-1   for its handover
:      Waiting [   0.0s]   web-2   for its handover
:      Waiting [   0.0s]   web-3   for its handover
:      Waiting [   0.0s]   web-4   for its handover
:      Waiting [   0.0s]   web-5   for its handover
:      Waiting [   0.0s]   web-6   for its handover
:      Waiting [   0.0s]   web-7   for its handover
:      Waiting [   0.0s]   web-8   for its handover
:      Waiting [   0.0s]   web-9   for its handover
:      Waiting [   0.0s]   web-10   for its handover
:      Waiting   for 4 more
:      Waiting   11 of 14 hosts have not answered yet
"#);
}
