//! The loop of a rollout: it waits, turns whatever came into one event, and performs what the rollout answers.
//!
//! **Invariant:** what the tasks have told is heard before time or the operator: a host that says nothing of having been
//! asked has not been.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::agent::Agent;
use super::claim::{Keeper, Title};
use super::guard::{self, Post};
use super::handover::{self, Order};
use super::link::Dialler;
use super::news::{NEWS_MAX, News, Teller};
use super::signals::Interrupts;
use crate::inventory::{Host, HostName};
use crate::outcome::Outcome;
use crate::report::{Report, Told};
use crate::rollout::{Action, Event, Guard, Rollout, Summary};
use crate::standing::Standing;

/// A chosen host, and what is known of it.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) host: Host,
    /// The release to switch to.
    pub(super) release: Option<String>,
    /// How the service stood before its handover, or when it was last looked at.
    pub(super) before: Option<Standing>,
    /// Whether an earlier run may have asked it.
    pub(super) may_have_begun: bool,
    /// The connection, if there is one.
    pub(super) agent: Option<Agent>,
}

/// What a rollout is walked with.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    title: Title,
    parties: BTreeMap<HostName, Party>,
    claims: BTreeMap<HostName, Keeper>,
    tasks: BTreeMap<HostName, JoinHandle<()>>,
    last_looks: BTreeMap<HostName, JoinHandle<()>>,
    dialler: Dialler,
    teller: Teller,
    news: mpsc::Receiver<News>,
    report: &'a mut Report,
}

/// What woke the loop.
enum Woken {
    News(News),
    Interrupt,
    Deadline,
    Silence,
}

impl<'a> Walk<'a> {
    pub(super) fn new(title: Title, parties: Vec<Party>, dialler: Dialler, report: &'a mut Report) -> Self {
        let (teller, news) = mpsc::channel(NEWS_MAX);
        Self {
            title,
            parties: parties.into_iter().map(|party| (party.host.name.clone(), party)).collect(),
            claims: BTreeMap::new(),
            tasks: BTreeMap::new(),
            last_looks: BTreeMap::new(),
            dialler,
            teller: Teller(teller),
            news,
            report,
        }
    }

    /// Walks until nothing is left to do.
    pub(super) async fn run(mut self, mut rollout: Rollout, mut interrupts: Interrupts) -> Summary {
        let begun = Instant::now();
        let mut event = Event::Started;
        loop {
            let now = begun.elapsed();
            if let Some(summary) = self.step(&mut rollout, now, event) {
                self.let_go().await;
                return summary;
            }
            event = loop {
                let deadline = rollout.deadline_next().map(|deadline| begun + deadline);
                let woken = self.wait(deadline, &mut interrupts).await;
                if let Some(event) = self.hear(woken, &rollout) {
                    break event;
                }
            };
        }
    }

    async fn wait(&mut self, deadline: Option<Instant>, interrupts: &mut Interrupts) -> Woken {
        let deadline = pin!(until(deadline));
        let silence = pin!(tokio::time::sleep(self.report.silence_left()));
        tokio::select! {
            biased;
            news = self.news.recv() => news.map_or(Woken::Deadline, Woken::News),
            () = interrupts.next() => Woken::Interrupt,
            () = deadline => Woken::Deadline,
            () = silence => Woken::Silence,
        }
    }

    /// Turns what came into an event; none for what only people want to know.
    fn hear(&mut self, woken: Woken, rollout: &Rollout) -> Option<Event> {
        match woken {
            Woken::Interrupt => Some(Event::Interrupted),
            Woken::Deadline => Some(Event::Tick),
            Woken::Silence => {
                self.report.tell(&Told::Waiting { awaited: &rollout.awaited() });
                None
            }
            Woken::News(news) => self.learn(news),
        }
    }

    /// Takes in what a task tells.
    fn learn(&mut self, news: News) -> Option<Event> {
        match news {
            News::Event(event) => Some(event),
            News::Step { host, step, detail } => {
                self.report.tell(&Told::Step { host: &host, step, detail: &detail });
                None
            }
            News::Retrying { host, cause } => {
                tracing::info!(%host, %cause, "contact lost, seeking it again");
                self.report.tell(&Told::Retrying { host: &host, cause: &cause });
                None
            }
            News::Regained { host } => {
                tracing::info!(%host, "the lost guard stands again");
                self.report.tell(&Told::Regained { host: &host });
                None
            }
            News::Looked { host, standing, agent } => {
                if let Some(party) = self.parties.get_mut(&host) {
                    party.before = Some((*standing).clone());
                    party.agent = Some(agent);
                }
                Some(Event::Looked(host, standing))
            }
            News::Ended { host, outcome, evidence: _, agent } => {
                if let Some(party) = self.parties.get_mut(&host) {
                    party.agent = agent;
                }
                Some(Event::Settled(host, outcome))
            }
        }
    }

