//! Ready when a process of the new generation accepts a connection: for servers that speak what we do not, such as FastCGI.

use tokio::time::sleep;

use super::Reply;
use super::attribution::Party;
use super::requests::{REQUESTS_WITHIN, Request, attributed};

/// Connects, and waits until somebody has the connection.
pub(super) async fn send(request: Request) -> std::io::Result<Reply> {
    let stream = request.connect().await?;
    let party = request.accepted(&stream).await?;
    if matches!(party, Party::Old(_)) {
        // While it is busy with this one, another may take the next.
        sleep(REQUESTS_WITHIN).await;
    }
    Ok(attributed(party, true, &format!("a connection to {} was accepted", request.place)))
}
