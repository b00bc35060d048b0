//! One agent with three services: what happens to one is no affair of the others, and all of it outlives the agent. How many are handed
//! over at once is a matter of the host.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use baton_tests::agent::Agent;
use baton_tests::controller::{Run, Running};
use baton_tests::fault::Fault;
use baton_tests::pki::Pki;
use baton_tests::sandbox::Sandbox;
use baton_tests::server::{Kind, Release, Server};
use baton_tests::{address, binaries, wait};

const HOST: &str = "web-1";
const NAMES: [&str; 3] = ["api", "jobs", "web"];
const RUN_WITHIN: Duration = Duration::from_mins(1);
const SOON: Duration = Duration::from_secs(20);

/// One host with three services, each of which is a patient.
struct Host {
    agent: Agent,
    servers: BTreeMap<&'static str, Server>,
    // Last, so that it is dropped last.
    sandbox: Sandbox,
}

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    lock: String,
    generation: u64,
    master: Option<u64>,
    epoch: u64,
}

impl Host {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With more in the agent's table.
    fn start_with(more: &str) -> Self {
        let sandbox = Sandbox::new();
        let address = address::next();
        let pki = pki(&sandbox);
        let start = |name| (name, Server::start(Kind::Patient, &sandbox.path().join(name), address, &Release::sound("v1")));
        let servers: BTreeMap<_, _> = NAMES.into_iter().map(start).collect();
        let directory = sandbox.path().join("agent");
        fs::create_dir(&directory).expect("a directory in the sandbox can be made");
        let text = configuration(&directory, address, &pki, &servers, more);
        fs::write(directory.join("agent.toml"), text).expect("a file in the sandbox can be written");
        let host = Self { agent: Agent::run(&directory, "info"), servers, sandbox };
        host.wait_for("every lock to be held", |standings| standings.values().all(Standing::is_held));
        host
    }

    /// Begins a local command.
    fn begin(&self, args: &[&str]) -> Running {
        let mut command = Command::new(binaries::find("baton-agent"));
        command.args(args).arg("--socket").arg(self.agent.socket());
        Running::start(command, self.sandbox.path())
    }

    #[track_caller]
    fn reload(&self, name: &str) -> Run {
        self.begin(&["reload", name]).finish(RUN_WITHIN).expect_code(0)
    }

    #[track_caller]
    fn standings(&self) -> BTreeMap<String, Standing> {
        let run = self.begin(&["status", "--output", "json"]).finish(RUN_WITHIN).expect_code(0);
        let standing = |object: &serde_json::Value| {
            let standing = Standing {
                lock: object["lock"].as_str()?.to_owned(),
                generation: object["generation"].as_u64()?,
                master: object["master_pid"].as_u64(),
                epoch: object["epoch"].as_u64()?,
            };
            Some((object["service"].as_str()?.to_owned(), standing))
        };
        run.objects().iter().map(|object| standing(object).unwrap_or_else(|| panic!("{run}"))).collect()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, is_so: impl Fn(&BTreeMap<String, Standing>) -> bool) -> BTreeMap<String, Standing> {
        wait::until(what, SOON, || {
            let standings = self.standings();
            if is_so(&standings) { Ok(standings) } else { Err(format!("{standings:?}")) }
        })
    }

    /// Kills a server, starts it again, and waits until it is seen to be held.
    #[track_caller]
    fn lapse(&self, name: &str) {
        let before = self.standings()[name].clone();
        self.servers[name].kill();
        self.wait_for("the drop to be seen", |standings| standings[name].lock == "free");
        self.servers[name].boot();
        self.wait_for("the new master", |standings| standings[name].is_held() && standings[name].master != before.master);
    }
}

impl Standing {
    fn is_held(&self) -> bool {
        self.lock == "held" && self.master.is_some()
    }
}

fn pki(sandbox: &Sandbox) -> Pki {
    let directory = sandbox.path().join("pki");
    fs::create_dir(&directory).expect("a directory in the sandbox can be made");
    let pki = Pki::init("test", &directory);
    pki.issue("agent", HOST);
    pki
}

fn configuration(directory: &Path, address: Ipv4Addr, pki: &Pki, servers: &BTreeMap<&str, Server>, more: &str) -> String {
    let listen: SocketAddr = address::with_free_port(address).expect("an address of our own has free ports");
    let head = format!(
        "[agent]\nfleet = \"test\"\nhost = \"{HOST}\"\nlisten = \"{listen}\"\nsocket = \"{directory}/agent.sock\"\nstate = \"{directory}/state\"\n{more}\n\
         [agent.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nauthority = \"{authority}\"\n",
        directory = directory.display(),
        certificate = pki.certificate(HOST).display(),
        key = pki.key(HOST).display(),
        authority = pki.authority().display(),
    );
    let service = |(name, server): (&&str, &Server)| {
        format!(
            "[service.{name}]\ndialect = \"unicorn\"\npidfile = \"{pidfile}\"\n\
             ready = {{ http = \"http://{http}/up\", within = \"20s\", settle = \"1s\" }}\ndrain = {{ within = \"20s\" }}\n",
            pidfile = server.pidfile().display(),
            http = server.address(),
        )
    };
    std::iter::once(head).chain(servers.iter().map(service)).collect()
}

