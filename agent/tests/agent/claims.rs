//! The stream of claiming, as a controller sees it.

use baton_proto::v1::{self, claim_reply, claim_request};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::support::authority::Leaf;
use crate::support::client::{Client, local, remote};
use crate::support::{Running, soon};

/// A stream of claiming.
struct Claiming {
    requests: mpsc::Sender<v1::ClaimRequest>,
    replies: Streaming<v1::ClaimReply>,
}

impl Claiming {
    async fn begin(client: &mut Client) -> Result<Self, Status> {
        let (requests, sent) = mpsc::channel(4);
        let replies = soon("a stream", client.claim(ReceiverStream::new(sent))).await?.into_inner();
        Ok(Self { requests, replies })
    }

    async fn say(&self, request: claim_request::Request) {
        self.requests.send(v1::ClaimRequest { request: Some(request) }).await.expect("the stream is open");
    }

    async fn hear(&mut self) -> Result<Option<claim_reply::Reply>, Status> {
        Ok(soon("a reply", self.replies.message()).await?.and_then(|reply| reply.reply))
    }

    /// Says something that is refused.
    async fn refuses(mut self, request: claim_request::Request, code: Code, message: &str) {
        self.say(request).await;
        let refused = self.hear().await.expect_err("it is refused");
        assert_eq!((refused.code(), refused.message()), (code, message));
    }
}

fn open() -> v1::ClaimOpen {
    let (service, rollout, session) = ("web".into(), "r-1".into(), "s-1".into());
    v1::ClaimOpen { service, rollout, session, reason: "deploy\n v42\u{202e}".into() }
}

fn opening(open: v1::ClaimOpen) -> claim_request::Request {
    claim_request::Request::Open(open)
}

fn renewing() -> claim_request::Request {
    claim_request::Request::Renew(v1::ClaimRenew {})
}

async fn granted(client: &mut Client) -> Claiming {
    let mut claiming = Claiming::begin(client).await.unwrap();
    claiming.say(opening(open())).await;
    let granted = v1::ClaimGranted { fence: 1, lease_ns: 10_000_000_000 };
    assert_eq!(claiming.hear().await.unwrap(), Some(claim_reply::Reply::Granted(granted)));
    claiming
}

#[tokio::test]
async fn a_claim_is_granted_renewed_and_given_back() {
    let agent = Running::start().await;
    let mut client = remote(&agent, &Leaf::operator("ada")).await.unwrap();
    let mut claiming = granted(&mut client).await;
    for _ in 0..3 {
        claiming.say(renewing()).await;
        assert_eq!(claiming.hear().await.unwrap(), Some(claim_reply::Reply::Renewed(v1::ClaimRenewed {})));
    }
    claiming.say(claim_request::Request::Release(v1::ClaimRelease {})).await;
    assert_eq!(claiming.hear().await.unwrap(), None, "the stream ends well");
    assert_eq!(agent.driver.released(), [1]);
    let claimants = agent.driver.claimants();
    assert_eq!((claimants[0].operator.as_str(), claimants[0].reason.as_str()), ("ada", "deploy  v42"));
    assert_eq!((claimants[0].rollout.as_str(), claimants[0].session.as_str()), ("r-1", "s-1"));
}

#[tokio::test]
async fn whoever_loses_a_claim_is_told_so_and_why() {
    let agent = Running::start().await;
    let mut client = local(agent.socket()).await;
    let mut claiming = granted(&mut client).await;
    agent.driver.end_claims("another session of rollout r-1 has taken the claim over");
    let lost = claiming.hear().await.expect_err("it is lost");
    assert_eq!(lost.code(), Code::Aborted);
    assert_eq!(lost.message(), "another session of rollout r-1 has taken the claim over");
    assert!(agent.driver.released().is_empty());
}

#[tokio::test]
async fn the_end_of_a_stream_gives_nothing_back() {
    let agent = Running::start().await;
    let mut client = local(agent.socket()).await;
    let Claiming { requests, mut replies } = granted(&mut client).await;
    drop(requests);
    assert!(soon("the end", replies.message()).await.unwrap().is_none());
    assert!(agent.driver.released().is_empty());
}

#[tokio::test]
async fn whoever_may_not_reload_may_not_claim() {
    let agent = Running::start().await;
    let mut observer = remote(&agent, &Leaf::observer("grafana")).await.unwrap();
    let refused = Claiming::begin(&mut observer).await.err().expect("it is refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().ends_with("has the role observer, which may not reload services"), "{refused}");
    assert_eq!(agent.driver.claimants(), []);
}

#[tokio::test]
async fn what_is_malformed_or_out_of_turn_is_refused_in_so_many_words() {
    let agent = Running::start().await;
    let mut client = local(agent.socket()).await;
    let malformed = Code::InvalidArgument;
    let long = v1::ClaimOpen { reason: "x".repeat(201), ..open() };
    let text = "the reason has more than 200 characters";
    Claiming::begin(&mut client).await.unwrap().refuses(opening(long), malformed, text).await;
    let unknown = v1::ClaimOpen { service: "wbe".into(), ..open() };
    let text = "no service \"wbe\" on this host; known: api, web";
    Claiming::begin(&mut client).await.unwrap().refuses(opening(unknown), Code::NotFound, text).await;
    for nameless in [v1::ClaimOpen { rollout: String::new(), ..open() }, v1::ClaimOpen { session: "a b".into(), ..open() }] {
        let mut claiming = Claiming::begin(&mut client).await.unwrap();
        claiming.say(opening(nameless)).await;
        assert_eq!(claiming.hear().await.expect_err("it is no name").code(), malformed);
    }
    let text = "a claim is opened before it is renewed or released";
    Claiming::begin(&mut client).await.unwrap().refuses(renewing(), malformed, text).await;
    assert_eq!(agent.driver.claimants(), []);
    granted(&mut client).await.refuses(opening(open()), malformed, "a claim is opened once in a stream").await;
    agent.assert_alive().await;
}

#[tokio::test]
async fn a_service_that_another_has_claimed_is_refused_as_the_driver_says() {
    let agent = Running::start().await;
    agent.driver.refuse_claims("rollout r-9 of bob has claimed it 12 s ago");
    let mut client = local(agent.socket()).await;
    let claiming = Claiming::begin(&mut client).await.unwrap();
    let text = "rollout r-9 of bob has claimed it 12 s ago";
    claiming.refuses(opening(open()), Code::FailedPrecondition, text).await;
}

#[tokio::test]
async fn an_agent_that_stops_ends_the_streams_of_claims() {
    let mut agent = Running::start().await;
    let mut client = local(agent.socket()).await;
    let mut claiming = granted(&mut client).await;
    agent.ask_to_stop();
    assert_eq!(claiming.hear().await.expect_err("it is stopping").code(), Code::Unavailable);
    agent.stopped().await;
}
