//! The kernel's own ledger of locks beside the agent: what is called kept was never free.
//!
//! `BATON_HANDOVERS` says how many handovers there are to be, `BATON_SEED` repeats those of another run as far as the machine lets it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use baton_tests::controller::Run;
use baton_tests::deployed::signal;
use baton_tests::dice::Dice;
use baton_tests::fault::Fault;
use baton_tests::fleet::{Builder, Fleet, Host, SERVICE, Timing};
use baton_tests::ledger::{Account, Free, Ledger};
use baton_tests::sandbox::Sandbox;
use baton_tests::server::Kind;
use baton_tests::testified::{Testified, begin, local};
use baton_tests::{clock, wait};
use rustix::process::Signal;

const TIMING: Timing =
    Timing { ready_within: Duration::from_secs(20), settle: Duration::ZERO, drain_within: Duration::from_secs(20) };
const RUN_WITHIN: Duration = Duration::from_mins(1);

/// The ledger's times are in whole microseconds, rounded up or down.
const ROUNDED: Duration = Duration::from_micros(1);

/// How many handovers without the variable.
const HANDOVERS: usize = 1_000;
/// Of them, those of a whole fleet at once.
const WALKS: usize = 10;
const PATIENTS: usize = 6;
const UNICORNS: usize = 2;
/// One in so many is a handover of Unicorn, which takes a hundred times as long.
const UNICORNS_SHARE: usize = 25;
/// How long the old master is the only one who holds, where it is to let go and take again.
const RELOCK_WITHIN: Duration = Duration::from_millis(40);
/// How often the kernel's buffer is emptied.
const TAKE_DOWN_EVERY: Duration = Duration::from_millis(200);

#[test]
fn the_ledger_tells_a_lock_that_is_passed_on_from_one_that_is_dropped() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("lock");
    let open = || File::create(&path).expect("a file in the sandbox can be made");
    let (old, new) = (open(), open());
    let mut ledger = Ledger::open([&*path]).expect("a ledger");
    let mut account = || {
        ledger.take_down().expect("a ledger without a loss");
        ledger.account(&path).expect("an account")
    };
    old.lock_shared().expect("it is free");
    new.lock_shared().expect("shared is shared");
    let opened = now();
    let copy = old.try_clone().expect("a descriptor");
    drop(old);
    drop(copy);
    // Whoever looks at this process in /proc keeps the open file for a moment longer, and so the lock.
    wait::until("one of two to hold", RUN_WITHIN, || {
        if account().holders() == 1 { Ok(()) } else { Err(format!("{:?}", account())) }
    });
    let passed = now();
    assert_eq!(account().free_within(opened, passed), []);
    new.unlock().expect("ours");
    new.lock_shared().expect("it is free");
    let locked = now();
    drop(new);
    wait::until("nobody to hold", RUN_WITHIN, || if account().holders() == 0 { Ok(()) } else { Err(format!("{:?}", account())) });
    let [gap, last] = account().free_within(opened, now())[..] else { panic!("a gap and the end: {:?}", account()) };
    assert!(gap.from + ROUNDED >= passed && gap.to.is_some_and(|to| to <= locked + ROUNDED), "{gap}; {passed:?} to {locked:?}");
    assert!(matches!(last, Free { to: None, from } if from + ROUNDED >= locked), "{last}; {locked:?}");
    assert_eq!(account().free_within(opened, passed), []);
}

