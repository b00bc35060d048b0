//! A fleet on this machine: hosts with a server and an agent each, and the controller that walks them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::agent::{Agent, Setup};
use crate::controller::{self, Run, Running};
use crate::fault::Fault;
use crate::net::{Network, Place, Relay};
use crate::pki::Pki;
use crate::sandbox::Sandbox;
use crate::server::{Kind, Release, Server};
use crate::standing::Standing;
use crate::{address, wait};

/// The operator that the controller runs as.
pub const OPERATOR: &str = "operator-1";
/// The one service of each host.
pub const SERVICE: &str = "web";

const RUN_WITHIN: Duration = Duration::from_mins(5);
const HELD_WITHIN: Duration = Duration::from_secs(20);

/// The deadlines in an agent's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long a new generation may take to be ready.
    pub ready_within: Duration,
    /// For how long it must then stay so.
    pub settle: Duration,
    /// How long the old generation may take to leave.
    pub drain_within: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { ready_within: Duration::from_secs(20), settle: Duration::from_millis(200), drain_within: Duration::from_secs(20) }
    }
}

/// What a fleet is to be.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    hosts: usize,
    kind: Kind,
    timing: Timing,
    exceptions: BTreeMap<String, Timing>,
    release: Release,
    faults: Vec<Fault>,
    dialect: Option<&'static str>,
    ready: String,
    drain: String,
    more: String,
    log: &'static str,
    is_in_namespaces: bool,
    is_relayed: bool,
    zones: Vec<&'static str>,
}

