//! What befell a service outside of handovers: drops, who held last and how that one ended, who came next, and the times in which no
//! agent watched. Kept over the agent's death, bounded, and told alike on the host and before the fleet.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use baton_tests::controller::{Run, Running};
use baton_tests::fault::Fault;
use baton_tests::fleet::{Fleet, Timing};
use baton_tests::server::{Kind, Server};
use baton_tests::{binaries, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);
/// How many happenings an agent keeps.
const KEPT: usize = 64;
const DROPS: usize = 100;

/// A host whose server is the patient.
fn fleet() -> Fleet {
    Fleet::of(1).server(Kind::Patient).start()
}

fn server(fleet: &Fleet) -> &Server {
    &fleet.hosts[0].server
}

fn master(fleet: &Fleet) -> u32 {
    server(fleet).master().expect("a master")
}

/// `baton-agent testimony web`.
#[track_caller]
fn on_the_host(fleet: &Fleet, more: &[&str]) -> Run {
    let mut command = Command::new(binaries::find("baton-agent"));
    command.args(["testimony", "web"]).args(more).arg("--socket").arg(fleet.hosts[0].agent.socket());
    Running::start(command, fleet.directory()).finish(SOON).expect_code(0)
}

/// `baton testimony web-1 web`.
#[track_caller]
fn before_the_fleet(fleet: &Fleet, more: &[&str]) -> Run {
    fleet.baton(&[&["testimony", "web-1", "web"], more].concat()).expect_code(0)
}

fn history_in(run: &Run) -> Value {
    let found = run.objects().into_iter().find(|object| object["event"] == "history");
    found.unwrap_or_else(|| panic!("no history: {run}"))
}

/// What befell the service, as the agent tells it on its host.
#[track_caller]
fn history(fleet: &Fleet) -> Value {
    history_in(&on_the_host(fleet, &["--output", "json"]))
}

/// Waits until there is such a last happening.
#[track_caller]
fn last_happening(fleet: &Fleet, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, SOON, || {
        let history = history(fleet);
        let last = history["happenings"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
        if is_it(&last) { Ok(last) } else { Err(history.to_string()) }
    })
}

fn is_drop(happening: &Value) -> bool {
    happening["kind"] == "drop"
}

fn is_found(happening: &Value) -> bool {
    happening["found"]["pid"].is_u64()
}

/// Whether this kernel tells how a process ended that is no child of who asks: from 6.15 on it does.
fn tells_ends() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("proc is mounted");
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

/// A drop whose master ended so, by signal or with an exit code; nothing is told by a kernel that cannot.
fn ended(drop: &Value, signal: Option<&str>, code: Option<i32>) -> bool {
    let (signal, code) = if tells_ends() { (signal, code) } else { (None, None) };
    drop["signal"].as_str() == signal && drop["exit_code"].as_i64() == code.map(i64::from)
}

#[test]
fn a_server_that_was_killed_is_told_with_its_end_and_with_who_came_next() {
    let fleet = fleet();
    let old = master(&fleet);
    server(&fleet).kill();
    let drop =
        last_happening(&fleet, "the drop, and how the master ended", |last| is_drop(last) && ended(last, Some("SIGKILL"), None));
    assert_eq!((&drop["epoch"], &drop["last_master_pid"], &drop["found"]), (&1.into(), &old.into(), &Value::Null), "{drop}");
    assert!(drop["held_for_ms"].as_u64().is_some_and(|held| held < 60_000), "{drop}");
    assert_eq!(drop["handover"], Value::Null, "{drop}");

    server(&fleet).boot();
    fleet.await_held();
    let new = master(&fleet);
    let drop = last_happening(&fleet, "the next master", is_found);
    assert_eq!((&drop["epoch"], &drop["found"]["pid"]), (&1.into(), &new.into()), "{drop}");
    assert!(drop["found"]["within_ms"].as_f64().is_some_and(|within| within > 0.0), "{drop}");

    let told = history(&fleet);
    assert_eq!(history_in(&before_the_fleet(&fleet, &["--output", "json"])), told, "one JSON for both");
    let how = if tells_ends() { "killed by SIGKILL" } else { "how it ended is not known" };
    let (last, next) = (format!("last master {old} (seen for "), format!("found held by {new} within "));
    for run in [on_the_host(&fleet, &[]), before_the_fleet(&fleet, &[])] {
        assert!(run.stdout.starts_with("web on web-1, epoch 1\nepoch 1    20"), "{run}");
        for words in ["the lock was free; ", &last, how, &next] {
            assert!(run.stdout.contains(words), "{words}: {run}");
        }
    }
}

