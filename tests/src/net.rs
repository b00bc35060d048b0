//! A network of a fleet's own: each host in a network namespace with an address of its own, joined by a bridge, with the controller
//! on the bridge's side.
//!
//! ```text
//!   controller, relays ── bridge 10.77.0.1 ──┬── port1 ═══ eth0 10.77.0.11   web-1
//!   (the switch: one namespace)              ├── port2 ═══ eth0 10.77.0.12   web-2
//!                                            └── ...
//! ```
//!
//! A namespace has no name: it lasts for as long as a process is in it or a descriptor of it is open, and everything in it goes with
//! it. So nothing is left behind however a test ends, and two networks never meet, whatever their addresses are.
//!
//! **Invariant:** nothing is changed outside the network's own namespaces.

mod namespace;
mod relay;

use std::io::Write as _;
use std::iter;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

pub use namespace::Namespace;
pub use relay::{Relay, Way};

/// The addresses of one network: 10.77.0.11 to 10.77.0.250.
const HOSTS_MAX: usize = 240;
/// What comes before the first host's address.
const ADDRESS_BEFORE_FIRST: usize = 10;
/// Where the controller is.
const SWITCH: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The namespaces of a fleet.
#[derive(Debug)]
pub struct Network {
    switch: Namespace,
    hosts: Vec<Place>,
}

/// Where a host is in its network.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its address.
    pub address: Ipv4Addr,
    /// The end of its cable on the bridge.
    port: String,
}

impl Network {
    /// Lays a network for so many hosts.
    ///
    /// # Panics
    /// When this is not root, or the kernel refuses.
    pub fn of(hosts: usize) -> Self {
        assert!(rustix::process::geteuid().is_root(), "only root can lay a network; type `sudo make test`");
        assert!(hosts <= HOSTS_MAX, "a network has room for {HOSTS_MAX} hosts");
        let switch = Namespace::create();
        let hosts: Vec<Place> = (1..=hosts).map(Place::numbered).collect();
        let bridge =
            format!("link set lo up\nlink add bridge type bridge\nlink set bridge up\naddr add {SWITCH}/24 dev bridge\n");
        let cable = |Place { namespace, port, .. }: &Place| {
            let inside = namespace.path();
            format!("link add {port} type veth peer name eth0 netns {}\nlink set {port} master bridge up\n", inside.display())
        };
        let lines: String = iter::once(bridge).chain(hosts.iter().map(cable)).collect();
        type_into(&switch, "ip", &["-batch", "-"], &lines);
        for Place { namespace, address, .. } in &hosts {
            let lines = format!("link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n");
            type_into(namespace, "ip", &["-batch", "-"], &lines);
        }
        Self { switch, hosts }
    }

    /// The namespace that the controller is in.
    pub fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// The controller's address.
    pub fn address(&self) -> Ipv4Addr {
        SWITCH
    }

    /// Where the hosts are, in their order.
    pub fn hosts(&self) -> &[Place] {
        &self.hosts
    }

    /// Takes the link to a host down: nothing passes, and nobody is told.
    ///
    /// # Panics
    /// When there is no such host.
    pub fn part(&self, host: usize) {
        type_into(&self.switch, "ip", &["-batch", "-"], &format!("link set {} down\n", self.hosts[host].port));
    }

    /// Takes the link to a host up again.
    ///
    /// # Panics
    /// When there is no such host.
    pub fn join(&self, host: usize) {
        type_into(&self.switch, "ip", &["-batch", "-"], &format!("link set {} up\n", self.hosts[host].port));
    }

    /// From now on so many percent of a host's packets are lost, in both directions; fewer than 100, or it is parted.
    ///
    /// # Panics
    /// When there is no such host.
    pub fn lose(&self, host: usize, percent: u8) {
        let lines = format!(
            "add table inet loss\nflush table inet loss\n\
             add chain inet loss in {{ type filter hook input priority 0; }}\n\
             add chain inet loss out {{ type filter hook output priority 0; }}\n\
             add rule inet loss in iifname eth0 numgen random mod 100 < {percent} counter drop\n\
             add rule inet loss out oifname eth0 numgen random mod 100 < {percent} counter drop\n"
        );
        type_into(&self.hosts[host].namespace, "nft", &["-f", "-"], &lines);
    }

    /// How many packets of a host were lost so.
    ///
    /// # Panics
    /// When nothing was to be lost, or the kernel does not tell.
    pub fn lost(&self, host: usize) -> u64 {
        let told = type_into(&self.hosts[host].namespace, "nft", &["-f", "-"], "list table inet loss\n");
        let words: Vec<&str> = told.split_whitespace().collect();
        let counts = words.windows(2).filter(|pair| pair[0] == "packets").filter_map(|pair| pair[1].parse::<u64>().ok());
        counts.sum()
    }

    /// All links are up, and nothing is lost any more.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn mend(&self) {
        for host in 0..self.hosts.len() {
            self.join(host);
            type_into(&self.hosts[host].namespace, "nft", &["-f", "-"], "add table inet loss\ndelete table inet loss\n");
        }
    }
}

impl Place {
    fn numbered(number: usize) -> Self {
        let last = u8::try_from(ADDRESS_BEFORE_FIRST + number).expect("there are few enough hosts");
        let [first, second, third, _] = SWITCH.octets();
        let address = Ipv4Addr::new(first, second, third, last);
        Self { namespace: Namespace::create(), address, port: format!("port{number}") }
    }
}

/// Runs a program in a namespace, types `lines` into it, and returns what it prints.
fn type_into(namespace: &Namespace, program: &str, args: &[&str], lines: &str) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process =
        namespace.run(|| command.spawn()).unwrap_or_else(|error| panic!("{program} does not start: {error}; type `make setup`"));
    process.stdin.take().expect("it is piped").write_all(lines.as_bytes()).expect("it reads");
    let output = process.wait_with_output().expect("our own child");
    assert!(output.status.success(), "{program}: {}\n{lines}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
