//! An inventory with something wrong in it, beside the fleet's own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_tests::controller::{self, Run, Running};
use baton_tests::fleet::{Fleet, OPERATOR};
use baton_tests::pki::Pki;

const RUN_WITHIN: Duration = Duration::from_mins(1);

/// The file that it is written to: the fleet's own is left as it is.
const FILE: &str = "wrong.toml";

/// What `baton` is told of the fleet.
pub(crate) struct Inventory {
    directory: PathBuf,
    name: String,
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
    hosts: Vec<(String, SocketAddr)>,
}

impl Inventory {
    /// As it should be.
    pub(crate) fn of(fleet: &Fleet) -> Self {
        Self {
            directory: fleet.directory().to_owned(),
            name: fleet.pki.fleet().to_owned(),
            certificate: fleet.pki.certificate(OPERATOR),
            key: fleet.pki.key(OPERATOR),
            authority: fleet.pki.authority(),
            hosts: fleet.hosts.iter().map(|host| (host.name.clone(), host.agent.address())).collect(),
        }
    }

    /// With the certificate and the key of somebody else.
    pub(crate) fn asked_by(mut self, pki: &Pki, name: &str) -> Self {
        (self.certificate, self.key) = (pki.certificate(name), pki.key(name));
        self
    }

    /// With another certificate file.
    pub(crate) fn certificate(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.certificate);
        self
    }

    /// With another key file.
    pub(crate) fn key(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.key);
        self
    }

    /// With another authority file.
    pub(crate) fn authority(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.authority);
        self
    }

    /// With another name for the fleet.
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With another address for a host.
    pub(crate) fn at(mut self, host: &str, address: SocketAddr) -> Self {
        for (name, place) in &mut self.hosts {
            if name == host {
                *place = address;
            }
        }
        self
    }

    /// Without a host.
    pub(crate) fn without(mut self, host: &str) -> Self {
        self.hosts.retain(|(name, _)| name != host);
        self
    }

    /// Runs `baton` with it.
    #[track_caller]
    pub(crate) fn baton(&self, args: &[&str]) -> Run {
        let path = self.directory.join(FILE);
        fs::write(&path, self.text()).expect("a file in the sandbox can be written");
        let mut command = controller::command(&path);
        command.args(args);
        Running::start(command, &self.directory).finish(RUN_WITHIN)
    }

    fn text(&self) -> String {
        let head = format!(
            "[fleet]\nname = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\nauthority = \"{}\"\n",
            self.name,
            self.certificate.display(),
            self.key.display(),
            self.authority.display(),
        );
        let host = |(name, address): &(String, SocketAddr)| format!("\n[[host]]\nname = \"{name}\"\naddress = \"{address}\"\n");
        std::iter::once(head).chain(self.hosts.iter().map(host)).collect()
    }
}

/// Fails the test unless the run ended with `code`, an error that has all these words, and a hint that has `next`.
#[track_caller]
pub(crate) fn complains(run: Run, code: i32, words: &[&str], next: &str) -> Run {
    let run = run.expect_code(code);
    let starting = |start: &str| run.stderr.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    for word in words {
        assert!(starting("error: ").contains(word), "the error does not say {word:?}\n{run}");
    }
    assert!(starting("hint: ").contains(next), "the hint does not say {next:?}\n{run}");
    run
}
