//! `kill -9` outside of a handover, and the orphans that it leaves.

use baton_tests::deployed::children;
use baton_tests::fleet::Timing;
use baton_tests::server;
use baton_tests::wait;
use nix::sys::signal::Signal;

use super::Case;
use super::row::{either, tell};
use super::stage::{SOON, Stage, outcome};

/// What was seen, in words: of the workers' death, and of their master's.
pub(super) fn outright(case: &Case) -> String {
    let stage = Stage::set(case, Timing::default());
    let seen = [workers(&stage), master(&stage), everything(&stage)];
    tell(case, &format!("killed: {}", seen.join("; ")));
    let [workers, master, _] = seen;
    either([("workers", workers), ("master", master)])
}

/// Who kills the workers of a server that lives finds them replaced, or all of it gone.
fn workers(stage: &Stage) -> String {
    let victims = children(stage.master());
    for victim in &victims {
        server::signal(*victim, Signal::SIGKILL);
    }
    let is_over = |status: &serde_json::Value| match stage.server().ask("/") {
        Ok(answer) => !victims.contains(&answer.pid) && status["lock"] == "held",
        Err(_) => status["lock"] == "free",
    };
    let status = wait::until("other workers to serve, or nobody", SOON, || {
        let status = stage.status();
        if is_over(&status) { Ok(status) } else { Err(status.to_string()) }
    });
    if status["lock"] == "held" {
        assert_eq!(status["epoch"], 0, "{status}");
        return "replaced".to_owned();
    }
    assert_eq!(status["epoch"], 1, "{status}");
    stage.boot_again();
    "all gone, a drop".to_owned()
}

/// Workers without a master leave by themselves, or serve on: then the status calls them orphans, and a reload is refused.
fn master(stage: &Stage) -> String {
    let epoch = stage.epoch();
    let master = stage.master();
    server::signal(master, Signal::SIGKILL);
    wait::until("the agent to see it", SOON, || {
        let status = stage.status();
        if status["master_pid"] == master { Err(status.to_string()) } else { Ok(()) }
    });
    let left = stage.await_no_orphans();
    let status = stage.status();
    let run = stage.reload();
    assert_eq!((outcome(&run).as_str(), run.code), ("refused", Some(3)), "{run}");
    let word = if left.is_ok() {
        assert_eq!((&status["lock"], status["epoch"].as_u64()), (&"free".into(), Some(epoch + 1)), "{status}");
        "all gone, a drop"
    } else {
        assert_eq!(status["lock"], "orphaned", "{status}");
        let findings = status["findings"].as_array().expect("findings");
        let orphans = findings.iter().find(|finding| finding["kind"] == "orphans").unwrap_or_else(|| panic!("{status}"));
        let told = orphans["sentence"].as_str().unwrap_or_default();
        assert!(told.contains("end them") && told.contains("start the service"), "what to do is not said: {told}");
        assert!(stage.server().ask("/").is_ok(), "they were touched: {run}");
        "orphans serve, reload refused"
    };
    stage.boot_again();
    word.to_owned()
}

/// The end of all of them is a drop, and nothing else, for every server.
fn everything(stage: &Stage) -> String {
    let epoch = stage.epoch();
    stage.server().kill();
    stage.await_lock("free");
    assert_eq!(stage.epoch(), epoch + 1, "{}", stage.status());
    "all gone, a drop".to_owned()
}
