//! Reads the tables of `agent.toml`, noting what is wrong and reading on.
//!
//! **Invariant:** whatever is filled in for a value that was wrong is never seen: the mistake was noted, and a file with a
//! mistake yields no configuration.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use baton_proto::document::{Notes, Table};
use baton_proto::name;

use super::path::{self, Claims};
use super::value::{one_of, required, required_path, text_or};
use super::{Condition, Config, Service, Tls, dialect, drain, errand, has, memory, ready, release, start};

const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 7646));
const SOCKET: &str = "/run/baton/agent.sock";
const STATE: &str = "/var/lib/baton";

/// Each service costs a thread and some descriptors.
const SERVICES_MAX: usize = 256;
/// One at a time: what a handover needs of the host is then there for it.
const HANDOVERS: usize = 1;

/// Reads the root table.
pub(super) fn config(root: &mut Table<'_>, notes: &mut Notes) -> Option<Config> {
    let services = services(root, notes);
    if !has(root, "agent") {
        root.wrong(notes, "the table [agent] is missing");
    }
    let mut agent = root.table(notes, "agent")?;
    let fleet = required_name(&mut agent, notes, "fleet");
    let host = required_name(&mut agent, notes, "host");
    let listen = listen(&mut agent, notes);
    let socket = path_or(&mut agent, notes, "socket", SOCKET, path::SOCKET_LENGTH_MAX);
    let state = path_or(&mut agent, notes, "state", STATE, path::LENGTH_MAX);
    let handovers = handovers(&mut agent, notes);
    let tls = tls(&mut agent, notes);
    agent.finish(notes);
    let (fleet, host, listen, socket, state, tls) = (fleet?, host?, listen?, socket?, state?, tls?);
    Some(Config { fleet, host, listen, socket, state, handovers, tls, services })
}

/// How many handovers may be under way at once.
fn handovers(agent: &mut Table<'_>, notes: &mut Notes) -> usize {
    let Some(given) = agent.scalar(notes, "handovers") else { return HANDOVERS };
    let read = given.try_map(notes, |text| {
        let number = text.parse().ok().filter(|number| (1..=SERVICES_MAX).contains(number));
        number.ok_or_else(|| format!("{:?} is no number from 1 to {SERVICES_MAX}", path::shown(&text)))
    });
    read.unwrap_or(HANDOVERS)
}

fn required_name(table: &mut Table<'_>, notes: &mut Notes, key: &'static str) -> Option<String> {
    required(table, notes, key, |text| name::check(key, &text).map(|()| text))
}

fn listen(agent: &mut Table<'_>, notes: &mut Notes) -> Option<SocketAddr> {
    let Some(given) = agent.text(notes, "listen") else { return Some(LISTEN) };
    given.try_map(notes, |text| {
        text.parse().map_err(|_| format!("{:?} is not an IP address with a port, such as \"{LISTEN}\"", path::shown(&text)))
    })
}

fn path_or(table: &mut Table<'_>, notes: &mut Notes, key: &str, default: &str, length_max: usize) -> Option<PathBuf> {
    let Some(given) = table.text(notes, key) else { return Some(PathBuf::from(default)) };
    given.try_map(notes, |text| path::absolute(&text, length_max))
}

fn tls(agent: &mut Table<'_>, notes: &mut Notes) -> Option<Tls> {
    if !has(agent, "tls") {
        agent.wrong(notes, "the table [agent.tls] is missing");
    }
    let mut table = agent.table(notes, "tls")?;
    let certificate = required_path(&mut table, notes, "certificate");
    let key = required_path(&mut table, notes, "key");
    let authority = required_path(&mut table, notes, "authority");
    table.finish(notes);
    Some(Tls { certificate: certificate?, key: key?, authority: authority? })
}

