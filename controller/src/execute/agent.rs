//! An agent as a client sees it: the calls, with deadlines, in the words of the domain.
//!
//! **Invariant:** no call is repeated here. What is asked again, and whether, is decided by the caller.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::v1;
use baton_proto::v1::agent_client::AgentClient;
use baton_proto::wire::Malformed;
use http::Uri;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::connection::Connection;
use super::link::{Dialler, Fault, LinkError, chain, ends};
use super::wire;
use crate::inventory::Host;
use crate::outcome::Refusal;
use crate::plan::About;
use crate::record::Past;
use crate::standing::Standing;
use crate::text::plain;

/// How long an agent may take over a question that it can answer at once.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// How many renewals of a claim may wait for the connection.
const CLAIM_REQUESTS_MAX: usize = 4;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no connection, or no longer.
    #[error(transparent)]
    Link(Arc<LinkError>),
    /// The agent will not do it: asking again changes nothing.
    #[error("{}{message}", if *.denied { "the agent denies it: " } else { "" })]
    Refused {
        /// What it said.
        message: String,
        /// Whether it is because of who we are.
        denied: bool,
        /// Whether it is because of how the service stands, or who has it.
        is_precondition: bool,
    },
    /// Our claim on the service does not stand, and nothing was begun.
    #[error("{0}")]
    Unclaimed(String),
    /// The agent has as many callers as it can take, and did nothing.
    #[error("the agent is busy: {0}")]
    Busy(String),
    /// The agent could not do it now.
    #[error("the agent answers {code:?}: {message}")]
    Failed {
        /// The code.
        code: Code,
        /// What it said.
        message: String,
    },
    /// The call broke off.
    #[error("the call broke off: {0}")]
    Broken(String),
    /// No answer came in time.
    #[error("the agent gave no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer cannot be read.
    #[error("the agent's answer cannot be read")]
    Malformed(#[from] Malformed),
}

impl CallError {
    /// The refusal that it is, for a host that was not asked.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal { hint: self.hint().map(str::to_owned), ..self.sentence().into() }
    }

    /// The error and its causes in one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        chain(self)
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Link(error) => error.hint(),
            Self::Refused { denied: true, .. } => Some("`baton pki issue operator NAME` makes a certificate that may reload"),
            Self::Refused { denied: false, .. }
            | Self::Unclaimed(_)
            | Self::Busy(_)
            | Self::Failed { .. }
            | Self::Broken(_)
            | Self::TimedOut(_)
            | Self::Malformed(_) => None,
        }
    }
}

/// A connection to the agent of one host.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    client: AgentClient<Connection>,
    fault: Fault,
    /// Until when its certificate is valid, since 1970.
    certificate_ends: Option<Duration>,
}

impl Agent {
    /// Connects to the agent of `host`.
    pub(super) async fn dial(dialler: &Dialler, host: &Host) -> Result<Self, CallError> {
        // A guard may have to dial: boxed, that costs its task no room until it does.
        Box::pin(Self::connect(dialler, host)).await
    }

    async fn connect(dialler: &Dialler, host: &Host) -> Result<Self, CallError> {
        let stream = dialler.dial(host).await.map_err(|error| CallError::Link(Arc::new(error)))?;
        let (fault, certificate_ends) = (stream.fault(), ends(&stream));
        let origin = Uri::try_from(format!("http://{}", host.name)).map_err(|error| CallError::Broken(chain(&error)))?;
        let connection = Connection::begin(stream).await.map_err(|error| broken(&fault, || chain(&error)))?;
        Ok(Self { client: AgentClient::with_origin(connection, origin), fault, certificate_ends })
    }

    /// Looks at a service, over an `earlier` connection where it is not gone.
    pub(super) async fn look(
        dialler: &Dialler,
        host: &Host,
        service: &str,
        earlier: Option<Self>,
    ) -> Result<(Standing, Self), CallError> {
        let mut agent = match earlier.filter(|agent| !agent.is_gone()) {
            Some(agent) => agent,
            None => Self::dial(dialler, host).await?,
        };
        let standing = agent.standing(service).await?;
        Ok((standing, agent))
    }

    /// Whether the connection is known to be gone.
    pub(super) fn is_gone(&self) -> bool {
        self.fault.get().is_some()
    }

    /// How a service stands, or all of them when its name is empty.
    pub(super) async fn status(&mut self, service: &str) -> Result<Vec<Standing>, CallError> {
        Ok(wire::standings(self.ask(service).await?)?)
    }

    /// How all services stand, and what the agent tells of itself.
    pub(super) async fn introduction(&mut self) -> Result<(Vec<Standing>, About), CallError> {
        let asked = Instant::now();
        let reply = self.ask("").await?;
        // It looked at its clock somewhere in between.
        let then = since_1970().saturating_sub(asked.elapsed() / 2);
        let about = wire::about(&reply, then, self.certificate_ends)?;
        Ok((wire::standings(reply)?, about))
    }

