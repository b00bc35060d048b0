use std::time::Duration;

use baton_proto::claim::Claim;
use baton_proto::custody::{
    Basis, Chronicle, Doubt, Drop, Ended, FileIdentity, Handover, Happening, History, Kept, Moment, Process, Seq, Succession,
    Unbroken, What,
};
use baton_proto::document::read;
use baton_proto::v1;

use super::{Conclusion, Event, Report, failure_text};
use crate::args::Output;
use crate::outcome::Outcome;

const OLD: Process = Process { pid: 100, start_ticks: 5 };
const NEW: Process = Process { pid: 200, start_ticks: 9 };
const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

fn shown(output: Output, event: &Event<'_>) -> (String, String) {
    let (mut results, mut progress) = (Vec::new(), Vec::new());
    Report::new(output, &mut results, &mut progress).show(event);
    (String::from_utf8(results).unwrap(), String::from_utf8(progress).unwrap())
}

/// Shows an event to a person; `expected` is the line on stdout.
fn check(event: &Event<'_>, expected: &str) {
    assert_eq!(shown(Output::Human, event), (format!("{expected}\n"), String::new()));
}

fn concluded<'a>(outcome: &'a Outcome, lingering_pids: &'a [u32]) -> Event<'a> {
    let after = Duration::from_millis(4_230);
    Event::Concluded(Conclusion { service: "web", rollout: "r-1", attempt: 1, after, outcome, lingering_pids })
}

fn status() -> v1::ServiceStatus {
    v1::ServiceStatus {
        service: "web".into(),
        dialect: "unicorn".into(),
        custody: v1::Custody::Held.into(),
        generation: 3,
        master: Some(OLD.into()),
        held_since_ns: 1_000_000_000,
        mark: 7 << 40,
        ..v1::ServiceStatus::default()
    }
}

fn status_line(service: &v1::ServiceStatus, expected: &str) {
    check(&Event::Status { service, now: Duration::from_secs(7_801), claim: None }, expected);
}

#[test]
fn a_status_is_a_line_and_its_trouble_another() {
    status_line(&status(), "web              held     unicorn   master 100 for 2 h 10 min, generation 3, epoch 0, marked");
    let busy = v1::ServiceStatus { step: v1::Step::Drain.into(), mark: 5, ..status() };
    status_line(
        &busy,
        "web              held     unicorn   master 100 for 2 h 10 min, generation 3, epoch 0, not marked, in a handover at the step drain",
    );
    let released = v1::ServiceStatus { release: "v2".into(), ..status() };
    status_line(
        &released,
        "web              held     unicorn   master 100 for 2 h 10 min, generation 3, release v2, epoch 0, marked",
    );
    let free = v1::ServiceStatus {
        custody: v1::Custody::Free.into(),
        master: None,
        trouble: "nobody holds /run/web.pid.lock\u{1b}[31m".into(),
        ..status()
    };
    status_line(
        &free,
        "web              free     unicorn   generation 3, epoch 0\n    nobody holds /run/web.pid.lock\u{fffd}[31m",
    );
}

fn supervised(supervision: v1::Supervision) -> v1::ServiceStatus {
    let runs = supervision.state() == v1::SupervisionState::Running;
    let (custody, master) = if runs { (v1::Custody::Held, Some(OLD.into())) } else { (v1::Custody::Free, None) };
    v1::ServiceStatus { custody: custody.into(), master, supervision: Some(supervision), ..status() }
}

