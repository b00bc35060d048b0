//! The local commands, as somebody on the host sees them: what is printed, and the exit code.

use std::path::Path;
use std::process::{Command, Output};

use baton_proto::custody::{History, Testimony};
use baton_proto::v1;

use crate::support::driver::{record, step, told};
use crate::support::{Running, testimony};

/// Runs `baton-agent` with these arguments.
async fn command(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton-agent"));
    command.args(arguments).env_remove("RUST_LOG");
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// The same, for the agent of this test: exit code, stdout, stderr.
async fn ask(agent: &Running, arguments: &[&str]) -> (i32, String, String) {
    let socket = agent.socket();
    let output = command(&[arguments, &["--socket", socket.to_str().unwrap()]].concat()).await;
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn reload_ends(testimony: &Testimony, result: v1::Result, code: i32, line: &str) {
    let agent = Running::start().await;
    agent.driver.script(told(testimony, result));
    let (exit, stdout, stderr) = ask(&agent, &["reload", "web"]).await;
    assert_eq!(exit, code, "{stdout}{stderr}");
    let said = stdout.strip_suffix("; 1 of the old generation still there (101)\n").unwrap();
    // The time in brackets is what it is.
    let (word, rest) = (said.split('[').next().unwrap().trim(), said.split("]   ").nth(1).unwrap());
    assert_eq!(format!("{word} {rest}"), line);
    assert_eq!(stderr, "        Step [   0.0s]   open: looking at the old master 100\n");
}

#[tokio::test]
async fn the_exit_code_of_a_reload_is_the_verdict_and_not_the_agents_word() {
    let (over, back) = (v1::Result::HandedOver, v1::Result::RolledBack);
    reload_ends(&testimony::handed_over(), over, 0, "Kept web   100 -> 200   overlap 2 ms, marked").await;
    let undone = "RolledBack web   at step ready: 500 from 201; 100 still serves, its lock unbroken, marked";
    reload_ends(&testimony::undone(), back, 3, undone).await;
    let unproven =
        "Unproven web   no overlap was seen: the old master was not seen holding after the new one was; ready: 500 from 201";
    reload_ends(&testimony::without_overlap(), over, 4, unproven).await;
    reload_ends(&testimony::dropped(), over, 5, "Dropped web   the lock was free at #3 of the handover").await;
}

#[tokio::test]
async fn a_refused_reload_says_why_and_that_nothing_was_done() {
    let agent = Running::start().await;
    agent.driver.refuse("nobody holds the lock");
    let (exit, stdout, _) = ask(&agent, &["reload", "web"]).await;
    assert_eq!(exit, 3);
    assert!(stdout.ends_with("web   nobody holds the lock; nothing was touched\n"), "{stdout}");
}

#[tokio::test]
async fn a_reload_claims_its_service_and_gives_it_back() {
    let agent = Running::start().await;
    let (exit, stdout, _) = ask(&agent, &["reload", "web"]).await;
    assert_eq!(exit, 0, "{stdout}");
    let (claimants, attempts) = (agent.driver.claimants(), agent.driver.attempts());
    assert_eq!((claimants.len(), claimants[0].reason.as_str()), (1, "by hand on the host"));
    assert!(claimants[0].operator.starts_with("uid "), "{claimants:?}");
    assert_eq!((attempts[0].rollout.as_str(), attempts[0].fence), (claimants[0].rollout.as_str(), 1));
    assert_eq!(agent.driver.released(), [1]);
}

#[tokio::test]
async fn a_reload_of_a_claimed_service_is_refused_and_says_whose_it_is() {
    let agent = Running::start().await;
    agent.driver.refuse_claims("rollout r-1 of ada has claimed it 12 s ago (deploy v42)");
    let (exit, stdout, _) = ask(&agent, &["reload", "web"]).await;
    assert_eq!(exit, 3);
    assert!(stdout.ends_with("web   rollout r-1 of ada has claimed it 12 s ago (deploy v42); nothing was touched\n"), "{stdout}");
    assert_eq!(agent.driver.attempts(), []);
}

#[tokio::test]
async fn a_service_is_started_and_stopped_on_its_host() {
    let agent = Running::start().await;
    let (exit, stdout, stderr) = ask(&agent, &["start", "web"]).await;
    assert_eq!((exit, stdout.split_whitespace().next(), stderr.as_str()), (0, Some("web"), ""));
    let (exit, stdout, _) = ask(&agent, &["stop", "web", "--output", "json"]).await;
    assert_eq!(exit, 0);
    assert!(
        stdout.starts_with("{\"event\":\"stopped\",\"service\":\"web\",\"how\":\"stopped, as told\"}\n{\"event\":\"status\""),
        "{stdout}"
    );
    let (exit, _, stderr) = ask(&agent, &["stop", "database"]).await;
    assert_eq!((exit, stderr.lines().last()), (2, Some("hint: `baton-agent status` lists the services")), "{stderr}");
}

#[tokio::test]
async fn a_reload_whose_agent_is_lost_asks_again_for_the_same_attempt() {
    let agent = Running::start().await;
    agent.driver.script(vec![step()]);
    agent.driver.script(told(&testimony::handed_over(), v1::Result::HandedOver));
    let (exit, _, stderr) = ask(&agent, &["reload", "web"]).await;
    assert_eq!(exit, 0, "{stderr}");
    assert!(stderr.contains("contact with the agent was lost: "), "{stderr}");
    let attempts = agent.driver.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0], attempts[1]);
    assert!(attempts[0].rollout.starts_with("local-2"), "{attempts:?}");
    assert_eq!((attempts[0].number, attempts[0].fence), (1, 1));
}

