//! The local commands: a client of the agent that runs on this host, over its unix socket.
//!
//! **Invariant:** the verdict is weighed on this side from the testimony; the agent's word for how it ended is only a word.

mod claiming;
mod follow;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_proto::custody::words::Word;
use baton_proto::custody::{Chronicle, History, Protocol, Testimony};
use baton_proto::span::Span;
use baton_proto::step::Step;
use baton_proto::v1;
use baton_proto::v1::agent_client::AgentClient;
use baton_proto::wire::Malformed;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::UnixStream;
use tokio::runtime;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tower::service_fn;

use crate::args::Ask;
use crate::os::clock;
use crate::outcome::{Exit, Outcome, claim};
use crate::report::{Conclusion, Event, Report};
use claiming::Claim;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a question may take that is no reload.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a local reload claims its service for.
const REASON: &str = "by hand on the host";

/// How long a command is silent at most.
const SAID_EVERY: Duration = Duration::from_secs(2);

/// Why a local command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Nobody answers on the socket.
    #[error("failed to reach the agent at {path}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: tonic::transport::Error,
    },
    /// The agent said no.
    #[error("the agent refused: {}", .0.message())]
    Refused(Status),
    /// The agent does not answer as it should.
    #[error("failed to get an answer from the agent ({:?}): {}", .0.code(), .0.message())]
    Answer(Status),
    /// The agent does not speak as we do.
    #[error("failed to read the agent's testimony")]
    Testimony(#[from] Malformed),
    /// The kernel gives us no event loop.
    #[error("failed to start the event loop")]
    Runtime(#[source] io::Error),
    /// No name for a rollout could be made.
    #[error("failed to get random bytes from the kernel")]
    Random(#[source] io::Error),
}

impl LocalError {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(status) if is_usage(status) => Exit::Usage,
            Self::Connect { .. } | Self::Refused(_) => Exit::NotDone,
            Self::Answer(_) | Self::Testimony(_) | Self::Runtime(_) | Self::Random(_) => Exit::Fault,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect { .. } => {
                Some("is it running (`systemctl status baton-agent`)? Ask as root or as its user; --socket says where")
            }
            Self::Refused(status) if status.code() == Code::NotFound => Some("`baton-agent status` lists the services"),
            Self::Refused(_) | Self::Answer(_) | Self::Testimony(_) | Self::Runtime(_) | Self::Random(_) => None,
        }
    }
}

/// Whether the caller asked for what cannot be.
fn is_usage(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::InvalidArgument)
}

/// Whether the agent, in its right mind, said no and did nothing.
fn is_refusal(status: &Status) -> bool {
    is_usage(status)
        || matches!(status.code(), Code::FailedPrecondition | Code::Aborted | Code::PermissionDenied | Code::ResourceExhausted)
}

impl From<Status> for LocalError {
    fn from(status: Status) -> Self {
        if is_refusal(&status) { Self::Refused(status) } else { Self::Answer(status) }
    }
}

/// What to ask the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// How one service is now, or all of them.
    Status {
        /// Only this one.
        service: Option<String>,
        /// Whether every process is looked at, and every holder listed.
        census: bool,
    },
    /// To hand a service over.
    Reload {
        /// The service.
        service: String,
        /// The release to switch to; empty for none.
        release: String,
    },
    /// To have a service run.
    Start(String),
    /// To stop a service on purpose.
    Stop(String),
    /// What was seen in the last handover of a service, and what else befell it.
    Testimony {
        /// The service.
        service: String,
        /// All handovers that are kept.
        all: bool,
    },
}

/// Asks the agent of this host and shows its answer.
///
/// # Errors
/// When it cannot be reached, refuses, or does not answer as it should.
pub fn ask(ask: &Ask, question: &Question) -> Result<Exit, LocalError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(LocalError::Runtime)?;
    let mut report = Report::to_standard(ask.output);
    runtime.block_on(async {
        let mut client = Client::connect(&ask.socket).await?;
        match question {
            Question::Status { service, census } => client.status(service.as_deref(), *census, &mut report).await,
            Question::Reload { service, release } => client.reload(service, release, &mut report).await,
            Question::Start(service) => client.start(service, &mut report).await,
            Question::Stop(service) => client.stop(service, &mut report).await,
            Question::Testimony { service, all } => client.testimony(service, *all, &mut report).await,
        }
    })
}

/// A client of the agent on this host.
#[derive(Debug, Clone)]
struct Client(AgentClient<Channel>);

impl Client {
    async fn connect(socket: &Path) -> Result<Self, LocalError> {
        let path = socket.to_owned();
        let connector = service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The name is never looked up: the connector knows the way.
        let endpoint = Endpoint::from_static("http://agent").connect_timeout(CONNECT_WITHIN);
        let connected = endpoint.connect_with_connector(connector).await;
        let channel = connected.map_err(|source| LocalError::Connect { path: socket.to_owned(), source })?;
        Ok(Self(AgentClient::new(channel)))
    }

    async fn ask_status(&mut self, service: &str, census: bool) -> Result<v1::StatusReply, LocalError> {
        let request = v1::StatusRequest { service: service.to_owned(), census };
        Ok(within(ANSWER_WITHIN, self.0.status(request)).await?)
    }

    async fn status(
        &mut self,
        service: Option<&str>,
        census: bool,
        report: &mut Report<impl Write, impl Write>,
    ) -> Result<Exit, LocalError> {
        let reply = self.ask_status(service.unwrap_or_default(), census).await?;
        let agent = reply.agent.unwrap_or_default();
        let now = Duration::from_nanos(agent.now_ns);
        for service in &reply.services {
            let claim = service.claim.as_ref().map(|claim| baton_proto::claim::Claim::told(claim, &agent));
            report.show(&Event::Status { service, now, claim: claim.as_ref() });
        }
        Ok(Exit::Done)
    }