#[test]
fn what_becomes_of_a_service_that_the_agent_starts_is_told_with_it() {
    let with =
        |state: v1::SupervisionState, starts| v1::Supervision { state: state.into(), starts, ..v1::Supervision::default() };
    let hold = Some(v1::Process { pid: 90, start_ticks: 1 });
    let running = v1::Supervision { hold, running_since_ns: 1_000_000_000, ..with(v1::SupervisionState::Running, 1) };
    status_line(
        &supervised(running.clone()),
        "web              held     unicorn   master 100 for 2 h 10 min, generation 3, epoch 0, marked, run by hold 90",
    );
    let waiting = v1::Supervision { next_start_ns: 7_804_400_000_000, ..with(v1::SupervisionState::Waiting, 4) };
    status_line(
        &supervised(waiting.clone()),
        "web              free     unicorn   generation 3, epoch 0, started again in 3.4 s (start 4)",
    );
    for (state, words) in [
        (v1::SupervisionState::GivenUp, "given up (start 20)"),
        (v1::SupervisionState::Stopping, "being stopped on purpose"),
        (v1::SupervisionState::Stopped, "stopped on purpose"),
    ] {
        let expected = format!("web              free     unicorn   generation 3, epoch 0, {words}");
        status_line(&supervised(with(state, 20)), &expected);
    }
    for (supervision, expected) in [
        (
            running,
            r#"{"state":"running","hold_pid":90,"running_for_ms":7800000,"next_start_in_ms":null,"starts":1,"last_end":""}"#,
        ),
        (
            waiting,
            r#"{"state":"waiting","hold_pid":null,"running_for_ms":null,"next_start_in_ms":3400,"starts":4,"last_end":""}"#,
        ),
    ] {
        let service = supervised(supervision);
        let (told, _) = shown(Output::Json, &Event::Status { service: &service, now: Duration::from_secs(7_801), claim: None });
        assert!(told.contains(&format!("\"supervision\":{expected}")), "{told}");
    }
}

#[test]
fn every_finding_and_every_holder_has_a_line() {
    let finding = |sentence: &str| v1::Finding { sentence: sentence.into(), ..v1::Finding::default() };
    let holder = |pid, role: v1::HolderRole, mark| v1::Holder {
        process: Some(v1::Process { pid, start_ticks: 1 }),
        role: role.into(),
        command: "ruby".into(),
        mark,
        taker: 100,
        ..v1::Holder::default()
    };
    let foul = v1::ServiceStatus {
        trouble: "flock (9) holds".into(),
        findings: vec![finding("flock (9) holds"), finding("sleep (8) holds\u{1b}")],
        holders: 2,
        census: vec![holder(100, v1::HolderRole::Master, 31 << 32), holder(101, v1::HolderRole::OtherWorker, 5)],
        ..status()
    };
    status_line(
        &foul,
        "web              held     unicorn   master 100 for 2 h 10 min, generation 3, epoch 0, marked, 2 holders\n    \
         flock (9) holds\n    sleep (8) holds\u{fffd}\n    \
         100      master                   ruby             mark 0x1f00000000, taker 100\n    \
         101      other worker             ruby             no mark, taker 100",
    );
}

#[test]
fn steps_are_progress_and_not_the_result() {
    let progress = v1::Progress { step: v1::Step::Signal.into(), detail: "SIGUSR2 to 100".into(), at_ns: 5 };
    let step = Event::Step { progress: &progress, after: Duration::from_millis(150) };
    assert_eq!(shown(Output::Human, &step), (String::new(), "        Step [   0.1s]   signal: SIGUSR2 to 100\n".into()));
    let expected = "{\"event\":\"step\",\"at_ms\":150,\"step\":\"signal\",\"detail\":\"SIGUSR2 to 100\"}\n";
    assert_eq!(shown(Output::Json, &step), (expected.into(), String::new()));
    let waiting = Event::Waiting { step: "drain", after: Duration::from_secs(62) };
    assert_eq!(shown(Output::Human, &waiting).1, "     Waiting [  62.0s]   for the step drain to end\n");
    let lost = Event::Lost { reason: "broken pipe", after: Duration::from_secs(63) };
    assert_eq!(shown(Output::Human, &lost).1, "    Retrying [  63.0s]   contact with the agent was lost: broken pipe\n");
}

