//! What the journal of rollouts shows, and the orders that a rollout takes from another terminal: a journal of this test's making,
//! the command as people type it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use baton::control::Controls;
use baton::execute::evidence;
use baton::inventory::HostName;
use baton::journal::Entry;
use baton::outcome::{DropSeen, Outcome};
use baton::rollout::{Note, Order, Stop};
use baton::standing::{Custody, Standing};
use baton::store::{Directory, NewRollout, RunLock, Store};
use baton_proto::custody::Process;
use baton_proto::v1;
use baton_tests::binaries;
use baton_tests::controller::{Run, Running};
use baton_tests::fleet::Fleet;
use tempfile::TempDir;

const ENDS_WITHIN: Duration = Duration::from_secs(20);
const ID: &str = "20261124-054100-3fa2";

/// A state directory, and the command that is told of it.
struct Machine {
    home: TempDir,
    directory: Directory,
}

impl Machine {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let directory = Directory::open(&home.path().join("state")).unwrap();
        Self { home, directory }
    }

    fn begin(&self, args: &[&str]) -> Running {
        let mut command = Command::new(binaries::find("baton"));
        command.args(args).env("BATON_STATE", self.directory.path());
        Running::start(command, self.home.path())
    }

    fn baton(&self, args: &[&str]) -> Run {
        self.begin(args).finish(ENDS_WITHIN)
    }

    async fn write(&self, id: &str, entries: &[Entry]) {
        let mut store = Store::open(&self.directory).await.unwrap();
        store.begin(&rollout(id)).await.unwrap();
        store.append(id, 1, entries).await.unwrap();
        store.close().await.unwrap();
    }

    /// What `baton` answers while a process with the rollout's lock answers the order that it is given.
    async fn ordered(&self, args: &[&str], answer: &str) -> (Run, Order) {
        let lock = RunLock::take(&self.directory, ID).unwrap();
        let mut controls = Controls::listen(&self.directory, ID, &lock).unwrap();
        let running = self.begin(args);
        let request = tokio::time::timeout(ENDS_WITHIN, controls.next()).await.unwrap();
        let order = request.order;
        request.answer(answer);
        let run = tokio::task::spawn_blocking(|| running.finish(ENDS_WITHIN)).await.unwrap();
        (run, order)
    }
}

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn rollout(id: &str) -> NewRollout {
    NewRollout {
        id: id.into(),
        fleet: "prod".into(),
        service: "web".into(),
        release: Some("v2".into()),
        operator: "ada".into(),
        reason: Some("the new front page".into()),
        inventory: PathBuf::from("/home/ada/fleet.toml"),
        undo_of: None,
        hosts: 3,
        plan: r#"{"waves":1}"#.into(),
    }
}

fn standing() -> Standing {
    Standing {
        service: "web".into(),
        dialect: "unicorn".into(),
        custody: Custody::Held,
        trouble: String::new(),
        generation: 3,
        release: "v1".into(),
        master: Some(Process { pid: 100, start_ticks: 5_000 }),
        epoch: 2,
        held_for: None,
        step: None,
        fence: 7,
        claim: None,
        handover_within: Duration::from_secs(213),
        holders: 3,
        findings: Vec::new(),
        lingering: Vec::new(),
        boot: "boot-1".into(),
        incarnation: "run-1".into(),
    }
}

/// A handover in which nothing was seen: whatever is said of it, it proves nothing.
fn unseen(name: &str, said: Outcome) -> Entry {
    let testimony = v1::Testimony { service: "web".into(), boot_id: "boot-1".into(), ..v1::Testimony::default() };
    let ending = v1::Ending { result: v1::Result::HandedOver.into(), ..v1::Ending::default() };
    Entry::Settled { host: host(name), attempt: 1, outcome: said, evidence: Some(evidence::gather(&testimony, &ending)) }
}

fn asked(name: &str) -> Entry {
    Entry::Asked { host: host(name), attempt: 1, before: Box::new(standing()) }
}

fn begun() -> Entry {
    Entry::Begun { run: 1, operator: "ada".into(), retry_failed: false }
}

fn halted() -> Vec<Entry> {
    let dropped = || Outcome::Dropped(DropSeen::Guarded);
    vec![
        begun(),
        Entry::Claimed(host("web-1")),
        Entry::Noted(Note::WaveBegins(0)),
        asked("web-1"),
        Entry::Outcome { host: host("web-1"), outcome: dropped() },
        Entry::Stopping(Stop::Doubt(host("web-1"))),
        Entry::Finished { exit: 5 },
    ]
}

#[tokio::test]
async fn history_tells_of_each_rollout_how_it_ended_or_who_walks_it() {
    let machine = Machine::new();
    machine.write("20261124-054100-0001", &halted()).await;
    machine.write("20261124-054200-0002", &[begun(), asked("web-1")]).await;
    machine.write(ID, &[begun()]).await;
    let _lock = RunLock::take(&machine.directory, ID).unwrap();
    let run = machine.baton(&["history"]).expect_code(0);
    run.says(&["20261124-054100-0001", "web", "v2", "ada", "0/3", "5: a lock dropped", "the new front page"]);
    run.says(&["20261124-054200-0002", "crashed"]);
    run.says(&[ID, &format!("running ({})", std::process::id())]);
    let rows = machine.baton(&["history", "--output", "json", "--limit", "2"]).expect_code(0).objects();
    assert_eq!(rows.len(), 2, "the newest two");
    assert!(rows.iter().any(|row| row["condition"] == "running" && row["rollout"] == ID), "{rows:?}");
}