#[tokio::test]
async fn a_reload_that_is_refused_after_contact_was_lost_is_unknown() {
    let agent = Running::start().await;
    agent.driver.script(vec![step()]);
    let driver = agent.driver.clone();
    let refuse = tokio::spawn(async move {
        while driver.attempts().is_empty() {
            tokio::task::yield_now().await;
        }
        driver.refuse("another rollout was here");
    });
    let (exit, stdout, _) = ask(&agent, &["reload", "web"]).await;
    refuse.await.unwrap();
    assert_eq!(exit, 4, "{stdout}");
    assert!(stdout.contains("contact was lost and the handover may go on: another rollout was here"), "{stdout}");
}

#[tokio::test]
async fn json_is_one_object_a_line_and_nothing_else() {
    let agent = Running::start().await;
    for (arguments, events) in [
        (&["status"][..], &["status", "status"][..]),
        (&["reload", "web"], &["step", "outcome"]),
        (&["testimony", "web"], &["testimony", "history"]),
        (&["testimony", "web", "--all"], &["testimony", "testimony", "history"]),
    ] {
        let (exit, stdout, stderr) = ask(&agent, &[arguments, &["--output", "json"]].concat()).await;
        assert_eq!((exit, stderr.as_str()), (0, ""));
        let said: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(said.iter().map(|object| object["event"].as_str().unwrap()).collect::<Vec<_>>(), events);
    }
}

