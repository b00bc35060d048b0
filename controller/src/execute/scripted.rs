//! A scripted agent, for tests: real TLS, real HTTP/2, real messages, but what it says was written beforehand.
//!
//! A plain gRPC server stands behind a door that speaks TLS; the door can be slammed in the middle of a stream.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_proto::custody::{Claim, Process};
use baton_proto::identity::Role;
use baton_proto::v1::agent_server::{Agent, AgentServer};
use baton_proto::v1::{self, claim_reply, claim_request};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};

use crate::inventory::Fleet;
use crate::outcome::Account;
use crate::outcome::samples::{handed_over, undone};
use crate::pki::{self, Validity};

/// What an agent does in the middle of a stream.
#[derive(Debug, Clone)]
pub(super) enum Turn<T> {
    /// Says something.
    Say(T),
    /// Slams the door: every connection breaks.
    Slam,
    /// Says that it cannot go on.
    Fail(Status),
    /// Waits until the test says so.
    Await,
}

/// What an agent is going to do.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// For each Reload, what it does; the last is repeated.
    pub(super) reloads: VecDeque<Result<Vec<Turn<v1::ReloadEvent>>, Status>>,
    /// For each Watch, what it does before it stays silent; the last is repeated.
    pub(super) watches: VecDeque<Vec<Turn<v1::WatchEvent>>>,
    /// How its service stands. With a handover the new master of the samples comes into charge.
    pub(super) status: v1::ServiceStatus,
    /// Whether it is frozen: its kernel takes what is sent to it, and nobody answers.
    pub(super) frozen: bool,
    /// What it was asked.
    pub(super) asked: Vec<v1::ReloadRequest>,
}

/// The fence of every claim.
pub(super) const FENCE: u64 = 8;

/// The lease of every claim.
const LEASE_NS: u64 = 10_000_000_000;

/// A running scripted agent.
#[derive(Debug, Clone)]
pub(super) struct Scripted {
    script: Arc<Mutex<Script>>,
    slam: broadcast::Sender<()>,
    go_on: broadcast::Sender<()>,
    /// Where it listens.
    pub(super) address: String,
}