#[tokio::test]
async fn show_tells_each_entry_in_its_order_and_each_hosts_verdict() {
    let machine = Machine::new();
    machine.write(ID, &halted()).await;
    let run = machine.baton(&["show", "20261124"]).expect_code(0);
    run.says(&["Rollout", ID, "web to release v2 on 3 hosts of prod"]);
    run.says(&["Asked", "web-1", "attempt 1", "generation 3 (v1)"]);
    run.says(&["Halting", "because of web-1"]);
    run.says(&["Untouched", "2 more hosts"]);
    let verbs = ["Begun", "Claimed", "Walk", "Asked", "Dropped", "Halting", "Finished", "Dropped", "Untouched"];
    let told: Vec<&str> = run.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(told.ends_with(&verbs), "{run}");
    let objects = machine.baton(&["show", ID, "--output", "json"]).expect_code(0).objects();
    assert_eq!(objects[0]["plan"]["waves"], 1);
    let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    assert_eq!(kinds, ["begun", "claimed", "noted", "asked", "outcome", "stopping", "finished"]);
}

#[tokio::test]
async fn a_testimony_is_shown_from_the_journal_and_judged_anew() {
    let machine = Machine::new();
    machine.write(ID, &[begun(), asked("web-1"), unseen("web-1", Outcome::Dropped(DropSeen::Guarded)), asked("web-2")]).await;
    let run = machine.baton(&["show", ID, "--host", "web-1"]).expect_code(0);
    run.says(&["Unproven", "web-1", "the journal says dropped, and by the testimony that it has it is unproven"]);
    let run = machine.baton(&["show", ID, "--host", "web-2"]).expect_code(3);
    run.says(&["the journal has no testimony of web-2"]);
    machine.baton(&["show", "2027"]).expect_code(2).says(&["hint", "baton history"]);
}

#[tokio::test]
async fn an_order_reaches_the_process_that_walks_and_its_answer_is_told() {
    let machine = Machine::new();
    machine.write(ID, &[begun()]).await;
    for (verb, wanted) in [("pause", Order::Pause), ("resume", Order::Resume), ("abort", Order::Abort)] {
        let (run, order) = machine.ordered(&[verb, ID], "2 hosts in flight are waited for").await;
        assert_eq!(order, wanted);
        run.expect_code(0).says(&[verb, ID, "2 hosts in flight are waited for"]);
    }
}

#[tokio::test]
async fn what_nobody_walks_cannot_be_paused_and_is_not_resumed_once_it_was_aborted() {
    let machine = Machine::new();
    machine.write(ID, &[begun(), asked("web-1")]).await;
    let run = machine.baton(&["pause", ID]).expect_code(2);
    run.says(&["not running (crashed)"]);
    run.says(&["hint", &format!("baton resume {ID}")]);
    machine.baton(&["abort", ID]).expect_code(0).says(&["Taken", "will not be resumed"]);
    let _ = machine.baton(&["abort", ID]).expect_code(0);
    machine.baton(&["resume", ID]).expect_code(2).says(&["was aborted"]);
    machine.baton(&["history"]).expect_code(0).says(&[ID, "aborted; crashed"]);
    machine.baton(&["show", ID]).expect_code(0).says(&["Ordered", "abort"]);
    let done = "20261124-054300-0003";
    machine.write(done, &[begun(), Entry::Finished { exit: 0 }]).await;
    machine.baton(&["abort", done]).expect_code(2).says(&["has ended already (0: every host proven)"]);
}

#[test]
fn a_rollout_over_real_servers_is_in_the_journal_with_every_testimony() {
    let fleet = Fleet::of(2).start();
    fleet.await_held();
    let _ = fleet.baton(&["restart", "web", "--reason", "the new front page"]).expect_code(0);
    fleet.baton(&["history"]).expect_code(0).says(&["web", "2/2", "0: every host proven", "the new front page"]);
    let rows = fleet.baton(&["history", "--output", "json"]).expect_code(0).objects();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let id = row["rollout"].as_str().unwrap();
    let shown = fleet.baton(&["show", id, "--output", "json"]).expect_code(0).objects();
    let of_kind = |kind: &str| shown.iter().filter(|object| object["kind"] == kind).count();
    assert_eq!((of_kind("begun"), of_kind("asked"), of_kind("settled"), of_kind("finished")), (1, 2, 2, 1), "{shown:?}");
    for host in ["web-1", "web-2"] {
        fleet.baton(&["show", id, "--host", host]).expect_code(0).says(&["Kept", host, "marked"]);
    }
    let run = fleet.baton(&["abort", id]).expect_code(2);
    run.says(&["has ended already"]);
}

#[test]
fn a_journal_lies_where_it_is_told_to() {
    let home = TempDir::new().unwrap();
    let at = |variables: &[(&str, &Path)]| {
        let mut command = Command::new(binaries::find("baton"));
        command.arg("history").env_remove("BATON_STATE").env_remove("XDG_STATE_HOME").envs(variables.iter().copied());
        Running::start(command, home.path()).finish(ENDS_WITHIN).expect_code(0)
    };
    let (one, other) = (home.path().join("one"), home.path().join("other"));
    let _ = at(&[("HOME", &one)]);
    assert!(one.join(".local/state/baton/journal.db").is_file());
    let _ = at(&[("HOME", &one), ("XDG_STATE_HOME", &other)]);
    assert!(other.join("baton/journal.db").is_file());
}
