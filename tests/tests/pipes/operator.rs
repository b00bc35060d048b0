//! An operator: plans a rollout, walks it, and walks it on when its controller has died or it has halted.
//!
//! **Invariant:** of a controller that died nothing is used any more but its journal.

use std::io;
use std::time::Duration;

use baton::execute::{Dialler, Interrupts, Prepared, Undertaking, prepare, restart};
use baton::inventory::{Host, HostName, Share};
use baton::journal::{Entry, fold};
use baton::outcome::{Exit, Outcome};
use baton::plan::{Choices, Circumstances, Limits, Plan, Releases};
use baton::report::{Format, Report};
use baton::rollout::{Past, Rollout, Summary};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ledger::Ledger;
use crate::network::{Network, Plug};
use crate::scenario::{Fate, Scenario, name};
use crate::trace::{Seen, Trace};

/// How much longer one run may take than all its hosts may, one after the other.
const SPARE: Duration = Duration::from_mins(3);

/// How often an operator walks a rollout on that has halted.
const RESUMES_MAX: u32 = 4;

/// How long an operator thinks about a rollout that has halted.
const THINKS_FOR: Duration = Duration::from_secs(12);

/// One rollout, and all that its operator knows.
#[derive(Debug)]
pub(crate) struct Operator {
    rollout: String,
    hosts: Vec<Host>,
    limits: Limits,
    fate: Fate,
    network: Network,
    trace: Trace,
    calm_at: Instant,
}

/// How one run ended.
enum Ran {
    Ended(Summary),
    Died,
    /// It is past the time that a run may take.
    Overdue,
}

/// A controller that runs.
struct Running {
    plug: Plug,
    task: JoinHandle<Summary>,
    interrupt: mpsc::Sender<()>,
}

fn report() -> Report {
    Report::to(Format::Json, Box::new(io::sink()), Box::new(io::sink()))
}

impl Operator {
    pub(crate) fn new(number: usize, scenario: &Scenario, network: Network, trace: Trace) -> Self {
        let limits = Limits {
            max_in_flight: Share::Count(scenario.in_flight_max),
            max_failures: Share::Count(scenario.failures_max),
            soak: scenario.soak,
            ..Limits::default()
        };
        let calm_at = trace.instant(scenario.calm_at);
        let fate = scenario.fates[number].clone();
        Self { rollout: format!("r-{number}"), hosts: fleet(scenario.hosts()), limits, fate, network, trace, calm_at }
    }

    /// Looks at the fleet and plans.
    pub(crate) async fn plan(&self) -> Prepared {
        let choices = Choices { service: "web".into(), releases: Releases::Current, limits: self.limits };
        let dialler = self.network.plug_in().dialler();
        let prepared = prepare(choices, &self.hosts, Circumstances::default(), &dialler, &mut report()).await;
        prepared.expect("all hosts know the service")
    }

    /// Walks until every host is proven, or it makes no sense to go on; false if a run never ended.
    pub(crate) async fn walk(self, prepared: Prepared) -> bool {
        let plan = prepared.plan().clone();
        let (ledger, mut deaths) = Ledger::new(self.fate.last_writes.clone());
        let mut kills = self.fate.kills.iter().map(|at| self.trace.instant(*at)).collect::<Vec<_>>().into_iter();
        let (mut kill, mut halts) = (kills.next(), 0);
        sleep_until(self.trace.instant(self.fate.begins)).await;
        let host_within = plan.bounds().host_deadline + Duration::from_mins(1);
        let within = host_within * u32::try_from(self.hosts.len()).expect("it is small") + SPARE;
        let mut next = (prepared, Rollout::new(&plan));
        for run in 1.. {
            let running = self.begin(run, next, &ledger);
            let ran = self.await_end(running, run, &mut deaths, (kill, within)).await;
            match ran {
                Ran::Overdue => return false,
                Ran::Died => {
                    kill = kill.filter(|kill| *kill > Instant::now()).or_else(|| kills.next());
                    sleep(self.fate.absent).await;
                }
                Ran::Ended(summary) => {
                    self.note_end(run, &summary, &ledger);
                    halts += 1;
                    if summary.exit() == Exit::Proven || halts > RESUMES_MAX {
                        return true;
                    }
                    sleep(THINKS_FOR).await;
                    if halts > 1 {
                        sleep_until(self.calm_at).await;
                    }
                }
            }
            let past = fold(&ledger.entries());
            next = self.resumed(&plan, &past, halts > 0);
        }
        true
    }