    async fn reload(
        &mut self,
        service: &str,
        release: &str,
        report: &mut Report<impl Write, impl Write>,
    ) -> Result<Exit, LocalError> {
        let random = LocalError::Random;
        let rollout = rollout(Timestamp::now(), &clock::random_hex::<2>().map_err(random)?);
        let open = v1::ClaimOpen {
            service: service.to_owned(),
            rollout: rollout.clone(),
            session: clock::random_hex::<8>().map_err(random)?,
            reason: REASON.to_owned(),
        };
        let began = clock::since_boot();
        let mut request =
            v1::ReloadRequest { service: service.to_owned(), rollout, attempt: 1, fence: 0, release: release.to_owned() };
        let (outcome, lingering_pids) = match Claim::open(self.0.clone(), open).await {
            Ok(claim) => {
                request.fence = claim.fence;
                let followed = follow::to_the_end(&mut self.0, &request, began, report).await;
                claim.release().await;
                followed?
            }
            // Who asks for what cannot be, or may not ask, is told that no outcome came of it.
            Err(status) if is_usage(&status) || status.code() == Code::PermissionDenied => return Err(status.into()),
            Err(status) if is_refusal(&status) => (Outcome::Refused(status.message().to_owned()), Vec::new()),
            Err(status) => return Err(status.into()),
        };
        report.show(&Event::Concluded(Conclusion {
            service,
            rollout: &request.rollout,
            attempt: request.attempt,
            after: clock::since_boot().saturating_sub(began),
            outcome: &outcome,
            lingering_pids: &lingering_pids,
        }));
        Ok(outcome.exit())
    }

    async fn start(&mut self, service: &str, report: &mut Report<impl Write, impl Write>) -> Result<Exit, LocalError> {
        let request = v1::StartRequest { service: service.to_owned() };
        let mut client = self.0.clone();
        patiently("start", client.start(request), report).await?;
        self.status(Some(service), false, report).await
    }

    async fn stop(&mut self, service: &str, report: &mut Report<impl Write, impl Write>) -> Result<Exit, LocalError> {
        let request = v1::StopRequest { service: service.to_owned() };
        let mut client = self.0.clone();
        let reply = patiently("stop", client.stop(request), report).await?;
        report.show(&Event::Stopped { service, how: &reply.how });
        self.status(Some(service), false, report).await
    }

    async fn testimony(
        &mut self,
        service: &str,
        all: bool,
        report: &mut Report<impl Write, impl Write>,
    ) -> Result<Exit, LocalError> {
        let request = v1::TestimonyRequest { service: service.to_owned(), rollout: String::new() };
        let v1::TestimonyReply { agent, mut records, history } = within(ANSWER_WITHIN, self.0.testimony(request)).await?;
        let host = agent.unwrap_or_default().host;
        let history = history.map(History::try_from).transpose()?;
        if records.is_empty() {
            report.show(&Event::NoRecord { service });
        }
        if !all {
            records.truncate(1);
        }
        for record in records.iter().rev() {
            show_record(&host, service, record, report)?;
        }
        if let Some(history) = &history {
            report.show(&Event::History(Chronicle { host: &host, service, history }));
        }
        Ok(Exit::Done)
    }
}

fn show_record(
    host: &str,
    service: &str,
    record: &v1::Record,
    report: &mut Report<impl Write, impl Write>,
) -> Result<(), LocalError> {
    let testimony = record.testimony.clone().ok_or(Malformed::Missing("record's testimony"))?;
    let testimony = Testimony::try_from(testimony)?;
    let ending = record.ending.as_ref().ok_or(Malformed::Missing("record's ending"))?;
    let step = Step::try_from(ending.step()).ok();
    let failed = step.map(|step| format!("step {step}"));
    let word = Word {
        claim: claim(ending.result()),
        step: step.map(Step::verb),
        failed: failed.as_deref(),
        cause: &ending.cause,
        generation: ending.generation,
        lingering: &ending.lingering_pids,
    };
    let (rollout, attempt) = (&record.rollout, record.attempt);
    report.show(&Event::Testimony(Protocol { host, service, rollout, attempt, testimony: &testimony, word }));
    Ok(())
}

/// A name that no other local reload has, and that says when it was.
fn rollout(now: Timestamp, random: &str) -> String {
    format!("local-{}-{random}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// An answer, with a deadline.
async fn within<T>(time: Duration, answer: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
    let late = || Status::deadline_exceeded(format!("no answer within {}", Span(time)));
    tokio::time::timeout(time, answer).await.map_err(|_| late())?.map(tonic::Response::into_inner)
}

/// An answer that takes as long as it takes; that it is waited for is said every now and then.
async fn patiently<T>(
    what: &'static str,
    answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
    report: &mut Report<impl Write, impl Write>,
) -> Result<T, Status> {
    let began = clock::since_boot();
    let mut answer = std::pin::pin!(answer);
    loop {
        match tokio::time::timeout(SAID_EVERY, &mut answer).await {
            Ok(answer) => return answer.map(tonic::Response::into_inner),
            Err(_) => report.show(&Event::Waiting { step: what, after: clock::since_boot().saturating_sub(began) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use baton_proto::name;
    use jiff::Timestamp;

    use super::rollout;

    #[test]
    fn a_local_rollout_has_a_name_that_says_when_it_was() {
        let name = rollout(Timestamp::UNIX_EPOCH, "9f3a");
        assert_eq!(name, "local-19700101T000000Z-9f3a");
        assert!(name::check("rollout", &name).is_ok());
    }
}