#[test]
fn two_reloads_at_once_and_a_drop_of_the_third_are_nothing_to_each_other() {
    let host = Host::start_with("handovers = 2");
    let before = host.standings();
    let reloads = ["api", "web"].map(|name| host.begin(&["reload", name]));
    // Both are under way, and the third dies.
    host.wait_for("two handovers at once", |_| {
        let run = host.begin(&["status"]).finish(RUN_WITHIN);
        run.stdout.matches("in a handover at the step").count() == 2
    });
    host.servers["jobs"].kill();
    let [api, web] = reloads.map(|reload| reload.finish(RUN_WITHIN).expect_code(0));
    assert!(api.stdout.contains("Kept [") && web.stdout.contains("Kept ["), "{api}{web}");
    let after = host.wait_for("the drop to be seen", |standings| standings["jobs"].lock == "free");
    assert_eq!((after["jobs"].epoch, after["jobs"].generation), (before["jobs"].epoch + 1, before["jobs"].generation));
    for name in ["api", "web"] {
        let (before, after) = (&before[name], &after[name]);
        assert!(after.is_held() && after.master != before.master, "{after:?}");
        assert_eq!((after.epoch, after.generation), (before.epoch, before.generation + 1), "{name}");
    }
}

#[test]
fn one_is_handed_over_at_a_time_unless_it_is_configured_otherwise() {
    let mut host = Host::start();
    let before = host.standings();
    host.servers["api"].set_faults(&[Fault::SlowDrain(Duration::from_secs(4))]);
    let api = host.begin(&["reload", "api"]);
    api.wait_to_read(&["Step [", "drain: "], SOON);
    let refused = host.begin(&["reload", "web"]).finish(RUN_WITHIN).expect_code(3);
    let words = [
        "Refused [",
        "another service is being handed over on this host: api (step drain)",
        "one at a time",
        "nothing was touched",
    ];
    assert!(words.iter().all(|word| refused.stdout.contains(word)), "{refused}");
    // It is no other when the agent goes on with what an earlier run of it had begun.
    host.agent.kill();
    host.agent.start_again();
    host.wait_for("web to be held", |standings| standings["web"].is_held());
    let refused = host.begin(&["reload", "web"]).finish(RUN_WITHIN).expect_code(3);
    assert!(words.iter().all(|word| refused.stdout.contains(word)), "{refused}");
    let ended = api.finish(RUN_WITHIN).expect_code(0);
    assert!(ended.stdout.contains("Kept ["), "{ended}");
    host.reload("web");
    let after = host.wait_for("every lock to be held", |standings| standings.values().all(Standing::is_held));
    assert_eq!(after["web"].generation, before["web"].generation + 1);
}

#[test]
fn epochs_and_generations_outlive_the_agent() {
    let mut host = Host::start();
    host.lapse("jobs");
    host.reload("web");
    let before = host.standings();
    assert_eq!((before["jobs"].epoch, before["web"].epoch, before["api"].epoch), (1, 0, 0));
    assert_eq!((before["jobs"].generation, before["web"].generation, before["api"].generation), (2, 2, 1));
    host.agent.kill();
    host.agent.start_again();
    let after = host.wait_for("every lock to be held", |standings| standings.values().all(Standing::is_held));
    assert_eq!(after, before);
    // They are counted on from there.
    host.reload("web");
    host.lapse("jobs");
    let on = host.standings();
    assert_eq!((on["web"].generation, on["web"].epoch), (3, 0));
    assert_eq!((on["jobs"].generation, on["jobs"].epoch), (3, 2));
    assert_eq!(on["api"], before["api"]);
}

#[test]
fn a_server_that_was_restarted_by_hand_while_the_agent_was_dead_is_a_new_generation() {
    let mut host = Host::start();
    let before = host.standings();
    host.agent.kill();
    host.servers["web"].kill();
    host.servers["web"].boot();
    host.agent.start_again();
    let after = host.wait_for("every lock to be held", |standings| standings.values().all(Standing::is_held));
    assert_ne!(after["web"].master, before["web"].master);
    assert_eq!(after["web"].generation, before["web"].generation + 1);
    for name in ["api", "jobs"] {
        assert_eq!(after[name], before[name]);
    }
}
