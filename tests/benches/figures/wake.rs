//! From `kill -9` of the last holder to the knowledge of it: the agent beside a bare blocking flock.
//!
//! Four kinds of rounds in turns: bare, agent watched over its socket, bare, agent watched over TLS. In each a fresh holder takes a
//! lock, the waiter is seen to be blocked, and the holder is killed. All times are CLOCK_BOOTTIME, which all processes share.

use std::time::Duration;

use baton_tests::sandbox::Sandbox;

use crate::bare::{Holder, Place, Waiter};
use crate::client::{Client, Watch};
use crate::site::{Site, service};
use crate::spread::Spread;
use crate::{process, report};

const ROUNDS: usize = 300;
/// At most so many times the bare waiter, at p50.
const AIM: f64 = 1.5;

/// What one kind of rounds has measured, from the kill on.
#[derive(Debug, Default)]
struct Measured {
    observed: Vec<Duration>,
    arrived: Vec<Duration>,
}

/// Measures and reports.
pub(crate) fn run() {
    let sandbox = Sandbox::new();
    let site = Site::start(&sandbox.path().join("site"), 2);
    let (local, remote) = (Client::local(site.agent.socket()), Client::remote(site.agent.address(), &site.pki));
    let (mut by_socket, mut by_tls) = (local.watch(&service(0)), remote.watch(&service(1)));
    let bare = Place::make(&sandbox.path().join("bare"));
    let mut waiter = Waiter::start(&bare);
    let mut memory = 0;
    let (mut odd, mut even) = (Vec::new(), Vec::new());
    let (mut socket, mut tls) = (Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        odd.push(bare_round(&bare, &mut waiter, &mut memory));
        agent_round(&site.places[0], &mut by_socket, &mut socket);
        even.push(bare_round(&bare, &mut waiter, &mut memory));
        agent_round(&site.places[1], &mut by_tls, &mut tls);
    }
    tell(&[odd, even], &socket, &tls, memory);
}

fn bare_round(place: &Place, waiter: &mut Waiter, memory: &mut u64) -> Duration {
    let mut holder = Holder::start(place);
    waiter.arm();
    place.await_waiter();
    *memory = process::status(holder.pid(), "VmRSS");
    let killed = holder.kill();
    let granted = waiter.granted();
    granted.saturating_sub(killed)
}

fn agent_round(place: &Place, watch: &mut Watch<'_>, measured: &mut Measured) {
    let mut holder = Holder::start(place);
    watch.await_held();
    place.await_waiter();
    let killed = holder.kill();
    let (observed, arrived) = watch.await_drop();
    measured.observed.push(observed.saturating_sub(killed));
    measured.arrived.push(arrived.saturating_sub(killed));
}

fn tell(bare: &[Vec<Duration>; 2], socket: &Measured, tls: &Measured, memory: u64) {
    let [odd, even] = bare.each_ref().map(Spread::microseconds);
    let base = Spread::microseconds(bare.iter().flatten());
    let observed = Spread::microseconds(socket.observed.iter().chain(&tls.observed));
    report::title(
        "wake: from kill -9 of the last holder to the knowledge of it",
        &[format!("in microseconds; the holder is a process of {memory} kB resident memory; rounds alternate")],
    );
    report::head("", &["n", "p50", "p90", "max", "p50 ratio"]);
    row("a bare process blocked in flock has the lock", &base, &base);
    row("the agent's numbered observation: its waiter has the lock", &observed, &base);
    row("the Watch event has arrived, over the unix socket", &Spread::microseconds(&socket.arrived), &base);
    row("the Watch event has arrived, over mutual TLS", &Spread::microseconds(&tls.arrived), &base);
    report::gap();
    report::note(&format!(
        "noise: the bare waiter against itself, one half of its rounds by the other: {:.2}",
        even.median() / odd.median()
    ));
    let ratio = observed.median() / base.median();
    report::note(&format!("aim: at most {AIM} at p50: {}", if ratio <= AIM { "met" } else { "MISSED" }));
}

fn row(what: &str, spread: &Spread, base: &Spread) {
    let figures = [spread.median(), spread.percentile(90), spread.most()].map(|figure| format!("{figure:.0}"));
    let ratio = format!("{:.2}", spread.median() / base.median());
    report::row(what, &[vec![spread.count().to_string()], figures.to_vec(), vec![ratio]].concat());
}
