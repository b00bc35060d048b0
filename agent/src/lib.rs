//! The witness on each host: it watches the locks of its services, hands them over when asked, and testifies.

pub mod args;
pub mod census;
pub mod claim;
pub mod config;
pub mod dialect;
pub mod doors;
pub mod driver;
pub mod failure;
pub mod files;
pub mod handover;
pub mod history;
pub mod hold;
pub mod journal;
pub mod local;
pub mod logs;
pub mod memory;
pub mod os;
pub mod outcome;
pub mod probe;
pub mod procfs;
pub mod release;
pub mod report;
pub mod rpc;
pub mod service;
pub mod start;
pub mod store;
pub mod supervision;
pub mod waiter;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use baton_proto::v1;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use doors::{Doors, Places};
use rpc::{Rpc, Speaker};
use service::Service;

/// How long streams may take to end when the agent stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// How long a service may take to say what is left undone.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(500);

/// How many calls one connection may have open.
const STREAMS_MAX: u32 = 64;

/// Why a running agent ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The kernel does not say where the agent listens.
    #[error("failed to learn the address that is listened on")]
    Address(#[source] io::Error),
    /// A door closed by itself: a bug of ours.
    #[error("a door closed by itself")]
    DoorClosed,
    /// The server gave up: a bug of ours.
    #[error("failed to serve gRPC")]
    Serve(#[source] tonic::transport::Error),
}

/// Serves `services` at the bound `doors` until `shutdown`.
///
/// # Errors
/// Only for bugs: nothing that a caller does ends an agent.
pub async fn run(
    doors: Doors,
    speaker: Speaker,
    services: Vec<Service>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let address = doors.address().map_err(RunError::Address)?;
    let doors::Open { arrivals, mut loops, places } = doors.open();
    let (stop, stopping) = watch::channel(false);
    let (mut health, health_server) = health_reporter();
    let agent = Rpc::new(speaker, services.clone(), stopping.clone()).server();
    serving(&health, ServingStatus::Serving).await;
    let server = Server::builder().max_concurrent_streams(STREAMS_MAX).add_service(agent).add_service(health_server);
    let connections = arrivals.map(Ok::<_, io::Error>);
    let mut server = pin!(server.serve_with_incoming_shutdown(connections, is_true(stopping)));
    announce(address);
    tokio::select! {
        served = &mut server => return served.map_err(RunError::Serve).and(Err(RunError::DoorClosed)),
        _ = loops.join_next() => return Err(RunError::DoorClosed),
        () = shutdown => {}
    }
    tell(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    drop(loops);
    serving(&health, ServingStatus::NotServing).await;
    // Every receiver may be gone already, which is what stopping is for.
    let _ = stop.send(true);
    for service in HEALTH_SERVICES {
        health.clear_service_status(service).await;
    }
    let drained = timeout(DRAIN_WITHIN, server).await;
    say_what_is_left(&services, &places).await;
    drained.map_or(Ok(()), |served| served.map_err(RunError::Serve))
}

const HEALTH_SERVICES: [&str; 2] = ["", "baton.agent.v1.Agent"];

async fn serving(health: &tonic_health::server::HealthReporter, status: ServingStatus) {
    for service in HEALTH_SERVICES {
        health.set_service_status(service, status).await;
    }
}

async fn is_true(mut flag: watch::Receiver<bool>) {
    // The sender is gone when the agent is: the same thing.
    let _ = flag.wait_for(|value| *value).await;
}

fn announce(address: SocketAddr) {
    let status = format!("listening on {address}");
    tracing::info!(%address, "listening");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Tells the service manager, if there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

async fn say_what_is_left(services: &[Service], places: &[Places]) {
    let connections: usize = places.iter().map(Places::taken).sum();
    if connections > 0 {
        tracing::warn!(connections, "connections that did not end in time are cut");
    }
    for service in services {
        let Ok(Ok(status)) = timeout(LAST_WORD_WITHIN, service.farewell()).await else {
            tracing::warn!(service = service.name(), "the service's driver does not say whether it is done");
            continue;
        };
        let step = status.step();
        if step != v1::Step::Unspecified {
            let step = step.verb();
            tracing::warn!(service = service.name(), step, "a handover under way is left to the next run of the agent");
        }
    }
    tracing::info!("stopped");
}
