//! What it costs that nothing happens: memory and wake-ups of an agent and of `hold`, beside `flock(1)` that waits for the same kind of lock.
//!
//! The agents have one Watch open on each service, as a controller's guard has.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

use baton_tests::binaries;
use baton_tests::sandbox::Sandbox;

use crate::bare::{Holder, Place};
use crate::client::Client;
use crate::process::{self, Owned};
use crate::report;
use crate::site::{Site, service};

const STRETCH: Duration = Duration::from_secs(10);
const STRETCHES_MAX: usize = 4;
const MEBIBYTE: f64 = 1024.0;

/// Something that has nothing to do.
struct Idler {
    what: String,
    pid: u32,
    /// What it may have of resident memory, in MiB.
    aim: Option<f64>,
}

/// Measures and reports.
pub(crate) fn run() {
    let sandbox = Sandbox::new();
    let sites = [1, 20].map(|services| Site::start(&sandbox.path().join(format!("agent-of-{services}")), services));
    let clients = sites.each_ref().map(|site| Client::local(site.agent.socket()));
    let mut holders = Vec::new();
    let mut watches = Vec::new();
    for (site, client) in sites.iter().zip(&clients) {
        for (index, place) in site.places.iter().enumerate() {
            holders.push(Holder::start(place));
            let mut watch = client.watch(&service(index));
            watch.await_held();
            place.await_waiter();
            watches.push(watch);
        }
    }
    let mut idlers: Vec<Idler> =
        sites.iter().map(|site| Idler { what: agent_of(site.places.len()), pid: site.agent.pid(), aim: Some(8.0) }).collect();
    let held = Place::make(&sandbox.path().join("held"));
    let hold = start_hold(&held);
    held.await_waiter();
    idlers.push(Idler { what: "baton-agent hold".to_owned(), pid: hold.pid(), aim: Some(2.0) });
    let awaited = Place::make(&sandbox.path().join("awaited"));
    holders.push(Holder::start(&awaited));
    let flock = start_flock(&awaited);
    awaited.await_waiter();
    idlers.push(Idler { what: "flock -x of util-linux".to_owned(), pid: flock.pid(), aim: None });
    measure(&idlers);
}

fn agent_of(services: usize) -> String {
    format!("baton-agent run, {services} service{}", if services == 1 { "" } else { "s" })
}

fn start_hold(place: &Place) -> Owned {
    let server = place.holding();
    let mut command = Command::new(binaries::find("baton-agent"));
    command.arg("hold").arg("--lock").arg(place.lock()).arg("--pidfile").arg(place.pidfile());
    command.arg("--").arg(server.get_program()).args(server.get_args());
    command.stdin(Stdio::null()).stdout(place.log()).stderr(place.log());
    Owned::start(command)
}

fn start_flock(place: &Place) -> Owned {
    let mut command = Command::new("flock");
    command.arg("-x").arg(place.lock()).arg("true").stdin(Stdio::null()).stdout(place.log()).stderr(place.log());
    Owned::start(command)
}

/// The switches of each in one stretch: the first in which no thread came or went. Those that helped with the start leave 10 s after it.
fn switches(idlers: &[Idler]) -> Vec<u64> {
    let look = || idlers.iter().map(|idler| process::voluntary_switches(idler.pid)).collect::<Vec<_>>();
    let mut before = look();
    for _ in 0..STRETCHES_MAX {
        // The passing of time is what is measured here.
        std::thread::sleep(STRETCH);
        let after = look();
        let same = before.iter().zip(&after).all(|(before, after)| before.keys().eq(after.keys()));
        if same {
            let total = |threads: &BTreeMap<OsString, u64>| threads.values().sum::<u64>();
            return before.iter().zip(&after).map(|(before, after)| total(after) - total(before)).collect();
        }
        before = after;
    }
    panic!("threads came and went in {STRETCHES_MAX} stretches of {STRETCH:?}: {before:?}");
}

fn measure(idlers: &[Idler]) {
    let switched = switches(idlers);
    report::title(
        "idle: memory, and voluntary context switches of all threads while nothing happens",
        &[format!("over {} s, in one run; one Watch open on each service", STRETCH.as_secs())],
    );
    report::head("", &["VmRSS MiB", "RssAnon", "RSS ratio", "switches", "aim MiB"]);
    let memory = |idler: &Idler, key| f64::from(u32::try_from(process::status(idler.pid, key)).unwrap_or(u32::MAX)) / MEBIBYTE;
    let base = idlers.last().map_or(1.0, |idler| memory(idler, "VmRSS"));
    for (idler, switched) in idlers.iter().zip(switched) {
        let (resident, own) = (memory(idler, "VmRSS"), memory(idler, "RssAnon"));
        let aim = idler.aim.map_or(String::new(), |aim| format!("{aim} {}", if resident < aim { "met" } else { "MISSED" }));
        report::row(
            &idler.what,
            &[format!("{resident:.2}"), format!("{own:.2}"), format!("{:.2}", resident / base), switched.to_string(), aim],
        );
    }
}
