//! The story of the demo, in two acts: a release that works, and one that cannot boot.

use std::time::Duration;

use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::load::{Load, Mix, Tally};
use baton_tests::sandbox::Sandbox;
use baton_tests::server::{Flaw, Kind, Release};
use baton_tests::standing::Standing;
use baton_tests::{clock, wait};

use crate::{controller, report};

const HOSTS: usize = 5;
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(15), settle: Duration::from_millis(500), drain_within: Duration::from_secs(15) };
const MIX: Mix = Mix { keep_alive: 2, close: 2, pace: Duration::from_millis(20), long: 1, long_for: Duration::from_millis(400) };

/// How many requests more are served once a rollout is over.
const SERVED_AFTERWARDS: u64 = 1000;
const SERVED_WITHIN: Duration = Duration::from_mins(1);

/// What did not go as the story says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Surprise {
    /// The controller ended otherwise.
    #[error("`baton restart` ended with {found:?} where {expected} was expected")]
    Exit { expected: i32, found: Option<i32> },
    /// The controller could not be run.
    #[error("`baton restart` cannot be run: {0}")]
    Run(#[from] std::io::Error),
    /// Requests were lost.
    #[error("{0} requests failed")]
    Lost(u64),
    /// A host is not where it should be.
    #[error("{host}: {what}")]
    Host { host: String, what: String },
}

/// Plays both acts.
pub(crate) fn play(sandbox: Sandbox) -> Result<(), Surprise> {
    let directory = sandbox.path().to_owned();
    let fleet = set_the_stage(sandbox);
    first_act(&fleet)?;
    second_act(&fleet)?;
    drop(fleet);
    report::gap();
    if directory.exists() {
        return Err(Surprise::Host { host: directory.display().to_string(), what: "is still there".to_owned() });
    }
    report::ended();
    Ok(())
}

fn set_the_stage(sandbox: Sandbox) -> Fleet {
    let kind = Kind::best();
    let server =
        if kind == Kind::Patient { "the patient (our own prefork server, for Unicorn is not installed)" } else { "Unicorn" };
    report::act("A fleet on this machine");
    report::line("Starting", format!("{HOSTS} hosts with {server}, an agent each, under a throw-away certificate authority"));
    let began = clock::now();
    let fleet = Fleet::of(HOSTS).name("demo").server(kind).timing(TIMING).start_in(sandbox);
    for host in &fleet.hosts {
        report::line("Host", format!("{} serves {} and its agent {}", host.name, host.server.address(), host.agent.address()));
    }
    report::line("Started", format!("in {:.1?}", began.elapsed()));
    if !controller::shows_steps() {
        report::line("Steps", "are shown on a terminal; here, only what came of them");
    }
    fleet
}

fn first_act(fleet: &Fleet) -> Result<(), Surprise> {
    report::act("Act one: release v2 is rolled out, under load");
    fleet.deploy(&Release::sound("v2"));
    let before = fleet.standings();
    let tally = under_load(fleet, 0)?;
    report::gap();
    for (before, after) in before.iter().zip(fleet.standings()) {
        let verdict = fleet.verdict(&after.host);
        report::line(&after.host, moved(before, &after, &verdict));
        check(&after, after.master != before.master && tally_of(fleet, &tally, &after.host, "v2") > 0, "did not move to v2")?;
        check(&after, after.epoch == before.epoch, "dropped its lock")?;
    }
    told(&tally)
}

fn second_act(fleet: &Fleet) -> Result<(), Surprise> {
    report::act("Act two: release v3 cannot boot");
    fleet.deploy(&Release::flawed("v3", Flaw::RaisesAtBoot));
    let before = fleet.standings();
    let tally = under_load(fleet, 3)?;
    report::gap();
    for (before, after) in before.iter().zip(fleet.standings()) {
        let served = tally_of(fleet, &tally, &after.host, "v2");
        let stayed = after.master == before.master;
        let master = if stayed { "still" } else { "now" };
        report::line(&after.host, format!("master {} {master} in charge, {served} requests served by v2", after.master));
        check(&after, stayed && served > 0 && tally_of(fleet, &tally, &after.host, "v3") == 0, "left v2")?;
    }
    told(&tally)
}

/// Runs the rollout for all to see, with clients on every host from before it begins until after it has ended.
fn under_load(fleet: &Fleet, expected: i32) -> Result<Tally, Surprise> {
    let clients = MIX.keep_alive + MIX.close + MIX.long;
    report::line("Load", format!("{clients} clients on each host: keeping connections, making new ones, and slow requests"));
    let load = Load::start(&fleet.targets(), MIX);
    let args = ["restart", SERVICE, "--yes"];
    report::command(&args);
    let status = controller::run(fleet, &args)?;
    serve_on(&load);
    let tally = load.stop();
    if status.code() == Some(expected) { Ok(tally) } else { Err(Surprise::Exit { expected, found: status.code() }) }
}

/// What the rollout left behind must serve, too.
fn serve_on(load: &Load) {
    let enough = load.so_far().0 + SERVED_AFTERWARDS;
    wait::until("more requests to be served", SERVED_WITHIN, || match load.so_far() {
        (served, _) if served >= enough => Ok(()),
        so_far => Err(format!("{so_far:?}")),
    });
}

fn moved(before: &Standing, after: &Standing, verdict: &str) -> String {
    format!("generation {} -> {}, master {} -> {}: {verdict}", before.generation, after.generation, before.master, after.master)
}

fn tally_of(fleet: &Fleet, tally: &Tally, host: &str, release: &str) -> u64 {
    let host = fleet.hosts.iter().find(|found| found.name == host);
    host.map_or(0, |host| tally.served_by(host.server.address(), release))
}

fn check(standing: &Standing, holds: bool, what: &str) -> Result<(), Surprise> {
    if holds { Ok(()) } else { Err(Surprise::Host { host: standing.host.clone(), what: what.to_owned() }) }
}

fn told(tally: &Tally) -> Result<(), Surprise> {
    report::line(
        "Served",
        format!("{} requests; {} failed; the slowest took {:.0?}", tally.served(), tally.failed(), tally.slowest()),
    );
    if tally.failed() == 0 { Ok(()) } else { Err(Surprise::Lost(tally.failed())) }
}
