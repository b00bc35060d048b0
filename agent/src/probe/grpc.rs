//! Ready when a process of the new generation says by the gRPC health protocol that it serves.
//!
//! The process is found that took the connection, and only then the first byte is sent.

use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use super::Reply;
use super::requests::{Request, WITHIN, attributed};
use super::stream::Stream;
use crate::config::Place;

/// An answer says one number.
const ANSWER_BYTES_MAX: usize = 1 << 10;
/// How much of a refusal is shown.
const SHOWN_MAX: usize = 80;

/// Asks for the health of `service`.
pub(super) async fn send(request: Request, service: String) -> std::io::Result<Reply> {
    let stream = request.connect().await?;
    let party = request.accepted(&stream).await?;
    let answer = timeout_at(Instant::now() + WITHIN / 2, check(stream, &request.place, service)).await;
    let (is_right, told) = answer.unwrap_or_else(|_| (false, "the request was taken and not answered".to_owned()));
    Ok(attributed(party, is_right, &told))
}

async fn check(stream: Stream, place: &Place, service: String) -> (bool, String) {
    let authority = match place {
        Place::Tcp(address) => format!("http://{address}"),
        Place::Unix(_) => "http://localhost".to_owned(),
    };
    let endpoint = match Endpoint::from_shared(authority) {
        Ok(endpoint) => endpoint.user_agent("baton-agent").unwrap_or_else(|_| Endpoint::from_static("http://localhost")),
        Err(error) => return (false, error.to_string()),
    };
    // Of this one it is known whose it is: there is no other.
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_: Uri| {
        let stream = stream.take().ok_or(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        async move { stream }
    });
    let channel = match endpoint.connect_with_connector(connector).await {
        Ok(channel) => channel,
        Err(error) => return (false, format!("something that is not HTTP/2 ({error})")),
    };
    let mut client = HealthClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
    match client.check(HealthCheckRequest { service }).await {
        Ok(answer) => {
            let status = answer.into_inner().status();
            (status == ServingStatus::Serving, status.as_str_name().to_owned())
        }
        Err(status) => {
            (false, format!("{:?} ({:?})", status.code(), status.message().chars().take(SHOWN_MAX).collect::<String>()))
        }
    }
}
