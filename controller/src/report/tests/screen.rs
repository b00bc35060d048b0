//! The moving lines on a terminal, as they stand on its screen.

use std::time::Duration;

use baton_proto::step::Step;

use super::{name, picture};
use crate::plan::Plan;
use crate::plan::samples::{builder, plan};
use crate::report::Told;
use crate::report::contacts::Contacts;
use crate::report::course::Course;
use crate::report::human::{Look, at_a_glance};
use crate::report::screen::{Canvas, Flight, Scene, Size, lines};
use crate::rollout::{Awaited, Picture, Stage};

const WIDE: Size = Size { width: 100, height: 24 };

/// What is on the screen half a minute after the walk began: hosts two to five have been heard of.
fn drawn(plan: &Plan, picture: &Picture, canvas: Canvas) -> Vec<String> {
    let (mut course, mut contacts) = (Course::default(), Contacts::default());
    course.learn(&Told::Planned { plan, rollout: Some("20261124-054100-3fa2") });
    for (second, host, step, detail) in
        [(20, 2, Step::Ready, "503 from 201"), (22, 3, Step::Signal, "SIGUSR2 to the old master 100"), (24, 4, Step::Overlap, "")]
    {
        contacts.learn(&Told::Started { host: &name(host) }, Duration::from_secs(second));
        contacts.learn(&Told::Step { host: &name(host), step: step.into(), detail }, Duration::from_secs(second + 2));
    }
    contacts.learn(&Told::Retrying { host: &name(4), cause: "reset" }, Duration::from_secs(27));
    contacts.learn(&Told::Started { host: &name(5) }, Duration::from_secs(29));
    let at = Duration::from_secs(30);
    let look = Look { at, host_width: 6, painted: false, course: &course, contacts: &contacts };
    let flights: Vec<Flight<'_>> = picture
        .open
        .iter()
        .map(|(place, host)| Flight { host: host.as_str(), whereabouts: picture.hosts[*place], contact: contacts.of(host, at) })
        .collect();
    let wave = course.wave_name(picture.wave);
    let scene = Scene {
        picture,
        flights: &flights,
        waits: &at_a_glance(&awaited(picture), picture, &look),
        wave: wave.as_deref(),
        eta: look.eta(picture),
        host_width: 6,
        frame: 1,
    };
    lines(&scene, canvas)
}

/// What a rollout in this state waits for, beside its hosts in flight.
fn awaited(picture: &Picture) -> Awaited {
    let mut awaited = Awaited { is_paused: picture.is_paused, ..Awaited::default() };
    match picture.stage {
        Stage::Claiming(count) => awaited.claims = (1..=count).map(name).collect(),
        Stage::Soaking(until) => awaited.soaking = Some((picture.wave, until)),
        Stage::Person => awaited.person = Some(picture.wave),
        Stage::Concluding(count) => awaited.last_looks = (1..=count).map(name).collect(),
        Stage::Planned | Stage::Walking | Stage::Over => {}
    }
    awaited
}

fn shown(plan: &Plan, picture: &Picture, size: Size) -> String {
    drawn(plan, picture, Canvas { size, painted: false }).join("\n")
}