    /// Lets the rollout decide, and does it; the summary when it is over.
    fn step(&mut self, rollout: &mut Rollout, now: Duration, event: Event) -> Option<Summary> {
        tracing::debug!(?now, ?event, "event");
        let actions = rollout.handle(now, event);
        tracing::debug!(?actions, "actions");
        let mut finished = None;
        for action in actions {
            match action {
                Action::Claim(host) => self.claim(&host),
                Action::Look(host) => self.look(&host),
                Action::Ask(host, attempt) => self.ask(&host, attempt),
                Action::Guard(host, outcome) => self.guard(&host, &outcome),
                Action::LastLook(host, outcome) => self.look_last(&host, &outcome),
                Action::Abandon(host) => self.abandon(&host),
                Action::TellOutcome(host, outcome) => self.report.tell(&Told::Outcome { host: &host, outcome: &outcome }),
                Action::TellStop(stop) => self.report.tell(&Told::Stopping { stop: &stop, awaited: &rollout.awaited() }),
                Action::Tell(note) => self.report.tell(&Told::Note { note }),
                Action::Finish(summary) => finished = Some(summary),
                Action::Ignore(event) => tracing::debug!(?event, "event ignored"),
            }
        }
        finished
    }

    fn claim(&mut self, host: &HostName) {
        let Some(party) = self.parties.get(host) else { return };
        let (dialler, teller) = (self.dialler.clone(), self.teller.clone());
        let keeper = Keeper::start(party.host.clone(), self.title.clone(), party.agent.clone(), dialler, teller);
        self.claims.insert(host.clone(), keeper);
    }

    fn look(&mut self, host: &HostName) {
        let Some(party) = self.parties.get_mut(host) else { return };
        self.report.tell(&Told::Started { host });
        let look = handover::look(
            party.host.clone(),
            self.title.service.clone(),
            party.agent.take(),
            self.dialler.clone(),
            self.teller.clone(),
        );
        self.tasks.insert(host.clone(), tokio::spawn(look));
    }

    fn ask(&mut self, host: &HostName, attempt: u32) {
        let (Some(party), Some(keeper)) = (self.parties.get_mut(host), self.claims.get(host)) else { return };
        let Some(before) = party.before.clone() else { return };
        let order = Order {
            host: party.host.clone(),
            service: self.title.service.clone(),
            release: party.release.clone(),
            rollout: self.title.rollout.clone(),
            attempt,
            before,
            may_have_begun: party.may_have_begun,
            agent: party.agent.take(),
            hold: keeper.hold(),
        };
        let task = tokio::spawn(handover::hand_over(order, self.dialler.clone(), self.teller.clone()));
        self.tasks.insert(host.clone(), task);
    }

    fn guard(&mut self, host: &HostName, outcome: &Outcome) {
        let Some(post) = self.post(host, outcome) else { return };
        let task = tokio::spawn(guard::stand(post, self.dialler.clone(), self.teller.clone()));
        self.tasks.insert(host.clone(), task);
    }

    fn look_last(&mut self, host: &HostName, outcome: &Outcome) {
        let Some(post) = self.post(host, outcome) else { return };
        let task = tokio::spawn(guard::look_last(post, self.dialler.clone(), self.teller.clone()));
        // The guard stands on beside it.
        self.last_looks.insert(host.clone(), task);
    }

    fn post(&self, host: &HostName, outcome: &Outcome) -> Option<Post> {
        let master = match outcome {
            Outcome::Proven(proof) => proof.kept.after(),
            Outcome::RolledBack { unbroken, .. } => unbroken.master,
            Outcome::Refused(_) | Outcome::Unproven(_) | Outcome::Dropped(_) | Outcome::Unknown(_) => return None,
        };
        let party = self.parties.get(host)?;
        let before = party.before.as_ref()?;
        Some(Post {
            host: party.host.clone(),
            service: self.title.service.clone(),
            boot: before.boot.clone(),
            guard: Guard::new(before, master),
            agent: party.agent.clone(),
        })
    }

    fn abandon(&mut self, host: &HostName) {
        for tasks in [&mut self.tasks, &mut self.last_looks] {
            if let Some(task) = tasks.remove(host) {
                task.abort();
            }
        }
    }

    /// Ends the tasks, and gives all claims back.
    async fn let_go(self) {
        self.tasks.into_values().chain(self.last_looks.into_values()).for_each(|task| task.abort());
        drop(self.news);
        self.claims.into_values().map(Keeper::release).collect::<JoinSet<()>>().join_all().await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