#[test]
fn a_thousand_random_handovers_are_kept_only_where_the_ledger_shows_no_free_moment() {
    let seed = variable("BATON_SEED").unwrap_or_else(|| u64::try_from(now().as_nanos()).expect("not so long after boot"));
    let handovers =
        variable("BATON_HANDOVERS").map_or(HANDOVERS, |number| usize::try_from(number).expect("a number of handovers"));
    say(&format!("BATON_SEED={seed} BATON_HANDOVERS={handovers}"));
    let (patients, unicorns) = (Sandbox::new(), Sandbox::new());
    let locks: Vec<PathBuf> = lock_files(&patients, PATIENTS).chain(lock_files(&unicorns, UNICORNS)).collect();
    let ledger = Ledger::open(locks.iter().map(PathBuf::as_path)).expect("a ledger");
    let patients = fleet(Fleet::of(PATIENTS).server(Kind::Patient), patients);
    let unicorns = fleet(Fleet::of(UNICORNS).server(Kind::Unicorn), unicorns);
    let (ledger, rounds) = beside(ledger, || {
        let mut rounds: Vec<Round> = (0..WALKS.min(handovers / PATIENTS)).flat_map(|_| walk(&patients)).collect();
        let (slow, fast) = (handovers / UNICORNS_SHARE, handovers - handovers / UNICORNS_SHARE - rounds.len());
        rounds.extend(thread::scope(|scope| {
            let slow = scope.spawn(|| side_by_side(&unicorns, seed ^ 1, slow));
            let fast = side_by_side(&patients, seed, fast);
            [fast, slow.join().expect("the rounds of Unicorn")].concat()
        }));
        rounds
    });
    let tally = weigh(&ledger, &rounds);
    say(&format!("{seed}: {tally}"));
    tally.is_as_it_should_be(rounds.len());
}

fn now() -> Duration {
    clock::since_boot().expect("a clock")
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().expect("a number");
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[expect(clippy::print_stderr, reason = "the harness shows it with the failed test, or with --nocapture")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// The lock files that the servers of a fleet will have: made before anybody holds them, so that the ledger begins with nothing.
fn lock_files(sandbox: &Sandbox, hosts: usize) -> impl Iterator<Item = PathBuf> + use<> {
    let root = sandbox.path().to_owned();
    (1..=hosts).map(move |number| {
        let directory = root.join(format!("web-{number}/server"));
        fs::create_dir_all(&directory).expect("a directory in the sandbox can be made");
        let lock = directory.join("unicorn.pid.lock");
        File::create(&lock).expect("a file in the sandbox can be made");
        lock
    })
}

fn fleet(builder: Builder, sandbox: Sandbox) -> Fleet {
    builder.timing(TIMING).log("info").start_in(sandbox)
}

/// Does `work` while the ledger is taken down beside it, to its end.
fn beside<T>(mut ledger: Ledger, work: impl FnOnce() -> T) -> (Ledger, T) {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let clerk = scope.spawn(move || {
            while is_done.recv_timeout(TAKE_DOWN_EVERY) == Err(RecvTimeoutError::Timeout) {
                ledger.take_down().expect("a ledger without a loss");
            }
            ledger.take_down().expect("a ledger without a loss");
            ledger
        });
        let result = work();
        drop(done);
        (clerk.join().expect("the ledger is whole"), result)
    })
}

/// What a server is told to do in a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Conduct {
    /// To keep the contract.
    Honest,
    /// To keep it, after a while.
    Late(Duration),
    /// To die before it takes the lock: the old generation stays.
    Stillborn,
    /// To leave before the new generation takes the lock.
    Gap(Duration),
    /// To unlock its own descriptor and lock it again so long after, before the new generation takes the lock: nobody can see it.
    Relock(Duration),
}

impl Conduct {
    fn at_random(dice: &mut Dice) -> Self {
        match dice.below(20) {
            0..10 => Self::Honest,
            10..14 => Self::Late(Duration::from_micros(dice.below(8_000))),
            14 => Self::Stillborn,
            15..17 => Self::Relock(Duration::from_micros(dice.pick(&[0, 100, 1_000, 10_000]))),
            _ => Self::Gap(Duration::from_micros(dice.pick(&[0, 100, 1_000, 10_000]))),
        }
    }

    fn faults(self) -> Vec<Fault> {
        match self {
            Self::Honest => Vec::new(),
            Self::Late(time) => vec![Fault::SlowBoot(time)],
            Self::Stillborn => vec![Fault::DieAtBoot],
            Self::Gap(gap) => vec![Fault::Gap(gap)],
            Self::Relock(gap) => vec![Fault::SlowBoot(RELOCK_WITHIN), Fault::Relock(gap)],
        }
    }

    fn hands_over_honestly(self) -> bool {
        matches!(self, Self::Honest | Self::Late(_))
    }
}

