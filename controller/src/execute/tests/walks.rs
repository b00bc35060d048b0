//! Whole rollouts against scripted agents: lost streams, late drops, and who is signalled how often.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_proto::custody::Process;
use baton_proto::v1;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use crate::execute::scripted::{
    FENCE, Papers, Script, Scripted, Turn, after, clean_end, dropped, end, healthy, held, numbered_step, orphaned, progress,
    undone_end,
};
use crate::execute::{Dialler, Interrupts, prepare, restart};
use crate::inventory::Share;
use crate::outcome::samples;
use crate::plan::{Choices, Circumstances, Limits, Releases};
use crate::report::{Format, Report};
use crate::rollout::Summary;

type Reload = Result<Vec<Turn<v1::ReloadEvent>>, Status>;

/// Longer than any rollout here may take.
const DEADLINE: Duration = Duration::from_mins(1);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Some scripted hosts, and what was told of their rollout.
struct Stage {
    papers: Papers,
    agents: Vec<Scripted>,
    page: Page,
    limits: Limits,
}

impl Stage {
    /// One host for each list of answers to Reload.
    async fn set(hosts: Vec<Vec<Reload>>) -> Self {
        let papers = Papers::new();
        let mut agents = Vec::new();
        for (number, reloads) in hosts.into_iter().enumerate() {
            let watches = [vec![Turn::Say(after(2))]].into();
            let script = Script { reloads: reloads.into(), watches, status: healthy(), ..Script::default() };
            let name = format!("web-{}", number + 1);
            agents.push(Scripted::start(papers.path(), &name, &papers.authority(), script).await);
        }
        let limits = Limits { host_deadline: Some(Duration::from_secs(20)), ..Limits::default() };
        Self { papers, agents, page: Page::default(), limits }
    }

    async fn play(&self) -> Summary {
        let (_interrupt, interrupts) = Interrupts::by_hand();
        self.play_with(interrupts).await
    }

    async fn play_with(&self, interrupts: Interrupts) -> Summary {
        let names: Vec<String> = (1..=self.agents.len()).map(|number| format!("web-{number}")).collect();
        let hosts: Vec<(&str, &str)> =
            names.iter().zip(&self.agents).map(|(name, agent)| (name.as_str(), agent.address.as_str())).collect();
        let fleet = self.papers.fleet("ada", &hosts);
        let dialler = Dialler::new(&fleet).unwrap();
        let mut report = Report::to(Format::Json, Box::new(self.page.clone()), Box::new(self.page.clone()));
        let choices = Choices { service: "web".into(), releases: Releases::Current, limits: self.limits };
        let prepared = prepare(choices, fleet.hosts(), Circumstances::default(), &dialler, &mut report).await.unwrap();
        let walked = restart(prepared, "r-1", "", dialler, interrupts, &mut report);
        timeout(DEADLINE, walked).await.expect("the rollout ends in time")
    }

    fn asked(&self, host: usize) -> Vec<v1::ReloadRequest> {
        self.agents[host].rewrite(|script| script.asked.clone())
    }
}

fn words(summary: &Summary) -> Vec<&'static str> {
    summary.hosts.iter().map(|(_, outcome)| outcome.as_ref().map_or("untouched", crate::outcome::Outcome::word)).collect()
}

#[tokio::test]
async fn a_clean_walk_proves_every_host_and_asks_each_once() {
    let stage = Stage::set(vec![vec![Ok(clean_end())], vec![Ok(clean_end())], vec![Ok(clean_end())]]).await;
    let summary = stage.play().await;
    assert_eq!(words(&summary), ["proven", "proven", "proven"], "{}", stage.page.text());
    for host in 0..3 {
        let asked = stage.asked(host);
        let [request] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!((request.rollout.as_str(), request.attempt, request.fence), ("r-1", 1, FENCE));
    }
}

#[tokio::test]
async fn a_lost_stream_is_asked_for_again_under_the_same_name() {
    for loss in [Turn::Slam, Turn::Fail(Status::unavailable("shutting down"))] {
        let mut lost = vec![progress(v1::Step::Open), progress(v1::Step::Signal)];
        lost.push(loss);
        lost.push(Turn::Await);
        let stage = Stage::set(vec![vec![Ok(lost), Ok(clean_end())]]).await;
        let summary = stage.play().await;
        assert_eq!(words(&summary), ["proven"], "{}", stage.page.text());
        let asked = stage.asked(0);
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0], asked[1], "the agent must see that it is the same attempt");
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_its_testimony_is_asked_for_again() {
    let stage = Stage::set(vec![vec![Ok(vec![progress(v1::Step::Open)]), Ok(clean_end().split_off(1)), Ok(clean_end())]]).await;
    assert_eq!(words(&stage.play().await), ["proven"], "{}", stage.page.text());
    assert_eq!(stage.asked(0).len(), 3);
}

