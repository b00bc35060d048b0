//! Ready when a process of the new generation gives the wanted answer to a GET.
//!
//! All but the end of the request is sent, the process is found that took the connection, and only then is the request completed.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::Reply;
use super::answer::{BYTES_MAX, weigh};
use super::requests::{Request, WITHIN, attributed};
use super::stream::Stream;
use crate::config::Wanted;

/// How often an answer is looked at while it comes, so that one that trickles costs little.
const READS_MAX: usize = 512;

/// Asks for `path`.
pub(super) async fn send(request: Request, host: String, path: String, wanted: Wanted) -> std::io::Result<Reply> {
    let mut stream = request.connect().await?;
    let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: baton-agent\r\nConnection: close\r\n");
    stream.write_all(text.as_bytes()).await?;
    let party = request.accepted(&stream).await?;
    let answer = timeout_at(Instant::now() + WITHIN / 2, complete(&mut stream, &wanted)).await;
    let (is_right, told) = match answer {
        Ok(Ok(weighed)) => weighed,
        Ok(Err(error)) => (false, format!("no answer ({error})")),
        Err(_) => (false, "the request was taken and not answered".to_owned()),
    };
    Ok(attributed(party, is_right, &told))
}

/// Sends the end of the request and reads as much of the answer as is needed to tell.
async fn complete(stream: &mut Stream, wanted: &Wanted) -> std::io::Result<(bool, String)> {
    stream.write_all(b"\r\n").await?;
    let mut answer = Vec::new();
    for _ in 0..READS_MAX {
        let has_ended = stream.read_buf(&mut answer).await? == 0;
        if answer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let is_all = has_ended || answer.len() >= BYTES_MAX;
        if let Some(weighed) = weigh(&answer, is_all, wanted) {
            return Ok(weighed);
        }
    }
    Ok((false, "an answer that trickles".to_owned()))
}
