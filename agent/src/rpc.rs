//! gRPC in, gRPC out: checks who asks for what, passes it on to the service's driver, and says what came back.
//!
//! **Invariant:** nothing is decided here about a service; what a driver says is passed on as it is.

mod claiming;
mod refused;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use baton_proto::identity::Role;
use baton_proto::v1;
use baton_proto::v1::agent_server::{Agent, AgentServer};
use baton_proto::{name, wire};
use prost::Message as _;
use tokio::spawn;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::doors::Peer;
use crate::service::{Attempt, Past, Refusal, Service};
use claiming::Claimer;
use refused::{Refused, shown};
use told::{Reloading, Told, Watching};

/// The largest request: it names a service and a rollout.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;

/// The largest message that is sent.
pub const REPLY_BYTES_MAX: usize = 4 << 20;

/// What this agent can do: it grants claims, and reloads nothing that is not claimed.
const LEVEL: u32 = 1;

/// How much of a reply is left to what is not a record.
const REPLY_BYTES_SPARE: usize = 4 << 10;

/// A service is started and stopped within its own configured times, of an hour each at most, and the last rungs of stopping.
const RUN_WITHIN: Duration = Duration::from_hours(3);

/// A driver answers at once, or after it has written to disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Who is speaking.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// The trust domain.
    pub fleet: String,
    /// This host's name.
    pub host: String,
    /// This program's version.
    pub version: String,
    /// This run of the agent.
    pub incarnation: String,
    /// This boot of the host.
    pub boot_id: String,
    /// Tells the time since boot.
    pub now: fn() -> Duration,
    /// Tells the time since 1970, by a clock that may be set.
    pub wall: fn() -> Duration,
}

impl Speaker {
    fn info(&self) -> v1::AgentInfo {
        v1::AgentInfo {
            fleet: self.fleet.clone(),
            host: self.host.clone(),
            version: self.version.clone(),
            incarnation: self.incarnation.clone(),
            boot_id: self.boot_id.clone(),
            now_ns: wire::nanoseconds((self.now)()),
            unix_ns: wire::nanoseconds((self.wall)()),
            level: LEVEL,
        }
    }
}

/// The agent as its callers see it.
#[derive(Debug)]
pub struct Rpc {
    speaker: Speaker,
    services: Arc<Services>,
    stopping: watch::Receiver<bool>,
}

/// The services of this host, by their names.
#[derive(Debug)]
struct Services(BTreeMap<String, Service>);

impl Services {
    fn named(&self, name: &str) -> Result<&Service, Refused> {
        name::check("service", name)?;
        let unknown = || Refused::NoService { service: name.to_owned(), known: self.0.keys().cloned().collect() };
        self.0.get(name).ok_or_else(unknown)
    }
}

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Look,
    Reload,
    Run,
}

impl Act {
    fn is_open_to(self, role: Role) -> bool {
        match (self, role) {
            (Self::Look | Self::Reload | Self::Run, Role::Operator) | (Self::Look, Role::Observer) => true,
            (Self::Reload | Self::Run, Role::Observer) | (Self::Look | Self::Reload | Self::Run, Role::Agent) => false,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "look at services",
            Self::Reload => "reload services",
            Self::Run => "start or stop services",
        })
    }
}

impl Rpc {
    /// Speaks for `services`; once `stopping` is true, watchers are sent away.
    pub fn new(speaker: Speaker, services: impl IntoIterator<Item = Service>, stopping: watch::Receiver<bool>) -> Self {
        let services = services.into_iter().map(|service| (service.name().to_owned(), service)).collect();
        Self { speaker, services: Arc::new(Services(services)), stopping }
    }

    /// As a server, with the limits of its messages.
    pub fn server(self) -> AgentServer<Self> {
        AgentServer::new(self).max_decoding_message_size(REQUEST_BYTES_MAX).max_encoding_message_size(REPLY_BYTES_MAX)
    }

    fn service(&self, name: &str) -> Result<&Service, Refused> {
        self.services.named(name)
    }

    async fn status_of(&self, peer: Option<Peer>, wanted: &str, census: bool) -> Result<Vec<v1::ServiceStatus>, Refused> {
        allowed(peer, Act::Look)?;
        let wanted: Vec<&Service> =
            if wanted.is_empty() { self.services.0.values().collect() } else { vec![self.service(wanted)?] };
        let mut found = Vec::with_capacity(wanted.len());
        if census {
            // All are asked before the first answer is awaited: one walk serves them all.
            let asked: Vec<_> = wanted.into_iter().map(|service| (service, spawn(counted(service.clone())))).collect();
            for (service, answer) in asked {
                // It fails only when it panics, which would be a bug, or when the agent stops.
                found.push(answered(service, async { answer.await.unwrap_or(Err(Refusal::Stopping)) }).await?);
            }
        } else {
            for service in wanted {
                found.push(answered(service, service.status()).await?);
            }
        }
        Ok(found)
    }