impl Builder {
    /// The fleet's name, which is `test` otherwise.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The server of each host, which is Unicorn otherwise.
    #[must_use]
    pub fn server(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The agents' deadlines.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// What the patients do wrong from their birth.
    #[must_use]
    pub fn faults(mut self, faults: &[Fault]) -> Self {
        self.faults = faults.to_vec();
        self
    }

    /// The dialect by which the servers are handed over, which is that of their kind otherwise.
    #[must_use]
    pub fn dialect(mut self, dialect: &'static str) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// What else stands in the `drain` of each agent.
    #[must_use]
    pub fn drain(mut self, keys: &str) -> Self {
        self.drain = format!(", {keys}");
        self
    }

    /// When a new generation counts as ready, which is when it answers otherwise; the places of its server are filled in, as below.
    #[must_use]
    pub fn ready(mut self, conditions: &str) -> Self {
        conditions.clone_into(&mut self.ready);
        self
    }

    /// What else stands in the configuration of each agent; `{pidfile}`, `{lock}`, `{http}`, `{socket}` and `{directory}` are those of
    /// its server.
    #[must_use]
    pub fn more(mut self, text: &str) -> Self {
        self.more.push_str(text);
        self
    }

    /// The server tests its configuration before it is signalled.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.more.push_str("check = { {check}, within = \"20s\" }\n");
        self
    }

    /// How much the agents log, as `RUST_LOG` says it; all that this agent decides otherwise.
    #[must_use]
    pub fn log(mut self, log: &'static str) -> Self {
        self.log = log;
        self
    }

    /// The deadlines of one host's agent, where they are others.
    #[must_use]
    pub fn timing_of(mut self, host: &str, timing: Timing) -> Self {
        self.exceptions.insert(host.to_owned(), timing);
        self
    }

    /// Each host is in a network namespace, with an address of its own; the controller is on the other side of a bridge.
    #[must_use]
    pub fn in_namespaces(mut self) -> Self {
        self.is_in_namespaces = true;
        self
    }

    /// The zones of the hosts, one after the other and round again.
    #[must_use]
    pub fn zones(mut self, zones: &[&'static str]) -> Self {
        self.zones = zones.to_vec();
        self
    }

    /// The controller reaches each agent through a relay.
    #[must_use]
    pub fn relayed(mut self) -> Self {
        self.is_relayed = true;
        self
    }

    /// Starts everything, and waits until every lock is seen to be held.
    ///
    /// # Panics
    /// When something does not start.
    pub fn start(self) -> Fleet {
        self.start_in(Sandbox::new())
    }

    /// As [`Self::start`], in a sandbox that is given.
    ///
    /// # Panics
    /// When something does not start.
    pub fn start_in(self, sandbox: Sandbox) -> Fleet {
        let fleet = self.start_unheld_in(sandbox);
        fleet.await_held();
        fleet
    }

    /// As [`Self::start`], and waits for no lock: something is wrong with them.
    ///
    /// # Panics
    /// When something does not start.
    pub fn start_unheld(self) -> Fleet {
        self.start_unheld_in(Sandbox::new())
    }

    fn start_unheld_in(self, sandbox: Sandbox) -> Fleet {
        let directory = sandbox.path().join("fleet");
        fs::create_dir(&directory).expect("a directory in the sandbox can be made");
        let pki = Pki::init(&self.name, &directory);
        pki.issue("operator", OPERATOR);
        let network = self.is_in_namespaces.then(|| Network::of(self.hosts));
        let place = |number: usize| network.as_ref().map(|network| &network.hosts()[number - 1]);
        let hosts: Vec<Host> = (1..=self.hosts).map(|number| self.start_host(number, place(number), &sandbox, &pki)).collect();
        let relays = if self.is_relayed { hosts.iter().map(|host| relay(host, network.as_ref())).collect() } else { Vec::new() };
        let fleet = Fleet { hosts, pki, relays, network, sandbox };
        fs::write(fleet.config(), fleet.inventory(&self.zones)).expect("a file in the sandbox can be written");
        fleet
    }

    fn start_host(&self, number: usize, place: Option<&Place>, sandbox: &Sandbox, pki: &Pki) -> Host {
        let name = format!("web-{number}");
        pki.issue("agent", &name);
        let directory = sandbox.path().join(&name);
        let namespace = place.map(|place| place.namespace.clone());
        let address = place.map_or_else(address::next, |place| place.address);
        let start = || Server::start_with(self.kind, &directory.join("server"), address, &self.release, &self.faults);
        let server = namespace.as_ref().map_or_else(start, |namespace| namespace.run(start));
        let timing = self.exceptions.get(&name).copied().unwrap_or(self.timing);
        let Self { ready, drain, more, log, .. } = self;
        let dialect = self.dialect.unwrap_or(self.kind.dialect());
        let directory = directory.join("agent");
        let (host, directory) = (name.as_str(), directory.as_path());
        let setup = Setup { host, directory, address, pki, server: &server, dialect, ready, drain, more, timing, log, namespace };
        let agent = Agent::start(&setup);
        Host { name, agent, server }
    }
}

/// A relay before a host's agent, on the controller's side.
fn relay(host: &Host, network: Option<&Network>) -> Relay {
    let agent = host.agent.address();
    match network {
        Some(network) => network.switch().run(|| Relay::start(network.address(), agent)),
        None => Relay::start(address::next(), agent),
    }
}

/// One host.
#[derive(Debug)]
pub struct Host {
    /// Its name, `web-1` and so on.
    pub name: String,
    /// Its agent.
    pub agent: Agent,
    /// Its server.
    pub server: Server,
}

/// Hosts, and what the controller needs to walk them.
#[derive(Debug)]
pub struct Fleet {
    /// The hosts, in the order of the inventory.
    pub hosts: Vec<Host>,
    /// The certificates.
    pub pki: Pki,
    /// The relays before the agents, if there are any, in the same order.
    pub relays: Vec<Relay>,
    network: Option<Network>,
    // Last, so that it is dropped last.
    sandbox: Sandbox,
}

impl Fleet {
    /// A fleet of so many hosts, to be started.
    pub fn of(hosts: usize) -> Builder {
        Builder {
            name: "test".to_owned(),
            hosts,
            kind: Kind::Unicorn,
            timing: Timing::default(),
            exceptions: BTreeMap::new(),
            release: Release::sound("v1"),
            faults: Vec::new(),
            dialect: None,
            ready: String::new(),
            drain: String::new(),
            more: String::new(),
            log: "info,baton_agent=debug",
            is_in_namespaces: false,
            is_relayed: false,
            zones: Vec::new(),
        }
    }

    /// The controller's configuration file.
    pub fn config(&self) -> PathBuf {
        self.pki.directory().join("fleet.toml")
    }

    /// Where the fleet's files are.
    pub fn directory(&self) -> &Path {
        self.sandbox.path()
    }

    /// The network that the fleet is in.
    ///
    /// # Panics
    /// When it has none of its own.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("the fleet was built in namespaces")
    }

    /// Where the servers serve HTTP.
    pub fn targets(&self) -> Vec<SocketAddr> {
        self.hosts.iter().map(|host| host.server.address()).collect()
    }

    /// Puts a release in place on every host; the next restart serves it.
    pub fn deploy(&self, release: &Release) {
        for host in &self.hosts {
            host.server.deploy(release);
        }
    }

    /// `baton` with this fleet's configuration, to be given arguments.
    pub fn command(&self) -> Command {
        let command = controller::command(&self.config());
        match &self.network {
            Some(network) => network.switch().command(&command),
            None => command,
        }
    }

    /// Starts `baton` with `args`.
    pub fn begin(&self, args: &[&str]) -> Running {
        let mut command = self.command();
        command.args(args);
        Running::start(command, self.sandbox.path())
    }

    /// Runs `baton` with `args` to its end.
    #[track_caller]
    pub fn baton(&self, args: &[&str]) -> Run {
        self.begin(args).finish(RUN_WITHIN)
    }

    /// Waits until every agent has seen its service's lock held.
    ///
    /// # Panics
    /// When one does not.
    #[track_caller]
    pub fn await_held(&self) {
        self.await_held_on("*");
    }

    /// Waits until the agents of the hosts that `selector` chooses have seen their service's lock held.
    ///
    /// # Panics
    /// When one does not.
    #[track_caller]
    pub fn await_held_on(&self, selector: &str) {
        wait::until("the lock to be held", HELD_WITHIN, || {
            let run = self.baton(&["status", selector]);
            if run.code == Some(0) { Ok(()) } else { Err(run.to_string()) }
        });
    }

    /// Where every host stands.
    ///
    /// # Panics
    /// When `baton status` does not say.
    #[track_caller]
    pub fn standings(&self) -> Vec<Standing> {
        let run = self.baton(&["status", "--output", "json"]).expect_code(0);
        let standings: Vec<Standing> = run.objects().iter().filter_map(Standing::read).collect();
        assert_eq!(standings.len(), self.hosts.len(), "{run}");
        standings
    }

    /// What `baton testimony` judges of the last handover of a host: the verdict, and what it rests on.
    ///
    /// # Panics
    /// When it does not say.
    #[track_caller]
    pub fn verdict(&self, host: &str) -> String {
        let run = self.baton(&["testimony", host, SERVICE, "--output", "json"]).expect_code(0);
        let objects = run.objects();
        let word = |key: &str| objects.first().and_then(|record| record["verdict"][key].as_str());
        let verdict = word("verdict").unwrap_or_else(|| panic!("{run}"));
        word("basis").map_or_else(|| verdict.to_owned(), |basis| format!("{verdict}, {basis}"))
    }

    fn inventory(&self, zones: &[&str]) -> String {
        let fleet = self.pki.fleet();
        let head = format!(
            "[fleet]\nname = \"{fleet}\"\ncertificate = \"{OPERATOR}.crt\"\nkey = \"{OPERATOR}.key\"\nauthority = \"fleet-ca.crt\"\n"
        );
        let entry = |(number, host): (usize, &Host)| {
            let address = self.relays.get(number).map_or_else(|| host.agent.address(), Relay::address);
            let zone = zones.iter().cycle().nth(number).map(|zone| format!("labels = {{ zone = \"{zone}\" }}\n"));
            format!("\n[[host]]\nname = \"{}\"\naddress = \"{address}\"\n{}", host.name, zone.unwrap_or_default())
        };
        std::iter::once(head).chain(self.hosts.iter().enumerate().map(entry)).collect()
    }
}