    async fn ask(&mut self, service: &str) -> Result<v1::StatusReply, CallError> {
        let request = v1::StatusRequest { service: service.to_owned(), census: false };
        let reply = timeout(ANSWER_DEADLINE, Box::pin(self.client.status(request))).await;
        let reply = reply.map_err(|_| CallError::TimedOut(ANSWER_DEADLINE))?.map_err(|status| self.failure(&status))?;
        Ok(reply.into_inner())
    }

    /// How one service stands.
    pub(super) async fn standing(&mut self, service: &str) -> Result<Standing, CallError> {
        let standings = self.status(service).await?;
        let found = standings.into_iter().find(|standing| standing.service == service);
        found.ok_or(CallError::Malformed(Malformed::Missing("service")))
    }

    /// Claims a service: where to renew it, the stream of the answers, and the first of them.
    pub(super) async fn claim(
        &mut self,
        open: v1::ClaimOpen,
    ) -> Result<(mpsc::Sender<v1::ClaimRequest>, Call<v1::ClaimReply>, v1::ClaimGranted), CallError> {
        let (requests, queue) = mpsc::channel(CLAIM_REQUESTS_MAX);
        let first = v1::ClaimRequest { request: Some(v1::claim_request::Request::Open(open)) };
        let _ = requests.try_send(first);
        let opened = async {
            let stream = self.client.claim(ReceiverStream::new(queue)).await.map_err(|status| self.failure(&status))?;
            let mut call = Call { stream: stream.into_inner(), agent: self.clone() };
            match call.next().await?.and_then(|reply| reply.reply) {
                Some(v1::claim_reply::Reply::Granted(granted)) => Ok((call, granted)),
                Some(v1::claim_reply::Reply::Renewed(_)) | None => Err(CallError::Malformed(Malformed::Missing("grant"))),
            }
        };
        let (call, granted) =
            timeout(ANSWER_DEADLINE, Box::pin(opened)).await.map_err(|_| CallError::TimedOut(ANSWER_DEADLINE))??;
        Ok((requests, call, granted))
    }

    /// Asks for a handover and follows it.
    pub(super) async fn reload(&mut self, request: v1::ReloadRequest) -> Result<Call<v1::ReloadEvent>, CallError> {
        let stream = Box::pin(self.client.reload(request)).await.map_err(|status| self.failure(&status))?;
        Ok(Call { stream: stream.into_inner(), agent: self.clone() })
    }

    /// Watches a service.
    pub(super) async fn watch(&mut self, service: &str) -> Result<Call<v1::WatchEvent>, CallError> {
        let request = v1::WatchRequest { service: service.to_owned() };
        let stream = Box::pin(self.client.watch(request)).await.map_err(|status| self.failure(&status))?;
        Ok(Call { stream: stream.into_inner(), agent: self.clone() })
    }

    /// The records of a service's last handovers, and what else befell it.
    pub(super) async fn past(&mut self, service: &str, rollout: &str) -> Result<Past, CallError> {
        let request = v1::TestimonyRequest { service: service.to_owned(), rollout: rollout.to_owned() };
        let reply = timeout(ANSWER_DEADLINE, Box::pin(self.client.testimony(request))).await;
        let reply = reply.map_err(|_| CallError::TimedOut(ANSWER_DEADLINE))?.map_err(|status| self.failure(&status))?;
        Ok(wire::past(reply.into_inner())?)
    }

    /// Sorts a failed call: said by the agent, or made up on this side because the connection broke.
    fn failure(&self, status: &Status) -> CallError {
        if let Some(cause) = status.source() {
            return broken(&self.fault, || chain(cause));
        }
        let message = plain(status.message());
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => {
                CallError::Refused { message, denied: true, is_precondition: false }
            }
            Code::FailedPrecondition => CallError::Refused { message, denied: false, is_precondition: true },
            Code::NotFound | Code::InvalidArgument | Code::Unimplemented => {
                CallError::Refused { message, denied: false, is_precondition: false }
            }
            Code::Aborted => CallError::Unclaimed(message),
            Code::ResourceExhausted => CallError::Busy(message),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::OutOfRange
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => match self.fault.get() {
                Some(fault) => CallError::Link(Arc::clone(fault)),
                None => CallError::Failed { code: status.code(), message },
            },
        }
    }
}

fn since_1970() -> Duration {
    Timestamp::now().duration_since(Timestamp::UNIX_EPOCH).try_into().unwrap_or_default()
}

/// The connection's own fault, else what the library says.
fn broken(fault: &Fault, otherwise: impl FnOnce() -> String) -> CallError {
    fault.get().map_or_else(|| CallError::Broken(otherwise()), |fault| CallError::Link(Arc::clone(fault)))
}

/// A stream of an agent's messages.
#[derive(Debug)]
pub(super) struct Call<T> {
    stream: Streaming<T>,
    agent: Agent,
}

impl<T> Call<T> {
    /// The next message; none when the agent has ended the stream.
    pub(super) async fn next(&mut self) -> Result<Option<T>, CallError> {
        self.stream.message().await.map_err(|status| self.agent.failure(&status))
    }
}
