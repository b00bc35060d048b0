//! Five reloads under load, with requests of two seconds in flight at each signal; the same by hand beside it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use baton_tests::deployed::children;
use baton_tests::fleet::Timing;
use baton_tests::load::{Failure, Load, Mix, Tally};
use baton_tests::sandbox::Sandbox;
use baton_tests::server::{self, Release, Server};
use baton_tests::{address, wait};

use super::request::Request;
use super::row::tell;
use super::stage::{SOON, Stage};
use super::{ByHand, Case};

const RELOADS: usize = 5;
const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(30), settle: Duration::from_millis(300), drain_within: Duration::from_secs(30) };
/// Requests that are in flight at each signal: every worker has one, where a worker has no more than one.
const IN_FLIGHT: usize = 2;
/// Clients on new connections; each asks again after so long.
const CLIENTS: usize = 3;
const PACE: Duration = Duration::from_millis(20);

/// What became of the requests in five reloads.
#[derive(Debug)]
struct Met {
    tally: Tally,
    /// Why requests that were in flight at a signal were not answered.
    in_flight: Vec<String>,
}

impl Met {
    /// On a connection that had served before: whoever keeps one has to be ready for that.
    fn cut(&self) -> u64 {
        self.tally.failed_by(Failure::ResetOnReused) + self.tally.failed_by(Failure::EndOnReused)
    }

    fn lost(&self) -> u64 {
        self.tally.failed() - self.cut() + u64::try_from(self.in_flight.len()).expect("a few")
    }
}

/// What was seen, in words: of the reloads, and of the requests.
pub(super) fn under_load(case: &Case) -> [String; 2] {
    let (baton, hand) = thread::scope(|scope| {
        let hand = scope.spawn(|| by_hand(case));
        (by_baton(case), hand.join().expect("it can be reloaded by hand"))
    });
    tell(case, &format!("five reloads by Baton: {}; by hand: {}", baton.tally, hand.tally));
    let both = format!("by Baton {baton:?}, by hand {hand:?}");
    assert_eq!(baton.lost(), 0, "{both}");
    // A reload can cut a connection once.
    let most = if case.may_cut { u64::try_from(case.kept_connections * RELOADS).expect("a few") } else { 0 };
    assert!(baton.cut() <= most, "{both}");
    let lost = if case.may_cut { "none, but a kept connection may be cut" } else { "none" };
    // Each was asserted where it was seen.
    [format!("{RELOADS} of {RELOADS} `Kept`, marked"), lost.to_owned()]
}

fn by_baton(case: &Case) -> Met {
    let mut stage = Stage::set(case, TIMING);
    let load = load(stage.server(), case);
    let mut in_flight = Vec::new();
    for _ in 0..RELOADS {
        let requests = requests(stage.server());
        let release = stage.deploy();
        let run = stage.reload();
        let testified = stage.testified();
        assert!(testified.is_kept_marked(), "{run}{}", testified.judged);
        assert_eq!(stage.serving(), Some(release), "{run}");
        in_flight.extend(unanswered(requests));
    }
    assert_eq!(stage.epoch(), 0, "{}", stage.status());
    Met { tally: load.stop(), in_flight }
}

fn by_hand(case: &Case) -> Met {
    let sandbox = Sandbox::new();
    let server = Server::start(case.kind, &sandbox.path().join("server"), address::next(), &Release::sound("v1"));
    let load = load(&server, case);
    let mut in_flight = Vec::new();
    for number in 0..RELOADS {
        let requests = requests(&server);
        reload_by_hand(&server, &format!("v{}", number + 2), case.by_hand);
        in_flight.extend(unanswered(requests));
    }
    Met { tally: load.stop(), in_flight }
}

fn requests(server: &Server) -> [Request; IN_FLIGHT] {
    std::array::from_fn(|_| Request::send(server))
}

fn unanswered(requests: [Request; IN_FLIGHT]) -> impl Iterator<Item = String> {
    requests.into_iter().filter_map(|request| request.answer().err())
}

fn load(server: &Server, case: &Case) -> Load {
    let mix = Mix { keep_alive: case.kept_connections, close: CLIENTS, pace: PACE, long: 0, long_for: Duration::ZERO };
    Load::start(&[server.address()], mix)
}

fn reload_by_hand(server: &Server, release: &str, by_hand: ByHand) {
    let old = server.master().expect("it serves");
    let workers = children(old);
    server.deploy(&Release::sound(release));
    server::signal(old, by_hand.reload());
    wait::until("the new release", SOON, || match server.ask("/") {
        Ok(answer) if answer.release == release => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let leaving = match by_hand {
        ByHand::InPlace(_) => workers,
        ByHand::Beside(_, retire) => {
            server::signal(old, retire);
            vec![old]
        }
    };
    wait::until("the old generation to leave", SOON, || {
        let is_there = |pid: &&u32| Path::new(&format!("/proc/{pid}")).exists();
        let there: Vec<&u32> = leaving.iter().filter(is_there).collect();
        if there.is_empty() && server.master().is_ok() { Ok(()) } else { Err(format!("{there:?} are there")) }
    });
}