#[test]
fn every_outcome_has_its_line() {
    let kept = Kept { basis: Basis::Marked, by: Succession::Beside { old: OLD, new: NEW, overlap: Duration::from_millis(212) } };
    check(&concluded(&Outcome::Proven(kept), &[]), "        Kept [   4.2s]   web   100 -> 200   overlap 212 ms, marked");
    check(
        &concluded(&Outcome::Proven(kept), &[101, 102]),
        "        Kept [   4.2s]   web   100 -> 200   overlap 212 ms, marked; 2 of the old generation still there (101, 102)",
    );
    check(
        &concluded(&Outcome::Refused("nobody holds the lock".into()), &[]),
        "     Refused [   4.2s]   web   nobody holds the lock; nothing was touched",
    );
    let unbroken = Unbroken { basis: Basis::Contract, master: OLD };
    check(
        &concluded(&Outcome::RolledBack { step: "ready", cause: "500 from 201".into(), unbroken }, &[]),
        "  RolledBack [   4.2s]   web   at step ready: 500 from 201; 100 still serves, its lock unbroken, contract",
    );
    let doubt = Doubt::NoOverlap.to_string();
    check(
        &concluded(&Outcome::Unproven { doubt, failed: Some("overlap: 100 is gone".into()) }, &[]),
        "    Unproven [   4.2s]   web   no overlap was seen: the old master was not seen holding after the new one was; overlap: 100 is gone",
    );
    check(
        &concluded(&Outcome::Dropped { at: Seq(57) }, &[]),
        "     Dropped [   4.2s]   web   the lock was free at #57 of the handover",
    );
    check(
        &concluded(&Outcome::Unknown("broken pipe".into()), &[]),
        "     Unknown [   4.2s]   web   contact was lost and the handover may go on: broken pipe",
    );
}

/// Shows an event as JSON; `expected` is the line on stdout.
fn object(event: &Event<'_>, expected: &str) {
    assert_eq!(shown(Output::Json, event), (format!("{expected}\n"), String::new()));
}

#[test]
fn a_claim_is_told_with_whose_it_is_and_how_it_ends() {
    let claim = Claim {
        rollout: "r-1".into(),
        operator: "ada".into(),
        reason: "deploy v42".into(),
        age: Duration::from_secs(12),
        since: None,
        lease_left: Duration::from_secs(7),
        fence: 3,
    };
    check(
        &Event::Status { service: &status(), now: Duration::from_secs(7_801), claim: Some(&claim) },
        "web              held     unicorn   master 100 for 2 h 10 min, generation 3, epoch 0, marked\n    rollout r-1 of ada has claimed \
         it 12 s ago (deploy v42); unless it is renewed it ends in 7 s",
    );
}

