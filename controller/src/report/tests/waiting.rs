//! What is said while nothing happens.

use std::time::Duration;

use baton_proto::step::Step;
use tokio::time::Instant;

use super::{name, objects, page, picture};
use crate::plan::samples::{builder, plan};
use crate::report::{Format, Report, Told};
use crate::rollout::{Awaited, Note, Stop};

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
    let asked = [
        (0, Told::Stopping { stop: &Stop::Interrupted, awaited: &looks }),
        (20, Told::Waiting { awaited: &all, picture: &picture("c=>.") }),
    ];
    insta::assert_snapshot!(page(&asked), @r#"
:      Halting   nothing new starts, as asked; waiting for the last look at web-1 and web-2 (^C again leaves at once)
:      Waiting [   2.0s]   web-3   for its handover
:      Waiting [   2.0s]   web-1   for its guard to stand
:      Waiting [   2.0s]   web-2   for the last look at it
"#);
    insta::assert_snapshot!(objects(&asked[1..]), @r#"{"event":"waiting","at_ms":2000,"hosts":["web-3","web-1","web-2"],"claims":[],"in_flight":["web-3"],"guards":["web-1"],"last_looks":["web-2"],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":false,"done":1,"total":4,"wave":0,"waves":0,"eta_ms":null,"eta_to":null}"#);
}

#[test]
fn a_wait_says_in_which_step_since_when_and_until_when() {
    let (one, two) = (name(1), name(2));
    let awaited = Awaited {
        in_flight: vec![one.clone(), two.clone()],
        deadlines: [(one.clone(), Duration::from_mins(10))].into(),
        ..Awaited::default()
    };
    let picture = picture(">>");
    let told = [
        (0, Told::Started { host: &one }),
        (0, Told::Started { host: &two }),
        (70, Told::Step { host: &one, step: Step::Ready.into(), detail: "" }),
        (90, Told::Retrying { host: &one, cause: "connection refused" }),
        (4_984, Told::Waiting { awaited: &awaited, picture: &picture }),
    ];
    insta::assert_snapshot!(page(&told), @r#"
:         Step [   7.0s]   web-1   ready
:     Retrying [   9.0s]   web-1   connection refused
:      Waiting [ 498.4s]   web-1   in step ready, no contact for 491 s; gives up at 600 s
:      Waiting [ 498.4s]   web-2   for its first step
"#);
}

#[test]
fn a_soak_a_question_to_a_person_and_a_pause_are_waited_for_in_so_many_words() {
    let plan = builder("++++").zones("a a b b").canaries(1).by_zone().plan();
    let soaking = Awaited { soaking: Some((1, Duration::from_secs(50))), ..Awaited::default() };
    let person = Awaited { person: Some(0), ..Awaited::default() };
    let paused = Awaited { in_flight: vec![name(2)], is_paused: true, ..Awaited::default() };
    let story = [
        (0, Told::Planned { plan: &plan, rollout: Some("20261124-054100-3fa2") }),
        (1, Told::Note { note: Note::WaveBegins(0) }),
        (20, Told::Note { note: Note::AwaitingPerson { wave: 0 } }),
        (40, Told::Waiting { awaited: &person, picture: &picture("=...") }),
        (50, Told::Note { note: Note::GoingOn }),
        (50, Told::Note { note: Note::WaveEnds(0) }),
        (50, Told::Note { note: Note::WaveBegins(1) }),
        (60, Told::Note { note: Note::Paused }),
        (80, Told::Waiting { awaited: &paused, picture: &picture("=>..") }),
        (200, Told::Note { note: Note::Soaking { wave: 1, until: Duration::from_secs(50) } }),
        (261, Told::Waiting { awaited: &soaking, picture: &picture("==..") }),
    ];
    insta::assert_snapshot!(page(&story).lines().skip_while(|line| !line.starts_with(':')).collect::<Vec<_>>().join("\n"), @r#"
:         Wave   1 of 3 (canaries) begins
:      Waiting   wave 1 of 3 (canaries) is done, and waits for you: `baton resume 20261124-054100-3fa2` goes on, `baton abort 20261124-054100-3fa2` ends it
:      Waiting   wave 1 of 3 (canaries) is done, and waits for you: `baton resume 20261124-054100-3fa2` goes on, `baton abort 20261124-054100-3fa2` ends it
:      Resumed   it goes on
:         Wave   1 of 3 (canaries) is done
:         Wave   2 of 3 (zone a) begins
:       Paused   nothing new starts until `baton resume 20261124-054100-3fa2`
:      Waiting [   8.0s]   web-2   for its handover
:       Paused   nothing new starts until `baton resume 20261124-054100-3fa2`
:      Soaking   wave 2 of 3 (zone a) must stand; 30 s left
:      Soaking   wave 2 of 3 (zone a) must stand; 24 s left
"#);
    insta::assert_snapshot!(objects(&story).lines().skip(1).collect::<Vec<_>>().join("\n"), @r#"
{"event":"note","at_ms":100,"rollout":"20261124-054100-3fa2","note":"wave_begins","wave":0,"waves":3,"kind":"canaries","zone":null}
{"event":"note","at_ms":2000,"rollout":"20261124-054100-3fa2","note":"awaiting_person","wave":0,"waves":3,"kind":"canaries","zone":null}
{"event":"waiting","at_ms":4000,"hosts":[],"claims":[],"in_flight":[],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":true,"paused":false,"done":1,"total":4,"wave":0,"waves":3,"eta_ms":null,"eta_to":null}
{"event":"note","at_ms":5000,"rollout":"20261124-054100-3fa2","note":"going_on"}
{"event":"note","at_ms":5000,"rollout":"20261124-054100-3fa2","note":"wave_ends","wave":0,"waves":3,"kind":"canaries","zone":null}
{"event":"note","at_ms":5000,"rollout":"20261124-054100-3fa2","note":"wave_begins","wave":1,"waves":3,"kind":"zone","zone":"a"}
{"event":"note","at_ms":6000,"rollout":"20261124-054100-3fa2","note":"paused"}
{"event":"waiting","at_ms":8000,"hosts":["web-2"],"claims":[],"in_flight":["web-2"],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":null,"awaits_person":false,"paused":true,"done":1,"total":4,"wave":0,"waves":3,"eta_ms":null,"eta_to":null}
{"event":"note","at_ms":20000,"rollout":"20261124-054100-3fa2","note":"soaking","until_ms":50000,"wave":1,"waves":3,"kind":"zone","zone":"a"}
{"event":"waiting","at_ms":26100,"hosts":[],"claims":[],"in_flight":[],"guards":[],"last_looks":[],"deadlines_ms":{},"soaking_until_ms":50000,"awaits_person":false,"paused":false,"done":2,"total":4,"wave":0,"waves":3,"eta_ms":null,"eta_to":null}
"#);
}

#[test]
fn where_there_is_but_one_wave_it_is_not_told_of() {
    let plan = plan("++", 1, 0);
    let story = [
        (0, Told::Planned { plan: &plan, rollout: Some("20261124-054100-3fa2") }),
        (1, Told::Note { note: Note::WaveBegins(0) }),
        (20, Told::Note { note: Note::Soaking { wave: 0, until: Duration::from_secs(5) } }),
        (50, Told::Note { note: Note::WaveEnds(0) }),
    ];
    insta::assert_snapshot!(page(&story).lines().filter(|line| line.starts_with(':')).collect::<Vec<_>>().join("\n"), @r#":      Soaking   all that is done must stand; 3 s left"#);
}

#[test]
fn of_many_hosts_it_is_told_how_many_are_done_and_how_long_it_will_take() {
    let plan = builder("++++++++++++").in_flight(2).usual(Duration::from_secs(10)).plan();
    let awaited = Awaited { in_flight: vec![name(4)], ..Awaited::default() };
    let story = [
        (0, Told::Planned { plan: &plan, rollout: Some("20261124-054100-3fa2") }),
        (250, Told::Started { host: &name(4) }),
        (300, Told::Waiting { awaited: &awaited, picture: &picture("==!>........") }),
    ];
    insta::assert_snapshot!(page(&story).lines().filter(|line| line.starts_with(':')).collect::<Vec<_>>().join("\n"), @r#"
:      Waiting [  30.0s]   web-4   for its first step
:      Rollout   3 of 12 done, ETA 45 s
"#);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_silent_for_longer_when_there_was_no_news_for_half_a_minute() {
    let mut report = Report::to(Format::Human, Box::new(std::io::sink()), Box::new(std::io::sink()));
    let awaited = Awaited::default();
    let picture = picture(".");
    let mut lines = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(2) {
        tokio::time::advance(report.silence_left()).await;
        report.tell(&Told::Waiting { awaited: &awaited, picture: &picture });
        lines += 1;
    }
    assert_eq!(lines, 15 + 9);
    report.tell(&Told::Started { host: &name(1) });
    assert_eq!(report.silence_left(), Duration::from_secs(2));
}

#[test]
fn many_names_are_counted_not_spelt_out() {
    let awaited = Awaited { in_flight: (1..=14).map(name).collect(), ..Awaited::default() };
    let told = [
        (0, Told::Waiting { awaited: &awaited, picture: &picture(&">".repeat(14)) }),
        (0, Told::Asking { answered: 3, total: 14 }),
    ];
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
:      Rollout   0 of 14 done
:      Waiting   11 of 14 hosts have not answered yet
"#);
}
