//! A thousand agents in one process: each has its own name, certificate, address, doors and state; what stands behind them pretends.
//!
//! Their doors, their TLS, their HTTP/2 and their answers are the agent's own. A service is a [`driver`] that has no server and no disk:
//! it answers at once, and a handover takes exactly as long as it was told to. So what is measured on the other side is the controller's.
//!
//! **Invariant:** whoever starts a crowd is another process, so that the processor time of both is known apart.

mod driver;
mod testimony;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use baton::pki::{self, Validity};
use baton_agent::config::Config;
use baton_agent::doors::Doors;
use baton_agent::os::{clock, descriptors};
use baton_agent::rpc::Speaker;
use baton_proto::identity::Role;
use baton_tests::controller::{self, Running};
use baton_tests::fleet::{OPERATOR, SERVICE};
use baton_tests::pki::Pki;
use baton_tests::sandbox::Sandbox;
use baton_tests::{address, wait};
use tokio::runtime;

use crate::process::Owned;

/// How this program is told to be a crowd.
pub(crate) const PART: &str = "be-a-crowd";

/// The names and addresses of its hosts, one to a line.
const ADDRESSES: &str = "addresses";

const FLEET: &str = "bench";
const STARTS_WITHIN: Duration = Duration::from_mins(2);
const VALID_FOR: Duration = Duration::from_hours(24);

/// A crowd that was started, and what the controller needs to walk it.
#[derive(Debug)]
pub(crate) struct Crowd {
    directory: PathBuf,
    _process: Owned,
    // Last, so that it is dropped last.
    sandbox: Sandbox,
}

impl Crowd {
    /// Starts so many agents, whose services take so long to be handed over.
    pub(crate) fn start(hosts: u32, takes: Duration) -> Self {
        let sandbox = Sandbox::new();
        let directory = sandbox.path().join("fleet");
        fs::create_dir(&directory).expect("a directory in the sandbox can be made");
        Pki::init(FLEET, &directory).issue("operator", OPERATOR);
        let log = fs::File::create(directory.join("crowd.log")).expect("a file in the sandbox can be made");
        let mut command = Command::new(std::env::current_exe().expect("a running executable has a path"));
        command.arg(PART).arg(&directory).arg(hosts.to_string()).arg(takes.as_millis().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let crowd = Self { _process: Owned::start(command), sandbox, directory };
        wait::until("the crowd to stand", STARTS_WITHIN, || {
            if crowd.directory.join(ADDRESSES).is_file() { Ok(()) } else { Err("it has not begun to listen".to_owned()) }
        });
        crowd
    }

    /// Where its certificates are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts `baton` with `args`.
    pub(crate) fn begin(&self, args: &[&str]) -> Running {
        let mut command = controller::command(&self.directory.join("fleet.toml"));
        command.args(args);
        self.start_command(command)
    }

    /// Starts another command beside it.
    pub(crate) fn start_command(&self, command: Command) -> Running {
        Running::start(command, self.sandbox.path())
    }
}

/// Who is in a crowd, and where.
pub(crate) fn members(directory: &Path) -> Vec<(String, SocketAddr)> {
    let text = fs::read_to_string(directory.join(ADDRESSES)).expect("the crowd stands");
    let member = |line: &str| {
        let (name, address) = line.split_once(' ').expect("a name and an address");
        (name.to_owned(), address.parse().expect("an address"))
    };
    text.lines().map(member).collect()
}

/// Is a crowd, until it is killed.
pub(crate) fn be(arguments: &[String]) {
    let [directory, hosts, takes] = arguments else { panic!("a directory, how many, and how long: {arguments:?}") };
    let (hosts, takes): (u32, u64) = (hosts.parse().expect("a number"), takes.parse().expect("a number"));
    descriptors::allow_all().expect("the limit of descriptors can be raised");
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("an event loop can be made");
    runtime.block_on(stand(Path::new(directory), hosts, Duration::from_millis(takes)));
}

async fn stand(directory: &Path, hosts: u32, takes: Duration) {
    let (mut addresses, mut inventory) = (String::new(), inventory_head());
    for number in 1..=hosts {
        let name = format!("web-{number}");
        let address = start(directory, &name, takes).await;
        writeln!(addresses, "{name} {address}").expect("a string can be written to");
        write!(inventory, "\n[[host]]\nname = \"{name}\"\naddress = \"{address}\"\n").expect("a string can be written to");
    }
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("a file in the sandbox can be written");
    write("fleet.toml", &inventory);
    write("addresses.new", &addresses);
    fs::rename(directory.join("addresses.new"), directory.join(ADDRESSES)).expect("a file in the sandbox can be renamed");
    std::future::pending::<()>().await;
}

fn inventory_head() -> String {
    format!(
        "[fleet]\nname = \"{FLEET}\"\ncertificate = \"{OPERATOR}.crt\"\nkey = \"{OPERATOR}.key\"\nauthority = \"fleet-ca.crt\"\n"
    )
}

/// Starts one agent; where it listens.
async fn start(directory: &Path, name: &str, takes: Duration) -> SocketAddr {
    let validity = Validity { now: clock::since_1970(), valid_for: VALID_FOR };
    pki::issue(Role::Agent, name, directory, validity).expect("the authority is there");
    let config = Config::parse(&config(directory, name)).expect("a sound configuration");
    let doors = Doors::bind(&config).await.expect("the doors can be had");
    let address = doors.address().expect("a bound door has an address");
    let speaker = Speaker {
        fleet: FLEET.to_owned(),
        host: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: clock::incarnation().expect("the kernel has random bytes"),
        boot_id: clock::boot_id().expect("the kernel knows its boot"),
        now: clock::since_boot,
        wall: clock::since_1970,
    };
    let service = driver::start(&speaker, takes);
    tokio::spawn(baton_agent::run(doors, speaker, vec![service], std::future::pending()));
    address
}

fn config(directory: &Path, name: &str) -> String {
    let (directory, address) = (directory.display(), address::next());
    format!(
        "[agent]\nfleet = \"{FLEET}\"\nhost = \"{name}\"\nlisten = \"{address}:0\"\nsocket = \"{directory}/{name}.sock\"\n\
         state = \"{directory}/{name}\"\n\n\
         [agent.tls]\ncertificate = \"{directory}/{name}.crt\"\nkey = \"{directory}/{name}.key\"\n\
         authority = \"{directory}/fleet-ca.crt\"\n\n\
         [service.{SERVICE}]\ndialect = \"unicorn\"\npidfile = \"{directory}/{name}.pid\"\n\
         ready = {{ http = \"http://127.0.0.1:9/up\" }}\n"
    )
}