    async fn begin(&self, peer: Option<Peer>, request: &v1::ReloadRequest) -> Result<Told<Reloading>, Refused> {
        allowed(peer, Act::Reload)?;
        let service = self.service(&request.service)?;
        name::check("rollout", &request.rollout)?;
        if request.attempt == 0 {
            return Err(Refused::AttemptZero);
        }
        if !request.release.is_empty() {
            name::check("release", &request.release)?;
        }
        let attempt = Attempt {
            rollout: request.rollout.clone(),
            number: request.attempt,
            fence: request.fence,
            release: request.release.clone(),
        };
        let events = answered(service, service.reload(attempt)).await?;
        Ok(Told::new(events, None))
    }

    /// The service, if this caller may start or stop it: whoever does so has an account on the host.
    fn to_run(&self, peer: Option<Peer>, service: &str) -> Result<&Service, Refused> {
        if let Some(peer @ Peer::Remote { .. }) = &peer {
            return Err(Refused::NotFromAfar { peer: peer.clone(), act: Act::Run });
        }
        allowed(peer, Act::Run)?;
        self.service(service)
    }

    async fn start_of(&self, peer: Option<Peer>, service: &str) -> Result<v1::ServiceStatus, Refused> {
        let service = self.to_run(peer, service)?;
        answered_within(RUN_WITHIN, service, service.start()).await
    }

    async fn stop_of(&self, peer: Option<Peer>, service: &str) -> Result<(v1::ServiceStatus, String), Refused> {
        let service = self.to_run(peer, service)?;
        answered_within(RUN_WITHIN, service, service.stop()).await
    }

    async fn watch_of(&self, peer: Option<Peer>, service: &str) -> Result<Told<Watching>, Refused> {
        allowed(peer, Act::Look)?;
        let service = self.service(service)?;
        let events = answered(service, service.watch()).await?;
        Ok(Told::new(events, Some(self.stopping.clone())))
    }

    async fn past_of(&self, peer: Option<Peer>, request: &v1::TestimonyRequest) -> Result<Past, Refused> {
        allowed(peer, Act::Look)?;
        let service = self.service(&request.service)?;
        let Past { mut records, history } = answered(service, service.past()).await?;
        if !request.rollout.is_empty() {
            name::check("rollout", &request.rollout)?;
            records.retain(|record| record.rollout == request.rollout);
            if records.is_empty() {
                return Err(Refused::NoAttempt { service: request.service.clone(), rollout: request.rollout.clone() });
            }
        }
        keep_newest(&mut records, (REPLY_BYTES_MAX - REPLY_BYTES_SPARE).saturating_sub(history.encoded_len()));
        Ok(Past { records, history })
    }
}

async fn counted(service: Service) -> Result<v1::ServiceStatus, Refusal> {
    service.census().await
}

