//! What it costs to know who holds a lock: the census of a server of nine processes on a host with a thousand others.
//!
//! In turns: the bare minimum, which knows each process and descriptor and reads that one file of each; the census of those that are
//! related to the master; the same with the kernel's list of locks. Then, a few times, a walk over everybody.

use std::fs;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Duration;

use baton_agent::os::family::{self, Known, Memory};
use baton_agent::os::lock;
use baton_proto::custody::FileIdentity;
use baton_tests::sandbox::Sandbox;
use baton_tests::{address, binaries, clock, wait};

use crate::bare::Place;
use crate::process::Owned;
use crate::report;
use crate::spread::Spread;

const WORKERS: usize = 8;
const OTHERS: usize = 1_000;
const ROUNDS: usize = 2_000;
const WALKS: usize = 50;
const SOON: Duration = Duration::from_mins(1);
/// At p50, in microseconds.
const AIM: f64 = 200.0;

/// What each kind of rounds has measured.
#[derive(Debug, Default)]
struct Measured {
    bare: Vec<Duration>,
    census: Vec<Duration>,
    hinted: Vec<Duration>,
    walk: Vec<Duration>,
}

/// Measures and reports.
pub(crate) fn run() {
    let sandbox = Sandbox::new();
    let place = Place::make(&sandbox.path().join("site"));
    let server = server(&place);
    let others: Vec<Owned> = (0..OTHERS).map(|_| sleeper(&place)).collect();
    let file = lock::identity(&place.lock()).expect("the lock file is there");
    let known = known(server.pid(), file);
    let (mut measured, mut memory) = (Measured::default(), Memory::default());
    for _ in 0..ROUNDS {
        measured.bare.push(timed(|| read(&known)));
        measured.census.push(timed(|| count(server.pid(), file, &mut memory)));
        measured.hinted.push(timed(|| {
            black_box(lock::takers(file));
            count(server.pid(), file, &mut memory)
        }));
    }
    for _ in 0..WALKS {
        measured.walk.push(timed(|| family::walk(&[file]).len()));
    }
    tell(&measured, others.len());
}

/// A patient with eight workers.
fn server(place: &Place) -> Owned {
    let listen = address::with_free_port(address::next()).expect("an address of our own has free ports");
    let release = place.pidfile().with_extension("release");
    fs::write(&release, "v1").expect("a file in the sandbox can be written");
    let mut command = Command::new(binaries::find("patient"));
    command.arg("--listen").arg(listen.to_string()).arg("--pidfile").arg(place.pidfile()).arg("--release").arg(release);
    command.arg("--faults").arg(place.pidfile().with_extension("faults")).arg("--workers").arg(WORKERS.to_string());
    command.stdin(Stdio::null()).stdout(place.log()).stderr(place.log());
    let server = Owned::start(command);
    wait::until("the server to have its workers", SOON, || {
        let file = lock::identity(&place.lock()).map_err(|error| error.to_string())?;
        let found = family::holders(known_by(server.pid()), file, &mut Memory::default()).len();
        if found == WORKERS + 1 { Ok(()) } else { Err(format!("{found} holders")) }
    });
    server
}

fn sleeper(place: &Place) -> Owned {
    let mut command = Command::new("sleep");
    command.arg("86400").stdin(Stdio::null()).stdout(place.log()).stderr(place.log());
    Owned::start(command)
}

fn known_by(master: u32) -> Known<'static> {
    Known { master: Some(master), others: &[] }
}

/// The fdinfo of each holder's lock.
fn known(master: u32, file: FileIdentity) -> Vec<String> {
    let holders = family::holders(known_by(master), file, &mut Memory::default());
    let path = |pid: u32| {
        let numbers = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it lives").flatten();
        let paths = numbers.map(|entry| entry.path().display().to_string());
        let is_locked = |path: &String| fs::read_to_string(path).is_ok_and(|text| text.contains("FLOCK  ADVISORY  READ"));
        paths.into_iter().find(is_locked).expect("it holds the lock")
    };
    holders.iter().map(|holder| path(holder.process.pid)).collect()
}

fn read(paths: &[String]) -> usize {
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.filter(|text| text.contains("FLOCK  ADVISORY  READ")).count()
}

fn count(master: u32, file: FileIdentity, memory: &mut Memory) -> usize {
    family::holders(known_by(master), file, memory).len()
}

/// How long it takes to find all nine.
fn timed(find: impl FnOnce() -> usize) -> Duration {
    let began = clock::now();
    let found = find();
    let took = began.elapsed();
    assert_eq!(found, WORKERS + 1, "the holders of the lock");
    took
}

fn tell(measured: &Measured, others: usize) {
    let Measured { bare, census, hinted, walk } = measured;
    let [base, census, hinted, walk] = [bare, census, hinted, walk].map(Spread::microseconds);
    report::title(
        "census: who holds the lock of a server",
        &[format!("in microseconds; a master with {WORKERS} workers, and {others} other processes; rounds alternate")],
    );
    report::head("", &["n", "p50", "p90", "max", "p50 ratio"]);
    row("nine files of fdinfo, known before, read bare", &base, &base);
    row("the census of the master's relatives", &census, &base);
    row("the same, and the kernel's list of locks as a hint", &hinted, &base);
    row("a walk over every process", &walk, &base);
    report::gap();
    let met = if census.median() < AIM { "met" } else { "MISSED" };
    report::note(&format!("aim: the census in less than {AIM} at p50: {met}"));
}

fn row(what: &str, spread: &Spread, base: &Spread) {
    let figures = [spread.median(), spread.percentile(90), spread.most()].map(|figure| format!("{figure:.0}"));
    let ratio = format!("{:.2}", spread.median() / base.median());
    report::row(what, &[vec![spread.count().to_string()], figures.to_vec(), vec![ratio]].concat());
}
