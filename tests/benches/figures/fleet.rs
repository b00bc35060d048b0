//! What a thousand hosts cost the controller: real agents behind real mutual TLS, a process full of them; their services pretend, so
//! that a handover takes one second, no more and no less.
//!
//! A look at the fleet is measured beside the bare handshakes that it cannot do without; a rolling restart beside the ideal schedule,
//! in which no slot is ever empty; its memory beside that of the same restart of one host.

use std::time::Duration;

use baton_tests::fleet::SERVICE;

use crate::crowd::Crowd;
use crate::process::{price, weigh};
use crate::report;
use crate::spread::Spread;
use crate::sweep;

const HOSTS: u32 = 1_000;
const IN_FLIGHT: u32 = 100;
const TAKES: Duration = Duration::from_secs(1);
const LOOKS: usize = 7;
const WALKS: usize = 3;
const LOOK_AIM: f64 = 1.5;
const SCHEDULE_AIM: f64 = 1.05;
const MEMORY_AIM_KB: f64 = 50.0;

/// Looks at the whole fleet, in milliseconds of the controller's processor a host.
#[derive(Debug, Default)]
struct Looks {
    bare: Vec<f64>,
    status: Vec<f64>,
    plan: Vec<f64>,
}

/// Walks over the whole fleet.
#[derive(Debug, Default)]
struct Walks {
    /// Seconds from the first claim asked for to the end.
    wall: Vec<f64>,
    /// Seconds until the first host starts: all are claimed.
    claimed: Vec<f64>,
    /// Seconds until the last host is proven.
    proven: Vec<f64>,
    /// Milliseconds of the controller's processor a host.
    processor: Vec<f64>,
}

/// Measures and reports.
pub(crate) fn run() {
    let crowd = Crowd::start(HOSTS, TAKES);
    report::title(
        &format!("fleet: {HOSTS} hosts, agents of one process over mutual TLS on loopback; their services pretend"),
        &[format!("a handover takes {} s on its host; the controller's figures, with claims and the journal", TAKES.as_secs())],
    );
    tell_looks(&looks(&crowd));
    report::gap();
    tell_walks(&walks(&crowd));
    report::gap();
    tell_memory(&crowd);
}

fn each(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3 / f64::from(HOSTS)
}

fn looks(crowd: &Crowd) -> Looks {
    let mut looks = Looks::default();
    for _ in 0..LOOKS {
        looks.bare.push(each(price(crowd.start_command(sweep::command(crowd))).processor_time));
        looks.status.push(each(price(crowd.begin(&["status"])).processor_time));
        looks.plan.push(each(price(crowd.begin(&["plan", SERVICE])).processor_time));
    }
    looks
}

fn tell_looks(looks: &Looks) {
    report::head("processor, ms a host", &["looks", "p50", "least", "most", "ratio", "aim"]);
    let bare = Spread::of(looks.bare.iter().copied());
    let row = |what: &str, samples: &[f64]| {
        let spread = Spread::of(samples.iter().copied());
        // Each beside the one that was measured just before it.
        let ratio = Spread::of(samples.iter().zip(&looks.bare).map(|(look, bare)| look / bare)).median();
        let judged = if ratio <= LOOK_AIM { "met" } else { "MISSED" };
        report::row(what, &[figures(&spread, 3), vec![format!("{ratio:.2}"), format!("{LOOK_AIM} {judged}")]].concat());
    };
    report::row("bare: TCP, mutual TLS, HTTP/2, one Status", &figures(&bare, 3));
    row("`baton status`", &looks.status);
    row("`baton plan`", &looks.plan);
    report::note(&format!("noise: the dearest bare look by the cheapest {:.2}", bare.most() / bare.least()));
}

fn walks(crowd: &Crowd) -> Walks {
    let mut walks = Walks::default();
    let in_flight = IN_FLIGHT.to_string();
    for _ in 0..WALKS {
        let priced = price(crowd.begin(&["restart", SERVICE, "--yes", "--max-in-flight", &in_flight, "--output", "json"]));
        let objects = priced.run.objects();
        let seconds = |object: Option<&serde_json::Value>| {
            let at_ms = object.and_then(|object| object["at_ms"].as_u64()).expect("a walk tells its times");
            Duration::from_millis(at_ms).as_secs_f64()
        };
        let is = |event: &'static str| move |object: &&serde_json::Value| object["event"] == event;
        walks.claimed.push(seconds(objects.iter().find(is("started"))));
        walks.proven.push(seconds(objects.iter().rfind(is("host"))));
        walks.wall.push(seconds(objects.iter().find(is("summary"))));
        walks.processor.push(each(priced.processor_time));
    }
    walks
}

fn tell_walks(walks: &Walks) {
    let ideal = TAKES.as_secs_f64() * f64::from(HOSTS) / f64::from(IN_FLIGHT);
    report::head(&format!("`baton restart`, {IN_FLIGHT} in flight"), &["walks", "p50", "least", "most", "ratio", "aim"]);
    let spread = |samples: &[f64]| Spread::of(samples.iter().copied());
    let wall = spread(&walks.wall);
    let ratio = wall.median() / ideal;
    let judged = if ratio <= SCHEDULE_AIM { "met" } else { "MISSED" };
    report::row("the ideal schedule, s", &[String::new(), format!("{ideal:.2}")]);
    report::row(
        "wall, s: from the first claim to the end",
        &[figures(&wall, 2), vec![format!("{ratio:.3}"), format!("{SCHEDULE_AIM} {judged}")]].concat(),
    );
    report::row("  until all are claimed", &figures(&spread(&walks.claimed), 2));
    report::row("  until the last is proven", &figures(&spread(&walks.proven), 2));
    report::row("processor, ms a host, with the preflight", &figures(&spread(&walks.processor), 3));
}

fn tell_memory(crowd: &Crowd) {
    let in_flight = IN_FLIGHT.to_string();
    let restart = |selector: &str| {
        weigh(crowd.begin(&["restart", SERVICE, selector, "--yes", "--max-in-flight", &in_flight, "--soak", "2s"]))
    };
    let (one, all) = (restart("web-1"), restart("web-*"));
    report::head("the most memory, kB resident", &["one host", "all", "a host", "aim"]);
    let grown = u32::try_from(all.saturating_sub(one)).expect("a controller is not that large");
    let each = f64::from(grown) / f64::from(HOSTS - 1);
    let judged = if each <= MEMORY_AIM_KB { "met" } else { "MISSED" };
    report::row(
        "`baton restart`, each host claimed and guarded",
        &[one.to_string(), all.to_string(), format!("{each:.1}"), format!("{MEMORY_AIM_KB} {judged}")],
    );
}

/// How many, and where they lie.
fn figures(spread: &Spread, decimals: usize) -> Vec<String> {
    let figures = [spread.median(), spread.least(), spread.most()].map(|figure| format!("{figure:.decimals$}"));
    [vec![spread.count().to_string()], figures.to_vec()].concat()
}
