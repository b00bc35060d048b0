//! The files of `deploy/`: each is read by what will read it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use baton::execute::Dialler;
use baton::inventory::{Fleet, Share};
use baton::outcome::Unproven;
use baton_agent::census::{Facts, Finding, Holder, Kind, LockFile, Named, OldGeneration, PidFile, Place, examine};
use baton_agent::config::Config;
use baton_agent::dialect::TABLE;
use baton_agent::supervision::Policy;
use baton_proto::custody::{Doubt, FileIdentity, Lock, Process, Role, Seq};
use baton_tests::deployed::{self, Site, is_alive, signal};
use baton_tests::sandbox::Sandbox;
use baton_tests::{binaries, wait};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(30);
const PROCESS: Process = Process { pid: 1, start_ticks: 1 };
const FILE: FileIdentity = FileIdentity { device: 1, inode: 1, born: 3 };

fn read(name: &str) -> String {
    fs::read_to_string(deployed::file(name)).expect("a deployed file can be read")
}

#[test]
fn the_sample_of_the_agents_configuration_is_valid() {
    let config = Config::parse(&read("agent.toml")).expect("valid");
    let names: Vec<&str> = config.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!((config.fleet.as_str(), config.host.as_str(), names), ("prod", "web-1", vec!["web"]));
    let service = &config.services[0];
    assert_eq!(service.lock, Path::new("/run/web/unicorn.pid.lock"));
    // All three name the same files.
    for file in ["upstart/web.conf", "systemd/web.service"] {
        let text = read(file);
        let options = format!("--lock {} --pidfile {} ", service.lock.display(), service.pidfile.display());
        assert!(text.contains(&options), "{file}: {options}");
    }
}

#[test]
fn the_sample_of_the_inventory_is_valid() {
    let fleet = Fleet::read(&read("fleet.toml"), Path::new("/etc/baton")).expect("valid");
    let names: Vec<&str> = fleet.hosts().iter().map(|host| host.name.as_str()).collect();
    assert_eq!((fleet.name(), names), ("prod", vec!["web-1", "web-2", "web-3"]));
    assert_eq!(fleet.credentials().certificate, Path::new("/etc/baton/ada.crt"));
    let policy = fleet.policy("web");
    assert_eq!((policy.max_in_flight, policy.max_failures), (Some(Share::Count(1)), Some(Share::Count(0))));
    assert_eq!((policy.min_available, policy.canary), (Some(Share::Percent(50)), Some(1)));
    assert_eq!((policy.soak, policy.by_zone), (Some(Duration::from_secs(30)), None));
}

#[test]
fn every_key_that_the_sample_of_the_inventory_has_commented_out_is_valid_too() {
    let (head, policy) = read("fleet.toml")
        .split_once("[service.web]")
        .map(|(head, policy)| (head.to_owned(), policy.to_owned()))
        .expect("a policy");
    let text = format!("{head}[service.web]{}", policy.replace("\n# ", "\n"));
    let policy = Fleet::read(&text, Path::new("/etc/baton")).expect("valid").policy("web");
    assert_eq!((policy.by_zone, policy.stop_after, policy.deadline), (Some(true), Some(10), Some(Duration::from_hours(4))));
    assert!(policy.max_failures_per_zone.is_some() && policy.min_available_per_zone.is_some() && policy.host_deadline.is_some());
}

#[test]
fn the_commands_in_the_readme_make_the_files_that_the_sample_of_the_inventory_names() {
    let sandbox = Sandbox::new();
    let root = deployed::file("..");
    let readme = fs::read_to_string(root.join("README.md")).expect("it is there");
    let (_, rest) = readme.split_once("its list of hosts in one directory:\n\n").expect("the README says how to begin");
    let (commands, _) = rest.split_once("\n\n").expect("and goes on");
    let path = format!("{}:/usr/bin:/bin", binaries::find("baton").parent().expect("a binary is in a folder").display());
    let mut typed = Command::new("sh");
    typed.args(["-exc", commands]).env("PATH", path).env("HOME", sandbox.path()).current_dir(root);
    let output = typed.output().expect("a shell is there");
    assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
    let directory = sandbox.path().join(".config/baton");
    let inventory = fs::read_to_string(directory.join("fleet.toml")).expect("it was copied");
    let fleet = Fleet::read(&inventory, &directory).expect("valid");
    Dialler::new(&fleet).expect("certificate, key and authority fit together");
    assert!(directory.join("web-1.key").is_file());
}

