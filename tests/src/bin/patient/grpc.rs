//! A worker that speaks gRPC, and nothing but the health protocol, by the real `tonic-health`.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::unix::AsyncFd;
use tokio::runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use crate::Failed;
use crate::signals::{self, Notice};
use crate::worker::Worker;

/// The service that it says the truth of; of the whole server it always says that it serves.
const SERVICE: &str = "patient";

/// Serves until told to leave. The runtime has one thread, this one.
pub(crate) fn run(worker: Worker<'_>) -> Result<(), Failed> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Failed::at("start the event loop"))?;
    runtime.block_on(serve(worker)).map_err(Failed::at("serve gRPC"))
}

async fn serve(worker: Worker<'_>) -> io::Result<()> {
    let told = told(&worker);
    let Some(listener) = worker.listener.as_ref().map(TcpListener::try_clone).transpose()? else { return told.await };
    let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?);
    let (health, service) = health_reporter();
    let status = if worker.ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    health.set_service_status(SERVICE, status).await;
    let served = Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, async { drop(told.await) });
    served.await.map_err(io::Error::other)
}

/// Returns when it is told to leave, or its master is gone.
async fn told(worker: &Worker<'_>) -> io::Result<()> {
    let (signals, lifeline) = (watched(worker.signals.as_fd())?, watched(worker.lifeline.as_fd())?);
    loop {
        tokio::select! {
            readable = signals.readable() => readable?.clear_ready(),
            _ended = lifeline.readable() => return Ok(()),
        }
        while let Some(notice) = signals::next(worker.signals)? {
            match notice {
                Notice::Stop | Notice::Finish => return Ok(()),
                Notice::HandOver | Notice::Reload | Notice::Relock | Notice::ChildEnded => {}
            }
        }
    }
}

/// A duplicate of a descriptor, to be waited on.
fn watched(descriptor: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    let duplicate = descriptor.try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` is open, and the same descriptor, from its making to its drop, and nobody else has this one.
    #[expect(unsafe_code, reason = "tokio cannot know by the type that the descriptor stays the same; for OwnedFd it does")]
    let registered = unsafe { AsyncFd::register(duplicate) };
    registered.map_err(io::Error::from)
}
