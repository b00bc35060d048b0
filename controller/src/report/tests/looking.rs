//! The fleet as it is, and what agents saw.

use std::time::Duration;

use baton_proto::claim::Claim;
use baton_proto::custody::{self, Chronicle, Ended, FileIdentity, Found, Happening, History, Moment, Seq, Unwatched, What};
use baton_proto::step::Step;

use super::{name, objects, page};
use crate::inventory::{Host, samples::host};
use crate::outcome::Exit;
use crate::outcome::samples::{NEW, OLD, handed_over};
use crate::record::Record;
use crate::report::{Told, status_exit};
use crate::standing::samples::healthy;
use crate::standing::{Custody, Finding, Lingering, Standing};

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