/// Its parent has left, so whoever adopts it buries it: soon, late or never.
#[test]
fn the_end_of_a_master_that_nobody_buries_is_told_too() {
    let fleet = fleet();
    let first = master(&fleet);
    let run = fleet.baton(&["restart", "web"]).expect_code(0);
    let second = master(&fleet);
    assert_ne!(first, second, "{run}");
    server(&fleet).kill();
    let drop = last_happening(&fleet, "the drop, and how the master ended", |last| {
        is_drop(last) && (last["signal"] == "SIGKILL" || !tells_ends())
    });
    assert_eq!((&drop["epoch"], &drop["last_master_pid"]), (&1.into(), &second.into()), "{drop}");
}

#[test]
fn a_server_that_left_by_itself_is_told_with_its_exit_code() {
    let fleet = fleet();
    let old = master(&fleet);
    kill(Pid::from_raw(i32::try_from(old).expect("a pid fits")), Signal::SIGQUIT).expect("it can be signalled");
    let drop = last_happening(&fleet, "the drop, and how the master ended", |last| is_drop(last) && ended(last, None, Some(0)));
    assert_eq!(drop["last_master_pid"], old, "{drop}");
}

#[test]
fn a_drop_within_a_handover_names_it() {
    let timing = Timing { settle: Duration::ZERO, ..Timing::default() };
    let fleet = Fleet::of(1).server(Kind::Patient).timing(timing).start();
    server(&fleet).set_faults(&[Fault::Gap(Duration::from_millis(300))]);
    let run = fleet.baton(&["restart", "web"]).expect_code(5);
    fleet.await_held();
    let drop = last_happening(&fleet, "the next master", is_found);
    assert_eq!((&drop["found"]["pid"], &drop["handover"]["attempt"]), (&master(&fleet).into(), &1.into()), "{drop}\n{run}");
    let told = before_the_fleet(&fleet, &[]).stdout;
    assert!(told.contains("X free") && told.contains("why      The thread that waits for an exclusive lock"), "{told}");
    // Whoever asks for one rollout's handover hears of nothing else.
    let rollout = drop["handover"]["rollout"].as_str().expect("a rollout");
    let one = before_the_fleet(&fleet, &["--rollout", rollout, "--output", "json"]).objects();
    assert_eq!(one.iter().map(|object| object["event"].as_str()).collect::<Vec<_>>(), [Some("testimony")]);
}

#[test]
fn a_drop_is_still_told_after_its_agent_was_killed_and_completed_then() {
    let mut fleet = fleet();
    let old = master(&fleet);
    server(&fleet).kill();
    let before = last_happening(&fleet, "the drop", is_drop);
    fleet.hosts[0].agent.kill();
    server(&fleet).boot();
    fleet.hosts[0].agent.start_again();
    fleet.await_held();
    let after = last_happening(&fleet, "the next master", is_found);
    assert_eq!((&after["at"], &after["epoch"]), (&before["at"], &1.into()), "{after}");
    assert_eq!((&after["last_master_pid"], &after["found"]["pid"]), (&old.into(), &master(&fleet).into()), "{after}");
    assert_eq!(history(&fleet)["happenings"].as_array().map(Vec::len), Some(1), "{after}");
}