impl fmt::Display for Conduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Honest | Self::Late(_) => f.write_str("honest"),
            Self::Stillborn => f.write_str("stillborn"),
            Self::Gap(gap) => write!(f, "gap of {gap:?}"),
            Self::Relock(gap) => write!(f, "relock after {gap:?}"),
        }
    }
}

/// A handover that is over.
#[derive(Debug, Clone)]
struct Round {
    lock: PathBuf,
    conduct: Conduct,
    testified: Testified,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Testified { from, to, judged, .. } = &self.testified;
        write!(f, "{}, {}, window from {from:?} to {to:?}: {judged}", self.lock.display(), self.conduct)
    }
}

impl Round {
    /// Reads the testimony of the handover that was asked for after `asked`; `answer` is what was said to that.
    #[track_caller]
    fn of(fleet: &Fleet, host: &Host, conduct: Conduct, asked: Duration, answer: &Run) -> Self {
        let testified = Testified::last(fleet, host).filter(|testified| testified.from >= asked);
        let testified = testified.unwrap_or_else(|| panic!("{conduct} was not tried on {}: {answer}", host.name));
        Self { lock: host.server.lock(), conduct, testified }
    }
}

/// One restart of the whole fleet by the controller, all hosts at once.
fn walk(fleet: &Fleet) -> Vec<Round> {
    let asked = now();
    let all = fleet.hosts.len().to_string();
    let run = fleet.baton(&["restart", SERVICE, "--max-in-flight", &all, "--yes"]);
    assert!(run.code.is_some_and(|code| code != 1 && code != 2), "{run}");
    fleet.hosts.iter().map(|host| Round::of(fleet, host, Conduct::Honest, asked, &run)).collect()
}

/// So many handovers, shared among the hosts, each of which goes its own way.
fn side_by_side(fleet: &Fleet, seed: u64, handovers: usize) -> Vec<Round> {
    let hosts = fleet.hosts.len();
    thread::scope(|scope| {
        let start = |(number, host)| {
            let mut dice = Dice::new(seed.wrapping_add(u64::try_from(number).expect("few hosts") << 32));
            let own = (handovers + hosts - 1 - number) / hosts;
            scope.spawn(move || (0..own).map(|_| hand_over(fleet, host, &mut dice)).collect::<Vec<_>>())
        };
        let threads: Vec<_> = fleet.hosts.iter().enumerate().map(start).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("the rounds of a host")).collect()
    })
}

/// One handover, asked for on the host itself or by the controller.
fn hand_over(fleet: &Fleet, host: &Host, dice: &mut Dice) -> Round {
    wait::until("the lock to be held", RUN_WITHIN, || {
        let run = local(fleet, host, &["status", "--output", "json"]).expect_code(0);
        let status = &run.objects()[0];
        if status["lock"] == "held" && status["step"].is_null() && status["trouble"] == "" {
            Ok(())
        } else {
            Err(run.to_string())
        }
    });
    let conduct = if host.server.kind() == Kind::Patient { Conduct::at_random(dice) } else { Conduct::Honest };
    if host.server.kind() == Kind::Patient {
        host.server.set_faults(&conduct.faults());
    }
    let old = host.server.master().expect("its lock is held");
    let asked = now();
    let asking = if dice.below(5) == 0 {
        fleet.begin(&["restart", SERVICE, &host.name, "--yes"])
    } else {
        begin(fleet, host, &["reload", SERVICE, "--output", "json"])
    };
    if matches!(conduct, Conduct::Relock(_)) {
        wait::until("the new master to boot", RUN_WITHIN, || match host.server.master() {
            Ok(master) if master != old => Ok(()),
            other => Err(format!("{other:?}")),
        });
        signal(old, Signal::TTIN);
    }
    let answer = asking.finish(RUN_WITHIN);
    if matches!(conduct, Conduct::Relock(_)) {
        end(host, old);
    }
    Round::of(fleet, host, conduct, asked, &answer)
}

/// Ends a master that was seen to be without its lock, so that the agent left it alone, and that then has it again: there are two,
/// as its agent says until a person has ended one.
fn end(host: &Host, old: u32) {
    let directory = host.server.lock().parent().expect("it is in a directory").to_owned();
    let is_there = || fs::read_link(format!("/proc/{old}/cwd")).is_ok_and(|its| its == directory);
    if is_there() && host.server.master() != Ok(old) {
        signal(old, Signal::QUIT);
        wait::until("the old master to leave", RUN_WITHIN, || if is_there() { Err(old.to_string()) } else { Ok(()) });
    }
}

