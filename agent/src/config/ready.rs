//! When a new generation counts as ready: the table `ready` of a service.
//!
//! Each key is a condition, and all that are given must hold. They are asked in the order of [`Condition`]: the cheap ones before
//! those that cost the service something.
//!
//! **Invariant:** there is at least one condition, and notify is never the only one.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_proto::document::{Notes, Table};

use super::command::command;
use super::has;
use super::path::{self, Claims, shown};
use super::url;
use super::value::{HOUR, SECOND, bounded};

const WITHIN: Duration = Duration::from_mins(1);
const SETTLE: Duration = Duration::from_secs(3);

/// More workers than a server has that can be waited for.
const WORKERS_MAX: usize = 1_024;
/// A wanted text is looked for in the beginning of a body only: a longer one would never be found.
const BODY_BYTES_MAX: usize = 1_024;
/// A longer one is no header.
const HEADER_BYTES_MAX: usize = 1_024;
/// More than any list of status codes that somebody types.
const STATUSES_MAX: usize = 16;
/// The name of a gRPC service.
const GRPC_SERVICE_BYTES_MAX: usize = 256;

/// When a new generation counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// All of these must hold, at least one.
    pub conditions: Vec<Condition>,
    /// How long the new generation may take, from the signal on.
    pub within: Duration,
    /// For how long it must then stay ready.
    pub settle: Duration,
}

impl Ready {
    /// Where the processes of a service say that they are ready, if that is a condition.
    pub fn notify_path(&self, state: &Path, service: &str) -> Option<PathBuf> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Notify(path) => Some(path.clone().unwrap_or_else(|| state.join(format!("{service}.notify")))),
            Condition::Workers(_) | Condition::Tcp(_) | Condition::Http { .. } | Condition::Grpc { .. } | Condition::Exec(_) => {
                None
            }
        })
    }
}

/// One thing that must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// So many processes of the new generation hold the lock, its master not counted, and go on doing so.
    Workers(NonZeroUsize),
    /// A living process of it has sent `READY=1`, to a socket at this path, or at the usual one.
    Notify(Option<PathBuf>),
    /// A process of it accepts a connection.
    Tcp(Place),
    /// A process of it answers a GET over plain HTTP.
    Http {
        /// Where to connect.
        place: Place,
        /// The Host header.
        host: String,
        /// The path and query.
        path: String,
        /// The answer that counts.
        wanted: Wanted,
    },
    /// A process of it says by the gRPC health protocol that it serves.
    Grpc {
        /// Where to connect.
        place: Place,
        /// The service that is asked about; empty for the whole server.
        service: String,
    },
    /// A program, with its arguments, ends with 0.
    Exec(Vec<String>),
}

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address of this host, such as `127.0.0.1:8080`.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// One of these.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What the body must contain.
    pub body: Option<String>,
    /// A header that must be there, by its name and its value.
    pub header: Option<(String, String)>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { statuses: vec![200..=299], body: None, header: None }
    }
}

/// Reads the table. What is filled in for a value that was wrong is never seen, as elsewhere.
pub(super) fn ready(service: &mut Table<'_>, notes: &mut Notes, claims: &mut Claims) -> Option<Ready> {
    if !has(service, "ready") {
        service.wrong(notes, "ready is missing: such as { http = \"http://127.0.0.1:8080/up\" }");
    }
    let mut table = service.table(notes, "ready")?;
    let conditions = conditions(&mut table, notes, claims);
    let within = bounded(&mut table, notes, "within", WITHIN, SECOND, HOUR);
    let settle = bounded(&mut table, notes, "settle", SETTLE, Duration::ZERO, 10 * Duration::from_mins(1));
    if settle < SECOND && conditions.as_ref().is_some_and(|conditions| matches!(conditions[0], Condition::Workers(_))) {
        table.wrong(notes, "workers takes a settle time of 1 s or more: in less a loop of crashes looks like workers that stay");
    }
    table.finish(notes);
    Some(Ready { conditions: conditions?, within, settle })
}

