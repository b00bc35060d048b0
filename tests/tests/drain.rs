//! Old generations that take their time: what is finished, what is hurried, what lingers, and what is refused meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::deployed::is_alive;
use baton_tests::fault::Fault;
use baton_tests::fleet::{Builder, Fleet, Host, SERVICE, Timing};
use baton_tests::http::{self, Answer};
use baton_tests::load::{Load, Mix};
use baton_tests::server::{Kind, Release, signal};
use baton_tests::testified::{begin, local};
use baton_tests::wait;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);
/// No load on kept connections: those of an old worker that is told to leave at once end with it.
const LOAD: Mix = Mix { keep_alive: 0, close: 2, pace: Duration::from_millis(40), long: 0, long_for: Duration::ZERO };

/// A drain of a second.
fn impatient() -> Builder {
    Fleet::of(1).timing(Timing { drain_within: Duration::from_secs(1), ..Timing::default() })
}

/// A request that Unicorn's application answers when the gate is opened, and not before.
struct Gate {
    /// The write end of the fifo; the application has the other.
    held: File,
    request: JoinHandle<Option<Answer>>,
}

impl Gate {
    /// Sends the request, and waits until a worker has it.
    fn shut(host: &Host) -> Self {
        let gate: PathBuf = host.server.pidfile().with_file_name("gate");
        if !gate.exists() {
            mkfifo(&gate, Mode::S_IRUSR | Mode::S_IWUSR).expect("a fifo in the sandbox can be made");
        }
        let address = host.server.address();
        let request = thread::spawn(move || {
            let stream = TcpStream::connect(address).ok()?;
            Answer::read(&http::exchange(&stream, "/gate", false).ok()?.body)
        });
        // That fails until somebody reads.
        let open = || OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&gate);
        let held = wait::until("a worker to take the request", SOON, || open().map_err(|error| error.to_string()));
        Self { held, request }
    }

    /// Lets it be answered: by whom, or by nobody.
    fn open(self) -> Option<Answer> {
        drop(self.held);
        self.request.join().expect("a client does not panic")
    }
}

#[track_caller]
fn status(fleet: &Fleet) -> Value {
    let run = local(fleet, &fleet.hosts[0], &["status", SERVICE, "--output", "json"]).expect_code(0);
    run.objects().pop().unwrap_or_else(|| panic!("{run}"))
}

/// The generations that linger, each with its pids.
#[track_caller]
fn lingering(fleet: &Fleet) -> Vec<(u64, Vec<u64>)> {
    let status = status(fleet);
    let read = |left: &Value| {
        let pids = left["pids"].as_array()?.iter().filter_map(Value::as_u64).collect();
        left["lingers_for_ms"].as_u64()?;
        Some((left["generation"].as_u64()?, pids))
    };
    let all = status["lingering"].as_array().unwrap_or_else(|| panic!("{status}"));
    all.iter().map(|left| read(left).unwrap_or_else(|| panic!("{status}"))).collect()
}

#[track_caller]
fn await_none_lingering(fleet: &Fleet) {
    wait::until("nothing to linger", SOON, || match lingering(fleet) {
        none if none.is_empty() => Ok(()),
        some => Err(format!("{some:?}")),
    });
}

#[track_caller]
fn reload(fleet: &Fleet) -> Run {
    local(fleet, &fleet.hosts[0], &["reload", SERVICE])
}

/// A reload that is kept.
#[track_caller]
fn hand_over(fleet: &Fleet) -> Run {
    reload(fleet).expect_code(0)
}

/// Fails the test unless a reload is refused with all these words, and nothing was signalled.
#[track_caller]
fn is_refused(fleet: &Fleet, words: &[&str]) {
    let master = fleet.hosts[0].server.master();
    let run = reload(fleet).expect_code(3);
    run.says(&[&["Refused [", "nothing was touched"], words].concat());
    assert_eq!(fleet.hosts[0].server.master(), master);
}

