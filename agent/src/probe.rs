//! One readiness probe: who answered, and what.
//!
//! An old process that answers the probe is the classic false success. So the probe connects, sends all but the end of its
//! request, asks the kernel which process holds the other end of the connection, and only then completes it.
//!
//! **Invariant:** an answer counts as the new generation's only when a process of it held the connection.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use baton_proto::custody::Image;
use baton_proto::span::Span;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::config::Probe;
use crate::handover::Answer;
use crate::os::{process, socket};

/// How long one probe may take from connect to answer.
const WITHIN: Duration = Duration::from_secs(5);
/// How many requests one probe may send, each when the old generation has taken the one before.
const REQUESTS_MAX: usize = 8;
/// After this it sends no further one: a service that answers slowly, or boots for a minute, is not to be kept busy by being asked.
const REQUESTS_WITHIN: Duration = Duration::from_millis(20);
/// The first pause while nobody has accepted the connection; it doubles.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_micros(500);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_millis(20);
/// More than any status line.
const STATUS_LINE_BYTES_MAX: usize = 512;

/// The two generations between which the probe has to tell.
#[derive(Debug, Clone)]
pub enum Sides {
    /// Each has a master.
    Masters {
        /// The old master.
        old: u32,
        /// The new master.
        new: u32,
    },
    /// They have one master.
    Workers {
        /// The master.
        master: u32,
        /// The processes of before.
        old: BTreeSet<u32>,
        /// What the master ran before, if its new workers run something else.
        image: Option<Image>,
    },
}

/// How much a probe may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eagerness {
    /// The new generation cannot be expected to answer yet: one request.
    Patient,
    /// It can: a few, if the old one takes them.
    Eager,
}

/// What a probe found, and who answered.
#[derive(Debug)]
pub struct Probed {
    /// What it means.
    pub answer: Answer,
    /// Who held the other end, where that could be told.
    pub answered_by: Option<u32>,
}

enum Holder {
    New(u32),
    Old(u32),
    Stranger,
}

impl Probed {
    fn is_of_old(&self) -> bool {
        matches!(self.answer, Answer::Elsewhere(_)) && self.answered_by.is_some()
    }
}

/// Probes once: with a few requests, if the old generation takes them.
///
/// Which worker takes a connection is the kernel's choice, and we saw the same old one take every probe for more than a second. So the
/// next request is sent while that one is still busy with the last, in the hope that another is then faster: why it wins was not traced.
pub async fn probe(probe: &Probe, sides: Sides, eagerness: Eagerness) -> Probed {
    let requests_max = match eagerness {
        Eagerness::Patient => 1,
        Eagerness::Eager => REQUESTS_MAX,
    };
    let began = Instant::now();
    let (taken, mut taken_by_old) = mpsc::channel(REQUESTS_MAX);
    let mut asked = JoinSet::new();
    asked.spawn(ask(probe.clone(), sides.clone(), taken.clone()));
    let mut requests = 1;
    loop {
        tokio::select! {
            biased;
            Some(()) = taken_by_old.recv(), if requests < requests_max && began.elapsed() < REQUESTS_WITHIN => {
                asked.spawn(ask(probe.clone(), sides.clone(), taken.clone()));
                requests += 1;
            }
            Some(probed) = asked.join_next() => {
                let probed = probed.unwrap_or_else(|error| elsewhere(error.to_string()));
                if !probed.is_of_old() || asked.is_empty() {
                    // Whoever has taken a request gets all of it.
                    asked.detach_all();
                    return probed;
                }
            }
        }
    }
}

fn elsewhere(cause: String) -> Probed {
    Probed { answer: Answer::Elsewhere(cause), answered_by: None }
}

async fn ask(probe: Probe, sides: Sides, taken_by_old: mpsc::Sender<()>) -> Probed {
    let Probe::Http { address, host, path } = probe;
    let deadline = Instant::now() + WITHIN;
    let attempt = timeout_at(deadline, http(address, &host, &path, &sides, &taken_by_old));
    match attempt.await {
        Ok(Ok(probed)) => probed,
        Ok(Err(error)) => elsewhere(format!("{address}: {error}")),
        Err(_) => elsewhere(format!("{address}: nobody took the request within {}", Span(WITHIN))),
    }
}

async fn http(
    address: SocketAddr,
    host: &str,
    path: &str,
    sides: &Sides,
    taken_by_old: &mpsc::Sender<()>,
) -> std::io::Result<Probed> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: baton-agent\r\nConnection: close\r\n");
    connection.write_all(request.as_bytes()).await?;
    let Some(holder) = holder(&connection, sides).await? else {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    };
    if matches!(holder, Holder::Old(_)) {
        // The probe listens until it has its answer.
        let _ = taken_by_old.try_send(());
    }
    let status = timeout_at(Instant::now() + WITHIN / 2, complete(&mut connection)).await;
    let (ready, told) = match status {
        Ok(Ok(line)) => verdict(&line),
        Ok(Err(error)) => (false, format!("no answer ({error})")),
        Err(_) => (false, "the request was taken and not answered".to_owned()),
    };
    Ok(match holder {
        Holder::New(pid) if ready => Probed { answer: Answer::Ready(format!("{told} from {pid}")), answered_by: Some(pid) },
        Holder::New(pid) => Probed { answer: Answer::Failing(format!("{told} from {pid}")), answered_by: Some(pid) },
        Holder::Old(pid) => {
            Probed { answer: Answer::Elsewhere(format!("{told} from {pid} of the old generation")), answered_by: Some(pid) }
        }
        Holder::Stranger => {
            let told =
                format!("{told} from a process that is not seen to be of the service, such as a proxy: probe the server itself");
            Probed { answer: Answer::Elsewhere(told), answered_by: None }
        }
    })
}

