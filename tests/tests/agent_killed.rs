//! `kill -9` of the agent in each state of a handover: the service goes on, the restarted agent finishes or undoes what it
//! began, never signals twice, and tells the truth about what it can prove.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use baton_tests::fleet::{Fleet, SERVICE, Timing};
use baton_tests::load::{Load, Mix};
use baton_tests::server::Server;
use baton_tests::wait;
use serde_json::Value;

const END_WITHIN: Duration = Duration::from_mins(1);

/// Steps that a handover tells of: each of them is once the last thing that the agent says before it dies.
const STEPS_TOLD: usize = 12;

/// A rollout under way, whose events are read as they come.
struct Rollout {
    process: Child,
    events: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Rollout {
    fn begin(fleet: &Fleet) -> Self {
        let mut command = fleet.command();
        command.args(["restart", SERVICE, "--yes", "--output", "json"]);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("baton starts");
        let events = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, events }
    }

    /// The next step that the host tells of; none when the rollout is over.
    fn next_step(&mut self) -> Option<String> {
        self.events.by_ref().find_map(|line| {
            let event: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
            (event["event"] == "step").then(|| event["step"].as_str().expect("a step's name").to_owned())
        })
    }

    /// Reads on to the end: what was printed, and the exit code.
    fn finish(mut self) -> (String, i32) {
        let text: Vec<String> = self.events.by_ref().map(|line| line.expect("a line")).collect();
        let ended = wait::until("baton to end", END_WITHIN, || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        (text.join("\n"), ended.code().expect("an exit code"))
    }
}

/// How often the server was told to start a new master: Unicorn writes a line each time.
fn executions(server: &Server) -> usize {
    server.log().matches("executing [").count()
}

fn kill_after(fleet: &mut Fleet, told: usize) -> Option<String> {
    let old = fleet.hosts[0].server.master().expect("a master");
    let before = executions(&fleet.hosts[0].server);
    let mut rollout = Rollout::begin(fleet);
    let mut last = None;
    for _ in 0..told {
        last = rollout.next_step();
    }
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    let (text, code) = rollout.finish();
    fleet.await_held();
    let server = &fleet.hosts[0].server;
    let new = server.master().expect("a master");
    assert!(executions(server) <= before + 1, "after {last:?}: the server was signalled twice");
    assert!(!server.pidfile().with_extension("pid.oldbin").exists(), "after {last:?}: two generations are left");
    match code {
        // It was over before the kill, or began only after it.
        0 => assert_ne!(new, old, "after {last:?}: proven without a new master"),
        // The new incarnation cannot speak for what the old one saw, and says so.
        4 => assert!(text.contains("the agent was restarted within the window"), "after {last:?}: {text}"),
        other => panic!("after {last:?}: exit {other}: {text}\nthe agent's log:\n{}", fleet.hosts[0].agent.log()),
    }
    match last.as_deref() {
        // The overlap was witnessed and that is on disk: it is finished. Before, it is undone, or had gone on meanwhile.
        Some("retire" | "drain" | "close") => assert_ne!(new, old, "after {last:?}: what was begun was not finished"),
        // The kill came before the intent was on disk, and the request that was made again began anew.
        Some("open") if code == 0 => {}
        Some("open" | "signal") => assert_eq!(new, old, "after {last:?}: what nobody can vouch for was not undone"),
        Some(_) | None => {}
    }
    last
}

#[test]
fn an_agent_killed_anywhere_in_a_handover_takes_it_up_without_a_second_signal() {
    let timing = Timing { settle: Duration::from_millis(300), ..Timing::default() };
    let mut fleet = Fleet::of(1).timing(timing).start();
    let load = Load::start(&fleet.targets(), Mix::default());
    let steps: BTreeSet<String> = (1..=STEPS_TOLD).filter_map(|told| kill_after(&mut fleet, told)).collect();
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "requests were lost: {tally}");
    for step in ["open", "signal", "appear", "ready", "overlap", "retire", "drain", "close"] {
        assert!(steps.contains(step), "no kill came after {step}: {steps:?}");
    }
}
