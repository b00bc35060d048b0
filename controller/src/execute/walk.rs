//! The loop of a rollout: it waits, turns whatever came into events, and performs what the rollout answers.
//!
//! News that wait already are taken in together, so that one flush of the journal does for all of them.
//!
//! **Invariant:** what the tasks have told is heard before time or the operator.
//! **Invariant:** nothing is done before the journal has it: not asked, not told, not ended.

use std::collections::BTreeMap;
use std::pin::pin;

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
use crate::control::{Controls, Request};
use crate::inventory::{Host, HostName};
use crate::journal::step::{Known, entries};
use crate::journal::{Entry, Evidence};
use crate::outcome::Outcome;
use crate::report::{Report, Told, ordered};
use crate::rollout::{Action, Event, Guard, Rollout, Summary};
use crate::standing::Standing;
use crate::store::{Keep, StoreError};

/// After so many entries they are written, though more news wait.
const ENTRIES_AT_ONCE_MAX: usize = 256;

/// A chosen host, and what is known of it.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) host: Host,
    /// The release to switch to.
    pub(super) release: Option<String>,
    /// How the service stood before its handover, or when it was last looked at.
    pub(super) before: Option<Standing>,
    /// The attempt that it was asked for last; 0 before the first.
    pub(super) attempt: u32,
    /// Whether an earlier run may have asked it.
    pub(super) may_have_begun: bool,
    /// The connection, if there is one.
    pub(super) agent: Option<Agent>,
}

/// Where the operator's wishes come from.
#[derive(Debug)]
pub(super) struct Wishes {
    /// From the terminal.
    pub(super) interrupts: Interrupts,
    /// From other terminals; none where nobody listens.
    pub(super) controls: Option<Controls>,
}

/// What a rollout is walked with.
#[derive(Debug)]
pub(super) struct Walk<'a, J> {
    title: Title,
    rollout: Rollout,
    begun: Instant,
    /// What was decided and is not written down yet.
    entries: Vec<Entry>,
    /// What is done once that is.
    actions: Vec<Action>,
    parties: BTreeMap<HostName, Party>,
    claims: BTreeMap<HostName, Keeper>,
    tasks: BTreeMap<HostName, JoinHandle<()>>,
    last_looks: BTreeMap<HostName, JoinHandle<()>>,
    dialler: Dialler,
    teller: Teller,
    news: mpsc::Receiver<News>,
    journal: &'a mut J,
    report: &'a mut Report,
}

/// What woke the loop.
enum Woken {
    News(Box<News>),
    Ordered(Request),
    Interrupt,
    Deadline,
    Silence,
}

impl<'a, J: Keep> Walk<'a, J> {
    pub(super) fn new(
        title: Title,
        rollout: Rollout,
        parties: Vec<Party>,
        dialler: Dialler,
        journal: &'a mut J,
        report: &'a mut Report,
    ) -> Self {
        let (teller, news) = mpsc::channel(NEWS_MAX);
        Self {
            title,
            rollout,
            begun: Instant::now(),
            entries: Vec::new(),
            actions: Vec::new(),
            parties: parties.into_iter().map(|party| (party.host.name.clone(), party)).collect(),
            claims: BTreeMap::new(),
            tasks: BTreeMap::new(),
            last_looks: BTreeMap::new(),
            dialler,
            teller: Teller(teller),
            news,
            journal,
            report,
        }
    }

    /// Walks until nothing is left to do, or the journal takes no more.
    pub(super) async fn run(mut self, mut wishes: Wishes) -> Result<Summary, StoreError> {
        self.decide(&Event::Started, None);
        let ended = loop {
            match self.carry_out().await {
                Ok(None) => {}
                Ok(Some(summary)) => break Ok(summary),
                Err(error) => break Err(error),
            }
            let woken = self.wait(&mut wishes).await;
            if let Err(error) = self.hear(woken).await {
                break Err(error);
            }
        };
        self.let_go().await;
        ended
    }

