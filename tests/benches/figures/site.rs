//! A real agent over services that are nothing but a lock, a pid file and a holder.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use baton_tests::address;
use baton_tests::agent::Agent;
use baton_tests::fleet::OPERATOR;
use baton_tests::pki::Pki;

use crate::bare::Place;

/// The host's name.
pub(crate) const HOST: &str = "web-1";
/// What agents log in production.
pub(crate) const LOG: &str = "info";

/// An agent, its certificates and its services.
#[derive(Debug)]
pub(crate) struct Site {
    /// The agent.
    pub(crate) agent: Agent,
    /// The certificates; the operator has one too.
    pub(crate) pki: Pki,
    /// The services, by their order in the configuration.
    pub(crate) places: Vec<Place>,
}

/// The name of a service.
pub(crate) fn service(index: usize) -> String {
    format!("web-{index}")
}

impl Site {
    /// Starts an agent for so many services, of which none is held yet.
    pub(crate) fn start(directory: &Path, services: usize) -> Self {
        let pki_directory = directory.join("pki");
        let agent_directory = directory.join("agent");
        for path in [&pki_directory, &agent_directory] {
            fs::create_dir_all(path).expect("a directory in the sandbox can be made");
        }
        let pki = Pki::init("bench", &pki_directory);
        pki.issue("agent", HOST);
        pki.issue("operator", OPERATOR);
        let places: Vec<Place> = (0..services).map(|index| Place::make(&directory.join(service(index)))).collect();
        let text = config(&agent_directory, address::next(), &pki, &places);
        fs::write(agent_directory.join("agent.toml"), text).expect("a file in the sandbox can be written");
        Self { agent: Agent::run(&agent_directory, LOG), pki, places }
    }
}

fn config(directory: &Path, address: Ipv4Addr, pki: &Pki, places: &[Place]) -> String {
    let mut text = format!(
        "[agent]\nfleet = \"{fleet}\"\nhost = \"{HOST}\"\nlisten = \"{address}:0\"\n\
         socket = \"{directory}/agent.sock\"\nstate = \"{directory}/state\"\n\n\
         [agent.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nauthority = \"{authority}\"\n",
        fleet = pki.fleet(),
        directory = directory.display(),
        certificate = pki.certificate(HOST).display(),
        key = pki.key(HOST).display(),
        authority = pki.authority().display(),
    );
    for (index, place) in places.iter().enumerate() {
        let (service, pidfile) = (service(index), place.pidfile());
        // Nothing is ever reloaded here, so nobody has to answer the probe.
        let ready = "{ http = \"http://127.0.0.1:9/up\" }";
        write!(text, "\n[service.{service}]\ndialect = \"unicorn\"\npidfile = \"{}\"\nready = {ready}\n", pidfile.display())
            .expect("a string can be written to");
    }
    text
}