/// Reads every `[service.NAME]`; those with a mistake are left out.
fn services(root: &mut Table<'_>, notes: &mut Notes) -> Vec<Service> {
    let is_there = has(root, "service");
    let Some(mut table) = root.table(notes, "service") else {
        if !is_there {
            root.wrong(notes, "there is no service: at least one table such as [service.web] is wanted");
        }
        return Vec::new();
    };
    let names = table.names();
    if names.is_empty() || names.len() > SERVICES_MAX {
        table.wrong(notes, format!("has {} services where 1 to {SERVICES_MAX} are wanted", names.len()));
    }
    let mut claims = Claims::default();
    let services = names.iter().filter_map(|name| service(&mut table, notes, name, &mut claims)).collect();
    table.finish(notes);
    services
}

fn service(services: &mut Table<'_>, notes: &mut Notes, name: &str, claims: &mut Claims) -> Option<Service> {
    let mut table = services.table(notes, name)?;
    if let Err(not_a_name) = name::check("service", name) {
        table.wrong(notes, not_a_name.to_string());
    }
    let dialect = dialect::dialect(&mut table, notes);
    let files = files(&mut table, notes, claims);
    let ready = ready::ready(&mut table, notes, claims);
    let drain = drain::drain(&mut table, notes);
    let memory = memory::memory(&mut table, notes);
    let allows_foreign_holders = foreign_holders(&mut table, notes);
    let errands = errand::errands(&mut table, notes, dialect.as_ref());
    let releases = release::releases(&mut table, notes);
    let start = start::read(&mut table, notes, dialect.as_ref());
    if let (Some(dialect), Some((pidfile, lock))) = (&dialect, &files) {
        dialect::keep_apart(&table, notes, dialect, pidfile, lock);
    }
    let is_anothers = start.as_ref().is_some_and(|start| start.user.is_some());
    if is_anothers && ready.as_ref().is_some_and(|ready| ready.conditions.contains(&Condition::Notify(None))) {
        let what = "ready.notify = true is a socket in the agent's own directory, where the user of `start` may not go: give it a path, \
                    such as \"/run/baton/web.notify\"";
        table.wrong(notes, what);
    }
    table.finish(notes);
    let (pidfile, lock) = files?;
    Some(Service {
        name: name.to_owned(),
        dialect: dialect?,
        pidfile,
        lock,
        ready: ready?,
        drain,
        memory,
        allows_foreign_holders,
        errands,
        releases,
        start,
    })
}

/// The pid file and the lock file, which are this service's alone.
fn files(table: &mut Table<'_>, notes: &mut Notes, claims: &mut Claims) -> Option<(PathBuf, PathBuf)> {
    let (pidfile_key, lock_key) = (format!("{}.pidfile", table.key()), format!("{}.lock", table.key()));
    let given_pidfile = table.text(notes, "pidfile");
    let given_pidfile = table.require(notes, "pidfile", given_pidfile);
    let given_lock = table.text(notes, "lock");
    let mut claim = |path: PathBuf, key: &str| claims.claim(&path, key).map(|()| path);
    let pidfile = given_pidfile
        .clone()
        .and_then(|given| given.try_map(notes, |text| claim(path::absolute(&text, path::LENGTH_MAX)?, &pidfile_key)));
    let lock = match given_lock {
        Some(given) => given.try_map(notes, |text| claim(path::absolute(&text, path::LENGTH_MAX)?, &lock_key)),
        // A lock beside a pid file that is wrong would be wrong for the same reason: once is enough.
        None if pidfile.is_none() => None,
        None => given_pidfile.and_then(|given| {
            given.try_map(notes, |text| {
                let lock = claim(path::absolute(&format!("{text}.lock"), path::LENGTH_MAX)?, &lock_key);
                lock.map_err(|what| format!("its default lock {text}.lock {what}"))
            })
        }),
    };
    Some((pidfile?, lock?))
}

fn foreign_holders(service: &mut Table<'_>, notes: &mut Notes) -> bool {
    text_or(service, notes, "foreign-holders", false, |text| one_of(text, &[("refuse", false), ("allow", true)]))
}
