//! An attempt that is asked for again signals nothing: it is joined while it is under way, and told again when it is over.

use std::path::PathBuf;
use std::time::Duration;

use baton_proto::v1;
use baton_proto::v1::agent_client::AgentClient;
use baton_proto::v1::reload_event::Event;
use baton_tests::fleet::{Fleet, SERVICE, Timing};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};
use tower::service_fn;

const END_WITHIN: Duration = Duration::from_mins(1);

/// A client of the agent's unix socket.
struct Caller {
    runtime: Runtime,
    agent: AgentClient<Channel>,
}

impl Caller {
    fn of(socket: PathBuf) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        let connector = service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let dial = async { Endpoint::from_static("http://agent").connect_with_connector(connector).await };
        let channel = runtime.block_on(dial).expect("the agent answers");
        Self { runtime, agent: AgentClient::new(channel) }
    }

    fn ask(&mut self, attempt: u32, fence: u64) -> Result<Streaming<v1::ReloadEvent>, Status> {
        let request =
            v1::ReloadRequest { service: SERVICE.into(), rollout: "r-1".into(), attempt, fence, release: String::new() };
        self.runtime.block_on(self.agent.reload(request)).map(tonic::Response::into_inner)
    }

    /// Everything that a stream says until it ends.
    fn hear(&self, mut stream: Streaming<v1::ReloadEvent>) -> Vec<Event> {
        let all = async {
            let mut events = Vec::new();
            while let Some(event) = stream.message().await.expect("the stream ends well") {
                events.push(event.event.expect("an event"));
            }
            events
        };
        self.runtime.block_on(async { timeout(END_WITHIN, all).await }).expect("it ends in time")
    }
}

fn executions(fleet: &Fleet) -> usize {
    fleet.hosts[0].server.log().matches("executing [").count()
}

#[test]
fn an_attempt_is_joined_while_it_is_under_way_and_told_again_when_it_is_over() {
    let timing = Timing { settle: Duration::from_secs(1), ..Timing::default() };
    let mut fleet = Fleet::of(1).timing(timing).start();
    let mut caller = Caller::of(fleet.hosts[0].agent.socket());
    let first = caller.ask(1, 1).expect("it is accepted");
    let joined = caller.ask(1, 1).expect("it is joined");
    let first = caller.hear(first);
    assert!(
        matches!(first.as_slice(), [.., Event::Testimony(_), Event::Ending(ending)] if ending.result() == v1::Result::HandedOver)
    );
    assert_eq!(caller.hear(joined), first, "both hear the same from the beginning");
    let again = caller.ask(1, 1).expect("it is told again");
    assert_eq!(caller.hear(again), first);
    assert_eq!(executions(&fleet), 1, "it was signalled once");

    // The agent remembers over its own death, and an older fence is refused.
    fleet.hosts[0].agent.kill();
    fleet.hosts[0].agent.start_again();
    fleet.await_held();
    let mut caller = Caller::of(fleet.hosts[0].agent.socket());
    let again = caller.ask(1, 1).expect("it is told again");
    assert_eq!(caller.hear(again), first);
    let refused = caller.ask(2, 0).expect_err("an older fence");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert_eq!(executions(&fleet), 1, "it was signalled once");
}