/// The conditions, at least one; none when a key is wrong or there is none.
fn conditions(table: &mut Table<'_>, notes: &mut Notes, claims: &mut Claims) -> Option<Vec<Condition>> {
    let is_asked = ["workers", "tcp", "http", "grpc", "exec", "https", "unix", "file"].iter().any(|key| has(table, key));
    for (key, what) in [
        ("https", "a https probe is not supported yet; http is"),
        ("unix", "is no condition: write tcp = \"unix:/run/web.sock\" or http = \"unix:/run/web.sock:/up\""),
        ("file", "a file probe is not supported: whoever was killed leaves it behind; notify, http and workers are"),
    ] {
        table.unsupported(notes, key, what);
    }
    let workers = table.scalar(notes, "workers").and_then(|given| given.try_map(notes, |text| workers(&text)));
    let notify = notify(table, notes, claims);
    let tcp = table.text(notes, "tcp").and_then(|given| given.try_map(notes, |text| place(&text)));
    let http = http(table, notes);
    let grpc = grpc(table, notes);
    let exec = table.words(notes, "exec").and_then(|given| given.try_map(notes, command));
    let (workers, tcp, exec) = (workers.map(Condition::Workers), tcp.map(Condition::Tcp), exec.map(Condition::Exec));
    let given: Vec<Condition> = [workers, notify, tcp, http, grpc, exec].into_iter().flatten().collect();
    match given.as_slice() {
        // What was wrong with one that is there was told.
        [] if !is_asked => table.wrong(
            notes,
            "has no condition: at least one of workers, tcp, http, grpc, exec is wanted, such as http = \"http://127.0.0.1:8080/up\"",
        ),
        [Condition::Notify(_)] if !is_asked => table.wrong(
            notes,
            "notify is the only condition, and proves too little: gunicorn sends READY=1 even when its application is broken and dies \
             a moment later; add workers, tcp, http, grpc or exec",
        ),
        [] | [_, ..] => {}
    }
    (!given.is_empty()).then_some(given)
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= WORKERS_MAX);
    number.ok_or_else(|| format!("{:?} is not a number of workers from 1 to {WORKERS_MAX}", shown(text)))
}

fn notify(table: &mut Table<'_>, notes: &mut Notes, claims: &mut Claims) -> Option<Condition> {
    let key = format!("{}.notify", table.key());
    let given = table.scalar_or_flag(notes, "notify").filter(|given| given.value != "false")?;
    given.try_map(notes, |text| {
        if text == "true" {
            return Ok::<_, String>(Condition::Notify(None));
        }
        let path = path::absolute(&text, path::SOCKET_LENGTH_MAX)?;
        claims.claim(&path, &key)?;
        Ok(Condition::Notify(Some(path)))
    })
}

/// The condition; none when there is none, or something is wrong with it, which was told then.
fn http(table: &mut Table<'_>, notes: &mut Notes) -> Option<Condition> {
    if !has(table, "http") {
        for key in ["status", "body", "header"] {
            table.unsupported(notes, key, "is for an http probe, and there is none");
        }
    }
    let url = table.text(notes, "http").and_then(|given| given.try_map(notes, |text| url::http(&text)));
    let mut wanted = Wanted::default();
    if let Some(given) = table.list(notes, "status") {
        wanted.statuses = given.try_map(notes, |words| statuses(&words)).unwrap_or_default();
    }
    wanted.body = table.text(notes, "body").and_then(|given| given.try_map(notes, body));
    wanted.header = table.text(notes, "header").and_then(|given| given.try_map(notes, |text| header(&text)));
    let (place, host, path) = url?;
    Some(Condition::Http { place, host, path, wanted })
}

fn statuses(words: &[String]) -> Result<Vec<RangeInclusive<u16>>, String> {
    if words.is_empty() || words.len() > STATUSES_MAX {
        return Err(format!("has {} entries, wanted 1 to {STATUSES_MAX}", words.len()));
    }
    let code = |text: &str| text.parse().ok().filter(|code: &u16| text.len() == 3 && (100..=599).contains(code));
    let range = |word: &String| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let range = code(first).zip(code(last)).filter(|(first, last)| first <= last);
        range
            .map(|(first, last)| first..=last)
            .ok_or_else(|| format!("{:?} is neither a status such as \"200\" nor a range such as \"200-299\"", shown(word)))
    };
    words.iter().map(range).collect()
}

fn body(text: String) -> Result<String, String> {
    if text.is_empty() || text.len() > BODY_BYTES_MAX {
        return Err(format!("has {} bytes, wanted 1 to {BODY_BYTES_MAX}", text.len()));
    }
    Ok(text)
}

fn header(text: &str) -> Result<(String, String), String> {
    let not_one = || format!("{:?} is not a header such as \"X-Release: v2\"", shown(text));
    let (name, value) = text.split_once(':').ok_or_else(not_one)?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_name || text.len() > HEADER_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(not_one());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn grpc(table: &mut Table<'_>, notes: &mut Notes) -> Option<Condition> {
    if !has(table, "grpc") {
        table.unsupported(notes, "grpc-service", "is for a grpc probe, and there is none");
    }
    let place = table.text(notes, "grpc").and_then(|given| given.try_map(notes, |text| place(&text)));
    let service = table.text(notes, "grpc-service").and_then(|given| {
        given.try_map(notes, |text| {
            let is_name = text.len() <= GRPC_SERVICE_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
            if is_name { Ok(text) } else { Err(format!("{:?} is not the name of a gRPC service", shown(&text))) }
        })
    });
    Some(Condition::Grpc { place: place?, service: service.unwrap_or_default() })
}

fn place(text: &str) -> Result<Place, String> {
    match text.strip_prefix("unix:") {
        Some(path) => Ok(Place::Unix(path::absolute(path, path::SOCKET_LENGTH_MAX)?)),
        None => url::address(text, None).map(Place::Tcp),
    }
}

#[cfg(test)]
mod tests;