#[test]
fn json_has_the_words_of_the_controllers() {
    object(
        &Event::Status { service: &status(), now: Duration::from_secs(7_801), claim: None },
        r#"{"event":"status","service":"web","dialect":"unicorn","lock":"held","generation":3,"release":null,"master_pid":100,"epoch":0,"held_for_ms":7800000,"step":null,"fence":0,"trouble":"","lock_path":"","device":null,"inode":null,"mark":7696581394432,"holders":0,"findings":[],"census":[],"lingering":[],"supervision":null,"claim":null}"#,
    );
    let stopped = Event::Stopped { service: "web", how: "stopped, as told" };
    object(&stopped, r#"{"event":"stopped","service":"web","how":"stopped, as told"}"#);
    let waiting = Event::Waiting { step: "drain", after: Duration::from_secs(62) };
    object(&waiting, r#"{"event":"waiting","at_ms":62000,"step":"drain"}"#);
    let lost = Event::Lost { reason: "broken pipe", after: Duration::from_secs(63) };
    object(&lost, r#"{"event":"retrying","at_ms":63000,"cause":"broken pipe"}"#);
    object(&Event::NoRecord { service: "web" }, r#"{"event":"no_record","service":"web"}"#);
}

#[test]
fn an_outcome_as_json_has_its_verdict_and_its_exit_code() {
    let ends = |outcome: &Outcome, expected: &str| {
        let head = r#"{"event":"outcome","at_ms":4230,"service":"web","rollout":"r-1","attempt":1"#;
        object(&concluded(outcome, &[]), &format!(r#"{head},{expected},"lingering_pids":[]}}"#));
    };
    let kept =
        Kept { basis: Basis::Marked, by: Succession::Beside { old: OLD, new: NEW, overlap: Duration::from_micros(212_500) } };
    ends(
        &Outcome::Proven(kept),
        r#""outcome":"proven","exit_code":0,"verdict":"kept","basis":"marked","shape":"beside","old_pid":100,"new_pid":200,"overlap_ms":212.5"#,
    );
    let unbroken = Unbroken { basis: Basis::Contract, master: OLD };
    ends(
        &Outcome::RolledBack { step: "ready", cause: "500 from 201".into(), unbroken },
        r#""outcome":"rolled_back","exit_code":3,"verdict":"unbroken","basis":"contract","old_pid":100,"step":"ready","cause":"500 from 201""#,
    );
    ends(
        &Outcome::Unproven { doubt: "no overlap".into(), failed: None },
        r#""outcome":"unproven","exit_code":4,"verdict":"unproven","doubt":"no overlap","cause":null"#,
    );
    ends(&Outcome::Dropped { at: Seq(57) }, r#""outcome":"dropped","exit_code":5,"verdict":"dropped","at":57"#);
    ends(&Outcome::Refused("busy".into()), r#""outcome":"refused","exit_code":3,"verdict":null,"cause":"busy""#);
}

#[test]
fn what_befell_a_service_is_a_line_each_that_cannot_drive_the_terminal() {
    let at = Moment { at: Duration::from_secs(9), boot: "boot-1".into(), wall: Duration::from_secs(1_795_509_067) };
    let drop = Drop {
        seq: Seq(7),
        epoch: 1,
        file: FILE,
        last: Some(OLD),
        held_since: Some(Duration::from_secs(2)),
        ended: Some(Ended::Killed(9)),
        handover: Some(Handover { rollout: "r\u{1b}[31m".into(), attempt: 1 }),
        found: None,
    };
    let history = History { happenings: vec![Happening { at, what: What::Drop(drop) }], forgotten: 0, epoch: 1 };
    let event = Event::History(Chronicle { host: "web-1", service: "web", history: &history });
    check(
        &event,
        "web on web-1, epoch 1\nepoch 1    2026-11-24 08:31:07.000 UTC   the lock was free in the handover of rollout r\u{fffd}[31m \
         attempt 1; last master 100 (seen for 7 s), killed by SIGKILL; nobody was found holding since",
    );
    let nothing = Event::History(Chronicle { host: "web-1", service: "web", history: &History::default() });
    check(&nothing, "web on web-1, epoch 0: no drop was seen");
    object(&nothing, r#"{"event":"history","host":"web-1","service":"web","epoch":0,"forgotten":0,"happenings":[]}"#);
}

#[test]
fn an_error_is_told_with_all_its_causes_and_a_hint() {
    let mistakes = read("a = 1\nb = 2\n", |_, _| Some(())).expect_err("nothing was taken");
    assert_eq!(
        failure_text(&crate::doors::DoorError::Answered { path: "/run/x".into() }, Some("go away")),
        "error: another process answers on /run/x\nhint: go away\n"
    );
    let error = crate::start::StartError::Config { path: "/etc/x.toml".into(), source: mistakes };
    assert_eq!(
        failure_text(&error, None),
        "error: failed to read the configuration /etc/x.toml\n  line 1: a: is not a known key here\n  line 2: b: is not a known key here\n"
    );
}