#[tokio::test]
async fn a_newer_agent_is_understood_by_an_older_controller() {
    // An event of another kind arrives empty, a step of another kind as its number.
    let unknown_event = Turn::Say(v1::ReloadEvent { event: None });
    let mut newer = vec![unknown_event.clone(), numbered_step(99), unknown_event];
    newer.extend(clean_end());
    let stage = Stage::set(vec![vec![Ok(newer)], vec![Ok(clean_end())]]).await;
    let watch = vec![Turn::Say(v1::WatchEvent::default()), Turn::Say(after(2)), Turn::Say(v1::WatchEvent::default())];
    stage.agents[0].rewrite(|script| script.watches = [watch].into());
    assert_eq!(words(&stage.play().await), ["proven", "proven"], "{}", stage.page.text());
    assert!(stage.page.text().contains("\"step\":\"unknown step 99\""), "{}", stage.page.text());
    assert_eq!(stage.asked(0).len(), 1);
}

#[tokio::test]
async fn a_result_that_we_do_not_know_stays_a_doubt() {
    let mut unknown = clean_end();
    for turn in &mut unknown {
        if let Turn::Say(v1::ReloadEvent { event: Some(v1::reload_event::Event::Ending(ending)) }) = turn {
            ending.result = 99;
        }
    }
    let stage = Stage::set(vec![vec![Ok(unknown)], vec![Ok(clean_end())]]).await;
    let summary = stage.play().await;
    assert_eq!(words(&summary), ["unproven", "untouched"], "{}", stage.page.text());
    assert_eq!(summary.exit().code(), 4);
}

#[tokio::test]
async fn contact_that_stays_lost_after_the_signal_ends_as_unknown() {
    let lost = vec![progress(v1::Step::Signal), Turn::Fail(Status::unavailable("gone"))];
    let mut stage = Stage::set(vec![vec![Ok(lost)], vec![Ok(clean_end())]]).await;
    stage.limits.host_deadline = Some(Duration::from_secs(1));
    let summary = stage.play().await;
    assert_eq!(words(&summary), ["unknown", "untouched"], "{}", stage.page.text());
    assert_eq!(summary.exit().code(), 4);
}

#[tokio::test]
async fn an_agent_that_refuses_was_not_signalled() {
    for status in [Status::failed_precondition("a foreign holder"), Status::permission_denied("observer")] {
        let stage = Stage::set(vec![vec![Err(status)], vec![Ok(clean_end())]]).await;
        let summary = stage.play().await;
        assert_eq!(words(&summary), ["refused", "untouched"], "{}", stage.page.text());
        assert_eq!(summary.exit().code(), 3);
    }
}

#[tokio::test]
async fn a_refusal_after_the_agent_had_begun_is_unknown() {
    let begun = Ok(vec![progress(v1::Step::Signal), Turn::Fail(Status::unavailable("gone"))]);
    let stage = Stage::set(vec![vec![begun, Err(Status::not_found("no such attempt"))]]).await;
    assert_eq!(words(&stage.play().await), ["unknown"], "{}", stage.page.text());
}