#[test]
fn a_server_restarted_while_no_agent_watched_is_neither_a_drop_nor_proven() {
    let mut fleet = fleet();
    let old = master(&fleet);
    fleet.hosts[0].agent.kill();
    server(&fleet).kill();
    server(&fleet).boot();
    fleet.hosts[0].agent.start_again();
    fleet.await_held();
    let told = last_happening(&fleet, "the time that nobody watched", is_found);
    assert_eq!((&told["kind"], &told["last_master_pid"]), (&"unwatched".into(), &old.into()), "{told}");
    assert_eq!(told["found"]["pid"], master(&fleet), "{told}");
    assert!(told["at_most_ms"].as_f64().is_some_and(|most| most > 0.0 && most < 120_000.0), "{told}");
    assert_eq!(history(&fleet)["epoch"], 0, "it was not seen, so it is not counted");
    let text = before_the_fleet(&fleet, &[]).stdout;
    assert!(text.starts_with("web on web-1, epoch 0: no drop was seen, but\nunwatched  20"), "{text}");
    assert!(text.contains("whether the lock was free is not known"), "{text}");
}

#[test]
fn a_server_that_went_while_no_agent_watched_is_told_before_anybody_comes() {
    let mut fleet = fleet();
    let old = master(&fleet);
    fleet.hosts[0].agent.stop();
    server(&fleet).kill();
    fleet.hosts[0].agent.start_again();
    let told = last_happening(&fleet, "the time that nobody watched", |last| last["kind"] == "unwatched");
    assert_eq!((&told["last_master_pid"], &told["found"]), (&old.into(), &Value::Null), "{told}");
    // A second run of the agent that finds nobody has left nobody.
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    server(&fleet).boot();
    fleet.await_held();
    last_happening(&fleet, "the next master", is_found);
    assert_eq!(history(&fleet)["happenings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_agent_that_finds_what_it_left_has_nothing_to_tell() {
    let mut fleet = fleet();
    let old = master(&fleet);
    for end in [baton_tests::agent::Agent::kill, baton_tests::agent::Agent::stop] {
        end(&mut fleet.hosts[0].agent);
        fleet.hosts[0].agent.start_again();
        fleet.await_held();
    }
    assert_eq!(fleet.standings()[0].master, u64::from(old));
    let told = history(&fleet);
    assert_eq!((&told["epoch"], &told["happenings"]), (&0.into(), &Value::Array(Vec::new())));
}

/// A process that does nothing but hold the lock, named by the pid file as a server would be.
fn hold(server: &Server) -> Child {
    let lock = File::options().append(true).open(server.lock()).expect("the patient left its lock file");
    lock.lock_shared().expect("nobody has it exclusively for longer than a moment");
    let log = File::options().append(true).create(true).open(server.log_path()).expect("ours");
    let holder = Command::new("sleep").arg("600").stdin(lock).stdout(Stdio::null()).stderr(log).spawn().expect("sleep");
    put(&server.pidfile(), &holder.id().to_string());
    holder
}

fn put(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).and_then(|()| fs::rename(&draft, path)).expect("a file in the sandbox can be written");
}

#[test]
fn of_many_drops_the_last_are_kept_and_the_others_counted() {
    let fleet = fleet();
    server(&fleet).kill();
    last_happening(&fleet, "the drop", is_drop);
    for epoch in 2..=DROPS {
        let mut holder = hold(server(&fleet));
        last_happening(&fleet, "a holder", is_found);
        holder.kill().and_then(|()| holder.wait().map(drop)).expect("it can be killed");
        last_happening(&fleet, "the next drop", |last| last["epoch"] == epoch);
    }
    let told = history(&fleet);
    assert_eq!((&told["epoch"], &told["forgotten"]), (&DROPS.into(), &(DROPS - KEPT).into()));
    let epochs: Vec<u64> =
        told["happenings"].as_array().expect("a list").iter().filter_map(|drop| drop["epoch"].as_u64()).collect();
    assert_eq!(epochs, ((DROPS - KEPT + 1) as u64..=DROPS as u64).collect::<Vec<_>>());
    let said = format!("{} older happenings forgotten: only the last {KEPT} are kept", DROPS - KEPT);
    for run in [on_the_host(&fleet, &[]), before_the_fleet(&fleet, &[])] {
        assert!(run.stdout.lines().any(|line| line == said), "{run}");
        assert_eq!(run.stdout.lines().filter(|line| line.starts_with("epoch ")).count(), KEPT, "{run}");
    }
}