/// The script of an Upstart job, with the places of a site instead of the deployed ones.
fn script(job: &str, site: &Site) -> String {
    let job = read(job);
    let (_, rest) = job.split_once("\nscript\n").expect("the job has a script");
    let (script, _) = rest.split_once("\nend script").expect("the script has an end");
    let places = [
        ("/srv/web/current/config/unicorn.rb", site.configuration()),
        ("bundle exec unicorn", Path::new("unicorn")),
        ("/run/web", site.directory()),
    ];
    places.iter().fold(script.to_owned(), |script, (deployed, here)| {
        assert!(script.contains(deployed), "{deployed} in {script}");
        script.replace(deployed, &here.to_string_lossy())
    })
}

/// Runs a job's script as Upstart does: by `sh -e`, leading a process group.
fn run(job: &str, site: &Site) -> Child {
    let agent = binaries::find("baton-agent");
    let folder = agent.parent().expect("a binary is in a folder");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display());
    site.run(Command::new("sh").args(["-e", "-c", &script(job, site)]).env("PATH", path), "job.log")
}

/// Fails the test unless the job runs and waits for the lock. One that ended too early would have the same code as later.
#[track_caller]
fn assert_is_waiting(running: &mut Child, site: &Site, job: &str) {
    wait::until("somebody to wait for the lock", SOON, || {
        let locks = fs::read_to_string("/proc/locks").map_err(|error| error.to_string())?;
        let inode = fs::metadata(site.lock()).map_err(|error| error.to_string())?.ino().to_string();
        let waits = |line: &str| line.contains("-> FLOCK") && line.contains(&format!(":{inode} "));
        if locks.lines().any(waits) { Ok(()) } else { Err(locks) }
    });
    assert!(running.try_wait().expect("our own child").is_none(), "{job}");
    let log = site.log("job.log");
    assert!(!log.contains("the service is dead"), "{job}: {log}");
}

