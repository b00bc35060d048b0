//! The side of the other terminal: it gives one order.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::{ANSWER_DEADLINE, ControlError, LINE_DEADLINE, LINE_MAX, fits, message};
use crate::rollout::Order;
use crate::store::Directory;

/// How often a socket is tried: a process that has just begun does not listen yet.
const TRIES_MAX: u32 = 20;

/// How long it waits between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// What the rollout does now, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(pub String);

/// Gives an order to the process that walks a rollout.
///
/// # Errors
/// When nobody takes it.
pub async fn order(directory: &Directory, rollout: &str, order: Order) -> Result<Answer, ControlError> {
    let stream = connect(directory, rollout).await?;
    // The other side may take so long to read, to decide and to write.
    let within = LINE_DEADLINE + ANSWER_DEADLINE + LINE_DEADLINE;
    let line = timeout(within, ask(stream, order)).await.map_err(|_| ControlError::timed_out())?;
    let line = line.map_err(|error| ControlError::Unreadable(error.to_string()))?;
    match message::read_answer(&line).map_err(ControlError::Unreadable)? {
        Ok(sentence) => Ok(Answer(sentence)),
        Err(cause) => Err(ControlError::Refused(cause)),
    }
}

async fn connect(directory: &Directory, rollout: &str) -> Result<UnixStream, ControlError> {
    let path = directory.socket(rollout);
    fits(&path)?;
    let mut tries = 0;
    loop {
        tries += 1;
        match UnixStream::connect(&path).await {
            Ok(stream) => return Ok(stream),
            Err(source) if tries == TRIES_MAX => return Err(ControlError::Nobody { path, source }),
            Err(_) => sleep(TRY_AGAIN).await,
        }
    }
}

async fn ask(mut stream: UnixStream, order: Order) -> io::Result<String> {
    stream.write_all(message::request(order).as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream).take(LINE_MAX).read_line(&mut line).await?;
    Ok(line)
}
