//! A rollout, as it is told from its plan to its last line.

use baton_proto::custody::Doubt;
use baton_proto::step::Step;

use super::{name, objects, page, picture};
use crate::outcome::samples::{proven, rolled_back};
use crate::outcome::{DropSeen, Outcome, Unproven};
use crate::plan::samples::{builder, plan};
use crate::plan::{Plan, Releases};
use crate::report::Told;
use crate::rollout::{Awaited, Stop, Summary};

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
        (30, Told::Waiting { awaited: &both, picture: &picture(">>...") }),
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
:      Waiting [   3.0s]   web-1   in step signal, no contact for 2 s
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
: hint: once that is mended, `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched; add --retry-failed to try those that failed again
"#);
    insta::assert_snapshot!(objects(&story), @r#"
{"event":"plan","rollout":"20261124-054100-3fa2","service":"web","release":null,"max_in_flight":2,"max_failures":0,"host_deadline_ms":600000,"cut_short":[],"hosts":[{"host":"web-1","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-1.internal:7646","to_release":null},{"host":"web-2","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-2.internal:7646","to_release":null},{"host":"web-3","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-3.internal:7646","to_release":null},{"host":"web-4","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-4.internal:7646","to_release":null},{"host":"web-5","fate":"restart","generation":3,"pid":100,"epoch":2,"release":null,"zone":null,"address":"web-5.internal:7646","to_release":null}],"waves":[{"wave":"rest","zone":null,"hosts":["web-1","web-2","web-3","web-4","web-5"],"then":"go_on","soak_ms":null}],"min_available":0,"zones":{},"stop_after":null,"deadline_ms":null,"leave_out_broken":true,"asked":{"max_in_flight":"2","max_failures":"0","max_failures_per_zone":null,"min_available":"0","min_available_per_zone":"0","canary":0,"soak_ms":null,"by_zone":false},"estimate":{"usual_ms":null,"longest_ms":639000,"persons":0},"warnings":[],"objections":[],"exit_code":0}
{"event":"started","at_ms":0,"host":"web-1"}
{"event":"step","at_ms":100,"host":"web-1","step":"signal","detail":"SIGUSR2 to the old master 100"}
{"event":"retrying","at_ms":200,"host":"web-1","cause":"the connection to 10.0.0.11:7646 was lost"}
{"event":"waiting","at_ms":3000,"hosts":["web-1","web-2"],"claims":[],"in_flight":["web-1","web-2"],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false,"done":0,"total":5,"wave":0,"waves":1,"eta_ms":null,"eta_to":null}
{"event":"host","at_ms":4200,"host":"web-1","outcome":"proven","verdict":"kept","basis":"marked","shape":"beside","old_pid":100,"new_pid":200,"overlap_ms":212.0,"generation":4,"release":null,"lingering_pids":[]}
{"event":"host","at_ms":6100,"host":"web-2","outcome":"dropped","verdict":"dropped","cause":"the lock was free after the handover had ended"}
{"event":"stopping","at_ms":6100,"cause":"doubt","host":"web-2","claims":[],"in_flight":["web-3"],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false,"zone":null,"text":"because of web-2"}
{"event":"regained","at_ms":7000,"host":"web-1"}
{"event":"host","at_ms":8000,"host":"web-3","outcome":"proven","verdict":"kept","basis":"marked","shape":"beside","old_pid":100,"new_pid":200,"overlap_ms":212.0,"generation":4,"release":null,"lingering_pids":[]}
{"event":"summary","at_ms":8000,"service":"web","rollout":"20261124-054100-3fa2","exit_code":5,"stopped":"doubt","total":5,"hosts":{"proven":["web-1","web-3"],"dropped":["web-2"],"untouched":["web-4","web-5"]},"remaining_command":"baton resume 20261124-054100-3fa2","retry_command":"baton resume 20261124-054100-3fa2 --retry-failed","undo_command":null}
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
: hint: once that is mended, `baton resume 20261124-054100-3fa2 --retry-failed` tries those that failed again
|         Done [   4.2s]   0 of 1 proven; web-1 refused; nothing was touched
:
: error: web-1 was refused and not touched: cannot connect to 10.0.0.13:7646: connection refused
: hint: `baton status web-1` shows how it stands
: hint: once that is mended, `baton resume 20261124-054100-3fa2 --retry-failed` tries those that failed again
|         Done [   4.2s]   0 of 1 proven; web-1 unproven
:
: error: nothing is proven of web-1: no overlap was seen: the old master was not seen holding after the new one was
: hint: `baton testimony web-1 web` shows what its agent saw
: hint: once that is mended, `baton resume 20261124-054100-3fa2 --retry-failed` tries those that failed again
|         Done [   4.2s]   0 of 1 proven; web-1 dropped
:
: error: web-1 dropped its lock: the lock was free at #57 of the handover
: hint: `baton testimony web-1 web` shows what its agent saw
: hint: once that is mended, `baton resume 20261124-054100-3fa2 --retry-failed` tries those that failed again
|         Done [   4.2s]   0 of 1 proven; web-1 unknown
:
: error: nobody knows how web-1 stands: its guard was lost: connection reset
: hint: `baton status web-1` shows it; what is under way there its agent finishes alone
: hint: once that is mended, `baton resume 20261124-054100-3fa2` asks again where nobody knows
|  Interrupted [   4.2s]   1 of 3 proven; web-2 and web-3 untouched
: hint: `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched
|       Halted [   4.2s]   0 of 2 proven; web-2 refused; nothing was touched
:
: error: web-2 was refused and not touched: connection refused
: hint: `baton status web-2` shows how it stands
: hint: once that is mended, `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched; add --retry-failed to try those that failed again
"#);
    insta::assert_snapshot!(objects(&told[6..]), @r#"
{"event":"summary","at_ms":4200,"service":"web","rollout":"20261124-054100-3fa2","exit_code":130,"stopped":"interrupted","total":3,"hosts":{"proven":["web-1"],"untouched":["web-2","web-3"]},"remaining_command":"baton resume 20261124-054100-3fa2","retry_command":null,"undo_command":null}
{"event":"summary","at_ms":4200,"service":"web","rollout":"20261124-054100-3fa2","exit_code":3,"stopped":"past_budget","total":2,"hosts":{"untouched":["web-1"],"refused":["web-2"]},"remaining_command":"baton resume 20261124-054100-3fa2","retry_command":"baton resume 20261124-054100-3fa2 --retry-failed","undo_command":null}
"#);
}

/// The last lines of a rollout of five hosts that ended so, one letter a host: `=` proven, `!` rolled back, `?` unknown, `r` refused.
fn closing(letters: &str, stop: Option<Stop>) -> String {
    closing_of(&plan("+++++", 1, 1), letters, stop)
}

fn closing_of(plan: &Plan, letters: &str, stop: Option<Stop>) -> String {
    let outcome = |letter| match letter {
        '=' => Some(proven()),
        '!' => Some(rolled_back()),
        '?' => Some(Outcome::Unknown("left in flight; its agent finishes on its own".into())),
        'r' => Some(Outcome::Refused("connection refused".into())),
        _ => None,
    };
    let hosts = letters.chars().enumerate().map(|(place, letter)| (name(place + 1), outcome(letter))).collect();
    let summary = Summary { hosts, stop };
    let told = [(0, Told::Planned { plan, rollout: Some("20261124-054100-3fa2") }), (80, finished(&summary))];
    let page = page(&told);
    let last = page.lines().position(|line| line.contains("[   8.0s]")).unwrap();
    page.lines().skip(last).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_stop_says_why_and_which_command_comes_next() {
    let zone = || Some("b".to_owned());
    let stops = [
        ("=!...", Stop::PastBudget { host: name(2), max: 0, zone: None }),
        ("=!!..", Stop::PastBudget { host: name(3), max: 1, zone: zone() }),
        (".....", Stop::Claimed(name(3))),
        ("==...", Stop::Floor { host: name(3), min: 2, zone: zone() }),
        ("==...", Stop::StopAfter(2)),
        ("==...", Stop::Deadline),
        ("==...", Stop::Aborted),
        ("=!...", Stop::Aborted),
        ("==...", Stop::Interrupted),
        ("=?...", Stop::Interrupted),
    ];
    let told: Vec<String> = stops.into_iter().map(|(letters, stop)| closing(letters, Some(stop))).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r#"
|       Halted [   8.0s]   1 of 5 proven; web-2 rolled back; web-3, web-4 and web-5 untouched
:
: error: web-2 was rolled back at step ready: 503 from 201
: hint: its old generation serves; `baton testimony web-2 web` shows what its agent saw
: hint: once that is mended, `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched; add --retry-failed to try those that failed again