/// How many ended how, and what was wrong.
#[derive(Debug, Default)]
struct Tally {
    ended: BTreeMap<(String, String), usize>,
    /// Handovers in whose window the ledger shows a free moment, by what the server was told to do.
    free: BTreeMap<String, usize>,
    /// Handovers in which a server was without its lock and took it again on the same descriptor, by the ledger, and how many of them
    /// were called kept.
    relocked: BTreeMap<Duration, (usize, usize)>,
    honest: usize,
    kept: usize,
    false_claims: Vec<String>,
    doubts: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "of {} honest handovers {} were kept", self.honest, self.kept)?;
        for ((conduct, verdict), count) in &self.ended {
            writeln!(f, "{conduct:>20}: {verdict} {count}")?;
        }
        for (conduct, count) in &self.free {
            writeln!(f, "{conduct:>20}: free within the window, by the ledger, {count}")?;
        }
        for (gap, (relocked, unseen)) in &self.relocked {
            writeln!(f, "of {relocked} relocks of an own descriptor after {gap:?} {unseen} were seen by nobody")?;
        }
        Ok(())
    }
}

impl Tally {
    fn enter(&mut self, round: &Round, account: &Account) {
        let conduct = round.conduct.to_string();
        *self.ended.entry((conduct.clone(), round.testified.verdict.clone())).or_default() += 1;
        let free = account.free_within(round.testified.from, round.testified.to);
        if !free.is_empty() {
            *self.free.entry(conduct).or_default() += 1;
        }
        if let (Conduct::Relock(gap), false) = (round.conduct, free.is_empty()) {
            let (relocked, unseen) = self.relocked.entry(gap).or_default();
            *relocked += 1;
            *unseen += usize::from(round.testified.claims_custody());
        } else if !free.is_empty() && round.testified.claims_custody() {
            let stretches: Vec<String> = free.iter().map(ToString::to_string).collect();
            self.false_claims.push(format!("{round}: {}", stretches.join("; ")));
        }
        if round.conduct.hands_over_honestly() {
            self.honest += 1;
            self.kept += usize::from(round.testified.verdict == "kept");
            if round.testified.verdict != "kept" {
                self.doubts.push(round.to_string());
            }
        }
    }

    #[track_caller]
    fn is_as_it_should_be(&self, rounds: usize) {
        assert_eq!(self.false_claims, [""; 0], "{self}");
        assert!(self.kept * 100 >= self.honest * 99, "{self}{:#?}", self.doubts);
        assert!(self.relocked.values().map(|(relocked, _)| relocked).sum::<usize>() * 100 >= rounds, "{self}");
        // The ledger saw what it is there to see, and chance dealt all kinds.
        assert!(self.honest * 2 > rounds, "{self}");
        for gap in [Duration::from_micros(100), Duration::from_millis(1), Duration::from_millis(10)].map(Conduct::Gap) {
            let tried: usize =
                self.ended.iter().filter(|((conduct, _), _)| *conduct == gap.to_string()).map(|(_, count)| count).sum();
            assert_eq!(self.free.get(&gap.to_string()).copied().unwrap_or_default(), tried, "{self}");
        }
        assert_eq!(self.free.get("honest"), None, "{self}");
    }
}

fn weigh(ledger: &Ledger, rounds: &[Round]) -> Tally {
    let mut accounts: BTreeMap<&Path, Account> = BTreeMap::new();
    let mut tally = Tally::default();
    for round in rounds {
        let account = accounts.entry(&round.lock).or_insert_with(|| ledger.account(&round.lock).expect("an account"));
        tally.enter(round, account);
    }
    for (lock, account) in accounts {
        let own = rounds.iter().filter(|round| round.lock == lock && round.conduct != Conduct::Stillborn).count();
        assert!(account.shared() > own, "{}: {} locks in {own} handovers", lock.display(), account.shared());
    }
    tally
}
