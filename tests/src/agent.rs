//! One real agent: its configuration, its process, its death and its return.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fleet::Timing;
use crate::net::Namespace;
use crate::notify::Notifications;
use crate::pki::Pki;
use crate::server::Server;
use crate::{binaries, wait};

const READY_WITHIN: Duration = Duration::from_secs(20);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// What an agent is started with.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The host's name.
    pub host: &'a str,
    /// The agent's own directory.
    pub directory: &'a Path,
    /// The host's address.
    pub address: Ipv4Addr,
    /// Where the certificates are.
    pub pki: &'a Pki,
    /// The service `web`.
    pub server: &'a Server,
    /// How it is handed over.
    pub dialect: &'a str,
    /// When a new generation counts as ready: the conditions.
    pub ready: &'a str,
    /// What else stands in its `drain`.
    pub drain: &'a str,
    /// What else stands in the configuration.
    pub more: &'a str,
    /// Its deadlines.
    pub timing: Timing,
    /// How much it logs: a test wants to know everything, a bench wants to know what it costs as it is run.
    pub log: &'static str,
    /// Where it is run, if not where the test is.
    pub namespace: Option<Namespace>,
}

/// A running agent, killed when dropped.
#[derive(Debug)]
pub struct Agent {
    program: PathBuf,
    directory: PathBuf,
    address: SocketAddr,
    log: &'static str,
    namespace: Option<Namespace>,
    process: Child,
}

impl Agent {
    /// Writes the configuration, starts the agent and waits until it is ready. It keeps the port that it got.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(setup: &Setup<'_>) -> Self {
        fs::create_dir_all(setup.directory).expect("a directory in the sandbox can be made");
        let anywhere = SocketAddr::from((setup.address, 0));
        write_config(setup, anywhere);
        let agent = Self::run_in(setup.namespace.clone(), setup.directory, setup.log);
        write_config(setup, agent.address);
        agent
    }

    /// Starts an agent whose `agent.toml` lies in `directory` already, and waits until it is ready. Its socket is `agent.sock` there.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn run(directory: &Path, log: &'static str) -> Self {
        Self::run_in(None, directory, log)
    }

    fn run_in(namespace: Option<Namespace>, directory: &Path, log: &'static str) -> Self {
        let program = binaries::find("baton-agent");
        let (process, address) = launch(namespace.as_ref(), &program, directory, log);
        Self { program, directory: directory.to_owned(), address, log, namespace, process }
    }

    /// Where it serves gRPC.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("agent.sock")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        config_path(&self.directory)
    }

    /// The directory that holds what survives it.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Its log.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(log_path(&self.directory)).expect("an agent that was started has a log")
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill().and_then(|()| self.process.wait().map(drop)).expect("an agent can be killed");
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    /// When it does not, or not well.
    pub fn stop(&mut self) {
        let pid = i32::try_from(self.process.id()).expect("a pid fits");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("an agent can be signalled");
        let status = wait::until("the agent to stop", STOP_WITHIN, || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        assert!(status.success(), "the agent ended with {status}");
    }

    /// Starts it again as a copy of its binary, as an upgrade does.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_another_binary(&mut self) {
        let copy = self.directory.join("baton-agent-upgraded");
        fs::copy(binaries::find("baton-agent"), &copy).expect("a binary can be copied into the sandbox");
        self.program = copy;
        self.start_again();
    }

    /// Starts it again, at the same address, after [`Self::kill`] or [`Self::stop`].
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_again(&mut self) {
        let (process, address) = launch(self.namespace.as_ref(), &self.program, &self.directory, self.log);
        assert_eq!(address, self.address, "the agent's address is in its configuration");
        self.process = process;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may be dead already; the sandbox sees to whatever is not.
        let _dead = self.process.kill().and_then(|()| self.process.wait());
    }
}

fn config_path(directory: &Path) -> PathBuf {
    directory.join("agent.toml")
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("agent.log")
}

fn launch(namespace: Option<&Namespace>, program: &Path, directory: &Path, log: &str) -> (Child, SocketAddr) {
    let mut notifications = Notifications::open(&directory.join("notify.sock")).expect("a socket in the sandbox can be made");
    let start = || spawn(program, directory, log, notifications.path());
    let started = namespace.map_or_else(start, |namespace| namespace.run(start));
    let mut process = started.expect("the agent starts");
    let address = wait::until("the agent to be ready", READY_WITHIN, || match process.try_wait() {
        Ok(None) => notifications.ready(),
        // Nothing will come any more: the deadline is not waited for.
        ended => panic!("the agent ended at once: {ended:?}; its log:\n{}", read_log(directory)),
    });
    (process, address)
}

fn read_log(directory: &Path) -> String {
    fs::read_to_string(log_path(directory)).unwrap_or_else(|error| error.to_string())
}

fn spawn(program: &Path, directory: &Path, log: &str, notify: &Path) -> io::Result<Child> {
    let output = File::options().create(true).append(true).open(log_path(directory))?;
    Command::new(program)
        .args(["run", "--config"])
        .arg(config_path(directory))
        .env("NOTIFY_SOCKET", notify)
        .env("RUST_LOG", log)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
}

fn write_config(setup: &Setup<'_>, listen: SocketAddr) {
    let Setup { host, directory, pki, server, dialect, ready, drain, more, timing, .. } = setup;
    // What is said of its kind is not said of another dialect.
    let reload_keys = if *dialect == server.kind().dialect() { server.kind().reload_keys() } else { "" };
    let needs_check = matches!(*dialect, "gunicorn" | "haproxy" | "nginx" | "php-fpm") && !more.contains("check");
    let check = if needs_check { "check   = \"none\"\n" } else { "" };
    let text = format!(
        r#"[agent]
fleet  = "{fleet}"
host   = "{host}"
listen = "{listen}"
socket = "{directory}/agent.sock"
state  = "{directory}/state"

[agent.tls]
certificate = "{certificate}"
key         = "{key}"
authority   = "{authority}"

[service.web]
dialect = "{dialect}"
{reload_keys}pidfile = "{pidfile}"
ready   = {{ {ready}, within = "{within}ms", settle = "{settle}ms" }}
drain   = {{ within = "{drain_within}ms"{drain} }}
{check}{more}"#,
        fleet = pki.fleet(),
        directory = directory.display(),
        certificate = pki.certificate(host).display(),
        key = pki.key(host).display(),
        authority = pki.authority().display(),
        pidfile = server.pidfile().display(),
        ready = if ready.is_empty() { server.ready() } else { filled(ready, server) },
        within = timing.ready_within.as_millis(),
        settle = timing.settle.as_millis(),
        drain_within = timing.drain_within.as_millis(),
        more = filled(more, server),
    );
    fs::write(config_path(directory), text).expect("a file in the sandbox can be written");
}

/// A text with the server's places in it.
fn filled(text: &str, server: &Server) -> String {
    // Not every server has a test of its own.
    let text = if text.contains("{check}") {
        text.replace("{check}", &format!("command = {:?}", server.check()))
    } else {
        text.to_owned()
    };
    text.replace("{pidfile}", &server.pidfile().display().to_string())
        .replace("{lock}", &server.lock().display().to_string())
        .replace("{socket}", &server.socket().display().to_string())
        .replace("{directory}", &server.directory().display().to_string())
        .replace("{http}", &server.address().to_string())
}