#[test]
fn each_host_in_flight_has_a_line_and_below_is_how_far_it_is() {
    let plan = builder("++++++++").in_flight(4).usual(Duration::from_secs(12)).plan();
    insta::assert_snapshot!(shown(&plan, &picture("=>>>>c.."), WIDE), @r#"
      / [  10.0s]   web-2    ready  503 from 201
      / [   8.0s]   web-3    signal  SIGUSR2 to the old master 100
      / [   6.0s]   web-4    no contact for 4 s; last in step overlap
      / [   1.0s]   web-5    is asked for its handover
      /             web-6    is done; its guard is set up
Rollout [==>             ]  1/8   ETA 16 s
"#);
}

#[test]
fn what_holds_it_up_is_said_with_the_command_that_goes_on() {
    let plan = builder("++++++").zones("a a b b b b").canaries(1).by_zone().usual(Duration::from_secs(12)).plan();
    let paused = Picture { is_paused: true, ..picture("=>....") };
    let person = Picture { stage: Stage::Person, ..picture("=.....") };
    let soaking = Picture { stage: Stage::Soaking(Duration::from_secs(54)), wave: 1, ..picture("==....") };
    let stopping = Picture { is_stopping: true, wave: 1, ..picture("=>~...") };
    let claiming = Picture { stage: Stage::Claiming(3), ..picture("......") };
    let concluding = Picture { stage: Stage::Concluding(2), wave: 3, ..picture("==!=X=") };
    let all = [paused, person, soaking, stopping, claiming, concluding];
    let all: Vec<String> = all.iter().map(|picture| shown(&plan, picture, WIDE)).collect();
    insta::assert_snapshot!(all.join("\n\n"), @r#"
      / [  10.0s]   web-2    ready  503 from 201
 Paused   nothing new starts until `baton resume 20261124-054100-3fa2`
Rollout [==>             ]  1/6   wave 1 of 3 (canaries), then 50 s more

Waiting   for you: `baton resume 20261124-054100-3fa2` goes on
Rollout [==              ]  1/6   wave 1 of 3 (canaries), then 1 min more

Soaking   wave 2 of 3 (zone a) must stand; 24 s left
Rollout [=====           ]  2/6   wave 2 of 3 (zone a), ETA 1 min 12 s

      / [  10.0s]   web-2    ready  503 from 201
      / [   8.0s]   web-3    its guard was lost, and is sought again
Halting   nothing new starts any more (^C leaves at once)
Rollout [==>             ]  1/6   wave 2 of 3 (zone a)

Waiting   for the claim on web-1, web-2 and web-3
Rollout [                ]  0/6   wave 1 of 3 (canaries), a person is asked in 12 s

Waiting   for the last look at web-1 and web-2
Rollout [================]  6/6
"#);
}

#[test]
fn many_hosts_have_a_map_and_only_the_first_of_those_in_flight_have_a_line() {
    let letters = format!("====!==={}{}", ">".repeat(20), ".".repeat(120));
    insta::assert_snapshot!(shown(&plan(&"+".repeat(148), 20, 1), &picture(&letters), WIDE), @r#"
      /             web-9    is asked for its handover
      /             web-10   is asked for its handover
      /             web-11   is asked for its handover
      /             web-12   is asked for its handover
      /             web-13   is asked for its handover
      /             web-14   is asked for its handover
      /             web-15   is asked for its handover
      /             web-16   is asked for its handover
      /             web-17   is asked for its handover
      /             web-18   is asked for its handover
      /             web-19   is asked for its handover
      /             web-20   is asked for its handover
      /             web-21   is asked for its handover
      /             web-22   is asked for its handover
      /             web-23   is asked for its handover
          and 5 more
Rollout [>               ]  8/148
    Map   ====!===>>>>>>>>>>>>>>>>>>>>........................................................
          ................................................................
          = 7 kept   > 20 in flight   . 120 waiting   ! 1 failed
"#);
}

#[test]
fn nothing_is_wider_or_higher_than_the_terminal() {
    let letters = format!("====!==={}{}", ">".repeat(200), ".".repeat(9_800));
    let plan = plan(&"+".repeat(letters.len()), 200, 1);
    let picture = Picture { is_paused: true, ..picture(&letters) };
    for width in [1, 5, 16, 17, 20, 40, 71, 72, 80, 100, 300] {
        for height in [1, 2, 3, 6, 10, 24, 60] {
            let lines = drawn(&plan, &picture, Canvas { size: Size { width, height }, painted: false });
            assert!(!lines.is_empty() && lines.len() <= height, "{width} x {height}: {} lines", lines.len());
            let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(widest <= width, "{width} x {height}: {widest} wide");
            assert!(width < 17 || lines.iter().any(|line| line.contains("Rollout")), "{width} x {height}");
        }
    }
}

#[test]
fn a_terminal_without_room_shows_how_far_it_is_and_no_map() {
    let letters = format!("====!==={}{}", ">".repeat(4), ".".repeat(28));
    insta::assert_snapshot!(shown(&plan(&"+".repeat(40), 4, 1), &picture(&letters), Size { width: 50, height: 5 }), @r#"
      /             web-9    is asked for...
      /             web-10   is asked for...
          and 2 more
Rollout [=>     ]  8/40
"#);
}

#[test]
fn colours_are_for_those_who_may_see_them() {
    let plan = plan(&"+".repeat(17), 1, 0);
    let painted = drawn(&plan, &picture("==X?!.............>"), Canvas { size: WIDE, painted: true }).join("\n");
    assert!(painted.contains("\u{1b}[32m==\u{1b}[0m\u{1b}[1;31mX\u{1b}[0m"), "{painted:?}");
    let plain = drawn(&plan, &picture("==X?!.............>"), Canvas { size: WIDE, painted: false }).join("\n");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}
