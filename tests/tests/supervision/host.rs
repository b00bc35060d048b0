//! A host of one service and one agent, which starts it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use baton_tests::agent::Agent;
use baton_tests::controller::{Run, Running};
use baton_tests::deployed::Site;
use baton_tests::pki::Pki;
use baton_tests::sandbox::Sandbox;
use baton_tests::{binaries, wait};
use serde_json::Value;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const RUN_WITHIN: Duration = Duration::from_mins(1);

/// A service that an agent starts, and that agent.
pub(crate) struct Host {
    pub(crate) agent: Agent,
    pub(crate) site: Site,
    // The last to go: it ends whatever is left.
    pub(crate) _sandbox: Sandbox,
}

/// What the service is started with, beside what every test needs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) command: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) more: String,
    /// What else stands in the table of the service.
    pub(crate) service: String,
    /// What must be so beside an answer for it to be ready, with a comma in front.
    pub(crate) ready: String,
}

impl Plan {
    pub(crate) fn of(site: &Site) -> Self {
        let directory = site.directory();
        let environment = [
            ("WEB_ROOT", directory.display().to_string()),
            ("WEB_RUN", directory.display().to_string()),
            ("WEB_WORKERS", "2".to_owned()),
            ("WEB_LISTEN", site.address().to_string()),
        ];
        Self {
            command: site.unicorn(),
            directory: directory.to_owned(),
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            more: String::new(),
            service: String::new(),
            ready: String::new(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n[service.web.start]\n", self.service);
        let _ = writeln!(text, "command = {:?}\ndirectory = \"{}\"\n{}", self.command, self.directory.display(), self.more);
        text.push_str("[service.web.start.environment]\n");
        for (name, value) in &self.environment {
            let _ = writeln!(text, "{name} = {value:?}");
        }
        text
    }
}

/// Writes the configuration of an agent into its directory.
pub(crate) fn configure(directory: &Path, site: &Site, dialect: &str, ready: &str, plan: &str) {
    let pki = Pki::init("prod", directory);
    pki.issue("agent", "web-1");
    let text = format!(
        r#"[agent]
fleet  = "prod"
host   = "web-1"
listen = "127.0.0.1:0"
socket = "{directory}/agent.sock"
state  = "{directory}/state"
tls    = {{ certificate = "{certificate}", key = "{key}", authority = "{authority}" }}
[service.web]
dialect = "{dialect}"
pidfile = "{pidfile}"
ready   = {{ http = "http://{http}/up", within = "20s", settle = "100ms"{ready} }}
{check}{plan}"#,
        directory = directory.display(),
        certificate = pki.certificate("web-1").display(),
        key = pki.key("web-1").display(),
        authority = pki.authority().display(),
        pidfile = site.pidfile().display(),
        http = site.address(),
        check = if dialect == "nginx" { "check = \"none\"\n" } else { "" },
    );
    fs::write(directory.join("agent.toml"), text).expect("a file in the sandbox");
}

/// Starts the agent that is configured there; it keeps the port that it got.
pub(crate) fn run(directory: &Path) -> Agent {
    let agent = Agent::run(directory, "debug,h2=info,hyper=info,tower=info");
    let path = agent.config();
    let text = fs::read_to_string(&path).expect("it was read");
    fs::write(&path, text.replace("127.0.0.1:0", &agent.address().to_string())).expect("a file in the sandbox");
    agent
}

impl Host {
    /// A host whose agent starts Unicorn, once everything is as the test wants it.
    pub(crate) fn start(prepare: impl FnOnce(&Site, &mut Plan)) -> Self {
        let sandbox = Sandbox::new();
        let site = Site::new(&sandbox);
        let mut plan = Plan::of(&site);
        prepare(&site, &mut plan);
        let directory = sandbox.path().join("agent");
        fs::create_dir(&directory).expect("a directory in the sandbox");
        configure(&directory, &site, "unicorn", &plan.ready, &plan.text());
        Self { agent: run(&directory), site, _sandbox: sandbox }
    }

    pub(crate) fn plain() -> Self {
        Self::start(|_, _| {})
    }

    /// Runs a local command of the agent.
    pub(crate) fn ask(&self, args: &[&str]) -> Run {
        let mut command = Command::new(binaries::find("baton-agent"));
        command.args(args).arg("--socket").arg(self.agent.socket());
        Running::start(command, self.site.directory()).finish(RUN_WITHIN)
    }

    /// What `status` says of the service. It is asked often: nothing is left of it in the sandbox.
    pub(crate) fn status(&self) -> Value {
        let mut command = Command::new(binaries::find("baton-agent"));
        command.args(["status", "web", "--output", "json", "--socket"]).arg(self.agent.socket());
        let output = command.output().expect("it runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    pub(crate) fn supervision(&self, key: &str) -> Value {
        self.status()["supervision"][key].clone()
    }

    #[track_caller]
    pub(crate) fn wait_for_state(&self, state: &str) -> Value {
        wait::until(state, SOON, || {
            let status = self.status();
            if status["supervision"]["state"] == state { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// Waits until the agent knows that the service is held, and returns the master.
    #[track_caller]
    pub(crate) fn wait_until_held(&self, old: Option<u32>) -> u32 {
        let master = self.site.wait_until_served(old);
        wait::until("the agent to see it", SOON, || {
            let status = self.status();
            if status["lock"] == "held" && status["master_pid"] == master { Ok(()) } else { Err(status.to_string()) }
        });
        master
    }

    pub(crate) fn hold(&self) -> u32 {
        u32::try_from(self.supervision("hold_pid").as_u64().expect("a hold runs it")).expect("a pid")
    }
}