|       Halted [   8.0s]   1 of 5 proven; web-2 and web-3 rolled back; web-4 and web-5 untouched
:
: error: web-2 was rolled back at step ready: 503 from 201
: hint: its old generation serves; `baton testimony web-2 web` shows what its agent saw
: hint: once that is mended, `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched; add --retry-failed to try those that failed again

|       Halted [   8.0s]   0 of 5 proven; nothing was touched
:
: error: nothing new was started, because web-3 is claimed by another rollout
: hint: `baton claims web-3` shows whose it is, since when and why
: hint: once the other rollout is over, `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched

|       Halted [   8.0s]   2 of 5 proven; web-3, web-4 and web-5 untouched
:
: error: nothing new was started, because with web-3 fewer than 2 would be available in zone b
: hint: `baton status` shows which hosts are not available
: hint: once more hosts are available, `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched

|      Stopped [   8.0s]   2 of 5 proven; web-3, web-4 and web-5 untouched
: hint: `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched

|       Halted [   8.0s]   2 of 5 proven; web-3, web-4 and web-5 untouched
:
: error: nothing new was started, because the rollout's deadline has passed
: hint: `baton show 20261124-054100-3fa2` tells how long each host took
: hint: `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched

|      Aborted [   8.0s]   2 of 5 proven; web-3, web-4 and web-5 untouched

|      Aborted [   8.0s]   1 of 5 proven; web-2 rolled back; web-3, web-4 and web-5 untouched
:
: error: web-2 was rolled back at step ready: 503 from 201
: hint: its old generation serves; `baton testimony web-2 web` shows what its agent saw

|  Interrupted [   8.0s]   2 of 5 proven; web-3, web-4 and web-5 untouched
: hint: `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched

|  Interrupted [   8.0s]   1 of 5 proven; web-2 unknown; web-3, web-4 and web-5 untouched
:
: error: nobody knows how web-2 stands: left in flight; its agent finishes on its own
: hint: `baton status web-2` shows it; what is under way there its agent finishes alone
: hint: `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched and asks again where nobody knows
"#);
}

#[test]
fn each_stop_says_why_while_others_are_waited_for() {
    let awaited = Awaited { in_flight: vec![name(3)], ..Awaited::default() };
    let zone = || Some("b".to_owned());
    let stops = [
        Stop::Doubt(name(2)),
        Stop::PastBudget { host: name(2), max: 1, zone: zone() },
        Stop::Claimed(name(2)),
        Stop::Floor { host: name(4), min: 2, zone: zone() },
        Stop::StopAfter(2),
        Stop::Deadline,
        Stop::Aborted,
        Stop::Interrupted,
    ];
    let told: Vec<_> = stops.iter().map(|stop| (10, Told::Stopping { stop, awaited: &awaited })).collect();
    insta::assert_snapshot!(page(&told), @r#"
:      Halting   nothing new starts, because of web-2; waiting for web-3
:      Halting   nothing new starts, because web-2 failed in zone b, after 1 that were tolerated; waiting for web-3
:      Halting   nothing new starts, because web-2 is claimed by another rollout; waiting for web-3
:      Halting   nothing new starts, because with web-4 fewer than 2 would be available in zone b; waiting for web-3
:      Halting   nothing new starts, after 2 hosts as asked; waiting for web-3
:      Halting   nothing new starts, because the rollout's deadline has passed; waiting for web-3
:      Halting   nothing new starts, as ordered; waiting for web-3
:      Halting   nothing new starts, as asked; waiting for web-3 (^C again leaves at once)
"#);
    insta::assert_snapshot!(objects(&told[3..5]), @r#"
{"event":"stopping","at_ms":1000,"cause":"floor","host":"web-4","claims":[],"in_flight":["web-3"],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false,"zone":"b","text":"because with web-4 fewer than 2 would be available in zone b"}
{"event":"stopping","at_ms":1000,"cause":"stop_after","host":null,"claims":[],"in_flight":["web-3"],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false,"zone":null,"text":"after 2 hosts as asked"}
"#);
}

#[test]
fn failures_within_the_budget_can_be_tried_again() {
    insta::assert_snapshot!(closing("=!===", None), @r#"
|         Done [   8.0s]   4 of 5 proven; web-2 rolled back
:
: error: web-2 was rolled back at step ready: 503 from 201
: hint: its old generation serves; `baton testimony web-2 web` shows what its agent saw
: hint: once that is mended, `baton resume 20261124-054100-3fa2 --retry-failed` tries those that failed again
"#);
}

#[test]
fn what_was_left_out_has_neither_failed_nor_is_it_tried_again() {
    let plan = builder("+++x+").leave_out().plan();
    insta::assert_snapshot!(closing_of(&plan, "===r=", None), @r#"
|         Done [   8.0s]   4 of 5 proven; web-4 left out
:
: error: web-4 was refused and not touched: connection refused
: hint: `baton status web-4` shows how it stands
"#);
}

#[test]
fn where_a_release_was_switched_it_can_be_undone() {
    let plan = builder("+++++").releases(Releases::One("v2".into())).plan();
    insta::assert_snapshot!(closing_of(&plan, "=====", None), @r#"
|         Done [   8.0s]   5 of 5 proven
: hint: `baton undo 20261124-054100-3fa2` takes the hosts that were switched back to the release they had
"#);
    insta::assert_snapshot!(closing_of(&plan, "==...", Some(Stop::Aborted)), @r#"
|      Aborted [   8.0s]   2 of 5 proven; web-3, web-4 and web-5 untouched
: hint: `baton undo 20261124-054100-3fa2` takes the hosts that were switched back to the release they had
"#);
    insta::assert_snapshot!(closing_of(&plan, "!....", Some(Stop::PastBudget { host: name(1), max: 0, zone: None })), @r#"
|       Halted [   8.0s]   0 of 5 proven; web-1 rolled back; web-2, web-3, web-4 and web-5 untouched
:
: error: web-1 was rolled back at step ready: 503 from 201
: hint: its old generation serves; `baton testimony web-1 web` shows what its agent saw
: hint: once that is mended, `baton resume 20261124-054100-3fa2` goes on with the hosts that were not touched; add --retry-failed to try those that failed again
"#);
}