#[test]
fn a_request_in_flight_is_finished_before_the_old_generation_leaves() {
    let fleet = Fleet::of(1).drain(r#"then = "kill""#).start();
    let host = &fleet.hosts[0];
    let load = Load::start(&fleet.targets(), Mix::default());
    let gate = Gate::shut(host);
    let old = host.server.master().expect("it serves");
    fleet.deploy(&Release::sound("v2"));
    let running = begin(&fleet, host, &["reload", SERVICE]);
    running.wait_to_read(&["Step [", "drain: waiting for the old generation"], SOON);
    assert!(is_alive(old), "it has a request to finish");
    let answer = gate.open().expect("it is answered");
    assert_eq!((answer.release.as_str(), answer.master), ("v1", old));
    let run = running.finish(SOON).expect_code(0);
    run.says(&["Kept ["]);
    run.says(&["drain: every process of the old generation is gone"]);
    assert!(!run.text().contains("SIGTERM"), "{run}");
    assert_eq!((lingering(&fleet), load.stop().failed()), (Vec::new(), 0));
}

/// Old processes that linger for days and eat memory (haproxy/haproxy#155, haproxy/haproxy#1876), a long drain that blocks the next
/// upgrade and nobody knows why (cloudflare/tableflip#52), old workers that outlive the reload (contribsys/einhorn#72).
#[test]
fn what_takes_longer_lingers_is_listed_with_its_age_and_no_reload_is_piled_on_it() {
    let mut fleet = impatient().start();
    let load = Load::start(&fleet.targets(), Mix::default());
    let gate = Gate::shut(&fleet.hosts[0]);
    let old = fleet.hosts[0].server.master().expect("it serves");
    fleet.deploy(&Release::sound("v2"));
    let run = hand_over(&fleet);
    run.says(&["Kept [", "of the old generation still there", &old.to_string()]);
    run.says(&["drain: the old generation is not gone within 1 s: it lingers"]);
    let left = lingering(&fleet);
    let [(1, pids)] = left.as_slice() else { panic!("{left:?}") };
    assert!(pids.contains(&u64::from(old)), "{pids:?}");

    let sentence = ["generation 1 was told to leave and is there still", "after its drain was over", &old.to_string()];
    is_refused(&fleet, &[&sentence[..], &["drain.lingering, now 0"]].concat());
    local(&fleet, &fleet.hosts[0], &["status"]).expect_code(0).says(&sentence);
    fleet.baton(&["status"]).expect_code(0).says(&sentence);
    let far = fleet.baton(&["status", "--output", "json"]).expect_code(0);
    assert_eq!(far.objects()[0]["lingering"][0]["pids"], Value::from(pids.clone()), "{far}");
    fleet.baton(&["plan", SERVICE]).expect_code(2).says(&sentence);

    // It is remembered, with its age, and its end is noticed by an agent that did not see its beginning.
    let age = |status: &Value| status["lingering"][0]["lingers_for_ms"].as_u64().expect("it lingers");
    let before = age(&status(&fleet));
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    fleet.await_held();
    assert_eq!(lingering(&fleet), left);
    assert!(age(&status(&fleet)) > before);
    is_refused(&fleet, &sentence);

    let answer = gate.open().expect("it was never cut off");
    assert_eq!((answer.release.as_str(), answer.master), ("v1", old));
    await_none_lingering(&fleet);
    wait::until("a reload to be accepted", SOON, || {
        let run = reload(&fleet);
        if run.code == Some(0) { Ok(()) } else { Err(run.to_string()) }
    });
    assert_eq!(load.stop().failed(), 0);
}

#[test]
fn a_guard_is_told_when_the_last_of_a_generation_is_gone_and_does_not_mind() {
    let fleet = impatient().start();
    let gate = Gate::shut(&fleet.hosts[0]);
    // The rollout guards the host for as long as it soaks.
    let run = fleet.begin(&["restart", SERVICE, "--yes"]);
    wait::until("it to linger", SOON, || {
        if lingering(&fleet).is_empty() { Err("nothing does") } else { Ok(()) }.map_err(str::to_owned)
    });
    assert!(gate.open().is_some());
    await_none_lingering(&fleet);
    run.finish(SOON).expect_code(0).says(&["1 of 1 proven"]);
}

/// The answer to contribsys/einhorn#72 for who does not want to wait.
#[test]
fn where_it_is_so_configured_an_old_generation_is_told_to_leave_at_once_when_its_time_is_over() {
    let fleet = impatient().drain(r#"then = "term""#).start();
    let host = &fleet.hosts[0];
    let load = Load::start(&fleet.targets(), LOAD);
    let gate = Gate::shut(host);
    let old = host.server.master().expect("it serves");
    fleet.deploy(&Release::sound("v2"));
    let run = hand_over(&fleet);
    run.says(&["drain: the old generation is not gone within 1 s: SIGTERM to what is left of it"]);
    run.says(&["drain: SIGTERM to ", &old.to_string()]);
    run.says(&["drain: every process of the old generation is gone"]);
    assert!(!run.text().contains("SIGKILL"), "{run}");
    assert_eq!(lingering(&fleet), []);
    assert!(!is_alive(old));
    assert_eq!(gate.open(), None, "it was cut off, as it was configured");
    // The new generation was not meant.
    let answer = host.server.ask("/").expect("it serves");
    assert_eq!((answer.release.as_str(), Ok(answer.master)), ("v2", host.server.master()));
    assert_eq!(load.stop().failed(), 0);
}

#[test]
fn an_old_generation_that_ignores_all_of_it_is_killed_and_nobody_else_is() {
    let faults = [Fault::IgnoreQuit, Fault::IgnoreTerm];
    let fleet = impatient().drain(r#"then = "kill""#).server(Kind::Patient).start();
    let host = &fleet.hosts[0];
    host.server.set_faults(&faults);
    let old = host.server.master().expect("it serves");
    let load = Load::start(&fleet.targets(), LOAD);
    let run = hand_over(&fleet);
    run.says(&["Kept ["]);
    run.says(&["drain: SIGTERM to ", &old.to_string()]);
    run.says(&["drain: the old generation is not gone within 5 s: SIGKILL to what is left of it"]);
    run.says(&["drain: SIGKILL to ", &old.to_string()]);
    run.says(&["drain: every process of the old generation is gone"]);
    assert_eq!(lingering(&fleet), []);
    assert!(!is_alive(old));
    let answer = host.server.ask("/").expect("the new generation serves");
    assert_eq!(Ok(answer.master), host.server.master());
    assert_eq!(load.stop().failed(), 0);
}

#[test]
fn whoever_the_old_master_starts_when_it_is_told_to_leave_is_found_and_accounted_for() {
    for (keys, gone) in [(r#"then = "wait""#, false), (r#"then = "kill""#, true)] {
        let fleet = impatient().drain(keys).server(Kind::Patient).start();
        let host = &fleet.hosts[0];
        host.server.set_faults(&[Fault::Orphan]);
        let run = hand_over(&fleet);
        run.says(&["Kept ["]);
        run.says(&["drain: waiting for ", "too, of the old generation, which it had started when it was told to leave"]);
        if gone {
            run.says(&["drain: every process of the old generation is gone"]);
            assert_eq!(lingering(&fleet), []);
            continue;
        }
        let left = lingering(&fleet);
        let [(1, pids)] = left.as_slice() else { panic!("{left:?}") };
        let [orphan] = pids.as_slice() else { panic!("{pids:?}") };
        run.says(&["1 of the old generation still there", &orphan.to_string()]);
        host.server.set_faults(&[]);
        is_refused(&fleet, &["generation 1 was told to leave", &orphan.to_string()]);
        signal(u32::try_from(*orphan).expect("a pid"), Signal::SIGKILL);
        await_none_lingering(&fleet);
        hand_over(&fleet);
    }
}

#[test]
fn as_many_generations_may_linger_as_is_configured() {
    let fleet = impatient().drain("lingering = 1").server(Kind::Patient).start();
    let host = &fleet.hosts[0];
    // It goes on to serve when its master has left, which the server does not mind at the next signal.
    host.server.set_faults(&[Fault::LateWorker]);
    hand_over(&fleet);
    assert_eq!(lingering(&fleet).len(), 1);
    let told = local(&fleet, host, &["status"]).expect_code(0);
    told.says(&["generation 1 was told to leave", "up to 1 may linger"]);
    hand_over(&fleet);
    let left = lingering(&fleet);
    assert_eq!(left.iter().map(|(generation, _)| *generation).collect::<Vec<_>>(), [1, 2]);
    is_refused(&fleet, &["generation 1 was told to leave", "drain.lingering, now 1"]);
    host.server.set_faults(&[]);
    signal(u32::try_from(left[0].1[0]).expect("a pid"), Signal::SIGKILL);
    wait::until("the first to be gone", SOON, || if lingering(&fleet) == left[1..] { Ok(()) } else { Err(String::new()) });
    hand_over(&fleet);
}

/// It may be meant to outlive the server, as a daemon that was started by the application.
#[test]
fn a_program_that_the_server_has_started_and_that_outlives_it_is_told_and_is_no_generation() {
    let fleet = impatient().server(Kind::Patient).faults(&[Fault::HelperExecuted]).more("foreign-holders = \"allow\"\n").start();
    for _ in 0..2 {
        hand_over(&fleet).says(&["Kept [", "1 of the old generation still there"]);
        assert_eq!(lingering(&fleet), []);
    }
}

/// A download from an nginx that sends it slowly.
fn slow_download(host: &Host) -> TcpStream {
    let mut stream = TcpStream::connect(host.server.address()).expect("it listens");
    stream.write_all(b"GET /slower HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it reads");
    stream.set_read_timeout(Some(SOON)).expect("a socket");
    let mut first = [0];
    stream.read_exact(&mut first).expect("a worker has begun to answer");
    stream
}

#[test]
fn in_place_a_worker_of_before_lingers_and_its_master_does_not() {
    let fleet = impatient().server(Kind::Nginx).start();
    let host = &fleet.hosts[0];
    let master = host.server.master().expect("it serves");
    let download = slow_download(host);
    fleet.deploy(&Release::sound("v2"));
    let run = hand_over(&fleet);
    run.says(&["Kept [", "1 of the old generation still there"]);
    let left = lingering(&fleet);
    let [(1, pids)] = left.as_slice() else { panic!("{left:?}") };
    assert!(pids.len() == 1 && pids[0] != u64::from(master), "{pids:?}");
    is_refused(&fleet, &["generation 1 was told to leave", &pids[0].to_string()]);
    // Its client goes, and it has nothing to wait for any more.
    drop(download);
    await_none_lingering(&fleet);
    hand_over(&fleet);
    assert_eq!(host.server.master(), Ok(master));
}

#[test]
fn in_place_the_workers_of_before_are_hurried_and_neither_the_master_nor_the_new_ones_are() {
    let fleet = impatient().drain(r#"then = "kill""#).server(Kind::Nginx).start();
    let host = &fleet.hosts[0];
    let master = host.server.master().expect("it serves");
    let load = Load::start(&fleet.targets(), LOAD);
    let _download = slow_download(host);
    fleet.deploy(&Release::sound("v2"));
    let run = hand_over(&fleet);
    run.says(&["drain: the workers of before are not gone within 1 s: SIGTERM to those that are left"]);
    // One worker has the download; the other of before has left, and the two new ones are not meant.
    let text = run.text();
    let told = text.lines().find_map(|line| line.split_once("drain: SIGTERM to ")).unwrap_or_else(|| panic!("{run}"));
    assert!(told.1.parse::<u32>().is_ok_and(|pid| pid != master), "{run}");
    run.says(&["drain: every worker of before is gone"]);
    assert_eq!(lingering(&fleet), []);
    let answer = host.server.ask("/").expect("it serves");
    assert_eq!((answer.release.as_str(), answer.master, host.server.master()), ("v2", master, Ok(master)));
    assert_eq!(load.stop().failed(), 0);
    let status = status(&fleet);
    assert_eq!((&status["lock"], &status["epoch"]), (&"held".into(), &0.into()), "{status}");
}

#[test]
fn an_agent_that_is_killed_while_the_old_generation_drains_waits_for_it_when_it_is_back() {
    let mut fleet = Fleet::of(1).start();
    let gate = Gate::shut(&fleet.hosts[0]);
    let old = fleet.hosts[0].server.master().expect("it serves");
    let running = begin(&fleet, &fleet.hosts[0], &["reload", SERVICE]);
    running.wait_to_read(&["Step [", "drain: waiting for the old generation"], SOON);
    fleet.hosts[0].agent.kill();
    // Its master leaves meanwhile, as one that is killed: its workers are nobody's children any more.
    signal(old, Signal::SIGKILL);
    wait::until("the old master to be gone", SOON, || if is_alive(old) { Err(String::new()) } else { Ok(()) });
    fleet.hosts[0].agent.start_again();
    // All is told again, and then what the agent that came back makes of it.
    wait::until("the drain to go on", SOON, || {
        let text = running.text();
        let (_, since) = text.rsplit_once("overlap: ").unwrap_or_default();
        if since.contains("ready: ") && since.contains("drain: waiting for the old") { Ok(()) } else { Err(text) }
    });
    assert!(gate.open().is_some(), "it was answered");
    let run = running.finish(SOON).expect_code(0);
    run.says(&["drain: every process of the old generation is gone"]);
    assert_eq!(lingering(&fleet), []);
}

#[test]
fn a_handover_for_which_there_is_too_little_memory_is_refused_with_the_figures() {
    let fleet = Fleet::of(1).more("memory = { reserve = \"1000T\" }\n").start();
    is_refused(
        &fleet,
        &[
            "too little memory",
            "iB are available on the host",
            "iB that the 3 processes of the old generation use and 1000 TiB that must be left",
        ],
    );
    fleet.baton(&["restart", SERVICE, "--yes"]).expect_code(3).says(&["too little memory", "1000 TiB"]);
    let config = fleet.hosts[0].agent.config();
    let text = fs::read_to_string(&config).expect("it is there");
    let with = |memory: &str| {
        fs::write(&config, text.replace("memory = { reserve = \"1000T\" }", memory)).expect("it can be written");
    };
    let mut fleet = fleet;
    for memory in ["memory = { reserve = \"1000T\", shortage = \"allow\" }", "memory = { reserve = \"1M\" }"] {
        with(memory);
        fleet.hosts[0].agent.stop();
        fleet.hosts[0].agent.start_again();
        fleet.await_held();
        hand_over(&fleet);
    }
}

#[test]
fn where_the_master_stays_only_the_reserve_must_be_free() {
    let fleet = Fleet::of(1).server(Kind::Nginx).more("memory = { reserve = \"1000T\" }\n").start();
    is_refused(&fleet, &["too little memory", "wanted are 1000 TiB that must be left (memory.reserve)"]);
}