#[tokio::test]
async fn a_refusal_after_a_request_that_may_have_arrived_is_unknown() {
    // The agent may have begun, and been heard by nobody: whatever refuses the next request says nothing of the first.
    for refusal in [Status::failed_precondition("a foreign holder"), Status::permission_denied("an observer")] {
        for loss in [Ok(vec![Turn::Slam, Turn::Await]), Ok(vec![]), Err(Status::unavailable("shutting down"))] {
            let stage = Stage::set(vec![vec![loss, Err(refusal.clone())], vec![Ok(clean_end())]]).await;
            let summary = stage.play().await;
            assert_eq!(words(&summary), ["unknown", "untouched"], "{}", stage.page.text());
            assert_eq!(summary.exit().code(), 4);
            assert_eq!(stage.asked(0).len(), 2);
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_too_busy_from_the_start_was_not_signalled() {
    let busy = Status::resource_exhausted("too many streams are open on this service");
    let stage = Stage::set(vec![vec![Err(busy)], vec![Ok(clean_end())]]).await;
    let summary = stage.play().await;
    assert_eq!(words(&summary), ["refused", "untouched"], "{}", stage.page.text());
    assert!(stage.page.text().contains("the agent is busy: too many streams"), "{}", stage.page.text());
    assert_eq!(stage.asked(0).len(), 1);
}

#[tokio::test]
async fn an_agent_that_is_too_busy_to_be_heard_again_is_asked_once_more() {
    let begun = Ok(vec![progress(v1::Step::Signal), Turn::Fail(Status::unavailable("gone"))]);
    let busy = Err(Status::resource_exhausted("too many streams are open on this service"));
    let stage = Stage::set(vec![vec![begun, busy, Ok(clean_end())]]).await;
    assert_eq!(words(&stage.play().await), ["proven"], "{}", stage.page.text());
    assert_eq!(stage.asked(0).len(), 3);
}

#[tokio::test]
async fn a_rollback_within_the_budget_is_guarded_and_the_walk_goes_on() {
    let mut stage = Stage::set(vec![vec![Ok(undone_end())], vec![Ok(clean_end())]]).await;
    stage.limits.max_failures = Share::Count(1);
    let mut old = after(2);
    if let Some(v1::watch_event::Event::Status(status)) = &mut old.event {
        *status = healthy();
    }
    stage.agents[0].rewrite(|script| script.watches = [vec![Turn::Say(old)]].into());
    let summary = stage.play().await;
    assert_eq!(words(&summary), ["rolled back", "proven"], "{}", stage.page.text());
    assert_eq!(summary.exit().code(), 3);
}

#[tokio::test]
async fn a_drop_in_the_testimony_halts() {
    let stage = Stage::set(vec![vec![Ok(end(&samples::dropped()))], vec![Ok(clean_end())]]).await;
    let summary = stage.play().await;
    assert_eq!(words(&summary), ["dropped", "untouched"], "{}", stage.page.text());
    assert_eq!(summary.exit().code(), 5);
}

#[tokio::test]
async fn a_drop_that_only_the_count_shows_halts() {
    let stage = Stage::set(vec![vec![Ok(clean_end())], vec![Ok(clean_end())]]).await;
    stage.agents[0].rewrite(|script| script.watches = [vec![Turn::Say(after(3))]].into());
    assert_eq!(words(&stage.play().await), ["dropped", "untouched"], "{}", stage.page.text());
}

#[tokio::test]
async fn a_late_drop_on_a_finished_host_halts_what_comes_after() {
    let second = [vec![progress(v1::Step::Signal), Turn::Await], clean_end()].concat();
    let stage = Stage::set(vec![vec![Ok(clean_end())], vec![Ok(second)], vec![Ok(clean_end())]]).await;
    stage.agents[0].rewrite(|script| script.watches = [vec![Turn::Say(after(2)), Turn::Await, Turn::Say(dropped(3))]].into());
    let conductor = async {
        until(&stage, |page| page.contains("\"step\":\"signal\"")).await;
        stage.agents[0].go_on();
        until(&stage, |page| page.contains("\"stopping\"")).await;
        stage.agents[1].go_on();
    };
    let (summary, ()) = tokio::join!(stage.play(), conductor);
    assert_eq!(words(&summary), ["dropped", "proven", "untouched"], "{}", stage.page.text());
}

/// What becomes of a rollout over three hosts when the watch on the first tells this while the second is in flight.
async fn told_of_the_first(news: &[v1::WatchEvent]) -> Summary {
    let second = [vec![progress(v1::Step::Signal), Turn::Await], clean_end()].concat();
    let stage = Stage::set(vec![vec![Ok(clean_end())], vec![Ok(second)], vec![Ok(clean_end())]]).await;
    let mut turns = vec![Turn::Say(after(2)), Turn::Await];
    turns.extend(news.iter().cloned().map(Turn::Say));
    stage.agents[0].rewrite(|script| script.watches = [turns].into());
    let conductor = async {
        until(&stage, |page| page.contains("\"step\":\"signal\"")).await;
        stage.agents[0].go_on();
        until(&stage, |page| page.matches("\"host\":\"web-1\",\"outcome\"").count() > news.len()).await;
        stage.agents[1].go_on();
    };
    let (summary, ()) = tokio::join!(stage.play(), conductor);
    summary
}

#[tokio::test]
async fn a_foreign_handover_on_a_finished_host_halts_what_comes_after() {
    let summary = told_of_the_first(&[held(Process { pid: 300, start_ticks: 1 }, 2)]).await;
    assert_eq!(words(&summary), ["unknown", "proven", "untouched"]);
    assert_eq!(summary.exit().code(), 4);
}

#[tokio::test]
async fn a_master_that_is_gone_halts_at_once_and_the_drop_that_follows_is_told_too() {
    let summary = told_of_the_first(&[orphaned(2)]).await;
    assert_eq!(words(&summary), ["unknown", "proven", "untouched"]);
    let summary = told_of_the_first(&[orphaned(2), dropped(3)]).await;
    assert_eq!(words(&summary), ["dropped", "proven", "untouched"]);
    assert_eq!(summary.exit().code(), 5);
}

#[tokio::test]
async fn a_frozen_agent_is_found_out_before_the_end() {
    let second = [vec![progress(v1::Step::Signal), Turn::Await], clean_end()].concat();
    let stage = Stage::set(vec![vec![Ok(clean_end())], vec![Ok(second)]]).await;
    let conductor = async {
        until(&stage, |page| page.contains("\"step\":\"signal\"")).await;
        stage.agents[0].rewrite(|script| script.frozen = true);
        stage.agents[1].go_on();
    };
    let (summary, ()) = tokio::join!(stage.play(), conductor);
    assert_eq!(words(&summary), ["unknown", "proven"], "{}", stage.page.text());
    assert_eq!(summary.exit().code(), 4);
}

#[tokio::test]
async fn what_happened_without_a_word_is_found_at_the_last_look() {
    let healthy = v1::ServiceStatus { master: Some(samples::NEW.into()), ..healthy() };
    let counted = v1::ServiceStatus { epoch: 3, ..healthy.clone() };
    let replaced = v1::ServiceStatus { master: Some(Process { pid: 300, start_ticks: 1 }.into()), ..healthy.clone() };
    let lost = v1::ServiceStatus { custody: v1::Custody::Orphaned.into(), ..healthy };
    for (status, word) in [(counted, "dropped"), (replaced, "unknown"), (lost, "unknown")] {
        let second = [vec![progress(v1::Step::Signal), Turn::Await], clean_end()].concat();
        let stage = Stage::set(vec![vec![Ok(clean_end())], vec![Ok(second)]]).await;
        let conductor = async {
            until(&stage, |page| page.contains("\"step\":\"signal\"")).await;
            stage.agents[0].rewrite(|script| script.status = status);
            stage.agents[1].go_on();
        };
        let (summary, ()) = tokio::join!(stage.play(), conductor);
        assert_eq!(words(&summary), [word, "proven"], "{}", stage.page.text());
    }
}

#[tokio::test]
async fn a_lost_guard_is_found_again() {
    let second = [vec![progress(v1::Step::Signal), Turn::Await], clean_end()].concat();
    let stage = Stage::set(vec![vec![Ok(clean_end())], vec![Ok(second)]]).await;
    stage.agents[0].rewrite(|script| {
        script.watches = [vec![Turn::Say(after(2)), Turn::Await, Turn::Slam], vec![Turn::Say(after(2))]].into();
    });
    let conductor = async {
        until(&stage, |page| page.contains("\"step\":\"signal\"")).await;
        stage.agents[0].go_on();
        until(&stage, |page| page.contains("\"retrying\"")).await;
        stage.agents[1].go_on();
    };
    let (summary, ()) = tokio::join!(stage.play(), conductor);
    assert_eq!(words(&summary), ["proven", "proven"], "{}", stage.page.text());
}

#[tokio::test]
async fn an_interrupt_waits_for_what_is_in_flight() {
    let first = [vec![progress(v1::Step::Signal), Turn::Await], clean_end()].concat();
    let stage = Stage::set(vec![vec![Ok(first)], vec![Ok(clean_end())]]).await;
    let (interrupt, interrupts): (mpsc::Sender<()>, Interrupts) = Interrupts::by_hand();
    let conductor = async {
        until(&stage, |page| page.contains("\"step\":\"signal\"")).await;
        interrupt.send(()).await.unwrap();
        until(&stage, |page| page.contains("\"stopping\"")).await;
        stage.agents[0].go_on();
    };
    let (summary, ()) = tokio::join!(stage.play_with(interrupts), conductor);
    assert_eq!(words(&summary), ["proven", "untouched"], "{}", stage.page.text());
    assert_eq!(summary.exit().code(), 130);
}

/// Waits until what was told fulfils a condition.
async fn until(stage: &Stage, mut fulfilled: impl FnMut(&str) -> bool) {
    let looking = async {
        while !fulfilled(&stage.page.text()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("it never came: {}", stage.page.text()));
}