    fn resumed(&self, plan: &Plan, past: &Past, retry_failed: bool) -> (Prepared, Rollout) {
        let retry_failed = retry_failed && past.is_finished;
        (Prepared::again(plan.clone(), self.hosts.clone(), past), Rollout::resume(plan, past, retry_failed))
    }

    fn begin(&self, run: u32, (prepared, rollout): (Prepared, Rollout), ledger: &Ledger) -> Running {
        ledger.push(Entry::Begun { run, operator: "ada".into(), retry_failed: false });
        self.trace.note(Seen::Begun { rollout: self.rollout.clone(), run });
        let plug = self.network.plug_in();
        let dialler: Dialler = plug.dialler();
        let undertaking =
            Undertaking { rollout: self.rollout.clone(), session: format!("s-{run}"), reason: "a simulation".into() };
        let (interrupt, interrupts) = Interrupts::by_hand();
        let mut ledger = ledger.clone();
        let task = tokio::spawn(async move {
            let (mut report, wishes) = (report(), (interrupts, None));
            let walked = restart(prepared, rollout, undertaking, dialler, wishes, &mut ledger, &mut report).await;
            walked.expect("this journal takes everything")
        });
        Running { plug, task, interrupt }
    }

    async fn await_end(
        &self,
        running: Running,
        run: u32,
        deaths: &mut mpsc::Receiver<()>,
        (kill, within): (Option<Instant>, Duration),
    ) -> Ran {
        let Running { plug, mut task, interrupt } = running;
        let killed = async {
            match kill {
                Some(kill) => sleep_until(kill).await,
                None => std::future::pending().await,
            }
        };
        let interrupted = async {
            match self.fate.interrupt.map(|at| self.trace.instant(at)).filter(|at| *at > Instant::now()) {
                Some(at) => {
                    sleep_until(at).await;
                    let _ = interrupt.try_send(());
                    std::future::pending::<()>().await;
                }
                None => std::future::pending::<()>().await,
            }
        };
        let waiting = async {
            tokio::select! {
                biased;
                summary = &mut task => Ran::Ended(summary.expect("a controller does not panic")),
                _ = deaths.recv() => Ran::Died,
                () = killed => Ran::Died,
                () = interrupted => Ran::Died,
            }
        };
        let ran = timeout(within, waiting).await.unwrap_or(Ran::Overdue);
        if matches!(ran, Ran::Died) {
            self.trace.note(Seen::Killed { rollout: self.rollout.clone(), run });
        }
        // What a process leaves behind when it ends is nobody's: its tasks would go on dialling.
        plug.pull();
        task.abort();
        ran
    }

    fn note_end(&self, run: u32, summary: &Summary, ledger: &Ledger) {
        let finished = |entry: &Entry| matches!(entry, Entry::Finished { .. });
        assert!(ledger.entries().last().is_some_and(finished), "a run that has ended says so in its journal, last");
        let words = summary.hosts.iter().map(|(_, outcome)| outcome.as_ref().map(Outcome::word)).collect();
        self.trace.note(Seen::Finished { rollout: self.rollout.clone(), run, exit: summary.exit().code(), words });
    }
}

fn fleet(hosts: usize) -> Vec<Host> {
    let host = |place| Host {
        name: HostName::parse(&name(place)).expect("it is a name"),
        address: format!("10.0.0.{}:7646", place % 250 + 1),
        labels: std::collections::BTreeMap::new(),
    };
    (0..hosts).map(host).collect()
}
