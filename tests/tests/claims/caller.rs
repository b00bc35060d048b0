//! A client of one agent that says exactly what a test wants, when it wants it.

use std::path::PathBuf;
use std::time::Duration;

use baton_proto::v1::agent_client::AgentClient;
use baton_proto::v1::claim_reply::Reply;
use baton_proto::v1::claim_request::Request;
use baton_proto::v1::reload_event::Event;
use baton_proto::v1::{self, ClaimRequest};
use baton_tests::fleet::{Fleet, SERVICE};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};
use tower::service_fn;

const END_WITHIN: Duration = Duration::from_mins(1);

/// A client of the agent's unix socket. Dropped, its connection is cut without a word.
pub(crate) struct Caller {
    runtime: Runtime,
    agent: AgentClient<Channel>,
}

/// A claim that was granted.
pub(crate) struct Claim {
    pub(crate) fence: u64,
    requests: mpsc::Sender<ClaimRequest>,
    replies: Streaming<v1::ClaimReply>,
}

impl Caller {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let socket: PathBuf = fleet.hosts[0].agent.socket();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        let connector = service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let dial = async { Endpoint::from_static("http://agent").connect_with_connector(connector).await };
        let channel = runtime.block_on(dial).expect("the agent answers");
        Self { runtime, agent: AgentClient::new(channel) }
    }

    fn soon<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(END_WITHIN, future).await }).expect("an answer in time")
    }

    /// Claims the service for a rollout, as a session of it.
    pub(crate) fn claim(&self, rollout: &str, session: &str) -> Result<Claim, Status> {
        let (requests, sent) = mpsc::channel(4);
        let open = v1::ClaimOpen {
            service: SERVICE.into(),
            rollout: rollout.into(),
            session: session.into(),
            reason: format!("the test of {rollout}"),
        };
        requests.try_send(ClaimRequest { request: Some(Request::Open(open)) }).expect("there is room");
        let mut agent = self.agent.clone();
        self.soon(async move {
            let mut replies = agent.claim(ReceiverStream::new(sent)).await?.into_inner();
            match replies.message().await?.and_then(|reply| reply.reply) {
                Some(Reply::Granted(granted)) => Ok(Claim { fence: granted.fence, requests, replies }),
                other => panic!("{other:?} is no grant"),
            }
        })
    }

    /// The refusal of a claim.
    #[track_caller]
    pub(crate) fn is_refused(&self, rollout: &str, session: &str) -> String {
        let Err(refused) = self.claim(rollout, session) else { panic!("rollout {rollout} was granted a claim") };
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        refused.message().to_owned()
    }

    pub(crate) fn renew(&self, claim: &mut Claim) -> Result<(), Status> {
        let request = ClaimRequest { request: Some(Request::Renew(v1::ClaimRenew {})) };
        self.soon(async {
            // A stream that has ended says why when it is read.
            let _ended = claim.requests.send(request).await;
            match claim.replies.message().await?.and_then(|reply| reply.reply) {
                Some(Reply::Renewed(_)) => Ok(()),
                other => panic!("{other:?} is no renewal"),
            }
        })
    }

    /// Gives a claim back, and waits until the agent has it.
    pub(crate) fn release(&self, mut claim: Claim) {
        let request = ClaimRequest { request: Some(Request::Release(v1::ClaimRelease {})) };
        self.soon(async {
            claim.requests.send(request).await.expect("the stream is open");
            assert_eq!(claim.replies.message().await.expect("the stream ends well"), None);
        });
    }

    /// Why a claim was lost.
    #[track_caller]
    pub(crate) fn is_lost(&self, mut claim: Claim) -> String {
        let lost = self.soon(claim.replies.message()).expect_err("it is lost");
        assert_eq!(lost.code(), Code::Aborted, "{lost}");
        lost.message().to_owned()
    }

    pub(crate) fn reload(&self, rollout: &str, attempt: u32, fence: u64) -> Result<Streaming<v1::ReloadEvent>, Status> {
        let (service, rollout) = (SERVICE.into(), rollout.into());
        let request = v1::ReloadRequest { service, rollout, attempt, fence, release: String::new() };
        let mut agent = self.agent.clone();
        self.soon(async move { agent.reload(request).await }).map(tonic::Response::into_inner)
    }

    /// The refusal of a reload whose claim does not stand.
    #[track_caller]
    pub(crate) fn is_aborted(&self, rollout: &str, attempt: u32, fence: u64) -> String {
        let Err(refused) = self.reload(rollout, attempt, fence) else { panic!("rollout {rollout} may reload") };
        assert_eq!(refused.code(), Code::Aborted, "{refused}");
        assert!(refused.message().ends_with("; nothing was begun"), "{refused}");
        refused.message().to_owned()
    }

    /// Everything that a stream says until it ends.
    pub(crate) fn hear(&self, mut stream: Streaming<v1::ReloadEvent>) -> Vec<Event> {
        self.soon(async {
            let mut events = Vec::new();
            while let Some(event) = stream.message().await.expect("the stream ends well") {
                events.push(event.event.expect("an event"));
            }
            events
        })
    }

    /// A reload that is accepted and hands over.
    #[track_caller]
    pub(crate) fn hands_over(&self, rollout: &str, attempt: u32, fence: u64) -> Vec<Event> {
        let events = self.hear(self.reload(rollout, attempt, fence).expect("it is accepted"));
        let ending = events.last();
        assert!(matches!(ending, Some(Event::Ending(ending)) if ending.result() == v1::Result::HandedOver), "{ending:?}");
        events
    }

    /// The service as its agent tells it.
    pub(crate) fn status(&self) -> v1::ServiceStatus {
        let mut agent = self.agent.clone();
        let request = v1::StatusRequest { service: SERVICE.into(), census: false };
        let reply = self.soon(async move { agent.status(request).await }).expect("an answer").into_inner();
        reply.services.into_iter().next().expect("the service")
    }
}

/// How often the server was told to start a new master.
pub(crate) fn executions(fleet: &Fleet) -> usize {
    fleet.hosts[0].server.log().matches("executing [").count()
}