impl Scripted {
    /// Starts an agent with the certificate of `name` in `directory`, which trusts the authority in `authority`.
    pub(super) async fn start(directory: &Path, name: &str, authority: &Path, script: Script) -> Self {
        let (plain, door) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (behind, address) = (plain.local_addr().unwrap(), door.local_addr().unwrap().to_string());
        let scripted =
            Self { script: Arc::new(Mutex::new(script)), slam: broadcast::channel(4).0, go_on: broadcast::channel(4).0, address };
        let server = tonic::transport::Server::builder().add_service(AgentServer::new(scripted.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(plain)));
        let acceptor = TlsAcceptor::from(Arc::new(server_config(directory, name, authority)));
        let slam = scripted.slam.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = door.accept().await {
                let (acceptor, mut slammed) = (acceptor.clone(), slam.subscribe());
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    let mut inner = TcpStream::connect(behind).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut tls, &mut inner) => {}
                        _ = slammed.recv() => {}
                    }
                });
            }
        });
        scripted
    }

    /// Changes what it is going to do.
    pub(super) fn rewrite<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets everything go on that awaits it.
    pub(super) fn go_on(&self) {
        let _ = self.go_on.send(());
    }

    fn perform<T: Send + Clone + 'static>(&self, turns: Vec<Turn<T>>) -> ReceiverStream<Result<T, Status>> {
        let (sender, receiver) = mpsc::channel(16);
        let (slam, mut go_on) = (self.slam.clone(), self.go_on.subscribe());
        tokio::spawn(async move {
            for turn in turns {
                let sent = match turn {
                    Turn::Say(message) => sender.send(Ok(message)).await,
                    Turn::Fail(status) => sender.send(Err(status)).await,
                    Turn::Slam => {
                        let _ = slam.send(());
                        Ok(())
                    }
                    Turn::Await => {
                        let _ = go_on.recv().await;
                        Ok(())
                    }
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        ReceiverStream::new(receiver)
    }
}

fn next<T: Clone>(turns: &mut VecDeque<T>) -> Option<T> {
    if turns.len() > 1 { turns.pop_front() } else { turns.front().cloned() }
}

fn hands_over(turn: &Turn<v1::ReloadEvent>) -> bool {
    let Turn::Say(v1::ReloadEvent { event: Some(v1::reload_event::Event::Ending(ending)) }) = turn else { return false };
    ending.result() == v1::Result::HandedOver
}

fn info() -> v1::AgentInfo {
    v1::AgentInfo { incarnation: "run-1".into(), boot_id: "boot-1".into(), level: 1, ..v1::AgentInfo::default() }
}

#[tonic::async_trait]
impl Agent for Scripted {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusReply>, Status> {
        let (status, frozen) = self.rewrite(|script| (script.status.clone(), script.frozen));
        if frozen {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(v1::StatusReply { agent: Some(info()), services: vec![status] }))
    }

    type ReloadStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::ReloadEvent, Status>> + Send>>;

    async fn reload(&self, request: Request<v1::ReloadRequest>) -> Result<Response<Self::ReloadStream>, Status> {
        let turns = self.rewrite(|script| {
            script.asked.push(request.into_inner());
            let turns = next(&mut script.reloads);
            if turns.iter().flatten().flatten().any(hands_over) {
                script.status.master = Some(crate::outcome::samples::NEW.into());
            }
            turns
        });
        let turns = turns.unwrap_or_else(|| Err(Status::not_found("nothing was written for this")))?;
        Ok(Response::new(Box::pin(self.perform(turns))))
    }

    async fn start(&self, _: Request<v1::StartRequest>) -> Result<Response<v1::StartReply>, Status> {
        Err(Status::permission_denied("not from afar"))
    }

    async fn stop(&self, _: Request<v1::StopRequest>) -> Result<Response<v1::StopReply>, Status> {
        Err(Status::permission_denied("not from afar"))
    }

    type ClaimStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::ClaimReply, Status>> + Send>>;

    async fn claim(&self, request: Request<tonic::Streaming<v1::ClaimRequest>>) -> Result<Response<Self::ClaimStream>, Status> {
        let mut requests = request.into_inner();
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let reply = match request.request {
                    Some(claim_request::Request::Open(_)) => {
                        claim_reply::Reply::Granted(v1::ClaimGranted { fence: FENCE, lease_ns: LEASE_NS })
                    }
                    Some(claim_request::Request::Renew(_)) => claim_reply::Reply::Renewed(v1::ClaimRenewed {}),
                    Some(claim_request::Request::Release(_)) | None => return,
                };
                if sender.send(Ok(v1::ClaimReply { reply: Some(reply) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    type WatchStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::WatchEvent, Status>> + Send>>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut turns = self.rewrite(|script| next(&mut script.watches)).unwrap_or_default();
        // An agent with nothing to say stays silent.
        turns.push(Turn::Await);
        Ok(Response::new(Box::pin(self.perform(turns))))
    }

    async fn testimony(&self, _: Request<v1::TestimonyRequest>) -> Result<Response<v1::TestimonyReply>, Status> {
        Ok(Response::new(v1::TestimonyReply { agent: Some(info()), ..v1::TestimonyReply::default() }))
    }
}

fn server_config(directory: &Path, name: &str, authority: &Path) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let chain = vec![CertificateDer::from_pem_file(directory.join(format!("{name}.crt"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The certificates of a fleet, in a directory of their own.
#[derive(Debug)]
pub(super) struct Papers(TempDir);

impl Papers {
    /// An authority, an operator `ada`, and an agent for each of `web-1` to `web-3`.
    pub(super) fn new() -> Self {
        let papers = Self(TempDir::new().unwrap());
        pki::init("prod", papers.path(), Self::in_date()).unwrap();
        papers.issue(Role::Operator, "ada", Self::in_date());
        for name in ["web-1", "web-2", "web-3"] {
            papers.issue(Role::Agent, name, Self::in_date());
        }
        papers
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.path().join("fleet-ca.crt")
    }

    /// From an hour ago until tomorrow.
    pub(super) fn in_date() -> Validity {
        let now = Duration::from_secs(Timestamp::now().as_second().unsigned_abs());
        Validity { now, valid_for: Duration::from_hours(24) }
    }

    /// Until yesterday.
    pub(super) fn expired() -> Validity {
        let now = Self::in_date().now.saturating_sub(Duration::from_hours(48));
        Validity { now, valid_for: Duration::from_hours(24) }
    }

    pub(super) fn issue(&self, role: Role, name: &str, validity: Validity) {
        pki::issue(role, name, self.path(), validity).unwrap();
    }

    /// The inventory of these hosts, seen by the holder of a certificate in this directory.
    pub(super) fn fleet(&self, operator: &str, hosts: &[(&str, &str)]) -> Fleet {
        let mut text = format!(
            "[fleet]\nname = \"prod\"\ncertificate = \"{operator}.crt\"\nkey = \"{operator}.key\"\nauthority = \"fleet-ca.crt\"\n"
        );
        for (name, address) in hosts {
            writeln!(text, "[[host]]\nname = \"{name}\"\naddress = \"{address}\"").unwrap();
        }
        Fleet::read(&text, self.path()).unwrap()
    }
}

/// How a healthy service stands, in charge of the old master of the samples.
pub(super) fn healthy() -> v1::ServiceStatus {
    v1::ServiceStatus {
        service: "web".into(),
        dialect: "unicorn".into(),
        custody: v1::Custody::Held.into(),
        generation: 3,
        master: Some(crate::outcome::samples::OLD.into()),
        epoch: 2,
        fence: 7,
        ..v1::ServiceStatus::default()
    }
}

/// The beginning of a watch after the handover of the samples.
pub(super) fn after(epoch: u64) -> v1::WatchEvent {
    let status = v1::ServiceStatus { master: Some(crate::outcome::samples::NEW.into()), epoch, ..healthy() };
    watch_event(epoch, v1::watch_event::Event::Status(status))
}

/// The master is gone, and somebody holds the lock still.
pub(super) fn orphaned(epoch: u64) -> v1::WatchEvent {
    let trouble = "the master 200 exited".to_owned();
    let custody = v1::Custody::Orphaned.into();
    watch_event(epoch, v1::watch_event::Event::Status(v1::ServiceStatus { custody, master: None, epoch, trouble, ..healthy() }))
}

/// A master was found holding.
pub(super) fn held(master: Process, epoch: u64) -> v1::WatchEvent {
    watch_event(epoch, v1::watch_event::Event::Held(v1::Held { master: Some(master.into()) }))
}

/// The lock was free.
pub(super) fn dropped(epoch: u64) -> v1::WatchEvent {
    watch_event(epoch, v1::watch_event::Event::Drop(v1::Drop::default()))
}

fn watch_event(epoch: u64, event: v1::watch_event::Event) -> v1::WatchEvent {
    v1::WatchEvent { incarnation: "run-1".into(), epoch, at_ns: 0, event: Some(event) }
}

/// A step of a handover.
pub(super) fn progress(step: v1::Step) -> Turn<v1::ReloadEvent> {
    numbered_step(step.into())
}

/// A step of a handover by its number, which may be none of ours.
pub(super) fn numbered_step(step: i32) -> Turn<v1::ReloadEvent> {
    let progress = v1::Progress { step, detail: String::new(), at_ns: 0 };
    Turn::Say(v1::ReloadEvent { event: Some(v1::reload_event::Event::Progress(progress)) })
}

/// The end of a clean handover: the testimony, then the ending.
pub(super) fn clean_end() -> Vec<Turn<v1::ReloadEvent>> {
    end(&handed_over())
}

/// The end of a handover that was undone.
pub(super) fn undone_end() -> Vec<Turn<v1::ReloadEvent>> {
    end(&undone())
}

pub(super) fn end(account: &Account) -> Vec<Turn<v1::ReloadEvent>> {
    use v1::reload_event::Event;
    let ending = v1::Ending {
        result: match account.ending.claim {
            Claim::HandedOver => v1::Result::HandedOver,
            Claim::RolledBack => v1::Result::RolledBack,
            Claim::Broken => v1::Result::Broken,
        }
        .into(),
        step: if account.ending.step.is_some() { v1::Step::Ready.into() } else { 0 },
        cause: account.ending.cause.clone(),
        generation: account.ending.generation,
        ..v1::Ending::default()
    };
    [Event::Testimony((&account.testimony).into()), Event::Ending(ending)]
        .map(|event| Turn::Say(v1::ReloadEvent { event: Some(event) }))
        .into()
}
