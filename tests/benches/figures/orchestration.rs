//! What a rollout adds to the handovers themselves: fifty real agents and servers, walked by `baton restart` and, in turns with it,
//! handed over by hand.
//!
//! One host is in flight at a time and nothing has to settle. A rollout's time is counted from its first request for a handover, when
//! all connections are made; of its processor time that of a `baton status` over the same hosts is taken off, which connects too.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use baton_proto::v1::{Progress, Record, Step};
use baton_tests::clock;
use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::server::Kind;
use baton_tests::wait;

use crate::by_hand::{Stages, hand_over};
use crate::client::Client;
use crate::process::{price, processor_time};
use crate::report;
use crate::site::LOG;
use crate::spread::Spread;

const HOSTS: u32 = 50;
const WALKS: usize = 5;
const FLUSHES: usize = 100;
const FLUSH_BYTES: usize = 4096;
const SOON: Duration = Duration::from_secs(30);
const WALL_AIM_MS: f64 = 10.0;
const PROCESSOR_AIM_MS: f64 = 2.0;
/// What a handover may take on its host beyond the server's own boot, readiness and drain.
const HANDOVER_AIM_MS: f64 = 5.0;

/// The parts of a handover on its host: from the first word of one step to the first word of the next.
const PARTS: [(Step, Step, &str); 7] = [
    (Step::Open, Step::Signal, "open: look at the old master, flush the intent"),
    (Step::Signal, Step::Appear, "signal: send USR2"),
    (Step::Appear, Step::Ready, "appear: the pid file names the new master"),
    (Step::Ready, Step::Overlap, "ready and overlap: probe, look at both, judge"),
    (Step::Overlap, Step::Retire, "retire: write the intent"),
    (Step::Retire, Step::Drain, "retire: send QUIT"),
    (Step::Drain, Step::Close, "drain: every process of the old generation leaves"),
];

/// Everything measured, in milliseconds a host where it is of a walk.
#[derive(Debug, Default)]
struct Measured {
    by_hand: Vec<f64>,
    stages: Vec<Stages>,
    restart: Vec<f64>,
    controller: Vec<f64>,
    agents: Vec<f64>,
    records: Vec<Record>,
    flushes: Vec<Duration>,
}

/// Measures and reports.
pub(crate) fn run() {
    let timing = Timing { settle: Duration::ZERO, ..Timing::default() };
    let fleet =
        Fleet::of(HOSTS.try_into().expect("fifty fits")).name("bench").server(Kind::Patient).timing(timing).log(LOG).start();
    let mut measured = Measured::default();
    for _ in 0..WALKS {
        walk_by_hand(&fleet, &mut measured);
        measured.flushes.extend(flushes(&fleet));
        walk_with_baton(&fleet, &mut measured);
    }
    tell(&measured);
}

/// Milliseconds a host.
fn each(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3 / f64::from(HOSTS)
}

fn walk_by_hand(fleet: &Fleet, measured: &mut Measured) {
    let began = clock::now();
    measured.stages.extend(fleet.hosts.iter().map(|host| hand_over(&host.server)));
    measured.by_hand.push(each(began.elapsed()));
    wait::until("the agents to know the new masters", SOON, || {
        let standings = fleet.standings();
        let known =
            fleet.hosts.iter().zip(&standings).all(|(host, standing)| host.server.master().map(u64::from) == Ok(standing.master));
        if known { Ok(()) } else { Err(format!("{standings:?}")) }
    });
}

fn walk_with_baton(fleet: &Fleet, measured: &mut Measured) {
    let agents = || fleet.hosts.iter().map(|host| processor_time(host.agent.pid())).sum::<Duration>();
    let status = price(fleet.begin(&["status"]));
    let before = agents();
    let restart = price(fleet.begin(&["restart", SERVICE, "--yes", "--max-in-flight", "1", "--output", "json"]));
    measured.agents.push(each(agents().saturating_sub(before)));
    measured.controller.push(each(restart.processor_time.saturating_sub(status.processor_time)));
    let objects = restart.run.objects();
    let wall = objects.iter().find(|object| object["event"] == "summary").and_then(|summary| summary["at_ms"].as_u64());
    measured.restart.push(each(Duration::from_millis(wall.expect("a rollout ends with its summary"))));
    measured.records.extend(fleet.hosts.iter().map(|host| Client::local(host.agent.socket()).record(SERVICE)));
}

/// What one flush of the disk costs where the agents keep their state.
fn flushes(fleet: &Fleet) -> Vec<Duration> {
    let path = fleet.directory().join("flushed");
    let file = File::create(path).expect("a file in the sandbox can be made");
    file.set_len(FLUSH_BYTES as u64).and_then(|()| file.sync_all()).expect("the file can be grown");
    (0..FLUSHES)
        .map(|count| {
            let bytes = [count.to_le_bytes()[0]; FLUSH_BYTES];
            let began = clock::now();
            file.write_all_at(&bytes, 0).and_then(|()| file.sync_data()).expect("the file can be written");
            began.elapsed()
        })
        .collect()
}