    async fn wait(&mut self, wishes: &mut Wishes) -> Woken {
        let deadline = self.rollout.deadline_next().map(|deadline| self.begun + deadline);
        let deadline = pin!(until(deadline));
        let silence = pin!(tokio::time::sleep(self.report.silence_left()));
        let ordered = async {
            match &mut wishes.controls {
                Some(controls) => controls.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = self.news.recv() => news.map_or(Woken::Deadline, |news| Woken::News(Box::new(news))),
            () = wishes.interrupts.next() => Woken::Interrupt,
            request = ordered => Woken::Ordered(request),
            () = deadline => Woken::Deadline,
            () = silence => Woken::Silence,
        }
    }

    /// Lets the rollout decide on what came, and on the news that wait already.
    async fn hear(&mut self, woken: Woken) -> Result<(), StoreError> {
        match woken {
            Woken::Interrupt => self.decide(&Event::Interrupted, None),
            Woken::Deadline => self.decide(&Event::Tick, None),
            Woken::Silence => {
                let (awaited, picture) = (self.rollout.awaited(), self.rollout.picture());
                self.report.tell(&Told::Waiting { awaited: &awaited, picture: &picture });
            }
            Woken::Ordered(request) => return self.obey(request).await,
            Woken::News(news) => {
                let mut next = Some(*news);
                while let Some(news) = next {
                    if let Some((event, evidence)) = self.learn(news) {
                        self.decide(&event, evidence);
                    }
                    next = self.news.try_recv().ok().filter(|_| self.entries.len() < ENTRIES_AT_ONCE_MAX);
                }
            }
        }
        Ok(())
    }

    /// Takes an order, and answers when the journal has it.
    async fn obey(&mut self, request: Request) -> Result<(), StoreError> {
        let event = Event::Ordered(request.order);
        self.decide(&event, None);
        let is_taken = !self.actions.contains(&Action::Ignore(event));
        self.journal.keep(&std::mem::take(&mut self.entries)).await?;
        let order = request.order;
        request.answer(ordered(order, is_taken, &self.rollout.awaited()));
        Ok(())
    }

    /// Takes in what a task tells.
    fn learn(&mut self, news: News) -> Option<(Event, Option<Evidence>)> {
        match news {
            News::Event(event) => Some((event, None)),
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
                Some((Event::Looked(host, standing), None))
            }
            News::Ended { host, outcome, evidence, agent } => {
                if let Some(party) = self.parties.get_mut(&host) {
                    party.agent = agent;
                }
                Some((Event::Settled(host, outcome), evidence))
            }
        }
    }

    /// Lets the rollout decide.
    fn decide(&mut self, event: &Event, evidence: Option<Evidence>) {
        let now = self.begun.elapsed();
        tracing::debug!(?now, ?event, "event");
        let actions = self.rollout.handle(now, event.clone());
        tracing::debug!(?actions, "actions");
        for action in &actions {
            if let Action::Ask(host, attempt) = action
                && let Some(party) = self.parties.get_mut(host)
            {
                // Nobody has asked for another attempt yet.
                party.may_have_begun &= party.attempt == *attempt;
                party.attempt = *attempt;
            }
        }
        let known = |host: &HostName| {
            let party = self.parties.get(host)?;
            Some(Known { before: party.before.as_ref()?, attempt: party.attempt })
        };
        self.entries.extend(entries(event, &actions, evidence, known));
        self.actions.extend(actions);
    }

    /// Writes down what was decided, then does it; the summary when it is over.
    async fn carry_out(&mut self) -> Result<Option<Summary>, StoreError> {
        self.journal.keep(&std::mem::take(&mut self.entries)).await?;
        let actions = std::mem::take(&mut self.actions);
        Ok(self.perform(actions))
    }

    fn perform(&mut self, actions: Vec<Action>) -> Option<Summary> {
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
                Action::TellStop(stop) => self.report.tell(&Told::Stopping { stop: &stop, awaited: &self.rollout.awaited() }),
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
        let (host_meant, agent) = (party.host.clone(), party.agent.clone());
        let keeper = Keeper::start(host_meant, self.title.clone(), agent, party.may_have_begun, dialler, teller);
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
        let task = tokio::spawn(Box::pin(guard::look_last(post, self.dialler.clone(), self.teller.clone())));
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