/// Asks a driver, with a deadline.
async fn answered<T>(service: &Service, answer: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refused> {
    answered_within(ANSWER_WITHIN, service, answer).await
}

async fn answered_within<T>(
    within: Duration,
    service: &Service,
    answer: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refused> {
    match timeout(within, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Refused::Silent { service: service.name().to_owned(), within }),
    }
}

/// Leaves out the oldest records where all of them would not fit into one message.
fn keep_newest(records: &mut Vec<v1::Record>, bytes_max: usize) {
    let mut bytes = 0;
    let fitting = records.iter().take_while(|record| {
        // Each record is preceded by its tag and its length.
        bytes += record.encoded_len() + 16;
        bytes <= bytes_max
    });
    let fitting = fitting.count();
    records.truncate(fitting);
}

fn peer_of<T>(request: &Request<T>) -> Option<Peer> {
    request.extensions().get::<Peer>().cloned()
}

/// A caller, for the audit log.
fn who(peer: Option<&Peer>) -> String {
    peer.map_or_else(|| "nobody known".to_owned(), ToString::to_string)
}

/// Passes on the answer to a call that changes nothing; a refusal goes to the audit log.
fn audited<T>(who: &str, call: &'static str, service: &str, answer: Result<T, Refused>) -> Result<T, Refused> {
    if let Err(reason) = &answer {
        tracing::info!(target: "audit", who, call, service = shown(service), %reason, "a call was refused");
    }
    answer
}

/// The same for a call that changes something: what was done goes there, too.
fn changed<T>(who: &str, call: &'static str, service: &str, answer: Result<T, Refused>) -> Result<T, Refused> {
    if answer.is_ok() {
        tracing::info!(target: "audit", who, call, service = shown(service), "a call was done");
    }
    audited(who, call, service, answer)
}

/// The name of a peer that may claim.
fn operator(peer: Option<Peer>) -> Result<String, Refused> {
    let name = peer.as_ref().map(Peer::name);
    allowed(peer, Act::Reload)?;
    name.ok_or(Refused::NoPeer)
}

fn allowed(peer: Option<Peer>, act: Act) -> Result<(), Refused> {
    let peer = peer.ok_or(Refused::NoPeer)?;
    if let Peer::Stranger { uid, own } = peer {
        return Err(Refused::Stranger { uid, own });
    }
    match peer.role() {
        Some(role) if act.is_open_to(role) => Ok(()),
        Some(role) => Err(Refused::Role { peer, role, act }),
        None => Err(Refused::NoPeer),
    }
}

#[tonic::async_trait]
impl Agent for Rpc {
    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusReply>, Status> {
        let peer = peer_of(&request);
        let who = who(peer.as_ref());
        let v1::StatusRequest { service, census } = request.into_inner();
        let services = audited(&who, "status", &service, self.status_of(peer, &service, census).await)?;
        Ok(Response::new(v1::StatusReply { agent: Some(self.speaker.info()), services }))
    }

    type ReloadStream = Told<Reloading>;

    async fn reload(&self, request: Request<v1::ReloadRequest>) -> Result<Response<Self::ReloadStream>, Status> {
        let peer = peer_of(&request);
        let who = who(peer.as_ref());
        let request = request.into_inner();
        let begun = self.begin(peer, &request).await;
        let (service, rollout, release) = (shown(&request.service), shown(&request.rollout), shown(&request.release));
        let (attempt, fence) = (request.attempt, request.fence);
        match &begun {
            Ok(_) => tracing::info!(target: "audit", who, service, rollout, attempt, fence, release, "a reload was accepted"),
            Err(reason) => {
                tracing::info!(target: "audit", who, service, rollout, attempt, fence, release, %reason, "a reload was refused");
            }
        }
        Ok(Response::new(begun?))
    }

    async fn start(&self, request: Request<v1::StartRequest>) -> Result<Response<v1::StartReply>, Status> {
        let peer = peer_of(&request);
        let who = who(peer.as_ref());
        let service = request.into_inner().service;
        let started = changed(&who, "start", &service, self.start_of(peer, &service).await)?;
        Ok(Response::new(v1::StartReply { service: Some(started) }))
    }

    async fn stop(&self, request: Request<v1::StopRequest>) -> Result<Response<v1::StopReply>, Status> {
        let peer = peer_of(&request);
        let who = who(peer.as_ref());
        let service = request.into_inner().service;
        let (stopped, how) = changed(&who, "stop", &service, self.stop_of(peer, &service).await)?;
        Ok(Response::new(v1::StopReply { service: Some(stopped), how }))
    }

    type ClaimStream = ReceiverStream<Result<v1::ClaimReply, Status>>;

    async fn claim(&self, request: Request<Streaming<v1::ClaimRequest>>) -> Result<Response<Self::ClaimStream>, Status> {
        let peer = peer_of(&request);
        let who = who(peer.as_ref());
        let operator = audited(&who, "claim", "", operator(peer))?;
        let claimer = Claimer { services: Arc::clone(&self.services), operator, who, stopping: self.stopping.clone() };
        Ok(Response::new(claimer.converse(request.into_inner())))
    }

    type WatchStream = Told<Watching>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let peer = peer_of(&request);
        let who = who(peer.as_ref());
        let service = request.into_inner().service;
        Ok(Response::new(audited(&who, "watch", &service, self.watch_of(peer, &service).await)?))
    }

    async fn testimony(&self, request: Request<v1::TestimonyRequest>) -> Result<Response<v1::TestimonyReply>, Status> {
        let peer = peer_of(&request);
        let who = who(peer.as_ref());
        let request = request.into_inner();
        let Past { records, history } = audited(&who, "testimony", &request.service, self.past_of(peer, &request).await)?;
        Ok(Response::new(v1::TestimonyReply { agent: Some(self.speaker.info()), records, history: Some(history) }))
    }
}

#[cfg(test)]
mod tests;