/// When a step was first told of.
fn first(record: &Record, step: Step) -> Option<u64> {
    record.steps.iter().find(|progress: &&Progress| progress.step() == step).map(|progress| progress.at_ns)
}

fn between(records: &[Record], from: Step, to: Step) -> Spread {
    let nanoseconds = records.iter().filter_map(|record| Some(first(record, to)? - first(record, from)?));
    Spread::of(nanoseconds.map(|nanoseconds| Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3))
}

fn tell(measured: &Measured) {
    report::title(
        &format!("orchestration: {HOSTS} hosts, one in flight, warm connections, settle 0; {WALKS} walks of each kind in turns"),
        &["in milliseconds a host; a handover is the patient's: a small server that boots in a few milliseconds".to_owned()],
    );
    tell_totals(measured);
    report::gap();
    tell_parts(measured);
}

fn tell_totals(measured: &Measured) {
    let (hand, restart) = (Spread::of(measured.by_hand.iter().copied()), Spread::of(measured.restart.iter().copied()));
    let overhead = Spread::of(measured.restart.iter().zip(&measured.by_hand).map(|(restart, hand)| restart - hand));
    let controller = Spread::of(measured.controller.iter().copied());
    report::head("a host, over whole walks", &["walks", "p50", "least", "most", "aim"]);
    let row = |what: &str, spread: &Spread, aim: Option<f64>| {
        let figures = [spread.median(), spread.least(), spread.most()].map(|figure| format!("{figure:.2}"));
        let judged = aim.map_or(String::new(), |aim| format!("{aim} {}", if spread.median() <= aim { "met" } else { "MISSED" }));
        report::row(what, &[vec![spread.count().to_string()], figures.to_vec(), vec![judged]].concat());
    };
    row("wall: the handover by hand", &hand, None);
    row("wall: `baton restart`", &restart, None);
    row("wall: overhead, the second less the first", &overhead, Some(WALL_AIM_MS));
    row("processor: controller, less that of `baton status`", &controller, Some(PROCESSOR_AIM_MS));
    row("processor: the host's agent", &Spread::of(measured.agents.iter().copied()), None);
    let ratio = restart.median() / hand.median();
    report::note(&format!(
        "ratio of the walls at p50: {ratio:.2}; noise: the slowest walk by hand by the fastest {:.2}",
        hand.most() / hand.least()
    ));
}

fn tell_parts(measured: &Measured) {
    report::head("where the wall goes, a handover", &["n", "p50", "p90", "max", "by hand p50"]);
    let stage = |pick: fn(&Stages) -> Duration| {
        let picked: Vec<Duration> = measured.stages.iter().map(pick).collect();
        format!("{:.2}", Spread::milliseconds(&picked).median())
    };
    let row = |what: &str, spread: &Spread, by_hand: String| {
        let figures = [spread.median(), spread.percentile(90), spread.most()].map(|figure| format!("{figure:.2}"));
        report::row(what, &[vec![spread.count().to_string()], figures.to_vec(), vec![by_hand]].concat());
    };
    for (from, to, what) in PARTS {
        let by_hand = match to {
            Step::Ready => stage(|stages| stages.appear),
            Step::Overlap => stage(|stages| stages.ready),
            Step::Close => stage(|stages| stages.drain),
            Step::Unspecified
            | Step::Open
            | Step::Prepare
            | Step::Signal
            | Step::Appear
            | Step::Retire
            | Step::Drain
            | Step::Undo => String::new(),
        };
        row(what, &between(&measured.records, from, to), by_hand);
    }
    let whole = between(&measured.records, Step::Open, Step::Close);
    row("all of these", &whole, stage(|stages| stages.whole));
    let by_hand: Vec<Duration> = measured.stages.iter().map(|stages| stages.whole).collect();
    let added = whole.median() - Spread::milliseconds(&by_hand).median();
    let judged = if added <= HANDOVER_AIM_MS { "met" } else { "MISSED" };
    report::note(&format!(
        "on its host a handover takes {added:.2} ms longer than by hand, at p50 (aim {HANDOVER_AIM_MS}: {judged})"
    ));
    let mean = |samples: &Spread| samples.mean();
    let restart = Spread::of(measured.restart.iter().copied());
    let rest = mean(&restart) - mean(&whole);
    report::row("the rest: close, record, verdict, guard, next host (mean)", &[String::new(), format!("{rest:.2}")]);
    row("beside it: one flush of 4 KiB to the disk", &Spread::milliseconds(&measured.flushes), String::new());
}
