//! A running agent with a driver that only pretends, and everything that it takes to call it.

pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod driver;
pub(crate) mod testimony;

use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_agent::config::Config;
use baton_agent::doors::Doors;
use baton_agent::rpc::Speaker;
use baton_agent::{RunError, run};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use authority::{Authority, Leaf};
use driver::Driver;

/// Waits for something that must happen soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.unwrap_or_else(|_| panic!("{what} did not happen in time"))
}

/// An agent that runs in this test.
pub(crate) struct Running {
    pub(crate) directory: TempDir,
    pub(crate) authority: Authority,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) driver: Driver,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Starts an agent of the fleet `prod` on the host `web-1`, with the services `api` and `web`.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue(&Leaf::agent("web-1")).write(directory.path());
        std::fs::write(directory.path().join("ca.crt"), authority.pem()).unwrap();
        let config = Config::parse(&configuration(directory.path())).unwrap();
        let doors = Doors::bind(&config).await.unwrap();
        let address = doors.address().unwrap();
        let (driver, services) = Driver::start(&["api", "web"]);
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(run(doors, speaker(), services, async move {
            let _ = stopped.await;
        }));
        Self { directory, authority, address, driver, stop: Some(stop), ended }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    /// Asks the agent to stop, without waiting.
    pub(crate) fn ask_to_stop(&mut self) {
        self.stop.take().expect("it was not asked before").send(()).expect("it runs");
    }

    /// Waits for the agent to have stopped.
    pub(crate) async fn stopped(self) {
        soon("the end of the agent", self.ended).await.unwrap().unwrap();
        assert!(!self.directory.path().join("agent.sock").exists(), "its socket is gone");
    }

    /// The agent still answers those who may ask.
    pub(crate) async fn assert_alive(&self) {
        let mut client = client::remote(self, &Leaf::operator("ada")).await.expect("the agent is alive");
        let reply = client.status(baton_proto::v1::StatusRequest::default()).await.expect("the agent answers").into_inner();
        assert_eq!(reply.services.len(), 2);
        assert!(!self.ended.is_finished());
    }
}

pub(crate) fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        r#"
        [agent]
        fleet = "prod"
        host = "web-1"
        listen = "127.0.0.1:0"
        socket = "{directory}/agent.sock"
        state = "{directory}/state"
        [agent.tls]
        certificate = "{directory}/own.crt"
        key = "{directory}/own.key"
        authority = "{directory}/ca.crt"
        [service.web]
        dialect = "unicorn"
        pidfile = "/run/web.pid"
        ready = {{ http = "http://127.0.0.1:8080/up" }}
        "#
    )
}

fn speaker() -> Speaker {
    Speaker {
        fleet: "prod".into(),
        host: "web-1".into(),
        version: "0.0.0".into(),
        incarnation: "run-1".into(),
        boot_id: "boot-1".into(),
        now: || Duration::from_secs(7),
        wall: || Duration::from_secs(1_795_509_067),
    }
}