#[tokio::test]
async fn a_testimony_is_told_line_by_line_and_weighed() {
    let agent = Running::start().await;
    let (exit, stdout, stderr) = ask(&agent, &["testimony", "web"]).await;
    let expected = "\
web on web-1, rollout r-2 attempt 1
window #1 to #8 on inode 2
    #2     +0.000 s  old master 100 holds the lock (looked from #1; inode 2, mark 0x100000064, taker 100)
    #4     +0.002 s  new master 200 holds the lock (looked from #3; inode 2, mark 0x1000000c8, taker 200)
    #6     +0.004 s  old master 100 holds the lock (looked from #5; inode 2, mark 0x100000064, taker 100)
    #8     +0.006 s  new master 200 holds the lock (looked from #7; inode 2, mark 0x1000000c8, taker 200)
            #2      #4      #6      #8
old master  S===============S
new master          S===============S
            S seen holding  = held all the while
agent    says: handed over, generation 0 is in charge
verdict  kept (marked): 100 -> 200, overlap 2 ms
why      The new master 200 was seen holding (#4), and after that the old master
         100 still was (#6): for 2 ms at least both held at once. The old one
         was seen from the opening of the window on, the new one up to its
         close.
basis    marked: every lock bore one unchanged random mark, so it was one open
         file, never closed and opened anew. What no mark shows is a server that
         unlocks its own descriptor and locks it again; the waiter may see that,
         and saw nothing.
web on web-1, epoch 0: no drop was seen
";
    assert_eq!((exit, stdout.as_str(), stderr.as_str()), (0, expected, ""));

    let (_, stdout, _) = ask(&agent, &["testimony", "web", "--all"]).await;
    let rollouts: Vec<&str> = stdout.lines().filter(|line| line.starts_with("web on web-1, rollout")).collect();
    assert_eq!(rollouts, ["web on web-1, rollout r-1 attempt 1", "web on web-1, rollout r-2 attempt 1"]);

    agent.driver.set_records(vec![v1::Record { testimony: None, ..record("r-1") }]);
    let (exit, _, stderr) = ask(&agent, &["testimony", "web"]).await;
    assert_eq!(exit, 1);
    assert_eq!(stderr, "error: failed to read the agent's testimony\n  the message has no record's testimony\n");

    agent.driver.set_records(Vec::new());
    let (exit, stdout, stderr) = ask(&agent, &["testimony", "web"]).await;
    assert_eq!(
        (exit, stdout.as_str(), stderr.as_str()),
        (0, "web on web-1, epoch 0: no drop was seen\n", "no handover of web is on record\n")
    );

    agent.driver.set_history(&History { epoch: 5, ..History::default() });
    let (_, stdout, _) = ask(&agent, &["testimony", "web"]).await;
    assert_eq!(stdout, "web on web-1, epoch 5, of which nothing is kept\n");
}

#[tokio::test]
async fn whoever_asks_for_what_is_not_there_is_told_what_to_do() {
    let agent = Running::start().await;
    for verb in ["status", "reload", "testimony"] {
        let (exit, _, stderr) = ask(&agent, &[verb, "wbe"]).await;
        let expected = "\
error: the agent refused: no service \"wbe\" on this host; known: api, web
hint: `baton-agent status` lists the services
";
        assert_eq!((exit, stderr.as_str()), (2, expected));
    }
    let output = command(&["status", "--socket", "/nowhere/agent.sock"]).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).starts_with("error: failed to reach the agent at /nowhere/agent.sock\n"));
    assert!(text(&output.stderr).contains("\nhint: is it running"), "{}", text(&output.stderr));
    assert_eq!(command(&["frobnicate"]).await.status.code(), Some(2));
}

async fn run_fails(directory: &Path, configuration: &str, expected: &str) {
    let file = directory.join("agent.toml");
    std::fs::write(&file, configuration).unwrap();
    let output = command(&["run", "--config", file.to_str().unwrap()]).await;
    let said = text(&output.stderr).replace(directory.to_str().unwrap(), "DIR");
    assert_eq!((output.status.code(), said.as_str()), (Some(2), expected));
}

#[tokio::test]
async fn an_agent_that_cannot_start_says_everything_that_is_wrong_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let output = command(&["run", "--config", "/nowhere/agent.toml"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: failed to read the configuration /nowhere/agent.toml\n"));

    let mistakes = "\
error: failed to read the configuration DIR/agent.toml
  line 1: there is no service: at least one table such as [service.web] is wanted
  line 1: agent: the table [agent.tls] is missing
  line 1: agent.host: is missing
  line 2: agent.fleet: is integer, wanted a string
  line 3: agent.hots: is not a known key here
";
    run_fails(directory.path(), "[agent]\nfleet = 1\nhots = \"web-1\"\n", mistakes).await;

    // Comments are as good as keys here: what is cut off might have been a service.
    let long = format!("{}\n{}", crate::support::configuration(directory.path()), "# more\n".repeat(1 << 18));
    let expected = "\
error: the configuration DIR/agent.toml has more than 1048576 bytes
hint: --config names another; the sample in deploy/agent.toml is a beginning
";
    run_fails(directory.path(), &long, expected).await;

    let expected = "\
error: failed to open the agent's doors
  failed to set up mutual TLS
  failed to read DIR/own.crt
  No such file or directory (os error 2)
hint: `baton pki issue` makes the files; the agent's user must be able to read them
";
    run_fails(directory.path(), &crate::support::configuration(directory.path()), expected).await;
}
