//! One HTTP exchange over a connection that is given, by std alone: so that every failure is ours to name.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Longer headers or bodies are malformed.
const BYTES_MAX: u64 = 64 * 1024;

/// What our applications answer: who served it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// The release.
    pub release: String,
    /// The worker.
    pub pid: u32,
    /// Its master.
    pub master: u32,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Whether the server said that it closes the connection.
    pub closes: bool,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection ended before the first byte of the answer.
    #[error("the connection ended before an answer")]
    EndBefore,
    /// The connection ended in the middle of the answer.
    #[error("the connection ended within an answer")]
    EndWithin,
    /// The answer is no HTTP that we know.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Sends one GET and reads its answer.
///
/// # Errors
/// When no whole answer came.
pub fn exchange(stream: &TcpStream, path: &str, keep_alive: bool) -> Result<Reply, Broken> {
    send(stream, path, keep_alive)?;
    receive(stream)
}

/// Sends one GET.
///
/// # Errors
/// When it cannot be sent.
pub fn send(mut stream: &TcpStream, path: &str, keep_alive: bool) -> io::Result<()> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes())
}

/// Reads the answer to what was sent.
///
/// # Errors
/// When no whole answer came.
pub fn receive(stream: &TcpStream) -> Result<Reply, Broken> {
    read_reply(BufReader::new(stream.take(BYTES_MAX)))
}

/// The server answers one request at a time, so nothing of a later answer is ever buffered and lost.
fn read_reply(mut reader: impl BufRead) -> Result<Reply, Broken> {
    let first = read_line(&mut reader)?.ok_or(Broken::EndBefore)?;
    let malformed = || Broken::Malformed(first.clone());
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).ok_or_else(malformed)?;
    let status = status.parse().map_err(|_| malformed())?;
    let (mut length, mut closes) = (None, false);
    loop {
        let line = read_line(&mut reader)?.ok_or(Broken::EndWithin)?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok(),
            "connection" => closes = value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let length: usize = length.ok_or_else(|| Broken::Malformed("no Content-Length".to_owned()))?;
    let mut body = vec![0; length];
    reader
        .read_exact(&mut body)
        .map_err(|error| if error.kind() == io::ErrorKind::UnexpectedEof { Broken::EndWithin } else { Broken::Io(error) })?;
    let body = String::from_utf8(body).map_err(|_| Broken::Malformed("a body that is no text".to_owned()))?;
    Ok(Reply { status, body, closes })
}

/// A line without its end; none at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> Result<Option<String>, Broken> {
    let mut line = String::new();
    match reader.read_line(&mut line)? {
        0 => Ok(None),
        _ if line.ends_with('\n') => Ok(Some(line.trim_end().to_owned())),
        _ => Err(Broken::EndWithin),
    }
}

impl Answer {
    /// Reads the body `release pid ppid`.
    pub fn read(body: &str) -> Option<Self> {
        let mut words = body.split_whitespace();
        let answer =
            Self { release: words.next()?.to_owned(), pid: words.next()?.parse().ok()?, master: words.next()?.parse().ok()? };
        words.next().is_none().then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Broken, Reply, read_reply};

    fn check(text: &str) -> Result<Reply, Broken> {
        read_reply(text.as_bytes())
    }

    #[test]
    fn a_whole_answer_is_read() {
        let reply = check("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nv1 7 5\n").unwrap();
        assert_eq!(reply, Reply { status: 200, body: "v1 7 5\n".to_owned(), closes: true });
        assert_eq!(Answer::read(&reply.body), Some(Answer { release: "v1".to_owned(), pid: 7, master: 5 }));
    }

    #[test]
    fn a_broken_answer_says_where_it_broke() {
        assert!(matches!(check(""), Err(Broken::EndBefore)));
        assert!(matches!(check("HTTP/1.1 200"), Err(Broken::EndWithin)));
        assert!(matches!(check("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"), Err(Broken::EndWithin)));
        assert!(matches!(check("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nv1"), Err(Broken::EndWithin)));
        assert!(matches!(check("HTTP/1.1 200 OK\r\n\r\n"), Err(Broken::Malformed(_))));
        assert!(matches!(check("SSH-2.0-x\r\n"), Err(Broken::Malformed(_))));
    }
}