#[track_caller]
fn ends(job: &mut Child) -> Option<i32> {
    wait::until("the job to end", SOON, || match job.try_wait() {
        Ok(Some(status)) => Ok(status.code()),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn the_upstart_jobs_live_through_handovers_and_end_with_the_last_process() {
    for (job, code) in [("upstart/web.conf", 3), ("upstart/web-shell.conf", 0)] {
        let sandbox = Sandbox::new();
        let site = Site::new(&sandbox);
        let mut running = run(job, &site);
        let first = site.wait_until_served(None);
        let second = site.hand_over();
        let third = site.hand_over();
        assert!(first != second && second != third, "{job}");
        assert_is_waiting(&mut running, &site, job);
        site.kill_server();
        assert_eq!(ends(&mut running), Some(code), "{job}");
    }
}

#[test]
fn the_upstart_jobs_are_not_fooled_when_the_old_master_is_killed_in_mid_handover() {
    for job in ["upstart/web.conf", "upstart/web-shell.conf"] {
        let sandbox = Sandbox::new();
        let site = Site::new(&sandbox);
        let mut running = run(job, &site);
        let old = site.wait_until_served(None);
        signal(old, Signal::USR2);
        let new = site.wait_until_served(Some(old));
        signal(old, Signal::KILL);
        wait::until("the old master to be gone", SOON, || if is_alive(old) { Err("alive".to_owned()) } else { Ok(()) });
        site.wait_until_served(Some(old));
        assert_is_waiting(&mut running, &site, job);
        // The job dies, and Upstart starts it again: it adopts the live server.
        running.kill().expect("our own child");
        running.wait().expect("our own child");
        let mut again = run(job, &site);
        wait::until("the job to find the server", SOON, || {
            let log = site.log("job.log");
            if log.contains("Already running") || log.contains("adopted") { Ok(()) } else { Err(log) }
        });
        assert_eq!(site.wait_until_served(None), new, "{job}");
        assert_is_waiting(&mut again, &site, job);
        site.kill_server();
        ends(&mut again);
    }
}

#[test]
fn the_plain_shell_job_waits_for_a_new_master_that_still_boots() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut job = run("upstart/web-shell.conf", &site);
    let old = site.wait_until_served(None);
    site.put("boot-seconds", "2");
    signal(old, Signal::USR2);
    let new = wait::until("the new master's pid file", SOON, || {
        site.master().and_then(|pid| if pid == old { Err("the old one".to_owned()) } else { Ok(pid) })
    });
    signal(old, Signal::KILL);
    assert_eq!(site.wait_until_served(Some(old)), new);
    assert_is_waiting(&mut job, &site, "upstart/web-shell.conf");
    site.kill_server();
    assert_eq!(ends(&mut job), Some(0));
}

#[test]
fn a_stop_of_the_job_with_hold_is_graceful() {
    let sandbox = Sandbox::new();
    let site = Site::new(&sandbox);
    let mut job = run("upstart/web.conf", &site);
    site.wait_until_served(None);
    wait::until("hold to wait", SOON, || {
        if site.log("job.log").contains("waiting until") { Ok(()) } else { Err(site.log("job.log")) }
    });
    // `stop web` signals the process group of the job.
    let killed = Command::new("kill").args(["-TERM", "--", &format!("-{}", job.id())]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    assert_eq!(ends(&mut job), Some(0));
    assert_eq!(site.holders(), [0_u32; 0]);
    assert!(site.log("job.log").contains("sending SIGQUIT"));
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let version = Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status();
    assert!(version.is_ok(), "systemd-analyze is not installed; type `make setup`");
    let sandbox = Sandbox::new();
    for name in ["baton-agent.service", "web.service"] {
        // The command must exist for the check, and is installed nowhere yet.
        let unit =
            read(&format!("systemd/{name}")).replace("/usr/bin/baton-agent", &binaries::find("baton-agent").to_string_lossy());
        let path: PathBuf = sandbox.path().join(name);
        fs::write(&path, unit).expect("a file in the sandbox");
        let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().expect("it is installed");
        // An unknown key is only said, and other units of the machine may have their own faults.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let about_us: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(about_us.is_empty(), "{about_us:?}");
        assert!(output.status.success(), "{}: {said}", output.status);
    }
}

#[test]
fn systemd_understands_every_line_of_what_an_agent_needs_that_starts_services() {
    let sandbox = Sandbox::new();
    let verified = |extra: &str| {
        let unit =
            read("systemd/baton-agent.service").replace("/usr/bin/baton-agent", &binaries::find("baton-agent").to_string_lossy());
        let path = sandbox.path().join("baton-agent.service");
        let folder = sandbox.path().join("baton-agent.service.d");
        fs::create_dir_all(&folder).expect("a directory in the sandbox");
        fs::write(&path, unit).expect("a file in the sandbox");
        fs::write(folder.join("starts.conf"), read("systemd/baton-agent-starts.conf") + extra).expect("a file in the sandbox");
        let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().expect("it is installed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines().filter(|line| line.contains("starts.conf")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(verified(""), [""; 0]);
    // It was read: what it does not understand is told.
    assert_eq!(verified("[Service]\nKillMood=good\n").len(), 1);
}

#[test]
fn the_sample_shows_how_a_service_is_started_and_is_valid_with_it() {
    // A key that is switched off follows its number sign at once; prose has a space between.
    let sample = read("agent.toml");
    let lines = sample.lines().map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line));
    let switched_on = lines.collect::<Vec<_>>().join("\n");
    let plain = Config::parse(&sample).expect("valid");
    assert!(plain.services.iter().all(|service| service.start.is_none()));
    let config = Config::parse(&switched_on).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let start = config.services[0].start.as_ref().expect("it is switched on");
    // What it shows as the default is the default.
    assert_eq!(
        (start.within, start.stop_within, start.policy),
        (Duration::from_mins(1), Duration::from_mins(1), Policy::default())
    );
    assert_eq!((start.umask, start.user.as_deref()), (0o022, Some("web")));
}

/// The rows of the tables in the runbook, by their cells.
fn rows() -> Vec<Vec<String>> {
    let runbook = read("RUNBOOK.md");
    let cells = |line: &str| {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(inner.split(" | ").map(str::to_owned).collect())
    };
    runbook.lines().filter_map(cells).collect()
}

/// The lines `code  meaning` at the end of a help text.
fn exit_codes(binary: &str, arguments: &[&str]) -> Vec<(String, String)> {
    let output = Command::new(binaries::find(binary)).args(arguments).output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("help is text");
    let (_, rest) = help.split_once("Exit codes").expect("help has the table");
    let (_, table) = rest.split_once(":\n").expect("the table has a heading");
    let entry = |line: &str| line.trim().split_once("  ").map(|(code, meaning)| (code.to_owned(), meaning.to_owned()));
    table.lines().filter_map(entry).collect()
}

#[test]
fn the_runbook_has_every_exit_code_that_help_shows() {
    let rows = rows();
    for (binary, arguments) in [("baton", &["--help"][..]), ("baton-agent", &["--help"]), ("baton-agent", &["hold", "--help"])] {
        let codes = exit_codes(binary, arguments);
        assert!(codes.len() >= 6, "{codes:?}");
        for (code, meaning) in codes {
            let has = rows.iter().any(|row| row.len() == 3 && row[0] == code && row[1] == meaning && !row[2].is_empty());
            assert!(has, "no row | {code} | {meaning} |");
        }
    }
}

/// Every doubt that there is; a new one does not compile until it is added.
fn doubts() -> Vec<Doubt> {
    let process = PROCESS;
    let file = FileIdentity { device: 1, inode: 1, born: 3 };
    let role = Role::NewMaster;
    let next = |doubt: &Doubt| match doubt {
        Doubt::Truncated => Some(Doubt::NumberingBroken(Seq(1))),
        Doubt::NumberingBroken(_) => Some(Doubt::OtherWitness(Seq(1))),
        Doubt::OtherWitness(_) => Some(Doubt::WitnessesUnclear),
        Doubt::WitnessesUnclear => Some(Doubt::Rebooted),
        Doubt::Rebooted => Some(Doubt::AgentRestarted(Box::new(Doubt::NoOverlap))),
        Doubt::AgentRestarted(_) => Some(Doubt::FileReplaced { expected: file, seen: file }),
        Doubt::FileReplaced { .. } => Some(Doubt::NeverSeen { role, reason: Some("why".into()) }),
        Doubt::NeverSeen { .. } => Some(Doubt::TwoMasters { role, one: process, other: process }),
        Doubt::TwoMasters { .. } => Some(Doubt::NoHandover(process)),
        Doubt::NoHandover(_) => Some(Doubt::Exec { role }),
        Doubt::Exec { .. } => Some(Doubt::Relocked { role }),
        Doubt::Relocked { .. } => Some(Doubt::NoLength { role }),
        Doubt::NoLength { .. } => Some(Doubt::Interrupted { role, at: Seq(1) }),
        Doubt::Interrupted { .. } => Some(Doubt::ExecUnmarked),
        Doubt::ExecUnmarked => Some(Doubt::NoNewWorker(None)),
        Doubt::NoNewWorker(_) => Some(Doubt::NoOverlap),
        Doubt::NoOverlap => Some(Doubt::EndOpen { role, end: "close", reason: None }),
        Doubt::EndOpen { .. } => None,
    };
    std::iter::successors(Some(Doubt::Truncated), next).collect()
}

/// Every other reason for which the controller finds nothing proven.
fn other_reasons() -> Vec<Unproven> {
    let next = |reason: &Unproven| match reason {
        Unproven::Doubt(_) => Some(Unproven::OtherService("web".into())),
        Unproven::OtherService(_) => Some(Unproven::OtherBoot),
        Unproven::OtherBoot => Some(Unproven::Anonymous),
        Unproven::Anonymous => Some(Unproven::OtherMaster { before: PROCESS, testified: PROCESS }),
        Unproven::OtherMaster { .. } => Some(Unproven::Broken { step: None, cause: "why".into() }),
        Unproven::Broken { .. } => Some(Unproven::Undone { doubt: Doubt::NoOverlap, step: None, cause: "why".into() }),
        Unproven::Undone { .. } => Some(Unproven::Malformed("why".into())),
        Unproven::Malformed(_) => Some(Unproven::Recorded("the journal says proven, and has no testimony".into())),
        Unproven::Recorded(_) => None,
    };
    std::iter::successors(next(&Unproven::Doubt(Doubt::NoOverlap)), next).collect()
}

#[test]
fn the_runbook_has_every_doubt() {
    let rows = rows();
    let doubts = doubts().into_iter().map(|doubt| doubt.to_string());
    for text in doubts.chain(other_reasons().into_iter().map(|reason| reason.to_string())) {
        let says_so = |row: &Vec<String>| row.len() == 3 && row[0].split(" / ").any(|pattern| reads_as(pattern, &text));
        assert!(rows.iter().any(says_so), "no row for: {text}");
    }
}

#[test]
fn the_readme_has_every_row_of_the_table_of_dialects() {
    let readme = fs::read_to_string(deployed::file("../README.md")).expect("it is there");
    for row in &TABLE {
        let told: BTreeMap<&str, String> = row.told().into_iter().collect();
        let cells = ["does", "pid file", "needs", "bad release", "twice"].map(|label| told[label].as_str());
        let line = format!("| `{}`, `{}` | {} |", row.name, row.reload, cells.join(" | "));
        assert!(readme.lines().any(|found| found == line), "no line {line}");
    }
}

/// Facts in which everything that can be amiss is: several of them, since one thing may hide another.
fn all_that_can_be_amiss() -> Vec<Facts> {
    let place = |pid: u32, parent, place, taker: u32, inode| Holder {
        process: Process { pid, start_ticks: u64::from(pid) },
        parent,
        command: "name".into(),
        program: Some(FileIdentity { device: 1, inode, born: 0 }),
        lock: Lock { file: FILE, mark: 0, taker },
        place,
    };
    let file = |named| PidFile { path: "/pid".into(), named };
    let living = |pid, younger| Named::Living { process: Process { pid, start_ticks: 1 }, command: "name".into(), younger };
    let (master, worker) = (place(10, 1, Place::Master, 10, 1), place(11, 10, Place::Below, 10, 1));
    let another = [place(20, 1, Place::Elsewhere, 20, 1), place(21, 20, Place::Elsewhere, 20, 1)];
    let strangers = [
        place(30, 1, Place::Elsewhere, 30, 2),
        place(31, 1, Place::Above, 10, 2),
        place(32, 1, Place::Elsewhere, 10, 2),
        place(33, 1, Place::Elsewhere, 5, 1),
        place(34, 10, Place::Below, 10, 2),
    ];
    let held = Facts {
        path: "/lock".into(),
        lock_file: LockFile::Present(FILE),
        watched: None,
        network: Some("NFS"),
        twin: Some("api".into()),
        pid_file: file(Named::Nobody),
        pid_file_old: file(living(9, Duration::ZERO)),
        pid_file_new: file(living(12, Duration::ZERO)),
        master: Some(master.process),
        last: Some(master.clone()),
        holders: [vec![master, worker], another.to_vec(), strangers.to_vec()].concat(),
        unknown_takers: vec![7],
        allows_foreign: false,
        started_as: None,
        lingering: Vec::new(),
        lingering_allowed: 0,
    };
    let old = OldGeneration { number: 3, overtime: Duration::from_mins(2), processes: vec![PROCESS] };
    let lingers = Facts { lingering: vec![old], ..held.clone() };
    let other = LockFile::Present(FileIdentity { inode: 9, ..FILE });
    let lost = Facts { master: None, holders: vec![place(11, 1, Place::Elsewhere, 10, 1)], ..held.clone() };
    vec![
        Facts { lingering_allowed: 1, ..lingers.clone() },
        lingers,
        Facts { watched: Some(FILE), lock_file: other, pid_file_old: file(Named::Unburied(9)), ..held.clone() },
        Facts { lock_file: LockFile::Missing, ..held.clone() },
        Facts { lock_file: LockFile::Unknown("why".into()), ..held.clone() },
        Facts { pid_file: file(Named::Gone(10)), ..lost.clone() },
        Facts { pid_file: file(living(10, Duration::ZERO)), ..lost.clone() },
        Facts { pid_file: file(living(8, Duration::from_secs(9))), ..lost.clone() },
        Facts { pid_file: file(living(8, Duration::ZERO)), ..lost.clone() },
        Facts { pid_file: file(living(8, Duration::ZERO)), holders: another.to_vec(), ..lost },
        held,
    ]
}

#[test]
fn the_runbook_has_every_finding() {
    let rows = rows();
    let findings: Vec<Finding> = all_that_can_be_amiss().iter().flat_map(examine).collect();
    for kind in Kind::ALL {
        assert!(findings.iter().any(|finding| finding.kind == kind), "the test has no {kind:?}");
    }
    for Finding { sentence, .. } in findings {
        let says_so = |row: &Vec<String>| row.len() == 3 && row[0].split(" / ").any(|pattern| reads_as(pattern, &sentence));
        assert!(rows.iter().any(says_so), "no row for: {sentence}");
    }
}

/// Whether `text` is `pattern`, whose `…` stands for anything.
fn reads_as(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    for part in parts {
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.is_empty() || pattern.ends_with('…')
}