/// Who accepted the connection; none when it was closed meanwhile.
async fn holder(connection: &TcpStream, sides: &Sides) -> std::io::Result<Option<Holder>> {
    let (server, ours) = (connection.peer_addr()?, connection.local_addr()?);
    let mut pause = ACCEPT_PAUSE_MIN;
    loop {
        match socket::inode(server, ours)? {
            None => return Ok(None),
            // It waits in the listener's queue: nothing tells when a worker takes it.
            Some(0) => {
                // Before the request is whole there is nothing to read but the end of the connection.
                if timeout_at(Instant::now() + pause, connection.readable()).await.is_ok() {
                    return Ok(None);
                }
            }
            Some(inode) => return Ok(Some(owner(inode, sides))),
        }
        pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
    }
}

fn owner(inode: u64, sides: &Sides) -> Holder {
    let among = |master: u32, other: Option<u32>| {
        let below = process::descendants(master, other).into_iter().map(|process| process.pid);
        below.chain([master]).find(|pid| process::has_socket(*pid, inode))
    };
    match sides {
        // The new master may be a child of the old one: each is asked without the other.
        Sides::Masters { old, new } => match among(*new, Some(*old)) {
            Some(pid) => Holder::New(pid),
            None => among(*old, Some(*new)).map_or(Holder::Stranger, Holder::Old),
        },
        Sides::Workers { master, old, image } => match among(*master, None) {
            Some(pid) if is_of_before(pid, old, *image) => Holder::Old(pid),
            Some(pid) => Holder::New(pid),
            None => Holder::Stranger,
        },
    }
}

/// Whether a process was there before, or was forked by one that still ran what the master ran before. One that cannot be
/// told counts as of before.
fn is_of_before(pid: u32, old: &BTreeSet<u32>, image: Option<Image>) -> bool {
    old.contains(&pid) || image.is_some_and(|image| process::image(pid).is_none_or(|now| now == image))
}

/// Sends the end of the request and reads the first line of the answer.
async fn complete(connection: &mut TcpStream) -> std::io::Result<String> {
    connection.write_all(b"\r\n").await?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < STATUS_LINE_BYTES_MAX {
        if connection.read_buf(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    Ok(String::from_utf8_lossy(&line[..end]).trim_end().to_owned())
}

/// Whether a status line is the wanted one, and what to say of it.
fn verdict(line: &str) -> (bool, String) {
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    match words.next().and_then(|word| word.parse::<u16>().ok()) {
        Some(status @ 100..600) if is_http => ((200..300).contains(&status), status.to_string()),
        Some(_) | None => (false, "something that is not HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Eagerness, Sides, probe, verdict};
    use crate::config::Probe;
    use crate::handover::Answer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[test]
    fn only_a_2xx_is_ready() {
        for (line, ready) in [
            ("HTTP/1.1 200 OK", true),
            ("HTTP/1.0 204", true),
            ("HTTP/1.1 302 Found", false),
            ("HTTP/1.1 503 Service Unavailable", false),
            ("SSH-2.0-OpenSSH 200", false),
            ("HTTP/1.1 2000 OK", false),
            ("", false),
        ] {
            assert_eq!(verdict(line).0, ready, "{line}");
        }
    }

    /// Probes a server in this process, which plays the master of one generation.
    async fn answered(sides: Sides, status: &'static str) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let http = Probe::Http { address, host: "localhost".into(), path: "/up".into() };
        tokio::select! {
            probed = probe(&http, sides, Eagerness::Eager) => probed.answer,
            () = serve(&listener, status) => unreachable!("it serves for ever"),
        }
    }

    async fn serve(listener: &TcpListener, status: &str) {
        loop {
            let (mut connection, _) = listener.accept().await.expect("accept");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                connection.read_buf(&mut request).await.expect("read");
            }
            connection.write_all(status.as_bytes()).await.expect("write");
            connection.shutdown().await.expect("shutdown");
        }
    }

    #[tokio::test]
    async fn who_answered_decides_what_it_means() {
        let (us, nobody) = (std::process::id(), u32::MAX);
        let ok = "HTTP/1.1 200 OK\r\n\r\n";
        let new = Sides::Masters { old: nobody, new: us };
        let old = Sides::Masters { old: us, new: nobody };
        let stranger = Sides::Masters { old: nobody, new: nobody };
        assert_eq!(answered(new.clone(), ok).await, Answer::Ready(format!("200 from {us}")));
        assert_eq!(answered(new, "HTTP/1.1 503 No\r\n\r\n").await, Answer::Failing(format!("503 from {us}")));
        assert_eq!(answered(old, ok).await, Answer::Elsewhere(format!("200 from {us} of the old generation")));
        assert!(
            matches!(answered(stranger, ok).await, Answer::Elsewhere(told) if told.contains("not seen to be of the service"))
        );
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_says_nothing_of_the_new_generation() {
        let address = TcpListener::bind("127.0.0.1:0").await.expect("bind").local_addr().expect("address");
        let http = Probe::Http { address, host: "localhost".into(), path: "/up".into() };
        let probed = probe(&http, Sides::Masters { old: 1, new: 2 }, Eagerness::Eager).await;
        assert!(matches!(probed.answer, Answer::Elsewhere(cause) if cause.contains("refused")));
    }
}
