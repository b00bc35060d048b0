//! The baseline of every look at a fleet: TCP, mutual TLS 1.3, HTTP/2 and one Status call to each agent of a crowd, and nothing else.
//!
//! As many are asked at once as `baton` asks, and every connection is kept until the last has answered.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use baton_agent::os::descriptors;
use baton_proto::v1;
use baton_proto::v1::agent_client::AgentClient;
use rustls::ClientConfig;
use tokio::runtime;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::client;
use crate::crowd::{self, Crowd};

/// How this program is told to be a sweep.
pub(crate) const PART: &str = "be-a-sweep";

const AT_ONCE_MAX: usize = 64;

/// The command that asks every agent of a crowd.
pub(crate) fn command(crowd: &Crowd) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a running executable has a path"));
    command.arg(PART).arg(crowd.directory());
    command
}

/// Asks every agent of the crowd, once.
pub(crate) fn be(arguments: &[String]) {
    let [directory] = arguments else { panic!("a directory: {arguments:?}") };
    descriptors::allow_all().expect("the limit of descriptors can be raised");
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("an event loop can be made");
    runtime.block_on(ask_all(Path::new(directory)));
}

async fn ask_all(directory: &Path) {
    let config = Arc::new(client::config(directory));
    let members = crowd::members(directory);
    let (mut asked, mut agents) = (JoinSet::new(), Vec::with_capacity(members.len()));
    for (name, address) in members {
        if asked.len() >= AT_ONCE_MAX {
            agents.extend(asked.join_next().await);
        }
        asked.spawn(ask(name, address, Arc::clone(&config)));
    }
    agents.extend(asked.join_all().await.into_iter().map(Ok));
    assert!(agents.iter().all(Result::is_ok), "every agent answers");
}

async fn ask(name: String, address: SocketAddr, config: Arc<ClientConfig>) -> AgentClient<Channel> {
    let channel = client::dial(address, &name, config).await.expect("the agent can be reached");
    let mut agent = AgentClient::new(channel);
    let reply = agent.status(v1::StatusRequest::default()).await.expect("the agent answers").into_inner();
    assert_eq!(reply.services.len(), 1, "it has one service");
    agent
}
